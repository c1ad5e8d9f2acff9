"""The command line as a user meets it: one clear line for a mistake, status 2, nothing lost."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from synthetic_bundle import write_synthetic_bundle
from tiny_model import address_texts, write_tiny_bert

from tfactors.cli import main
from tfactors.commands import commands

HEAVY = ("torch", "transformers", "streamlit", "numba", "scipy", "sklearn", "pandas", "numpy")


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return write_tiny_bert(tmp_path_factory.mktemp("model") / "tiny-bert")


@pytest.fixture(scope="module")
def text_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("text") / "addresses.txt"
    path.write_text("\n\n".join(address_texts(4)), encoding="utf-8")
    return path


@pytest.fixture
def bundle(tmp_path) -> Path:
    write_synthetic_bundle(tmp_path / "bundle")
    return tmp_path / "bundle"


@pytest.mark.parametrize("command", commands())
def test_help_shows_an_example(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    assert f"example: tfactors {command}" in capsys.readouterr().out


def test_every_file_of_the_commands_is_a_command_or_named_for_what_they_share():
    folder = Path(sys.modules["tfactors.commands"].__file__).parent
    shared = {"__init__", "command", "finished_bundle", "shared_options"}
    actions = {command.run.__module__.rpartition(".")[2] for command in commands().values()}
    assert {path.stem for path in folder.glob("*.py")} == actions | shared


def test_the_list_of_commands_is_there_without_a_heavy_import():
    code = (
        "import sys\n"
        "from tfactors.cli import main\n"
        "try:\n"
        "    main(['--help'])\n"
        "except SystemExit as stopped:\n"
        "    assert stopped.code == 0\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    listed = done.stdout.splitlines()
    assert listed[-1] == "[]"
    for command in commands().values():
        assert any(line.endswith(command.summary) for line in listed)


@pytest.mark.parametrize("command", sorted({*commands()} - {"evaluate"}))
def test_the_help_of_a_command_needs_no_torch(command):
    code = f"""
import sys
from tfactors.cli import parser_for
parser_for([{command!r}]).format_help()
assert not {{"torch", "transformers", "pandas"}} & sys.modules.keys()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


USAGE = {
    "tfactors: the following arguments are required: COMMAND; see 'tfactors --help'": [],
    "tfactors: argument COMMAND: invalid choice: 'biuld'": ["biuld"],
    "tfactors build: the following arguments are required: --out; see 'tfactors build --help'": [
        *("build", "my.txt")
    ],
    "tfactors build: argument --factors: invalid int value: 'many'; see 'tfactors build --help'": [
        *("build", "my.txt", "--out", "mine", "--factors", "many")
    ],
    "tfactors build: argument --preset: invalid choice: 'fast'": [
        *("build", "my.txt", "--out", "mine", "--preset", "fast")
    ],
    "tfactors import-site: the following arguments are required: site, --out; see "
    "'tfactors import-site --help'": ["import-site"],
    "tfactors info: unrecognized arguments: --layers 3; see 'tfactors info --help'": [
        *("info", "mine", "--layers", "3")
    ],
    "tfactors verify: unrecognized arguments: two words; see 'tfactors verify --help'": [
        *("verify", "mine", "two\nwords")
    ],
}


