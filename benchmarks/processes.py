"""How much faster two processes of one thread are than one process of one thread.

    python benchmarks/processes.py --tokens 40000

Both learn a dictionary on all of the text and survey it, in turn, started by torchrun: the packaged
model over the packaged addresses, every process pinned to a core of its own, so that nothing
borrows a second one. The clock runs when the model and all kernels are loaded. What rank 0 writes
at the end of a survey costs the same whatever the length of the corpus, and is told apart.

Seconds are of the wall clock. On a machine that has other work to do they say little, so the CPU
seconds of the busiest process are given beside them: what would be left if nobody ever waited.
"""

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_array
from states import MODEL, machine

from tfactors.coding.learner import DictionaryLearner
from tfactors.ranks import join
from tfactors.stages import survey as stage_of_survey
from tfactors.stages.corpus import estimate_scale, read_corpus
from tfactors.stages.dictionary import learn_dictionary
from tfactors.stages.run import Run
from tfactors.stages.settings import Settings, with_changes
from tfactors.survey.survey import Survey


def prepare_build(folder: Path, settings: Settings) -> None:
    """Do what comes before: the corpus and the scale."""
    run = Run(folder, settings, show_progress=False)
    run.work.mkdir(parents=True)
    run.finish("corpus", {"notes": read_corpus(run)})
    run.finish("scale", {"notes": estimate_scale(run)})


def time_stages(folder: Path, settings: Settings) -> None:
    """Time the two stages in a process that torchrun started; rank 0 prints the seconds."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[int(os.environ["LOCAL_RANK"]) % len(cores)]})
    run = Run(folder, settings, show_progress=False, ranks=join())
    warm = run.model.hidden_states([np.arange(1000, 1128)] * 4, run.layers).reshape(-1, 384)
    learner = DictionaryLearner(64, 2.0).fit(warm[:1024])
    load_kernels_of_survey(learner.transform(warm[:512]))
    writing = TimedCall(stage_of_survey._write_survey)
    stage_of_survey._write_survey = writing  # type: ignore[assignment]
    seconds = {}
    for name, stage in (
        ("dictionary", learn_dictionary),
        ("survey", stage_of_survey.survey_corpus),
    ):
        measured = TimedCall(stage)
        run.ranks.wait()
        measured(run)
        told_apart = writing.seconds if name == "survey" and run.ranks.leads else np.zeros(2)
        all_seconds = np.array(run.ranks.gather(measured.seconds - told_apart))
        seconds[name] = {"wall": all_seconds[0, 0], "cpu": all_seconds[:, 1].max()}
    if run.ranks.leads:
        seconds["writing"] = dict(zip(("wall", "cpu"), writing.seconds.tolist(), strict=True))
        print("seconds " + json.dumps(seconds), flush=True)


def load_kernels_of_survey(codes: csr_array) -> None:
    """Survey some tokens twice and merge the two: the first time takes a second to begin."""
    windows, positions = np.repeat([0, 1], 256).astype(np.int32), np.arange(512, dtype=np.int16)
    surveys = [Survey([0], codes.shape[1]) for _ in range(2)]
    for number, survey in enumerate(surveys):
        survey.add([codes], windows + 2 * number, positions % 256, ["word"] * 512)
    surveys[1].states[0].pack()
    surveys[0].merge(surveys[1])


class TimedCall:
    """A function that knows how many seconds, of the wall clock and of the CPU, it took."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self.call, self.seconds = call, np.zeros(2)

    def __call__(self, *args: Any) -> Any:
        """Call it."""
        start = np.array([time.perf_counter(), time.process_time()])
        result = self.call(*args)
        self.seconds = np.array([time.perf_counter(), time.process_time()]) - start
        return result


def run_processes(folder: Path, processes: int, settings: Settings) -> dict[str, Any]:
    """Return the seconds of so many processes, by stage and clock."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    torchrun = [sys.executable, "-m", "torch.distributed.run"]
    torchrun += ["--nproc-per-node", str(processes), "--master-port", str(port)]
    script = [__file__, "--work", str(folder), "--settings", json.dumps(settings.to_json())]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    run = subprocess.run(
        torchrun + script, env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    return json.loads(run.stdout.rpartition("seconds ")[2])


def main() -> None:
    """Measure both in turn and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tokens", type=int, default=40_000)
    parser.add_argument("--factors", type=int, default=1500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--settings", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        time_stages(options.work, Settings.from_json(options.settings))
        return
    settings = with_changes(
        "default",
        corpora=("sotu",),
        model=MODEL,
        max_tokens=options.tokens,
        training_tokens=0,
        factors=options.factors,
    )
    rounds_of: dict[int, list[dict[str, Any]]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as folder:
        prepare_build(Path(folder, "begun"), settings)
        for _ in range(options.rounds):
            for processes, rounds in rounds_of.items():
                shutil.copytree(Path(folder, "begun"), Path(folder, "run"))
                rounds.append(run_processes(Path(folder, "run"), processes, settings))
                shutil.rmtree(Path(folder, "run"))
    print(
        f"{options.tokens:,} tokens × 7 layers, {options.factors:,} factors; best of "
        f"{options.rounds}"
    )
    for stage in ("dictionary", "survey", "writing"):
        for clock in ("wall", "cpu"):
            one, two = (min(r[stage][clock] for r in rounds) for rounds in rounds_of.values())
            print(
                f"{stage:<12} {clock:<5} one process {one:7.1f} s   two {two:7.1f} s   "
                f"{one / two:.2f} ×"
            )
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), "rounds": rounds_of}))


if __name__ == "__main__":
    main()
