"""Training of the profile networks: many spectra, the doubtful ones more often, and the facts behind their labels."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.multiprocessing as mp
from torch.nn import functional
from tqdm import tqdm

from becat.models.training.facts import FACTS, VELOCITY
from becat.models.training.profile_network import ProfileNetwork
from becat.models.training.training_data import Drawn, Labelled, Mixture
from becat.models.training.training_state import count_errors, is_orphan, rate, save, stream, validation_sets
from becat.models.training.warp import warp_profiles
from becat.models.window import PIXELS

__all__ = ["ProfileConfig", "further", "train_profiles"]

_N_WINDOW = PIXELS.stop - PIXELS.start
# Of the loss, beside the cross-entropy: the significance of a disc is what the label is made from.
_FACT_WEIGHT = torch.tensor([1.0 if name == "disc_free_significance" else 0.1 for name in FACTS])
# A spectrum of neither class has no cross-entropy: it is shown as often as one predicted that well.
_LOSS_OF_NEITHER = 0.3


@dataclass(frozen=True)
class ProfileConfig:
    """How the profile networks are trained.

    Attributes
    ----------
    members : int
        Networks, each with its own seed and spectra; the mean of their log odds counts.
    n_spectra : int
        Spectra drawn for each network.
    learning_rate : float
        Its peak: it rises over the first twentieth and then falls as a cosine.
    warped_share : float
        Of the spectra when they are shown: `becat.models.training.warp.warp_profiles`.
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
    start_from : str or None
        Directory of a finished training whose profile networks these begin as.
    """

    members: int = 2
    n_spectra: int = 450_560
    learning_rate: float = 2e-3
    warped_share: float = 0.5
    fresh: int = 2048
    shown: int = 4
    pool: int = 131_072
    batch: int = 128
    weight_decay: float = 1e-3
    validate_every: int = 40_960
    start_from: str | None = None


def further(start_from: str | Path, n_spectra: int = 286_720) -> ProfileConfig:
    """How the networks of a finished training are trained further: on fewer spectra and with smaller steps than the first time."""
    return ProfileConfig(n_spectra=n_spectra, learning_rate=1.5e-3, start_from=str(start_from))


def train_profiles(
    directory: str | Path,
    config: ProfileConfig,
    seed: int,
    n_validation: int,
    labelled: Labelled | None = None,
    stop_after_s: float = np.inf,
    workers: int = 1,
) -> None:
    """Train, or go on with a training that was interrupted.

    Parameters
    ----------
    directory : path
        Receives, with the number of each network, ``profile_0_checkpoint.pt``, ``profile_0_curves.json`` and
        ``profile_0.pt``, the weights.
    config : ProfileConfig
    seed, n_validation : int
        As those of `becat.models.training.train.TrainConfig`.
    labelled : Labelled, optional
        Labelled real spectra.
    stop_after_s : float
        Stop at the first checkpoint after so many seconds; the next call goes on.
    workers : int
        Networks trained at a time, each in a process of one thread; 1: in this process.
    """
    arguments = (Path(directory), config, seed, n_validation, labelled, time.monotonic() + stop_after_s)
    if workers == 1:
        for member in range(config.members):
            _Trainer(member, *arguments).run()
        return
    for first in range(0, config.members, workers):
        mp.spawn(_one, (first, arguments), nprocs=min(workers, config.members - first))


def _one(rank, first, arguments):
    torch.set_num_threads(1)
    _Trainer(first + rank, *arguments).run()


class _Pool:
    """The newest spectra, and how badly each was predicted when it was last seen."""

    def __init__(self, capacity):
        self.flux = np.empty((capacity, _N_WINDOW), np.float16)
        self.label = np.empty(capacity, np.int8)
        self.facts = np.empty((capacity, len(FACTS)), np.float32)
        self.loss = np.empty(capacity, np.float32)
        self.drawn = 0

    def add(self, drawn: Drawn):
        rows = (self.drawn + np.arange(len(drawn.label))) % len(self.label)
        self.flux[rows], self.label[rows], self.facts[rows], self.loss[rows] = *drawn, 1.0
        self.drawn += len(drawn.label)

    def choose(self, n, rng):
        weight = 0.2 + np.minimum(self.loss[: self.drawn], 1.0)
        return rng.choice(len(weight), n, p=weight / weight.sum(dtype=np.float64))

    def show(self, rows, warped_share, rng) -> Drawn:
        """Spectra of these rows, half of them mirrored, some warped; the facts of a warped one are not known."""
        flux, facts = self.flux[rows].astype(np.float32), self.facts[rows]
        mirrored, warped = rng.random((2, len(rows))) < [[0.5], [warped_share]]
        flux[mirrored] = flux[mirrored, ::-1]
        facts[mirrored, VELOCITY] *= -1
        flux[warped] = warp_profiles(flux[warped], rng)
        facts[warped] = np.nan
        return Drawn(flux, self.label[rows], facts)


class _Trainer:
    """State of the training of one network and its loop."""

    def __init__(self, member, directory, config, seed, n_validation, labelled, deadline):
        self.member, self.directory, self.config, self.seed = member, directory, config, seed
        self.deadline = deadline
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        torch.manual_seed(int(stream(seed, member, "profile start", 0).integers(2**62)))
        # On CPUs convolutions are faster with the channels last.
        self.model = ProfileNetwork().to(self.device, memory_format=torch.channels_last)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self.mixture = Mixture(labelled.trained_on() if labelled is not None else None, neither=True)
        self.validation = validation_sets(labelled, n_validation, seed)
        self.pool = _Pool(config.pool)
        self.curves: dict[str, Any] = {"rounds": [], "validation": []}
        if config.start_from is not None:
            before = Path(config.start_from) / f"profile_{member}.pt"
            self.model.load_state_dict(torch.load(before, map_location=self.device, weights_only=True))
        self._resume()

    def run(self):
        config, total = self.config, self.config.n_spectra
        name = f"profile network {self.member + 1} of {config.members}"
        with tqdm(total=total, initial=self.pool.drawn, desc=name, unit=" spectra", position=self.member) as bar:
            while self.pool.drawn < total and not is_orphan():
                loss = self._round()
                bar.update(config.fresh)
                bar.set_postfix(loss=f"{loss:.3f}")
                if self.pool.drawn % config.validate_every < config.fresh or self.pool.drawn >= total:
                    self._checkpoint()
                    if time.monotonic() > self.deadline:
                        return

    def _round(self):
        """Draw fresh spectra, then train on chosen ones of the pool; returns the mean cross-entropy of the latter."""
        config, rng = self.config, stream(self.seed, self.member, "profile", self.pool.drawn)
        progress = self.pool.drawn / config.n_spectra
        self.pool.add(self.mixture.draw(config.fresh, rng))
        self.model.train()
        for group in self.optimizer.param_groups:
            group["lr"] = config.learning_rate * rate(progress, rise=0.05, floor=1e-3)
        losses = []
        for rows in self.pool.choose(config.fresh * config.shown, rng).reshape(-1, config.batch):
            each = self._step(self.pool.show(rows, config.warped_share, rng))
            self.pool.loss[rows] = np.where(np.isnan(each), _LOSS_OF_NEITHER, each)
            losses.append(np.nanmean(each))
        loss = float(np.mean(losses))
        self.curves["rounds"].append([self.pool.drawn, round(loss, 4)])
        return loss

    def _step(self, shown: Drawn) -> np.ndarray:
        """One step; returns the cross-entropy of each spectrum, NaN where it is of neither class."""
        flux, label, facts = (torch.from_numpy(column).to(self.device) for column in shown)
        log_odds, told = self.model.with_facts(flux)
        of_class = label >= 0
        each = functional.binary_cross_entropy_with_logits(log_odds, label.clamp(min=0).float(), reduction="none")
        known = torch.isfinite(facts)
        miss = functional.smooth_l1_loss(told, facts.where(known, told.detach()), reduction="none", beta=0.3)
        loss = each[of_class].mean() + (miss.mean(dim=0) * _FACT_WEIGHT.to(self.device)).sum()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return each.detach().where(of_class, torch.nan).cpu().numpy()

    def _checkpoint(self):
        self.model.eval()
        found = {
            name: count_errors(lambda flux: torch.sigmoid(self.model(flux)), *data, self.device)
            for name, data in self.validation.items()
        }
        self.curves["validation"].append({"drawn": self.pool.drawn, **found})
        save(self._file(".pt"), self.model.state_dict())
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "torch_rng": torch.get_rng_state(),
            "pool": vars(self.pool),
            "curves": self.curves,
        }
        save(self._file("_checkpoint.pt"), state)
        self._file("_curves.json").write_text(json.dumps(self.curves, indent=1))
        tqdm.write(f"{self.pool.drawn} spectra drawn: " + ", ".join(f"{k} {v}" for k, v in found.items()))

    def _resume(self):
        path = self._file("_checkpoint.pt")
        if not path.exists():
            return
        state = torch.load(path, map_location=self.device, weights_only=False)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["torch_rng"].cpu())
        vars(self.pool).update(state["pool"])
        self.curves = state["curves"]

    def _file(self, ending):
        return self.directory / f"profile_{self.member}{ending}"
