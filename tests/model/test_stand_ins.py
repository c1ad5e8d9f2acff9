"""What people have in place of a model: one line says what it is. No torch is needed for that."""

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from tfactors.model.folder import ModelError, local_folder
from tfactors.model.weights import stored_tensors, weight_files, weights_sha256

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 90868376\n"


def safetensors(numbers: int = 4) -> bytes:
    """A file with one tensor."""
    tensor = {"dtype": "F32", "shape": [numbers], "data_offsets": [0, 4 * numbers]}
    header = json.dumps({"x": tensor, "__metadata__": {"format": "pt"}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(4 * numbers)


def read(folder: Path) -> None:
    """What is done of a model before torch is imported."""
    found = local_folder(str(folder))
    assert found is not None
    stored_tensors(weight_files(found, str(folder)), str(folder))


def with_config(*files: tuple[str, bytes]) -> Callable[[Path], None]:
    return without_config(("config.json", b'{"model_type": "bert"}'), *files)


def without_config(*files: tuple[str, bytes]) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        for name, content in files:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)

    return write


ADAPTER = ("adapter_config.json", b'{"base_model_name_or_path": "gpt2"}')
MODULES = b'[{"path": "0_CLIPModel", "type": "sentence_transformers.models.CLIPModel"}]'
BERT = b'{"model_type": "bert"}'


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (without_config(), "has no config.json; give a folder that save_pretrained"),
        (without_config(("tokenizer.json", b"{}")), "no config.json, but a tokenizer alone"),
        (without_config(ADAPTER), "an adapter .PEFT. of 'gpt2' and no whole model; merge it"),
        (without_config(("model_index.json", b"{}")), "a pipeline of diffusers"),
        (without_config(("params.json", b"{}"), ("a.pth", b"")), "its maker's own format"),
        (without_config(("snapshots/abc/config.json", BERT)), "cache; give snapshots/abc"),
        (
            without_config(
                ("checkpoint-500/config.json", BERT), ("checkpoint-1000/config.json", BERT)
            ),
            "checkpoints of a training; give one of them, such as checkpoint-1000",
        ),
        (
            without_config(
                ("modules.json", MODULES), ("0_X/config.json", BERT), ("1/config.json", b"{}")
            ),
            "give the one of its transformer: 0_X$",
        ),
        (without_config(("model-q4.gguf", b"GGUF")), "no config.json; model-q4.gguf, which is of"),
        (with_config(), "found no weights; get the model again"),
        (with_config(ADAPTER), "an adapter .PEFT. of 'gpt2' and no whole model; merge it"),
        (with_config(("model.fp16.safetensors", safetensors())), "a variant of it; copy it to"),
        (with_config(("model.safetensors.index.fp16.json", b"")), "the index of a variant"),
        (with_config(("weights.safetensors", safetensors())), "found weights.safetensors; get"),
        (with_config(("pytorch_model.bin", b"")), "pytorch_model.bin, which is pickled"),
        (with_config(("last.ckpt", b"")), "last.ckpt, which is pickled"),
        (with_config(("training_args.bin", b"")), "found no weights"),
        (with_config(("tf_model.h5", b"")), "tf_model.h5, which is of TensorFlow"),
        (with_config(("flax_model.msgpack", b"")), "flax_model.msgpack, which is of Flax"),
        (with_config(("model.q4.gguf", b"")), "model.q4.gguf, which is of llama.cpp"),
        (with_config(("onnx/model.onnx", b"")), "onnx/model.onnx, which is of ONNX"),
        (with_config(("__0_0.distcp", b"")), "a distributed checkpoint"),
        (with_config(("model.safetensors.incomplete", b"")), "a download that was not finished"),
        (with_config(("model.safetensors", b"")), "model.safetensors is empty"),
        (with_config(("model.safetensors", b"12345")), "holds no weights but the text '12345'"),
        (with_config(("model.safetensors", POINTER.encode())), "Git LFS left .* 90,868,376 bytes"),
        (with_config(("model.safetensors.index.json", POINTER.encode())), "run 'git lfs pull'"),
        (with_config(("model.safetensors", safetensors()[:-1])), "ends after .* that was cut"),
        (with_config(("model.safetensors", safetensors()[:30])), "ends after 30 of at least"),
        (with_config(("model.safetensors", b"<!DOCTYPE html><p>" * 9)), "is a web page"),
        (
            with_config(("model.safetensors", b"PK\x03\x04\x00\x00\x08\x08" * 9)),
            "is pickled by PyTorch",
        ),
        (with_config(("model.safetensors", bytes(99))), "no safetensors file, or damaged"),
        (with_config(("openvino_model.bin", b"")), "openvino_model.bin, which is of OpenVINO"),
        (with_config(("model.bin", b"")), "model.bin, which is of CTranslate2"),
        (with_config(("rust_model.ot", b"")), "rust_model.ot, which is of Rust"),
        (with_config(("weights.npz", b"")), "weights.npz, which is of NumPy, as MLX keeps"),
        (with_config(("model.safetensors.zip", b"")), "which is packed: unpack it, and call it"),
        (
            with_config(("model.safetensors", b"../../blobs/" + b"4d7a" * 16)),
            "holds no weights but the text '../../blobs/4d7a",
        ),
        (with_config(("model.safetensors", b'{"error": "Not found"}')), "text '{.error.: .Not"),
        (with_config(("model.safetensors/x", b"")), "model.safetensors is a folder; get"),
    ],
)
def test_what_is_there_in_place_of_a_model_is_named(
    write: Callable[[Path], None], said: str, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    write(folder)
    with pytest.raises(ModelError, match=said) as caught:
        read(folder)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


def test_weights_that_are_a_link_to_nothing_or_no_file_are_called_so(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(BERT)
    weights = tmp_path / "model.safetensors"
    for target in ("../blobs/4d7a", "model.safetensors"):
        weights.symlink_to(target)
        with pytest.raises(ModelError, match=r"model\.safetensors is a link to nothing; get"):
            read(tmp_path)
        weights.unlink()
    os.mkfifo(weights)
    with pytest.raises(ModelError, match=r"model\.safetensors is no ordinary file; get"):
        read(tmp_path)


def test_a_name_that_is_empty_does_not_mean_the_folder_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.json").write_bytes(BERT)
    monkeypatch.chdir(tmp_path)
    assert local_folder(".") == Path()
    with pytest.raises(ModelError, match="model '': no name; give that of a folder"):
        local_folder("")


def test_a_file_is_told_from_a_folder(tmp_path: Path) -> None:
    for name, said in (
        ("a.gguf", "a file of llama.cpp"),
        ("a.safetensors", "give the folder that"),
    ):
        (tmp_path / name).write_bytes(b"")
        with pytest.raises(ModelError, match=said):
            local_folder(str(tmp_path / name))


def test_an_older_folder_of_sentence_transformers_means_its_transformer(tmp_path: Path) -> None:
    modules = [
        {"idx": 0, "path": "0_Transformer", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    ]
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    without_config(("0_Transformer/config.json", BERT), ("1_Pooling/config.json", b"{}"))(tmp_path)
    assert local_folder(str(tmp_path)) == tmp_path / "0_Transformer"
    for path in ("../elsewhere", "/", "a/b"):
        (tmp_path / "modules.json").write_text(json.dumps([modules[0] | {"path": path}]))
        with pytest.raises(ModelError, match="of sentence-transformers; give"):
            local_folder(str(tmp_path))


def index_of(shards: list[str]) -> bytes:
    return json.dumps({"weight_map": {str(n): shard for n, shard in enumerate(shards)}}).encode()


@pytest.mark.parametrize(
    ("index", "said"),
    [
        (b"{", "index.json is damaged"),
        (b"[]", "index.json is damaged"),
        (b"{}", "index.json is damaged"),
        (b'{"weight_map": [1]}', "index.json is damaged"),
        (b'{"weight_map": {"a": 1}}', "expected weights in safetensors"),
        (b"[" * 100_000, "index.json is damaged"),
        (b"\xff", "index.json is damaged"),
        (b'{"weight_map": {}}', "every weight is missing"),
        (b'{"weight_map": {"a": "1.safetensors", "a": "2.safetensors"}}', "says of 'a' twice"),
        (index_of(["a.safetensors", "b.safetensors"]), "b.safetensors is missing"),
        (index_of(["pytorch_model.bin"]), "expected weights in safetensors"),
        (index_of(["../out/a.safetensors"]), "a path that leaves the model's folder"),
        (index_of(["pickled.safetensors"]), "is pickled by PyTorch"),
        (index_of(["nowhere.safetensors"]), "nowhere.safetensors is missing"),
        (index_of(["itself.safetensors"]), "itself.safetensors is missing"),
        (index_of(["device.safetensors"]), "device.safetensors is missing"),
    ],
)
def test_an_index_that_cannot_be_followed_is_refused(index: bytes, said: str, tmp_path) -> None:
    folder, out = tmp_path / "model", tmp_path / "out"
    folder.mkdir()
    with_config(("model.safetensors.index.json", index), ("a.safetensors", safetensors()))(folder)
    without_config(("out/a.safetensors", safetensors()), ("out/a.bin", b"PK\3\4data"))(tmp_path)
    os.symlink(out / "a.bin", folder / "pickled.safetensors")
    os.symlink(out / "b", folder / "nowhere.safetensors")
    os.symlink("itself.safetensors", folder / "itself.safetensors")
    os.symlink("/dev/zero", folder / "device.safetensors")
    with pytest.raises(ModelError, match=said) as caught:
        read(folder)
    assert "\n" not in str(caught.value)


def test_shards_may_be_links_to_files_elsewhere(tmp_path: Path) -> None:
    folder, out = tmp_path / "model", tmp_path / "out"
    for name in ("a", "b"):
        without_config((f"{name}.safetensors", safetensors()))(out)
    names = ["a.safetensors", "below/b.safetensors"]
    with_config(("model.safetensors.index.json", index_of(names)))(folder)
    os.symlink(out / "a.safetensors", folder / "a.safetensors")
    os.symlink(out, folder / "below")
    read(folder)
    files = weight_files(folder, "model")
    before = weights_sha256(files)
    (out / "b.safetensors").write_bytes(safetensors(5))
    assert weights_sha256(files) != before  # of what the links lead to


def test_files_of_the_hubs_cache_are_links_to_its_blobs(tmp_path: Path) -> None:
    folder = tmp_path / "models--me--mine" / "snapshots" / "abc"
    folder.mkdir(parents=True)
    with_config(("model.safetensors.index.json", index_of(["a.safetensors"])))(folder)
    without_config(("blobs/4d7a", safetensors()))(folder.parents[1])
    os.symlink("../../blobs/4d7a", folder / "a.safetensors")
    read(folder)


def test_shards_that_the_index_does_not_name_do_not_count(tmp_path: Path) -> None:
    index = b"\xef\xbb\xbf" + index_of(["w/a.safetensors", "./w/v/b.safetensors"])
    names = ("w/a.safetensors", "w/v/b.safetensors", "a.safetensors", "model-00009.safetensors")
    shards = [(name, safetensors()) for name in names]
    with_config(("model.safetensors.index.json", index), *shards)(tmp_path)
    files = weight_files(tmp_path, "model")
    assert files == [tmp_path / "w/v/b.safetensors", tmp_path / "w/a.safetensors"]
