"""Turns a folder and settings into a run: what several stages need, and the progress on disk.

A stage that is done leaves a marker ``.build/STAGE.json``; a long one saves a checkpoint every
minute, whose file name carries the step, so that state and step can never disagree.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from tfactors.bundle import Bundle
from tfactors.coding.baseline import TokenBaseline
from tfactors.coding.imported_dictionary import EncoderCoder, ImportedDictionary, Origin
from tfactors.coding.solver import SparseCoder
from tfactors.coding.state_transform import StateTransform, scaling
from tfactors.errors import InputError
from tfactors.explain.encoder import FactorEncoder
from tfactors.explain.read_states import read_states
from tfactors.files import replacing, write_json
from tfactors.model.hidden_states import Model, load_model
from tfactors.ranks import Ranks
from tfactors.stages.settings import Settings

WORK = ".build"
SECONDS_BETWEEN_CHECKPOINTS = 60.0


@dataclass
class Run:
    """One build in its folder: the settings, and what several stages need, made once.

    Attributes
    ----------
    folder : Path
        Where the bundle comes to be.
    settings : Settings
        What the build is asked to do.
    show_progress : bool
        Whether progress bars are drawn, on rank 0.
    ranks : Ranks
        The processes that share the build.
    """

    folder: Path
    settings: Settings
    show_progress: bool = True
    ranks: Ranks = field(default_factory=Ranks)

    @property
    def work(self) -> Path:
        """Folder of markers and checkpoints, gone when the bundle is whole."""
        return self.folder / WORK

    @cached_property
    def model(self) -> Model:
        """The frozen transformer."""
        settings = self.settings
        return load_model(
            settings.model, self.ranks.device, settings.marks, settings.bos, settings.dtype
        )

    def check_model(self) -> None:
        """Load the model, and check that it has the layers that are asked for.

        Raises
        ------
        InputError
            There is no such model, or it has no such layer.
        """
        blocks = self.model.blocks
        for layer in self.settings.layers:
            if not 0 <= layer <= blocks:
                raise InputError(f"layer {layer}: {self.settings.model} has layers 0 to {blocks}")
        if self.settings.baseline == "token" and 0 in self.settings.layers:
            raise InputError(
                "layer 0: knows no context, so nothing is left of it less the word's own part; "
                "leave it out, or add --baseline none"
            )

    @cached_property
    def layers(self) -> list[int]:
        """The layers surveyed, ascending; all of the model's where none are asked for.

        The embeddings know no context: less the word's own part nothing of them is left.
        """
        self.check_model()
        first = 1 if self.settings.baseline == "token" else 0
        return sorted(set(self.settings.layers)) or list(range(first, self.model.blocks + 1))

    @cached_property
    def files(self) -> Bundle:
        """What is written so far, read as a bundle that has no manifest yet."""
        model = {"layers": self.layers, "blocks": self.model.blocks, "width": self.model.width}
        return Bundle(
            self.folder, {"model": model, "dictionary": {"factors": self.settings.factors}}
        )

    @cached_property
    def scale(self) -> np.ndarray:
        """The number each layer is multiplied by, (layers,) float32."""
        return np.asarray(self.marker("scale")["notes"]["scale"], np.float32)

    @cached_property
    def imported(self) -> ImportedDictionary | None:
        """The dictionary as it was imported, or None where it was learnt."""
        if not self.settings.dictionary:
            return None
        origin = Origin.from_json(self.marker("dictionary")["notes"]["imported"])
        tensors = {"W_dec": self.files.dictionary} | self.files.imported_tensors()
        return ImportedDictionary(origin, tensors)

    @cached_property
    def baseline(self) -> TokenBaseline | None:
        """What each token brings of its own, once that is fitted; None where it stays."""
        if self.settings.baseline == "none":
            return None
        stored = self.files.baseline()
        return TokenBaseline(tuple(self.layers), **stored, embed=self.model.unit_embeddings)

    @cached_property
    def transform(self) -> StateTransform:
        """How hidden states become what is coded."""
        return self.transform_of(self.imported)

    def transform_of(self, imported: ImportedDictionary | None) -> StateTransform:
        """Return how hidden states become what a dictionary codes; None of one learnt here."""
        offset = imported.offset if imported else None
        return replace(self.scaling, offset=offset, baseline=self.baseline)

    @property
    def scaling(self) -> StateTransform:
        """How hidden states are scaled, before anything is subtracted of them."""
        scale = dict(zip(self.layers, self.scale.tolist(), strict=True))
        return scaling(scale, self.settings.scale)

    @cached_property
    def coder(self) -> SparseCoder | EncoderCoder:
        """The dictionary, ready to code: many batches at once, each on one thread."""
        if self.imported:
            coder = self.imported.coder(self.settings.coding, self.settings.refit)
        else:
            coder = SparseCoder(self.files.dictionary, refit=self.settings.refit)
        return coder.on_one_thread() if isinstance(coder, SparseCoder) else coder

    @cached_property
    def encoder(self) -> FactorEncoder:
        """Model and dictionary together: token ids to codes."""
        return FactorEncoder(
            self.model,
            self.coder,
            self.transform,
            self.settings.penalty,
            self.settings.tol,
        )

    @cached_property
    def held_out(self) -> np.ndarray:
        """Which windows are kept for evaluation, (windows,) bool."""
        return self.load_array("held_out")

    def save_array(self, name: str, values: np.ndarray) -> None:
        """Keep an array for later stages."""
        with replacing(self.work / f"{name}.npy") as temporary:
            np.save(temporary, values, allow_pickle=False)

    def load_array(self, name: str) -> np.ndarray:
        """Return an array that an earlier stage kept."""
        return np.load(self.work / f"{name}.npy", allow_pickle=False)

    def states(self, token_ids: list[np.ndarray]) -> np.ndarray:
        """What is coded of some windows, (layers, tokens, d); threads may share the run."""
        return read_states(self.model, self.transform, token_ids, self.layers)[0]

    def marker(self, stage: str) -> dict[str, Any]:
        """What a finished stage noted."""
        return json.loads((self.work / f"{stage}.json").read_text("utf-8"))

    def is_done(self, stage: str) -> bool:
        """Whether a stage has left its marker."""
        return (self.work / f"{stage}.json").exists()

    def finish(self, stage: str, notes: dict[str, Any]) -> None:
        """Leave a stage's marker."""
        write_json(self.work / f"{stage}.json", notes)

    def progress(self, total: float | None, stage: str, unit: str, done: float = 0) -> tqdm:
        """Open a progress bar that names the stage, its rate and the time left.

        ``total`` is None where nobody knows it.
        """
        return tqdm(
            total=total,
            initial=done,
            desc=f"{stage:<10}",
            unit=unit,
            unit_scale=True,
            disable=None if self.show_progress and self.ranks.leads else True,
            dynamic_ncols=True,
        )


