"""Turns a module into a copy whose blocks note what enters them, and let it be replaced.

The copy shares every weight, and only the modules on the way to the list of blocks are new. So
nothing of the model changes, and threads can share it. Block l is the one that hidden state l
enters, counted by calls and not by place in the list: a block may run more than once (ALBERT).

A pass that goes on from layer l does not need the blocks below it. Their place is taken by what
hands its input on, in the form in which the block would have answered. Where a block's answer
carries more than hidden states (the position bias that T5's first block makes for the others), it
runs all the same.
"""

from collections.abc import Callable, Collection, Sequence
from itertools import count
from typing import Any

from tfactors.model.target_row import has_target_row, target_row


class LayerReached(Exception):
    """The last layer that was asked for has been recorded; the rest need not run."""


def recording_copy(
    module: Any,
    path: Sequence[str],
    layers: Sequence[int],
    positions: Any = None,
    target_rows: bool = True,
) -> tuple[Any, dict[int, Any]]:
    """Return a copy that notes the input of some blocks, and ends after the last of them.

    Parameters
    ----------
    module : torch Module
        The transformer.
    path : sequence of str
        Where it keeps its list of blocks (`paths_of_blocks`).
    layers : sequence of int
        The blocks whose input is noted.
    positions : (texts,) tensor, optional
        Note only this token of each text. Where the last block to run allows it, nothing else of it
        is computed.
    target_rows : bool
        Whether that may be.

    Returns
    -------
    copy : torch Module
        Raises LayerReached when it is called, after the last of the layers.
    recorded : dict
        Where the copy notes the input of each block, (texts, tokens or 1, width), by its number.
    """
    import torch

    recorded: dict[int, Any] = {}
    last = max(layers)

    def call(layer: int, block: Any, args: tuple, kwargs: dict) -> Any:
        states = args[0] if args else kwargs["hidden_states"]
        if layer in layers:
            rows = torch.arange(len(states), device=states.device)
            recorded[layer] = states if positions is None else states[rows, positions][:, None]
        if layer == last:
            raise LayerReached
        alone = target_rows and positions is not None
        if layer == last - 1 and alone and has_target_row(block):
            mask = args[1] if len(args) > 1 else kwargs.get("attention_mask")
            recorded[last] = target_row(block, states, mask, positions)
            raise LayerReached
        return block(*args, **kwargs)

    return _tapped(module, path, call), recorded


def replacing_copy(
    tapped: Any,
    path: Sequence[str],
    layer: int,
    states: Any,
    answers: list[Any],
    end: int | None = None,
) -> tuple[Any, list[Any]]:
    """Return a copy in which other states enter a block, and the blocks below are skipped.

    Parameters
    ----------
    tapped : torch Module
        The transformer.
    path : sequence of str
        Where it keeps its list of blocks (`paths_of_blocks`).
    layer : int
        The block.
    states : (texts, tokens, width) tensor
        What enters it.
    answers : list
        How the blocks answer, from `form_of_answers`.
    end : int, optional
        A later block, or this one, at which the copy ends; one that there is not is never reached.

    Returns
    -------
    copy : torch Module
        Raises LayerReached when it is called, where it comes to ``end``.
    reached : list
        Where it puts what enters that block.
    """
    reached: list[Any] = []

    def call(here: int, block: Any, args: tuple, kwargs: dict) -> Any:
        if here < layer and answers[here] is not None:
            return answers[here](args[0] if args else kwargs["hidden_states"])
        if here == layer:
            args, kwargs = _with_states(args, kwargs, states)
        if here == end:
            reached.append(args[0] if args else kwargs["hidden_states"])
            raise LayerReached
        return block(*args, **kwargs)

    return _tapped(tapped, path, call), reached


def _with_states(args: tuple, kwargs: dict, states: Any) -> tuple[tuple, dict]:
    """Return the arguments of a block with other hidden states.

    What the model added behind the texts, to fill a window of attention, stays as it is.
    """
    import torch

    entering = args[0] if args else kwargs["hidden_states"]
    if added := entering.shape[1] - states.shape[1]:
        states = torch.cat([states, entering[:, -added:]], dim=1)
    if args:
        return (states, *args[1:]), kwargs
    return args, kwargs | {"hidden_states": states}


def form_of_answers(
    module: Any, path: Sequence[str], run: Callable[[Any], object]
) -> list[Callable[[Any], Any] | None]:
    """Return for each block what puts hidden states in the form of its answer; None if it must run.

    Parameters
    ----------
    module : torch Module
        The transformer.
    path : sequence of str
        Where it keeps its list of blocks (`paths_of_blocks`).
    run : callable
        Runs a module on any text.
    """
    forms: list[Callable[[Any], Any] | None] = []

    def call(layer: int, block: Any, args: tuple, kwargs: dict) -> Any:
        answer = block(*args, **kwargs)
        if not isinstance(answer, tuple | list):
            forms.append(lambda states: states)
        elif all(part is None for part in answer[1:]):
            kind = list if isinstance(answer, list) else tuple  # a list in the first GPT
            rest = answer[1:]
            forms.append(lambda states: kind((states, *rest)))
        else:
            forms.append(None)
        return answer

    run(_tapped(module, path, call))
    return forms


def paths_of_blocks(module: Any, lengths: Collection[int]) -> list[tuple[str, ...]]:
    """Return where the module keeps lists of so many modules, the outermost first."""
    import torch

    paths = [
        tuple(path.split("."))
        for path, child in module.named_modules()
        if isinstance(child, torch.nn.ModuleList) and len(child) in lengths
    ]
    return sorted(paths, key=len)


def _tapped(module: Any, path: Sequence[str], call: Callable[[int, Any, tuple, dict], Any]) -> Any:
    """Return a copy that makes every call of a block through ``call``, which gets its number."""
    import torch

    layer_numbers = count()

    class Tapped(torch.nn.Module):
        def __init__(self, block: Any) -> None:
            super().__init__()
            self.__dict__["block"] = block  # not registered: attributes below reach it

        def __getattr__(self, name: str) -> Any:  # models read attributes off their blocks
            return getattr(self.__dict__["block"], name)

        def forward(self, *args: Any, **kwargs: Any) -> Any:
            return call(next(layer_numbers), self.__dict__["block"], args, kwargs)

    root = _shallow_copy(module)
    parent = root
    for name in path[:-1]:
        parent._modules[name] = _shallow_copy(parent._modules[name])
        parent = parent._modules[name]
    blocks = parent._modules[path[-1]]
    parent._modules[path[-1]] = torch.nn.ModuleList(Tapped(block) for block in blocks)
    return root


def _shallow_copy(module: Any) -> Any:
    copy = module.__new__(type(module))
    copy.__dict__ = dict(module.__dict__)
    copy.__dict__["_modules"] = dict(module._modules)
    return copy
