"""The command line as a user meets it: one clear line for a mistake, status 2, nothing lost."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from new_processes import free_port
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
    "tfactors explain: argument --samples: 0: expected 1 or more": [
        *("explain", "mine", "he left", "--samples", "0")
    ],
    "tfactors search: argument --top: -1: expected 0 or more": [
        *("search", "mine", "weather", "--top", "-1")
    ],
    f"tfactors publish: argument --factor: invalid int value: '{'9' * 400}": [
        *("publish", "mine", "--factor", "9" * 5000)
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
    assert len(said) < 700


@pytest.mark.parametrize(
    ("setting", "given", "said"),
    [
        ("penalty", "nan", "penalty nan: expected a number"),
        ("penalty", "inf", "penalty inf: expected a number"),
        ("penalty", "1e300", "penalty 1e+300: expected 1,000,000,000 or less"),
        ("tol", "nan", "tol nan: expected a number"),
        ("tol", "1", "tol 1.0: expected 0.99 or less"),
        ("window-share", "nan", "window-share nan: expected a number"),
        ("low-words", "inf", "low-words inf: expected a number"),
        ("seed", "4294967296", "seed 4294967296: expected 4,294,967,295 or less"),
        ("factors", "100000000000", "factors 100000000000: expected 10,000,000 or less"),
        ("examples", "9" * 20, "expected 100,000 or less"),
        ("importance-k", "9" * 400, "expected 100,000 or less"),
        ("contexts", "21", "contexts 21: expected 20 or less"),
    ],
)
def test_a_number_that_no_build_can_use_is_refused_before_anything_is_written(
    setting, given, said, tmp_path, capsys
):
    out = tmp_path / "out"
    line = ["build", "my.txt", "--out", str(out), "--quiet", f"--{setting}", given]
    assert main(line) == 2
    printed = capsys.readouterr().err
    assert said in printed
    assert len(printed.splitlines()) == 1
    assert not out.exists()


def test_a_memory_that_does_not_suffice_is_said_in_one_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("tfactors.bundle.Bundle.open", lambda folder: np.empty((10**6, 10**9)))
    assert main(["info", str(tmp_path)]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith("tfactors: not enough memory (Unable to allocate 7")


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
        "layer below all": (["build", good, *with_model, "--layers", "-1"], "layer -1"),
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
    "layer below all",
    "setting",
    "negative penalty",
    "not a bundle",
    "no folder",
    "dashboard",
]


@pytest.mark.model
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


@pytest.mark.model
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


# --- the server of the dashboard -----------------------------------------------------------------


def answers(host: str, port: int) -> bool:
    """Whether a server listens there."""
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError:
        return False
    return True


@pytest.mark.process
@pytest.mark.parametrize("stopped_by", [signal.SIGTERM, signal.SIGINT])
def test_the_server_listens_to_this_machine_alone_and_ends_with_its_command(bundle, stopped_by):
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "tfactors", "dashboard", str(bundle), "--port", str(port)],
        env=os.environ | {"STREAMLIT_SERVER_HEADLESS": "true"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while not answers("127.0.0.1", port):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    # A server on all addresses would be found at this one too, which is no other machine's.
    assert not answers("127.0.0.2", port)
    process.send_signal(stopped_by)  # to the command alone, as a service manager does
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Traceback" not in said
    assert not answers("127.0.0.1", port)


def test_a_port_that_is_taken_gives_one_line_and_status_2(bundle, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["dashboard", str(bundle), "--port", str(port)]) == 2
    said = capsys.readouterr().err
    assert said == f"tfactors: port {port} is taken; choose another with --port\n"


@pytest.mark.parametrize(
    ("address", "said"),
    [
        (["--port", "65536"], "port 65536: expected 0 to 65535"),
        (["--host", "203.0.113.1"], "cannot listen on 203.0.113.1, port 8501"),
        (["--host", "no.such.host.invalid"], "cannot listen on no.such.host.invalid, port 8501"),
    ],
)
def test_an_address_that_is_not_to_be_had_gives_one_line(address, said, bundle, capsys):
    assert main(["dashboard", str(bundle), *address]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"tfactors: {said}")


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::1"])
def test_the_server_is_given_the_address_that_was_asked_for(host, bundle, monkeypatch):
    started = []
    monkeypatch.setattr("tfactors.commands.dashboard.check_address", lambda host, port: None)
    monkeypatch.setattr("subprocess.Popen", lambda command, **_: started.append(command) or Ended())
    given = [] if host == "127.0.0.1" else ["--host", host]
    assert main(["dashboard", str(bundle), *given]) == 0
    assert f"--server.address={host}" in started[0]


def test_a_folder_of_bundles_is_served_as_one(tmp_path, monkeypatch):
    environments = []
    monkeypatch.setenv("TFACTORS_BUNDLE", "/another")
    monkeypatch.setattr("tfactors.commands.dashboard.check_address", lambda host, port: None)
    monkeypatch.setattr(
        "subprocess.Popen", lambda _, env, **__: environments.append(env) or Ended()
    )
    for name in ("one", "two"):
        write_synthetic_bundle(tmp_path / name, factors=6, layers=2, windows=20, examples=3)
    assert main(["dashboard", str(tmp_path)]) == 0
    assert environments[0]["TFACTORS_ARTIFACTS"] == str(tmp_path)
    assert "TFACTORS_BUNDLE" not in environments[0]


class Ended(contextlib.nullcontext):
    """A server that has ended at once and well."""

    def __enter__(self):
        return self

    def wait(self, timeout=None):
        return 0

    def kill(self):
        pass


@pytest.mark.process
def test_a_server_that_fails_by_itself_ends_the_command_with_status_2(bundle, capfd, monkeypatch):
    monkeypatch.setenv("STREAMLIT_SERVER_MAX_UPLOAD_SIZE", "much")
    assert main(["dashboard", str(bundle), "--port", str(free_port())]) == 2
    assert "tfactors: the server of the dashboard ended with status" in capfd.readouterr().err


# --- interrupted ---------------------------------------------------------------------------------


@pytest.mark.model
def test_ctrl_c_stops_a_build_cleanly_and_the_next_run_ends_it(model, text_file, tmp_path):
    arguments = ["build", str(text_file), "--out", str(tmp_path / "out"), "--preset", "quick"]
    arguments += ["--model", str(model), "--factors", "32", "--max-tokens", "1500"]
    arguments += ["--window-length", "40", "--meaning-contexts", "0"]
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
        time.sleep(0.02)  # between two looks; the core is the build's meanwhile
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode == 130
    assert "interrupted; the same command goes on from here" in said
    assert "Traceback" not in said
    assert main([*arguments, "--quiet"]) == 0
    assert main(["verify", str(tmp_path / "out")]) == 0
