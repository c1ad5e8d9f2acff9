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


@pytest.mark.parametrize(
    "prefix", ["0.auto_model.", "model.", "model.bert.", "encoder.", "_forward_module.module."]
)
def test_what_another_program_put_before_every_name_is_taken_away(
    prefix: str, tiny: Path, states: np.ndarray, tmp_path: Path
) -> None:
    weights = load_file(tiny / "model.safetensors")
    named = {f"{prefix}{key}": tensor for key, tensor in weights.items()}
    folder = with_weights(tiny, tmp_path / "model", {**named, "head.weight": torch.ones(2, 32)})
    np.testing.assert_array_equal(states_of(load_model(str(folder))), states)


def test_of_several_models_in_one_file_none_is_taken(tiny: Path, tmp_path: Path) -> None:
    weights = load_file(tiny / "model.safetensors")
    student = {f"student.{key}": tensor for key, tensor in weights.items()}
    teacher = {f"teacher.{key}": tensor + 1 for key, tensor in weights.items()}
    folder = with_weights(tiny, tmp_path / "model", student | teacher)
    with pytest.raises(ModelError, match=r"several models \(student\., teacher\.\); save the one"):
        load_model(str(folder))


def test_an_encoder_of_passages_is_read_where_transformers_makes_one_of_questions(
    tmp_path: Path,
) -> None:
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = transformers.DPRConfig(**sizes, vocab_size=800, intermediate_size=48)
    encoder = transformers.DPRContextEncoder(config).eval()
    folder = write_tiny_bert(tmp_path / "model")
    encoder.save_pretrained(folder)
    ids = torch.from_numpy(TEXT[0][None])
    with torch.inference_mode():
        own = encoder(ids, output_hidden_states=True).hidden_states
    np.testing.assert_allclose(
        states_of(load_model(str(folder))), [layer[0].numpy() for layer in own], atol=1e-5
    )


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


def with_bottleneck(weights: Tensors) -> Tensors:
    return weights | {
        "encoder.layer.0.output.adapters.sst.adapter_down.0.weight": torch.ones(3, 32)
    }


def inside_an_adapter(weights: Tensors) -> Tensors:
    return {key.replace("query.", "query.base_layer."): tensor for key, tensor in weights.items()}


def with_weight_norm(weights: Tensors) -> Tensors:
    return {
        key.replace("query.weight", "query.parametrizations.weight.original1"): tensor
        for key, tensor in weights.items()
    }


def without_a_number(weights: Tensors) -> Tensors:
    key = "encoder.layer.0.output.dense.weight"
    return weights | {key: weights[key] * float("nan")}


def with_relative_positions(weights: Tensors) -> Tensors:
    return weights | {"encoder.layer.0.attention.self.distance_embedding.weight": torch.ones(9, 8)}


def of_another_shape(weights: Tensors) -> Tensors:
    key = "encoder.layer.0.output.dense.weight"
    return weights | {key: weights[key][:, 1:]}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (rounded, "output.dense.weight' holds whole numbers"),
        (with_scale, "dense.SCB' in its weights is a scale"),
        (with_adapter, "which was not merged into the weights"),
        (with_bottleneck, "which was not merged into the weights"),
        (inside_an_adapter, "which was not merged into the weights"),
        (
            with_weight_norm,
            "of which a weight is reckoned anew at each pass; give a model that was",
        ),
        (with_relative_positions, "of relative positions .*, which this version of transformers"),
        (without_a_number, "states are NaN or infinite from layer 1 on"),
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


@pytest.mark.parametrize(
    "said",
    [
        {"attn_implementation": "flash_attention_2"},
        {"dtype": "float8_e4m3fn"},
        {"torch_dtype": "int8"},
        {"return_dict": False},
        {"chunk_size_feed_forward": 3},
    ],
)
def test_what_a_config_says_of_the_machine_of_another_changes_no_state(
    said: dict[str, str], tiny: Path, states: np.ndarray, tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny, tmp_path / "model")
    config = json.loads((folder / "config.json").read_text("utf-8"))
    del config["dtype"]
    (folder / "config.json").write_text(json.dumps(config | said), "utf-8")
    np.testing.assert_array_equal(states_of(load_model(str(folder))), states)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (
            {"quantization_config": {"quant_method": "gptq", "bits": 4}},
            "rounded to few bits .quantization_config in config.json.; give a model that was saved",
        ),
        ({"model_type": "siglip_text_model"}, "no AutoModel of the kind 'siglip_text_model'; give"),
        ({"num_hidden_layers": 3}, "encoder.layer.2.* saved as BertForMaskedLM, and BertModel is"),
        ({"hidden_size": "32"}, "expected int, got str"),
    ],
)
def test_a_config_that_cannot_be_followed_is_told_in_one_line(
    config: dict[str, object], said: str, tiny: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny, tmp_path / "model")
    there = json.loads((folder / "config.json").read_text("utf-8"))
    there["architectures"] = ["BertForMaskedLM"]
    (folder / "config.json").write_text(json.dumps(there | config), "utf-8")
    with pytest.raises(ModelError, match=said) as caught:
        load_model(str(folder))
    assert "\n" not in str(caught.value)


def test_a_model_without_a_place_for_a_token_is_refused(tmp_path: Path) -> None:
    folder = write_tiny_bert(tmp_path / "model")
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4}
    config = transformers.RobertaConfig(
        **sizes, intermediate_size=48, vocab_size=800, max_position_embeddings=2, pad_token_id=1
    )
    transformers.RobertaModel(config).save_pretrained(folder)
    with pytest.raises(ModelError, match=r"no place for a token .max_position_embeddings in"):
        load_model(str(folder))
