"""What is hashed is what is loaded: shards, names of weights, files that change meanwhile."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tiny_model import write_tiny_bert

from tfactors.model import loading
from tfactors.model.hidden_states import Model, load_model
from tfactors.model.language_head import language_head
from tfactors.model.loading import ModelError

pytestmark = pytest.mark.model

TEXT = [np.arange(10, 30)]
Tensors = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bert(tmp_path_factory.mktemp("models") / "bert")


@pytest.fixture(scope="module")
def states(tiny: Path) -> np.ndarray:
    return states_of(load_model(str(tiny)))


def states_of(model: Model) -> np.ndarray:
    return model.hidden_states(TEXT, model.layers)


def with_weights(tiny: Path, folder: Path, *shards: Tensors) -> Path:
    """A copy of a model with other weights, in one file or in several behind an index."""
    shutil.copytree(tiny, folder)
    names = [f"{n}.safetensors" for n in range(len(shards))]
    if len(shards) > 1:
        (folder / "model.safetensors").unlink()
        pairs = ", ".join(
            f'"{key}": "{name}"' for name, shard in zip(names, shards, strict=True) for key in shard
        )
        index = f'{{"weight_map": {{{pairs}}}}}'
        (folder / "model.safetensors.index.json").write_text(index)
    for name, shard in zip(
        names if len(shards) > 1 else ["model.safetensors"], shards, strict=True
    ):
        save_file({key: tensor.clone() for key, tensor in shard.items()}, folder / name)
    return folder


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda key: f"_orig_mod.{key}",
        lambda key: key.replace("layer.0.", "layer.0._orig_mod."),
        lambda key: f"module.{key}",
        lambda key: f"module._orig_mod.bert.{key}",
        lambda key: f"_fsdp_wrapped_module.{key}",
    ],
)
def test_names_that_torch_wrapped_are_understood(
    wrapped: Callable[[str], str], tiny: Path, states: np.ndarray, tmp_path: Path
) -> None:
    weights = load_file(tiny / "model.safetensors")
    wrapped_weights = {wrapped(key): tensor for key, tensor in weights.items()}
    model = load_model(str(with_weights(tiny, tmp_path / "model", wrapped_weights)))
    np.testing.assert_array_equal(states_of(model), states)


def test_a_tensor_that_two_shards_hold_must_be_the_same(
    tiny: Path, states: np.ndarray, tmp_path: Path
) -> None:
    weights = load_file(tiny / "model.safetensors")
    key = "embeddings.word_embeddings.weight"
    rest = {name: tensor for name, tensor in weights.items() if name != "x"}
    # The names in the index differ, or it would contradict itself.
    same = with_weights(tiny, tmp_path / "same", rest, {"other": torch.ones(1)})
    save_file({"other": torch.ones(1), key: weights[key].clone()}, same / "1.safetensors")
    np.testing.assert_array_equal(states_of(load_model(str(same))), states)
    save_file({"other": torch.ones(1), key: weights[key] + 1}, same / "1.safetensors")
    with pytest.raises(ModelError, match=f"'{key}' twice, with different numbers"):
        load_model(str(same))


def test_one_file_goes_before_an_index_and_safetensors_before_anything_pickled(
    tiny: Path, states: np.ndarray, tmp_path: Path
) -> None:
    weights = load_file(tiny / "model.safetensors")
    others = {key: tensor + 1 for key, tensor in weights.items()}
    folder = with_weights(tiny, tmp_path / "model", others, {"x": torch.ones(1)})
    torch.save(others, folder / "pytorch_model.bin")
    shutil.copy(tiny / "model.safetensors", folder)
    model = load_model(str(folder))
    assert model.sha256 == load_model(str(tiny)).sha256
    np.testing.assert_array_equal(states_of(model), states)


def test_an_adapter_beside_whole_weights_is_left_out_in_one_line(
    tiny: Path, states: np.ndarray, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = shutil.copytree(tiny, tmp_path / "model")
    (folder / "adapter_config.json").write_text(
        json.dumps({"peft_type": "LORA", "r": 3, "target_modules": ["query"]})
    )
    key = "base_model.model.encoder.layer.0.attention.self.query"
    lora = {"lora_A.weight": torch.ones(3, 32), "lora_B.weight": torch.ones(32, 3)}
    save_file({f"{key}.{k}": v for k, v in lora.items()}, folder / "adapter_model.safetensors")
    model = load_model(str(folder))
    assert model.sha256 == load_model(str(tiny)).sha256
    np.testing.assert_array_equal(states_of(model), states)
    (line,) = caplog.messages
    assert "an adapter (adapter_config.json) lies beside its weights, and was left out" in line
    assert "\n" not in line


def test_whoever_writes_into_the_file_later_does_not_change_the_model(
    tiny: Path, states: np.ndarray, tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny, tmp_path / "model")
    model, file = load_model(str(folder)), folder / "model.safetensors"
    with file.open("r+b") as stream:
        stream.seek(file.stat().st_size // 3)
        stream.write(bytes(file.stat().st_size // 3))
    np.testing.assert_array_equal(states_of(model), states)


def test_weights_that_change_while_they_are_read_are_refused(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(tiny, tmp_path / "model")
    summed = loading.weights_sha256

    def written_meanwhile(files: list[Path]) -> str:
        digest = summed(files)
        files[0].write_bytes(files[0].read_bytes() + b" ")
        return digest

    monkeypatch.setattr(loading, "weights_sha256", written_meanwhile)
    with pytest.raises(ModelError, match="changed while they were read"):
        load_model(str(folder))


def rounded(weights: Tensors) -> Tensors:
    key = "encoder.layer.0.output.dense.weight"
    return weights | {key: (50 * weights[key]).to(torch.int8)}


def with_scale(weights: Tensors) -> Tensors:
    return weights | {"encoder.layer.0.output.dense.SCB": torch.ones(3)}


def with_adapter(weights: Tensors) -> Tensors:
    return weights | {"encoder.layer.0.output.dense.lora_A.weight": torch.ones(3, 3)}


def of_another_shape(weights: Tensors) -> Tensors:
    key = "encoder.layer.0.output.dense.weight"
    return weights | {key: weights[key][:, 1:]}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (rounded, "output.dense.weight' holds whole numbers"),
        (with_scale, "dense.SCB' in its weights is a scale"),
        (with_adapter, "which was not merged into the weights"),
        (of_another_shape, "do not fit config.json .1 tensors, first encoder.layer.0.output"),
    ],
)
def test_weights_that_mean_something_else_are_refused(
    change: Callable[[Tensors], Tensors], said: str, tiny: Path, tmp_path: Path
) -> None:
    changed = change(load_file(tiny / "model.safetensors"))
    with pytest.raises(ModelError, match=said) as caught:
        load_model(str(with_weights(tiny, tmp_path / "model", changed)))
    assert "\n" not in str(caught.value)


def test_the_head_is_read_from_the_same_files(tiny: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny, tmp_path / "model")
    whole = transformers.BertForMaskedLM(transformers.AutoConfig.from_pretrained(tiny))
    whole.save_pretrained(folder)
    wrapped = {f"_orig_mod.{k}": v for k, v in load_file(folder / "model.safetensors").items()}
    save_file(wrapped, folder / "model.safetensors")
    head, saved_as = language_head(str(folder))
    assert saved_as == "BertForMaskedLM"
    assert head is not None
    given = np.random.default_rng(0).standard_normal((3, 32)).astype(np.float32)
    expected = whole.eval().cls(torch.from_numpy(given)).detach().numpy()
    np.testing.assert_allclose(head(given), expected, atol=1e-5)
