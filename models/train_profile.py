"""Training of the profile network: many spectra, the doubtful ones more often."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from tqdm import tqdm

from models.augment import warp_profiles
from models.profile_network import ProfileNetwork
from models.training_data import Labelled, Mixture
from models.training_state import count_errors, save, stream, validation_sets
from models.window import PIXELS

__all__ = ["ProfileConfig", "train_profile"]

_N_WINDOW = PIXELS.stop - PIXELS.start


@dataclass(frozen=True)
class ProfileStage:
    """A stretch of training: spectra drawn, peak of the learning rate, share of the spectra that are warped when shown."""

    n_spectra: int
    learning_rate: float
    warped_share: float = 0.0


@dataclass(frozen=True)
class ProfileConfig:
    """How the profile network is trained.

    Attributes
    ----------
    stages : tuple of ProfileStage
        In order. The learning rate of each rises over its first twentieth and then falls as a cosine.
    fresh : int
        Drawn at once; they replace the oldest of the pool.
    shown : int
        Spectra trained on for each one drawn.
    pool : int
        Drawn spectra that are kept: a spectrum is shown the more often the worse it was predicted when last seen.
    batch : int
    weight_decay : float
    validate_every : int
        Spectra drawn between two validations; a checkpoint is written then.
    """

    stages: tuple[ProfileStage, ...] = (ProfileStage(409_600, 2e-3), ProfileStage(163_840, 1e-3, 0.5))
    fresh: int = 2048
    shown: int = 4
    pool: int = 131_072
    batch: int = 128
    weight_decay: float = 1e-3
    validate_every: int = 40_960


def train_profile(
    directory: str | Path,
    config: ProfileConfig,
    seed: int,
    n_validation: int,
    labelled: Labelled | None = None,
    stop_after_s: float = np.inf,
) -> Path:
    """Train, or go on with a training that was interrupted.

    Parameters
    ----------
    directory : path
        Receives ``profile_checkpoint.pt``, ``profile_curves.json`` and ``profile.pt``, the weights.
    config : ProfileConfig
    seed, n_validation : int
        As those of `models.train.TrainConfig`.
    labelled : Labelled, optional
        Labelled real spectra.
    stop_after_s : float
        Stop at the first checkpoint after so many seconds; the next call goes on.

    Returns
    -------
    pathlib.Path
        ``profile.pt``.
    """
    trainer = _Trainer(Path(directory), config, seed, n_validation, labelled)
    trainer.run(time.monotonic() + stop_after_s)
    return Path(directory) / "profile.pt"


class _Pool:
    """The newest spectra, and how badly each was predicted when it was last seen."""

    def __init__(self, capacity):
        self.flux = np.empty((capacity, _N_WINDOW), np.float16)
        self.label = np.empty(capacity, np.int8)
        self.loss = np.empty(capacity, np.float32)
        self.drawn = 0

    def add(self, flux, label):
        rows = (self.drawn + np.arange(len(label))) % len(self.label)
        self.flux[rows], self.label[rows], self.loss[rows] = flux, label, 1.0
        self.drawn += len(label)

    def choose(self, n, rng):
        weight = 0.2 + np.minimum(self.loss[: self.drawn], 1.0)
        return rng.choice(len(weight), n, p=weight / weight.sum(dtype=np.float64))


class _Trainer:
    """State of a training and its loop."""

    def __init__(self, directory, config, seed, n_validation, labelled):
        self.directory, self.config, self.seed = directory, config, seed
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        torch.manual_seed(seed)
        self.model = ProfileNetwork().to(self.device)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=config.stages[0].learning_rate, weight_decay=config.weight_decay
        )
        self.mixture = Mixture(labelled.take(~labelled.kept) if labelled is not None else None)
        self.validation = validation_sets(labelled, n_validation, seed)
        self.pool = _Pool(config.pool)
        self.curves: dict[str, Any] = {"rounds": [], "validation": []}
        self._resume()

    def run(self, deadline):
        config, end = self.config, 0
        total = sum(stage.n_spectra for stage in config.stages)
        with tqdm(total=total, initial=self.pool.drawn, desc="profile network", unit=" spectra") as bar:
            for stage in config.stages:
                end += stage.n_spectra
                while self.pool.drawn < end:
                    loss = self._round(stage, 1 - (end - self.pool.drawn) / stage.n_spectra)
                    bar.update(config.fresh)
                    bar.set_postfix(loss=f"{loss:.3f}")
                    if self.pool.drawn % config.validate_every < config.fresh or self.pool.drawn >= end:
                        self._checkpoint()
                        if time.monotonic() > deadline:
                            return

    def _round(self, stage, progress):
        """Draw fresh spectra, then train on chosen ones of the pool."""
        config, rng = self.config, stream(self.seed, 0, "profile", self.pool.drawn)
        self.pool.add(*self.mixture.draw(config.fresh, rng))
        self.model.train()
        for group in self.optimizer.param_groups:
            group["lr"] = stage.learning_rate * min(progress * 20 + 0.05, 0.5 * (1 + np.cos(np.pi * progress)) + 1e-3)
        losses = []
        for rows in self.pool.choose(config.fresh * config.shown, rng).reshape(-1, config.batch):
            flux = self.pool.flux[rows].astype(np.float32)
            mirrored, warped = rng.random((2, len(rows))) < [[0.5], [stage.warped_share]]
            flux[mirrored] = flux[mirrored, ::-1]
            flux[warped] = warp_profiles(flux[warped], rng)
            target = torch.from_numpy(self.pool.label[rows].astype(np.float32)).to(self.device)
            log_odds = self.model(torch.from_numpy(flux).to(self.device))
            each = functional.binary_cross_entropy_with_logits(log_odds, target, reduction="none")
            self.optimizer.zero_grad()
            each.mean().backward()
            self.optimizer.step()
            self.pool.loss[rows] = each.detach().cpu().numpy()
            losses.append(float(each.detach().mean()))
        self.curves["rounds"].append([self.pool.drawn, round(float(np.mean(losses)), 4)])
        return losses[-1]

    def _checkpoint(self):
        self.model.eval()
        found = {
            name: count_errors(lambda flux: torch.sigmoid(self.model(flux)), *data, self.device)
            for name, data in self.validation.items()
        }
        self.curves["validation"].append({"drawn": self.pool.drawn, **found})
        save(self.directory / "profile.pt", self.model.state_dict())
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "torch_rng": torch.get_rng_state(),
            "pool": vars(self.pool),
            "curves": self.curves,
        }
        save(self.directory / "profile_checkpoint.pt", state)
        (self.directory / "profile_curves.json").write_text(json.dumps(self.curves, indent=1))
        tqdm.write(f"{self.pool.drawn} spectra drawn: " + ", ".join(f"{k} {v}" for k, v in found.items()))

    def _resume(self):
        path = self.directory / "profile_checkpoint.pt"
        if not path.exists():
            return
        state = torch.load(path, map_location=self.device, weights_only=False)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["torch_rng"].cpu())
        vars(self.pool).update(state["pool"])
        self.curves = state["curves"]
