"""What the classifier looked at in a profile, computed when a reader asks for it, one spectrum at a time."""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import Callable
from functools import cache
from pathlib import Path
from threading import Thread

import numpy as np

from becat.models.classifiers import Both, Classifiers, decides, hashes, load
from becat.models.examples import Examples
from becat.models.explain import occlusion
from becat.models.score import Scorer
from becat.models.window import WINDOW_A
from becat.schema.errors import BecatError
from becat.schema.grid import RED

__all__ = ["Busy", "Explainer"]

STEP_A = 2.0
N_NEAREST = 3
KEPT_MAX = 2_000
WAITING_MAX = 4
LEAST_FALL = 0.2  # of the log odds: less is not worth a word


class Busy(Exception):
    """Others wait already for as many pictures as this server makes in some seconds."""


class Explainer:
    """Makes the pictures and keeps the last ones.

    Parameters
    ----------
    model_path : path, optional
        The classifier that gave the scores; by default both of those that come with becat, as one, which are loaded with the
        first picture.

    Raises
    ------
    BecatError
        The file is not a classifier of becat, or one of before it gave log odds.
    """

    def __init__(self, model_path: str | Path | None = None):
        self._path = Path(model_path) if model_path else None
        if self._path and "log_odds" not in _scorer(self._path, "both").outputs:
            raise BecatError(f"{self._path} gives no log odds to explain: export it again with `becat export model`")
        self._kept: OrderedDict[tuple[str, str, int], str] = OrderedDict()  # as JSON: a sixth of the lists' memory
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._preparing: Thread | None = None

    def prepare(self) -> None:
        """Begin to draw the training spectra that `nearest` chooses from, in a thread: some seconds, once a process."""
        self._preparing = Thread(target=_examples, args=(self._path, "both"), daemon=True)
        self._preparing.start()

    def knows(self, sha256: str | None) -> bool:
        """True if the scores are of this classifier, in whatever precision."""
        return sha256 in _hashes(self._path)

    async def saliency(
        self, spectrum_id: int, start_a: float, flux: list[float | None], sha256: str | None = None
    ) -> dict:
        """Which stretches of one spectrum speak for and against Be, as the page's script draws it.

        Parameters
        ----------
        spectrum_id : int
        start_a : float
            Wavelength of the first pixel, Angstrom; the pixels are those of `becat.schema.grid.RED`.
        flux : list of float
            Rectified flux; None where a pixel must not be used.
        sha256 : str, optional
            The classifier that gave the scores: of becat's own, the one that is explained; by default both as one.

        Raises
        ------
        Busy
            More than `WAITING_MAX` wait.
        ValueError
            The profile cannot be scored.
        """
        return await self._make(_saliency, spectrum_id, start_a, flux, sha256)

    async def nearest(
        self, spectrum_id: int, start_a: float, flux: list[float | None], sha256: str | None = None
    ) -> dict:
        """The simulated training spectra that the network puts nearest; without `prepare` the first call draws all of them.

        Parameters and errors are those of `saliency`.
        """
        if self._preparing is not None:
            await asyncio.to_thread(self._preparing.join)
        return await self._make(_nearest, spectrum_id, start_a, flux, sha256)

    async def _make(self, make: Callable, spectrum_id: int, start_a: float, flux: list, sha256: str | None) -> dict:
        network = _network(self._path, sha256)
        key = (make.__name__, network, spectrum_id)
        if key not in self._kept:
            if self._waiting >= WAITING_MAX:
                raise Busy
            self._waiting += 1
            try:
                async with self._turn:
                    self._kept[key] = json.dumps(await asyncio.to_thread(make, self._path, network, start_a, flux))
            finally:
                self._waiting -= 1
            while len(self._kept) > KEPT_MAX:
                self._kept.popitem(last=False)
        return json.loads(self._kept[key])


_NAMES = {"resnet18": "ResNet-18", "profile": "the profile networks", "both": "both classifiers combined"}


@cache
def _classifiers(path: Path | None) -> Classifiers:
    return load(path)


def _scorer(path: Path | None, network: str) -> Scorer | Both:
    return decides(_classifiers(path), network)