@pytest.mark.parametrize("line", USAGE)
def test_bad_usage_gives_one_line_that_names_the_command_and_where_its_help_is(line, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(USAGE[line])
    assert stopped.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (said,) = printed.err.splitlines()
    assert said.startswith(line)
    command = line.partition(":")[0]
    assert said.endswith(f"; see '{command} --help'")


def bad_inputs(folder: Path, model: Path, text_file: Path) -> dict[str, tuple[list[str], str]]:
    """For each mistake: the command line, and what its one line must say."""
    (folder / "empty.txt").write_text("")
    (folder / "picture.txt").write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR")
    (folder / "table.csv").write_text("title,body\na,b\n")
    (folder / "short.txt").write_text("Too short.")
    unsafe = folder / "pickled-model"
    unsafe.mkdir()
    for path in model.iterdir():
        (unsafe / path.name.replace("model.safetensors", "pytorch_model.bin")).write_bytes(
            path.read_bytes()
        )
    out = ["--out", str(folder / "out"), "--quiet", "--preset", "quick"]
    with_model = [*out, "--model", str(model)]
    good = str(text_file)
    return {
        "no such file": (["build", str(folder / "nothing.txt"), *with_model], "nothing.txt"),
        "empty file": (["build", str(folder / "empty.txt"), *with_model], "empty"),
        "binary file": (["build", str(folder / "picture.txt"), *with_model], "picture.txt"),
        "a column that is not there": (["build", str(folder / "table.csv"), *with_model], "body"),
        "text too short": (["build", str(folder / "short.txt"), *with_model], "8 tokens"),
        "no corpus": (["build", *with_model], "corpus"),
        "unknown model": (["build", good, *out, "--model", "no/such-model"], "no/such-model"),
        "no safetensors": (["build", good, *out, "--model", str(unsafe)], "safetensors"),
        "layer": (["build", good, *with_model, "--layers", "0", "9"], "layer 9"),
        "setting": (["build", good, *with_model, "--factors", "-3"], "factors -3"),
        "negative penalty": (["build", good, *with_model, "--penalty", "-1"], "penalty -1"),
        "not a bundle": (["verify", str(folder)], "manifest.json"),
        "no folder": (["info", str(folder / "nowhere")], "nowhere"),
        "dashboard": (["dashboard", str(folder)], "manifest.json"),
    }


MISTAKES = [
    "no such file",
    "empty file",
    "binary file",
    "a column that is not there",
    "text too short",
    "no corpus",
    "unknown model",
    "no safetensors",
    "layer",
    "setting",
    "negative penalty",
    "not a bundle",
    "no folder",
    "dashboard",
]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_gives_one_line_status_2_and_leaves_nothing(
    mistake, tmp_path, model, text_file, capsys
):
    arguments, said = bad_inputs(tmp_path, model, text_file)[mistake]
    assert main(arguments) == 2
    printed = capsys.readouterr()
    lines = printed.err.strip().splitlines()
    assert len(lines) == 1
    assert said in lines[0]
    assert "Traceback" not in printed.err
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_info_says_what_the_bundle_holds(bundle, capsys):
    assert main(["info", str(bundle)]) == 0
    out = capsys.readouterr().out
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert manifest["title"] in out
    assert f"{manifest['corpus']['tokens']:,}" in out
    assert main(["info", str(bundle), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == manifest


def test_verify_names_a_damaged_file(bundle, capsys):
    assert main(["verify", str(bundle)]) == 0
    path = bundle / "importance.parquet"
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    assert main(["verify", str(bundle)]) == 2
    assert "importance.parquet" in capsys.readouterr().err


def test_a_package_that_is_missing_is_named_in_one_line(
    model, text_file, tmp_path, capsys, monkeypatch
):
    monkeypatch.setitem(sys.modules, "transformers", None)
    line = ["build", str(text_file), "--model", str(model), "--out", str(tmp_path / "out")]
    assert main(line) == 2
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "tfactors: build needs the package transformers, which is not installed; "
        "'pip install tfactors' brings all it needs"
    ]
    assert not (tmp_path / "out").exists()


def test_a_package_that_the_help_of_a_command_needs_is_named_in_one_line(capsys, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("tfactors.bundle")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert main(["evaluate", "--help"]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith("tfactors: evaluate needs the package pandas, which is not installed")


def test_ctrl_c_stops_a_build_cleanly_and_the_next_run_ends_it(model, text_file, tmp_path):
    arguments = ["build", str(text_file), "--out", str(tmp_path / "out"), "--preset", "quick"]
    arguments += ["--model", str(model), "--factors", "32", "--saliency-examples", "0"]
    command = [sys.executable, "-m", "tfactors", *arguments]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        command,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        # Where the tests run in the background Ctrl-C is ignored, and a child would inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    settings = tmp_path / "out" / ".build" / "settings.json"
    while not settings.exists():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode == 130
    assert "interrupted; the same command goes on from here" in said
    assert "Traceback" not in said
    assert main([*arguments, "--quiet"]) == 0
    assert main(["verify", str(tmp_path / "out")]) == 0
