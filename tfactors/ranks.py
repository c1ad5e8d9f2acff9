"""Several processes on one build: who this one is, and what they tell one another.

``torchrun --nproc-per-node N -m tfactors build …`` starts the same command N times and gives each
process a number, its rank. All of them read the folder of the build, which must be on a disk that
they share, and work on their own windows; rank 0 writes. What they exchange are arrays, through
`torch.distributed`: gloo between CPUs, nccl between GPUs. Without torchrun there is one rank, and
nothing here imports torch.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from tfactors.errors import InputError

# How long one rank waits for the others, which may be reading the corpus: a rank that dies closes
# its connections and is noticed at once, so that only a hung one is waited for.
PATIENCE = timedelta(days=30)


class RankLostError(InputError):
    """Another process of the run has died, or the run was told to end."""

    def __init__(self, size: int) -> None:
        super().__init__(
            f"the run of {size} processes has ended: one of them died (killed, out of memory?) or "
            "all were told to stop; the same command goes on where it stopped"
        )


def leads() -> bool:
    """Whether this process is the one that writes and speaks: the only one, or rank 0."""
    return os.environ.get("RANK", "0") == "0" or "WORLD_SIZE" not in os.environ


def join(device: str = "cpu") -> Ranks:
    """Meet the other processes that torchrun has started; alone, there is nobody to meet.

    Raises
    ------
    InputError
        The others cannot be reached.
    """
    size = int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1
    if size == 1:
        return Ranks(device=device)
    import torch.distributed as distributed

    on_gpu = device.startswith("cuda")
    if device == "cuda":
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"

    def stop(*_: object) -> None:
        raise RankLostError(size)

    signal.signal(signal.SIGTERM, stop)  # what torchrun sends to the ranks that are left
    try:
        distributed.init_process_group("cpu:gloo,cuda:nccl" if on_gpu else "gloo", timeout=PATIENCE)
    except (RuntimeError, ValueError) as error:
        raise InputError(f"the {size} processes do not find one another: {error}") from error
    return Ranks(int(os.environ["RANK"]), size, device)


@dataclass(frozen=True)
class Ranks:
    """This process among the others.

    Attributes
    ----------
    rank, size : int
        This process's number, 0 … size − 1, and how many there are.
    device : str
        Where this process runs the model.
    """

    rank: int = 0
    size: int = 1
    device: str = "cpu"

    @property
    def leads(self) -> bool:
        """Whether this rank is the one that writes."""
        return self.rank == 0

    def wait(self) -> None:
        """Return when all ranks have come here."""
        self.gather(np.zeros(1, np.int32))

    def lead(self, work: Callable[[], Any]) -> Any:
        """Let rank 0 work while the others wait, and return on all what it returned.

        Parameters
        ----------
        work : callable
            Returns what JSON can hold.

        Raises
        ------
        InputError
            On rank 0, where ``work`` raises it; the others end without a word.
        """
        if self.size == 1:
            return work()
        reply = {}
        if self.leads:
            try:
                reply = {"value": work()}
            except InputError:
                self._tell({"ended": True})
                raise
        reply = self._tell(reply)
        if "ended" in reply:
            raise SystemExit(2)
        return reply["value"]

    def _tell(self, message: dict[str, Any]) -> dict[str, Any]:
        """Return rank 0's message on every rank."""
        raw = np.frombuffer(json.dumps(message).encode(), np.uint8) if self.leads else np.zeros(0)
        return json.loads(self.gather(raw.astype(np.uint8))[0].tobytes())

    def gather(self, array: np.ndarray) -> list[np.ndarray]:
        """Return the arrays of all ranks on every rank.

        Parameters
        ----------
        array : (n,) array
            This rank's; of any length, and of the same type on all ranks.

        Returns
        -------
        list of arrays, one a rank
        """
        if self.size == 1:
            return [array]
        import torch
        import torch.distributed as distributed

        with self._connected():
            length = self._tensor(np.array([len(array)]))
            lengths = [torch.empty_like(length) for _ in range(self.size)]
            distributed.all_gather(lengths, length)
            sizes = [int(n) for n in lengths]
            padded = np.zeros(max(1, *sizes), array.dtype)
            padded[: len(array)] = array
            tensor = self._tensor(padded)
            tensors = [torch.empty_like(tensor) for _ in range(self.size)]
            distributed.all_gather(tensors, tensor)
        return [t.cpu().numpy()[:n] for t, n in zip(tensors, sizes, strict=True)]

    def speaks(self, folder: Path) -> bool:
        """Whether this rank is the first to tell that the run has ended; ``folder`` is shared."""
        try:
            os.close(os.open(folder / "ended", os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return False
        except OSError:  # there is no folder yet
            return self.leads
        return True

    def leave(self) -> None:
        """Part from the others at the end of the run."""
        if self.size > 1:
            import torch.distributed as distributed

            distributed.destroy_process_group()

    def _tensor(self, array: np.ndarray) -> Any:
        import torch

        where = self.device if self.device.startswith("cuda") else "cpu"
        return torch.from_numpy(np.require(array, requirements=["C", "W"])).to(where)

    @contextmanager
    def _connected(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:  # torch's word for a connection that is gone
            raise RankLostError(self.size) from error