@cache
def _examples(path: Path | None, network: str) -> Examples:
    return Examples(_scorer(path, network))


def _network(path: Path | None, sha256: str | None) -> str:
    """Which classifier a hash is; both as one where there is none."""
    return _hashes(path).get(sha256 or "", "both")


@cache
def _hashes(path: Path | None) -> dict[str, str]:
    """Which classifier a SHA-256 is, in all precisions, from the cards; one of the user's own is read, to find its faults now."""
    if path is None:
        return hashes()
    scorer = _scorer(path, "both")
    card = path.with_name(path.stem.removesuffix("_fp16") + ".json")
    files = json.loads(card.read_text(encoding="utf-8"))["files"] if card.is_file() else {}
    return dict.fromkeys([scorer.sha256, *(entry["sha256"] for entry in files.values())], scorer.network)


def _saliency(path: Path | None, network: str, start_a: float, flux: list[float | None]) -> dict:
    window = _window(start_a, flux)
    good = np.where(np.isfinite(window), 1.0, 0.0)
    found = occlusion(_scorer(path, network), window, good, step_a=STEP_A)
    saliency = np.asarray(found["saliency"])
    return {
        "be_probability": round(float(found["be_probability"]), 4),
        "classifier": path.name if path else _NAMES[network],
        "start_a": WINDOW_A[0],
        "step_a": RED.step_a,
        "flux": _rounded(found["flux"]),
        "saliency": _rounded(saliency),
        "words": _words(np.asarray(found["wavelength_a"]), saliency),
    }


def _window(start_a: float, flux: list[float | None]) -> np.ndarray:
    """The 481 pixels that the classifier sees, NaN where they must not be used."""
    first = round((WINDOW_A[0] - start_a) / RED.step_a)
    n_pixels = round((WINDOW_A[1] - WINDOW_A[0]) / RED.step_a) + 1
    pixels = flux[first : first + n_pixels]
    if first < 0 or len(pixels) < n_pixels:
        raise ValueError("the profile does not cover 6530-6590 Angstrom")
    return np.array([np.nan if value is None else value for value in pixels])


def _rounded(values) -> list[float]:
    return np.round(np.asarray(values, float), 3).tolist()


def _words(wavelength_a: np.ndarray, saliency: np.ndarray) -> str:
    """What the picture shows, for those who do not see it."""
    said = []
    for sign, verb in ((1, "for"), (-1, "against")):
        strength = sign * saliency
        peak = int(np.argmax(strength))
        if strength[peak] < LEAST_FALL:
            said.append(f"No stretch speaks {verb} Be by more than {LEAST_FALL} in the log odds.")
            continue
        below = strength < strength[peak] / 2
        left = int(np.flatnonzero(below[:peak])[-1] + 1) if below[:peak].any() else 0
        right = int(peak + np.flatnonzero(below[peak:])[0] - 1) if below[peak:].any() else len(below) - 1
        said.append(
            f"{wavelength_a[left]:.0f}–{wavelength_a[right]:.0f} Å speaks most {verb} Be: without it the log odds"
            f" {'fall' if sign > 0 else 'rise'} by {strength[peak]:.1f} on average."
        )
    return " ".join(said)


def _nearest(path: Path | None, network: str, start_a: float, flux: list[float | None]) -> dict:
    window = _window(start_a, flux)
    examples = _examples(path, network)
    index, likeness = examples.nearest(window[None], np.where(np.isfinite(window), 1.0, 0.0)[None], N_NEAREST)
    if not np.isfinite(likeness).all():
        raise ValueError("too few good pixels in 6530-6590 Angstrom to compare this spectrum")
    found = [
        {
            "kind": str(examples.kind[row]).replace("_", " "),
            "label": {1: "Be", 0: "not Be"}.get(int(examples.label[row]), "cannot be told"),
            "likeness": round(float(like), 3),
            "flux": _rounded(examples.flux[row]),
        }
        for row, like in zip(index[0], likeness[0], strict=True)
    ]
    return {"start_a": WINDOW_A[0], "step_a": RED.step_a, "nearest": found}