class Checkpoint:
    """The saved progress of a long stage: at most one file, written at most every minute.

    Attributes
    ----------
    path : Path or None
        The file that an earlier run has saved, or None.
    step : int
        How many steps of the stage are in it.
    """

    def __init__(self, run: Run, stage: str) -> None:
        """Find what an earlier run has saved under the name."""
        self._folder, self._stage = run.work, stage
        saved = sorted(run.work.glob(f"{stage}.step*.npz"), key=self._step_of)
        self.path = saved[-1] if saved else None
        self.step = self._step_of(saved[-1]) if saved else 0
        self._last = time.monotonic()

    @staticmethod
    def _step_of(path: Path) -> int:
        return int(path.stem.partition(".step")[2])

    def save_if_due(self, step: int, save: Callable[[Path], Any]) -> None:
        """Save the state after ``step`` steps, if the last save is a while ago."""
        if time.monotonic() - self._last < SECONDS_BETWEEN_CHECKPOINTS:
            return
        old, self.path = self.path, self._folder / f"{self._stage}.step{step}.npz"
        with replacing(self.path) as temporary:
            save(temporary)
        if old:
            old.unlink()
        self._last = time.monotonic()

    def clear(self) -> None:
        """Forget the progress of a stage that is done."""
        for path in self._folder.glob(f"{self._stage}.step*.npz"):
            path.unlink()
