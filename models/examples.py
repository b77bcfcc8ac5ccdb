"""The simulated spectra that a spectrum looks most like to the classifier."""

from __future__ import annotations

import numpy as np

from becat.models.classifiers import Both
from becat.models.score import Scorer
from becat.models.training.training_data import window_of
from becat.simulate.sample import sample_profiles

__all__ = ["Examples"]


class Examples:
    """Spectra of the generator that trained the model, and where the model puts them.

    They are drawn and passed through the model when this is made, some seconds for a few hundred, so that no file of them
    can fall behind the model.

    Parameters
    ----------
    scorer : Scorer or Both
    n : int
        Examples to choose from.
    seed : int

    Attributes
    ----------
    flux : (m, 481) float32 array
        Windows of the usable examples.
    kind, label : (m,) arrays
        Kind in distributions.toml; 1 Be, 0 not Be, -1 with a feature that cannot be seen.
    """

    def __init__(self, scorer: Scorer | Both, n: int = 256, seed: int = 20260102):
        self._scorer = scorer
        profiles = sample_profiles(n, np.random.default_rng(seed))
        window, usable = window_of(profiles)
        self.flux, self.kind, self.label = window[usable], profiles.kind[usable], profiles.label[usable]
        self._direction = _directions(scorer.features(self.flux, np.ones_like(self.flux)))

    def nearest(self, flux: np.ndarray, ivar: np.ndarray, k: int = 5) -> tuple[np.ndarray, np.ndarray]:
        """The k examples nearest to each spectrum.

        Parameters
        ----------
        flux, ivar : (n_spectra, 4001) or (n_spectra, 481) float arrays
        k : int

        Returns
        -------
        index : (n_spectra, k) int array
            Rows of the examples, the nearest first.
        likeness : (n_spectra, k) float array
            Cosine of the angle between the features, 1 for the same; NaN for a spectrum that cannot be scored.
        """
        cosine = _directions(self._scorer.features(flux, ivar)) @ self._direction.T
        index = np.argsort(-cosine, axis=1)[:, :k]
        return index, np.take_along_axis(cosine, index, axis=1)


def _directions(features):
    return features / np.linalg.norm(features, axis=1, keepdims=True)
