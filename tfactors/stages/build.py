"""Turns settings into a bundle, stage by stage, resumable at any moment.

corpus → scale → baseline → dictionary → stability → survey → levels → saliency → effects →
origins → neighbours → vocabulary → labels → meanings → map → senses → factors → manifest. A run
that finds the markers of an earlier one goes on after the last of them, and ends with the bytes
that an uninterrupted run would have written; the manifest, written last, makes the folder a bundle.
Under torchrun several processes (`tfactors.ranks`) share the stages that read the corpus through
the model; rank 0 alone does the others, and everything is written once.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

import tfactors
from tfactors.bundle import Bundle
from tfactors.bundle.manifest import Manifest, read_manifest
from tfactors.bundle.writing import write_manifest
from tfactors.coding.state_transform import BY_STATE
from tfactors.errors import InputError
from tfactors.files import odd_path, write_json
from tfactors.interchange.dictionaries import read_dictionary
from tfactors.model.location import model_record
from tfactors.model.precision import in_words
from tfactors.ranks import join
from tfactors.stages.baseline import fit_own_parts
from tfactors.stages.corpus import check_corpora, estimate_scale, read_corpus
from tfactors.stages.description import (
    describe_factors,
    find_neighbours,
    find_vocabulary,
)
from tfactors.stages.dictionary import learn_dictionary
from tfactors.stages.examples import explain_examples, measure_effects, measure_retention
from tfactors.stages.labels import label_factors
from tfactors.stages.map import map_factors
from tfactors.stages.meanings import find_meanings
from tfactors.stages.origins import find_origins
from tfactors.stages.run import WORK, Run
from tfactors.stages.senses import find_senses
from tfactors.stages.settings import Settings
from tfactors.stages.stability import learn_again
from tfactors.stages.survey import survey_corpus
from tfactors.survey.layer import BIN_EDGES

# The stages by name, in order. Each takes the run, and returns what the manifest will say of it.
STAGES = {
    "corpus": read_corpus,
    "scale": estimate_scale,
    "baseline": fit_own_parts,
    "dictionary": learn_dictionary,
    "stability": learn_again,
    "survey": survey_corpus,
    "levels": measure_retention,
    "saliency": explain_examples,
    "effects": measure_effects,
    "origins": find_origins,
    "neighbours": find_neighbours,
    "vocabulary": find_vocabulary,
    "labels": label_factors,
    "meanings": find_meanings,
    "map": map_factors,
    "senses": find_senses,
    "factors": describe_factors,
}
# The stages that all ranks do together; rank 0 alone does the others.
SHARED = {
    *("baseline", "dictionary", "stability", "survey", "levels", "saliency", "effects"),
    *("origins", "meanings"),
}


def build(
    folder: str | Path, settings: Settings, show_progress: bool = True, device: str = "cpu"
) -> Bundle:
    """Build a bundle, or go on with one that was interrupted.

    Parameters
    ----------
    folder : str or Path
        Where the bundle goes: new, empty, or with the same build begun.
    settings : Settings
        What the build is asked to do.
    show_progress : bool
        Whether progress bars are drawn.
    device : str
        Where the model runs: "cpu", or a name of PyTorch's such as "cuda".

    Raises
    ------
    InputError
        The folder holds something else, or a build with other settings; a corpus, a model or a
        setting cannot be used. Nothing that was there is lost.
    """
    return build_run(Run(Path(folder), settings, show_progress, join(device)))


def build_run(run: Run) -> Bundle:
    """Build what a run asks for, as :func:`build`; the run may have its model already."""
    lock = FileLock(run.work / "lock")  # the system's: a killed build holds it no longer
    try:
        stages = run.ranks.lead(partial(_prepare, run, lock))
        if stages and run.show_progress and run.ranks.leads and run.settings.dtype != "float32":
            _say(in_words(run.model.dtype))
        for name in stages:
            start = time.monotonic()
            stage = partial(STAGES[name], run)
            notes = stage() if name in SHARED else run.ranks.lead(stage)
            run.ranks.lead(partial(_finish, run, name, notes, time.monotonic() - start))
        run.ranks.lead(partial(_seal, run, lock))
    except InputError as error:
        if run.ranks.size > 1 and not run.ranks.speaks(run.work):
            raise SystemExit(2) from error  # another rank tells the reader
        raise
    finally:
        lock.release()
    run.ranks.leave()
    return Bundle.open(run.folder)


def _prepare(run: Run, lock: FileLock) -> list[str]:
    """Make the folder ours, and return the stages that are left to do."""
    with suppress(OSError):
        (run.work / "ended").unlink()
    if _is_built(run):
        return []
    _claim(run)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise InputError(
            f"{run.folder}: another build is writing there; wait until it has ended, or give "
            "another folder for --out"
        ) from error
    for leftover in run.folder.rglob("*.part"):
        leftover.unlink()
    return [name for name in STAGES if not run.is_done(name)]


def _say(line: str) -> None:
    if line:
        print(line, file=sys.stderr, flush=True)


def _finish(run: Run, stage: str, notes: dict[str, Any], seconds: float) -> None:
    """Leave the marker of a stage that is done, and say so where there are no progress bars."""
    run.finish(stage, {"notes": notes, "seconds": round(seconds, 1)})
    if run.show_progress and not sys.stderr.isatty():
        _say(f"{stage:<10} done in {seconds:,.1f} s")


def _seal(run: Run, lock: FileLock) -> None:
    """Write the manifest, which makes the folder a bundle, and clear the scaffolding away."""
    if not (run.folder / "manifest.json").exists():
        write_manifest(run.folder, _manifest(run))
    lock.release()  # where an open file cannot be removed
    shutil.rmtree(run.work, ignore_errors=True)


def _is_built(run: Run) -> bool:
    """Whether the folder holds this very build; another one in it is an error."""
    if not (run.folder / "manifest.json").exists():
        return False
    about, settings = Manifest.of(read_manifest(run.folder)), run.settings
    built_settings = dict(about.settings)
    if not settings.differences(built_settings):
        return True
    # Of folders and files a bundle tells no more than the last name.
    _refuse_other(settings.shared(), run.folder, built_settings)
    weights = [(f"model {settings.model!r}", about.model.sha256, run.model.sha256)]
    if settings.dictionary:
        dictionary = read_dictionary(settings.dictionary, run.model.width, settings.form)
        imported = about.dictionary.imported
        built = imported.sha256 if imported else ""
        weights.append((f"{settings.dictionary}", built, dictionary.origin.sha256))
    for name, built, sha256 in weights:
        if built != sha256:
            raise InputError(
                f"{run.folder}: holds a build with other weights than those of {name}; give "
                "another folder for --out, or remove this one"
            )
    return True


def _claim(run: Run) -> None:
    """Make the folder ours: new, empty, or with the same build begun."""
    record = run.work / "settings.json"
    if record.exists():
        _refuse_other(run.settings, run.folder, json.loads(record.read_text("utf-8")))
        return
    if odd := odd_path(run.folder.absolute()):
        raise InputError(f"{run.folder}: {odd}")
    if run.folder.exists() and not run.folder.is_dir():
        raise InputError(f"{run.folder}: is a file; give a folder for --out")
    if run.folder.exists() and any(p.name != WORK for p in run.folder.iterdir()):
        raise InputError(f"{run.folder}: holds something else; give a new or empty folder")
    # An unknown model, or a corpus that cannot be read, must not leave a folder behind.
    run.check_model()
    check_corpora(run.settings)
    run.work.mkdir(parents=True, exist_ok=True)
    write_json(record, run.settings.to_json())


def _refuse_other(settings: Settings, folder: Path, built_settings: dict[str, Any]) -> None:
    """Raise where a folder was begun or built with other settings."""
    if differences := settings.differences(built_settings):
        raise InputError(
            f"{folder}: holds a build with other settings ({'; '.join(differences)}); "
            "give another folder for --out, or remove this one"
        )


def _manifest(run: Run) -> dict[str, Any]:
    """Return the manifest of a bundle whose stages are all done."""
    settings = run.settings.shared()
    model = model_record(run.settings.model, run.folder)
    notes = {name: run.marker(name)["notes"] for name in STAGES}
    seconds = {name: run.marker(name)["seconds"] for name in STAGES}
    corpus, survey = notes["corpus"], notes["survey"]
    sources = " and ".join(source["title"] for source in corpus["sources"])
    return {
        "title": settings.title or f"{model['name']} on {sources}",
        "model": {
            **model,
            "sha256": run.model.sha256,
            "layers": run.layers,
            "blocks": run.model.blocks,
            "width": run.model.width,
            "causal": run.model.causal,
            "marks": any(map(len, run.model.marks)) and not settings.bos,
            "bos": any(map(len, run.model.marks)) and settings.bos,
            "dtype": run.model.dtype,
        },
        "corpus": corpus,
        "coding": {
            "method": settings.coding,
            "penalty": settings.penalty,
            "refit": settings.refit,
            "scale": dict(zip(map(str, run.layers), run.scale.tolist(), strict=True)),
            "scale_by": settings.scale if settings.scale in BY_STATE else "layer",
            "scale_tokens": notes["scale"]["tokens"],
            "tol": settings.tol,
        },
        "baseline": notes["baseline"] or None,
        "dictionary": {
            "factors": settings.factors,
            "seed": settings.seed,
            **{k: v for k, v in notes["dictionary"].items() if k != "windows"},
        },
        "importance": {
            "k": settings.importance_k,
            "examples": settings.examples,
            "levels": {
                "low_words": settings.low_words,
                "window_share": settings.window_share,
                "few_words_share": settings.few_words_share,
            },
            "retention_examples": settings.retention_examples,
        },
        "stability": notes["stability"],
        "saliency": notes["saliency"],
        "effects": notes["effects"],
        "origins": notes["origins"],
        "neighbours": notes["neighbours"],
        "vocabulary": notes["vocabulary"],
        "labels": notes["labels"],
        "meanings": notes["meanings"] or None,
        "senses": notes["senses"],
        "histogram": {"edges": BIN_EDGES.tolist()},
        "metrics": survey | notes["factors"],
        "settings": settings.to_json(),
        "tfactors": tfactors.__version__,
        "created": {"at": datetime.now(UTC).isoformat(timespec="seconds"), "seconds": seconds},
    }
