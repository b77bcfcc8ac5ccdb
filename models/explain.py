"""Why a spectrum got its score: which part of the profile carries it. Needs no more than scoring does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import expit

from becat.models.classifiers import Both
from becat.models.score import Scorer
from becat.models.window import cut_window, window_wavelength_a

__all__ = ["WIDTHS_A", "occlusion"]

# A core, a line, a line with its feet: of a strong line narrow stretches leave enough to be sure, and say nothing.
WIDTHS_A = (3.0, 9.0, 27.0)


def occlusion(
    scorer: Scorer | Both,
    flux: np.ndarray,
    ivar: np.ndarray,
    widths_a: Sequence[float] = WIDTHS_A,
    step_a: float = 1.0,
) -> dict[str, np.ndarray | float]:
    """How the score changes when a stretch of the profile is replaced by a straight line between its ends.

    Parameters
    ----------
    scorer : Scorer or Both
    flux, ivar : (4001,) or (481,) float arrays
        One rectified red-arm spectrum, or its window.
    widths_a : sequence of float
        Lengths of the stretches, Angstrom; each length has the same weight.
    step_a : float
        Distance between stretches, Angstrom.

    Returns
    -------
    dict
        ``wavelength_a`` (481,); ``flux`` (481,), the window as scored; ``saliency`` (481,), the fall of the log odds of Be
        when the stretches over a pixel are hidden, averaged over them and over their lengths (positive: the pixel speaks for Be);
        ``be_probability``, of the whole profile.

    Raises
    ------
    ValueError
        Too few pixels are good to score the spectrum at all.
    BecatError
        The model does not give log odds.

    References
    ----------
    Zeiler & Fergus 2014, ECCV, 818 (occlusion sensitivity).
    """
    window, usable = cut_window(np.atleast_2d(flux), np.atleast_2d(ivar))
    if not usable[0]:
        raise ValueError("too few good pixels in 6530-6590 Angstrom to score this spectrum")
    wavelength = window_wavelength_a()
    centres = np.arange(wavelength[0], wavelength[-1] + step_a, step_a)
    hidden = np.concatenate([np.abs(wavelength - centres[:, None]) <= width / 2 for width in widths_a])
    weight = 1 / np.repeat(widths_a, len(centres))  # the longer the stretches, the more of them lie over a pixel
    changed = np.concatenate([window, _bridged(window[0], hidden)])
    log_odds = scorer.log_odds(changed, np.ones_like(changed)).astype(float)
    fall = weight * (log_odds[0] - log_odds[1:])
    return {
        "wavelength_a": wavelength,
        "flux": window[0],
        "saliency": (fall @ hidden) / (weight @ hidden),
        "be_probability": float(expit(log_odds[0])),
    }


def _bridged(window, hidden):
    """(m, p) copies of the window, each with its hidden stretch on a straight line between the ends."""
    pixel = np.arange(len(window))
    return np.stack([np.interp(pixel, pixel[~part], window[~part]) for part in hidden]).astype(np.float32)
