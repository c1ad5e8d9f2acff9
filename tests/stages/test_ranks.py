"""Builds by several processes against the same build by one: the bytes, the errors, the kills."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from new_processes import contents, free_port, processes, run_apart
from tiny_model import address_texts, make_sentence_encoder, write_tiny_bert

import tfactors as tf
from tfactors.cli import main

pytestmark = pytest.mark.model

SMALL = [
    "--preset", "quick", "--factors", "32", "--penalty", "1", "--max-tokens", "9000",
    "--training-tokens", "6000", "--window-length", "40",
    "--saliency-examples", "1", "--saliency-others", "1",
    "--origin-examples", "2", "--saliency-samples", "12",
    "--low-words", "1", "--window-share", "0", "--quiet",
]  # fmt: skip


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A build, without the folder it goes to."""
    folder = tmp_path_factory.mktemp("ranks")
    model = make_sentence_encoder(write_tiny_bert(folder / "model"))
    texts = folder / "texts"
    texts.mkdir()
    for number, text in enumerate(address_texts(25)):
        (texts / f"{number:02d}.txt").write_text(text[:6000], "utf-8")
    return ["build", str(texts), "--model", str(model), *SMALL]


@pytest.fixture(scope="module")
def alone(command: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What one process builds."""
    folder = tmp_path_factory.mktemp("alone") / "bundle"
    run_apart(main, [*command, "--out", str(folder)])
    assert len(tf.Bundle.open(folder).saliency(0, 1).columns)
    return contents(folder)


def test_torchrun_with_two_processes_builds_the_bytes_of_one(command, alone, tmp_path) -> None:
    line = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2",
            "--master-port", str(free_port()), "-m", "tfactors", *command]  # fmt: skip
    folder = tmp_path / "bundle"
    variables = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([*line, "--out", str(folder)], env=variables, check=True)
    assert contents(folder) == alone
    tf.Bundle.open(folder).verify()


@pytest.mark.parametrize(("stage", "size"), [("dictionary", 2), ("survey", 3)])
def test_a_killed_process_ends_the_run_in_one_line_and_resuming_gives_the_bytes_of_one(
    command, alone, tmp_path, stage: str, size: int
) -> None:
    folder = tmp_path / "bundle"
    line = [*command, "--out", str(folder)]
    ended, said = run(line, size, tmp_path / "said", dies_in=stage)
    assert ended == [2, -signal.SIGKILL, 2][:size]
    assert len(said) == 1
    assert said[0].startswith(f"tfactors: the run of {size} processes has ended: one of them died")
    assert not (folder / "manifest.json").exists()
    ended, said = run(line, size, tmp_path / "said again")
    assert (ended, said) == ([0] * size, [])
    assert contents(folder) == alone


def test_an_error_is_told_once_and_nothing_is_left(command, tmp_path) -> None:
    line = [*command, "--out", str(tmp_path / "bundle")]
    line[1] = "no such corpus"
    ended, said = run(line, 2, tmp_path / "said")
    assert ended == [2, 2]
    assert len(said) == 1
    assert "no such corpus" in said[0]
    assert not (tmp_path / "bundle").exists()


def run(line: list[str], size: int, said: Path, dies_in: str = "") -> tuple[list[int], list[str]]:
    """Run a command line in so many processes; return how each ended and what all have said."""
    port = free_port()
    ranks = [
        processes.Process(target=one_rank, args=(line, rank, size, port, str(said), dies_in))
        for rank in range(size)
    ]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join()
    return [rank.exitcode for rank in ranks], said.read_text("utf-8").splitlines()


def one_rank(line: list[str], rank: int, size: int, port: int, said: str, dies_in: str) -> None:
    """What torchrun starts, with standard error in a file; rank 1 dies in mid-stage if told to."""
    os.environ |= {
        "RANK": str(rank),
        "WORLD_SIZE": str(size),
        "LOCAL_RANK": str(rank),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    file = os.open(said, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(file, 2)
    if rank == 1 and dies_in:
        die_at_the_third_call(dies_in)
    sys.exit(main(line))


def die_at_the_third_call(stage: str) -> None:
    from tfactors.coding.learner import DictionaryLearner
    from tfactors.survey.survey import Survey

    owner, name = {"dictionary": (DictionaryLearner, "partial_fit"), "survey": (Survey, "add")}[
        stage
    ]
    called, calls = getattr(owner, name), []

    def dying(*args, **kwargs):
        calls.append(1)
        if len(calls) == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return called(*args, **kwargs)

    setattr(owner, name, dying)
