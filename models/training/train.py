"""Training of the classifier on fresh simulated spectra and, where given, labelled real ones."""

from __future__ import annotations

import json
import os
import platform
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.nn import functional
from tqdm import tqdm

from becat.models.training.augment import augment
from becat.models.training.network import DrawingClassifier, load_imagenet, recompute_batch_norm
from becat.models.training.render import SCALES
from becat.models.training.train_profile import ProfileConfig, train_profiles
from becat.models.training.trained import load_profiles, picture_is_finished, record_of
from becat.models.training.training_data import Drawn, Labelled, Mixture
from becat.models.training.training_state import count_errors, is_orphan, rate, save, stream, validation_sets
from becat.models.training.warp import warp_profiles

__all__ = ["Stage", "TrainConfig", "further_drawing", "soft_targets", "train"]

_STEPS_DRAWN_AT_ONCE = 16
_SUREST_TEACHER = 5.0  # log odds
_TOLD_AT_ONCE = 32
_OTHER_CONFIGURATION = " holds a training with another configuration: choose another directory"


@dataclass(frozen=True)
class Stage:
    """A stretch of training with one drawing: see `becat.models.training.network.DrawingClassifier`. The last one's is the model's."""

    size: int
    n_spectra: int
    learning_rate: float
    line_width: float = 5.0
    reduction: int = 2
    warped_share: float = 0.0  # of the profiles, before they are drawn: `becat.models.training.warp.warp_profiles`


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides what comes out of a training run.

    Attributes
    ----------
    stages : tuple of Stage
        In order. The learning rate of each rises over its first tenth and then falls as a cosine. Without any, ResNet-18 is not trained.
    scales : tuple of str
        Flux scales of the drawing: see `becat.models.training.render.LineImage`.
    batch : int
        Spectra a step, over all workers.
    seed : int
        Sixteen steps draw their spectra at once, from (seed, worker, their number), so that none is ever seen twice.
    frozen_layers : tuple of str
        Layers that keep their ImageNet weights, with statistics recomputed on drawn profiles.
    average_decay : float
        Of the exponential moving average of the weights; the average is what is validated and exported.
    weight_decay : float
    augmented_share : float
        Share of pictures that each warp of `becat.models.training.augment` touches.
    validate_every : int
        Spectra between two validations.
    n_validation : int
        Simulated spectra of a validation.
    imagenet : str or None
        Archive of ImageNet weights; None: torchvision's own download.
    start_from : str or None
        Directory of a finished training whose network of the drawing is trained further, instead of from ImageNet weights.
    teacher : str or None
        Directory of a finished training whose profile networks give soft targets: see `soft_targets`.
    soft_share : float
        Share of the soft target in what is learned.
    drawn_for_one : int
        Spectra drawn for each one that is learned from: those of which the teacher is in doubt come first, then any others. What is left out
        depends on the flux alone, so that a probability stays one.
    real_sky : bool
        Put residuals of sky lines into real spectra: see `becat.models.training.training_data.Mixture`.
    workers : int
        Processes on a machine without GPU, one thread each: on busy cores that is faster than threads that wait for
        each other.
    profile : ProfileConfig
        Of the profile networks, which are trained after the stages; without members, none is.
    """

    stages: tuple[Stage, ...] = (
        Stage(256, 38_400, 1e-3, reduction=4, warped_share=0.3),
        Stage(256, 64_000, 6e-4, warped_share=0.3),
    )
    scales: tuple[str, str, str] = SCALES
    batch: int = 32
    seed: int = 1
    frozen_layers: tuple[str, ...] = ("conv1", "bn1", "layer1")
    average_decay: float = 0.99
    weight_decay: float = 1e-4
    augmented_share: float = 0.3
    validate_every: int = 6400
    n_validation: int = 960
    imagenet: str | None = None
    start_from: str | None = None
    teacher: str | None = None
    soft_share: float = 0.5
    drawn_for_one: int = 1
    real_sky: bool = False
    profile: ProfileConfig = field(default_factory=ProfileConfig)
    workers: int = field(default_factory=lambda: max(1, os.cpu_count() or 1))


def further_drawing(config: TrainConfig, start_from: str | Path, n_spectra: int = 64_000) -> TrainConfig:
    """How ResNet-18 of a finished training is trained further: in its last way of drawing, on spectra that leave a teacher in doubt, with more sky."""
    stage = replace(config.stages[-1], n_spectra=n_spectra, learning_rate=4e-4)
    return replace(config, stages=(stage,), start_from=str(start_from), drawn_for_one=2, real_sky=True)


def train(
    directory: str | Path,
    config: TrainConfig | None = None,
    labelled: Labelled | None = None,
    stop_after_s: float = np.inf,
) -> Path:
    """Train, or go on with a training that was interrupted.

    Parameters
    ----------
    directory : path
        Receives ``checkpoint.pt`` (after every validation; training goes on from it), ``curves.json`` (configuration,
        seeds, hashes of the data, losses and accuracies) and ``weights.pt``, the averaged weights; and the like for the
        profile networks, as `becat.models.training.train_profile.train_profiles` says.
    config : TrainConfig, optional
    labelled : Labelled, optional
        Labelled real spectra with their split into training and validation by star.
    stop_after_s : float
        Stop at the first checkpoint after so many seconds; the next call goes on.

    Returns
    -------
    pathlib.Path
        ``weights.pt``, for `becat.models.training.export.export`.

    Raises
    ------
    ValueError
        The directory holds a training with another configuration, or the training to start from is not finished.
    """
    config = config or TrainConfig()
    deadline = time.monotonic() + stop_after_s
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    workers = 1 if torch.cuda.is_available() else config.workers
    if config.stages:
        _train_drawing(directory, config, labelled, stop_after_s, workers)
    else:
        _begin_profiles(directory, config, labelled)
    if picture_is_finished(directory):
        left_s = deadline - time.monotonic()
        train_profiles(directory, config.profile, config.seed, config.n_validation, labelled, left_s, workers)
    return directory / "weights.pt"


def _train_drawing(directory, config, labelled, stop_after_s, workers):
    """The stages."""
    checkpoint = directory / "checkpoint.pt"
    if checkpoint.exists():
        before = torch.load(checkpoint, weights_only=False)["config"]
        if before | {"workers": 0} != asdict(config) | {"workers": 0}:
            raise ValueError(f"{directory}{_OTHER_CONFIGURATION}")
    if workers == 1:
        _Trainer(directory, config, labelled, stop_after_s, 0, 1).run()
        return
    with tempfile.TemporaryDirectory() as folder:
        arguments = (workers, f"file://{folder}/meeting", directory, config, labelled, stop_after_s)
        mp.spawn(_worker, arguments, nprocs=workers)


def _begin_profiles(directory, config, labelled):
    """The record of a training of profile networks alone, which may begin as those of another training."""
    profile = asdict(config.profile)
    if config.profile.start_from is not None:
        before = Path(config.profile.start_from)
        there = record_of(before)["config"]["profile"]["members"]
        if config.profile.members > there:
            raise ValueError(f"{before} has only {there} profile networks")
        profile["start_from"] = before.name
    record = _record(replace(config, workers=0), labelled)
    record["config"]["profile"] = profile
    curves, written = directory / "curves.json", json.dumps(record, indent=1)
    if curves.exists() and curves.read_text(encoding="utf-8") != written:
        raise ValueError(f"{directory}{_OTHER_CONFIGURATION}")
    curves.write_text(written, encoding="utf-8")


def _record(config, labelled) -> dict[str, Any]:
    """What ``curves.json`` says from the beginning."""
    names = {name: getattr(config, name) for name in ("imagenet", "start_from", "teacher")}
    return {
        "config": asdict(config) | {name: path and Path(path).name for name, path in names.items()},
        "data": labelled.description() if labelled is not None else {"real_spectra": 0},
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor() or "CPU",
        "imagenet": None,
        "steps": [],
        "validation": [],
    }


def _worker(rank, workers, meeting, directory, config, labelled, stop_after_s):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=workers)
    try:
        _Trainer(directory, config, labelled, stop_after_s, rank, workers).run()
    finally:
        dist.destroy_process_group()


class _Trainer:
    """State of a training and its loop."""

    def __init__(self, directory, config, labelled, stop_after_s, rank, workers):
        self.directory, self.config, self.rank, self.workers = directory, config, rank, workers
        self.deadline = time.monotonic() + stop_after_s
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        torch.manual_seed(config.seed)
        # On CPUs convolutions are faster with the channels last.
        self.model = DrawingClassifier().to(self.device, memory_format=torch.channels_last)
        self.curves: dict[str, Any] = _record(config, labelled)
        self.curves["imagenet"] = self._start()
        for name in config.frozen_layers:
            self.model.network.get_submodule(name).requires_grad_(False)
        self.parameters = [p for p in self.model.network.parameters() if p.requires_grad]
        self.optimizer = torch.optim.Adam(self.parameters, lr=1e-3, weight_decay=config.weight_decay)
        self.average = [p.detach().clone() for p in self.parameters]
        self.mixture = Mixture(
            labelled.trained_on() if labelled is not None else None, config.teacher is not None, config.real_sky
        )
        self.teacher = load_profiles(config.teacher).to(self.device) if config.teacher is not None else None
        # Bfloat16 where it is faster: the weights stay in single precision.
        self.half = self.device.type == "cuda" or torch.cpu._is_avx512_bf16_supported()
        self.validation = validation_sets(labelled, config.n_validation, config.seed)
        self.block: tuple = (None, None)
        self.step = 0
        self._resume()

    def _start(self) -> str:
        """Load the weights that the training begins with; returns where they are from."""
        if self.config.start_from is None:
            return load_imagenet(self.model, self.config.imagenet)
        before = Path(self.config.start_from)
        self.model.network.load_state_dict(torch.load(before / "weights.pt", weights_only=True))
        return f"{record_of(before)['imagenet']}, by way of the training {before.name}"

    def run(self):
        total = sum(stage.n_spectra for stage in self.config.stages) // self.config.batch
        with tqdm(total=total, initial=self.step, desc="training", unit=" steps", disable=self.rank > 0) as bar:
            for stage, first, last in self._schedule():
                if self.step >= last:
                    continue
                self._enter(stage)
                while self.step < last:
                    if is_orphan():
                        return
                    loss = self._advance(stage, (self.step - first) / (last - first))
                    bar.update(1)
                    bar.set_postfix(size=stage.size, loss=f"{loss:.3f}")
                    if (
                        self.step * self.config.batch % self.config.validate_every < self.config.batch
                        or self.step == last
                    ):
                        self._checkpoint(stage)
                        if time.monotonic() > self.deadline:
                            return

    def _schedule(self) -> Iterator[tuple[Stage, int, int]]:
        first = 0
        for stage in self.config.stages:
            last = first + stage.n_spectra // self.config.batch
            yield stage, first, last
            first = last

    def _enter(self, stage):
        """Draw in the stage's way; statistics of the frozen layers belong to it."""
        self.model.draw = drawing(self.config, stage).to(self.device)
        recompute_batch_norm(self.model, [self._sample(16, "statistics", k) for k in range(8)])

    def _batch(self):
        """Flux (n, 481) and label (n,) of the next step; several steps are drawn at once, since many cost less each."""
        block, place = divmod(self.step, _STEPS_DRAWN_AT_ONCE)
        n = self.config.batch // self.workers
        if self.block[0] != block:
            rng = stream(self.config.seed, self.rank, "train", block)
            self.block = block, self._chosen(n * _STEPS_DRAWN_AT_ONCE, rng)
        flux, label, _ = self.block[1]
        rows = slice(place * n, (place + 1) * n)
        return flux[rows], label[rows]

    def _chosen(self, n, rng):
        """n spectra; of more, those of which the teacher is in doubt come first."""
        drawn = self.mixture.draw(n * self.config.drawn_for_one, rng)
        if self.teacher is None or self.config.drawn_for_one == 1:
            return drawn
        sure = self._told(drawn.flux).abs().cpu().numpy() > _SUREST_TEACHER
        rows = rng.permutation(np.argsort(sure, kind="stable")[:n])
        return Drawn(*(column[rows] for column in drawn))

    @torch.inference_mode()
    def _told(self, flux):
        """(n,) log odds of the teacher."""
        assert self.teacher is not None
        parts = [self.teacher.look(part.to(self.device))[0] for part in torch.from_numpy(flux).split(_TOLD_AT_ONCE)]
        return torch.cat(parts)

    def _sample(self, n, purpose, step):
        drawn = self.mixture.draw(n, stream(self.config.seed, 0, purpose, step))
        return torch.from_numpy(drawn.flux).to(self.device)

    def _advance(self, stage, progress):
        config = self.config
        self.model.train()
        for name in config.frozen_layers:
            self.model.network.get_submodule(name).eval()
        for group in self.optimizer.param_groups:
            group["lr"] = stage.learning_rate * rate(progress, rise=0.1, floor=0.01)
        flux, label = self._batch()
        rng = stream(config.seed, self.rank, "warps", self.step)
        warps = torch.Generator().manual_seed(int(rng.integers(2**62)))
        warped = rng.random(len(flux)) < stage.warped_share
        flux[warped] = warp_profiles(flux[warped], rng)
        with torch.no_grad():
            image = augment(self.model.draw(torch.from_numpy(flux).to(self.device)), warps, config.augmented_share)
            image = image.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            logits = self.model.network(image).float()
        log_odds = logits[:, 1] - logits[:, 0]
        target = self._target(flux, label)
        loss = functional.binary_cross_entropy_with_logits(log_odds, target)
        self.optimizer.zero_grad()
        loss.backward()
        self._share_gradients()
        self.optimizer.step()
        self.step += 1
        decay = min(config.average_decay, self.step / (self.step + 10))
        torch._foreach_lerp_(self.average, [p.detach() for p in self.parameters], 1 - decay)
        value = float(loss.detach())
        if self.rank == 0:
            accuracy = float(((log_odds > 0) == (target > 0.5)).float().mean())
            self.curves["steps"].append([self.step, stage.size, round(value, 4), round(accuracy, 4)])
        return value

    def _target(self, flux, label):
        """(n,) probabilities that the network shall learn to tell."""
        target = torch.from_numpy(label).float().to(self.device)
        if self.teacher is None:
            return target
        return soft_targets(target, self._told(flux).clone(), self.config.soft_share)

    def _share_gradients(self):
        if self.workers == 1:
            return
        flat = torch.cat([p.grad.reshape(-1) for p in self.parameters])
        dist.all_reduce(flat)
        flat /= self.workers
        for parameter, part in zip(self.parameters, flat.split([p.numel() for p in self.parameters]), strict=True):
            parameter.grad.copy_(part.view_as(parameter))

    def _checkpoint(self, stage):
        """Validate the averaged weights and save; every worker waits for the first."""
        if self.rank == 0:
            trained = [p.detach().clone() for p in self.parameters]
            statistics = {name: value.clone() for name, value in self.model.network.named_buffers()}
            self._put(self.average)
            recompute_batch_norm(self.model, [self._sample(16, "statistics", k) for k in range(8)])
            self.model.eval()
            found = {
                name: count_errors(self._probability, *data, self.device) for name, data in self.validation.items()
            }
            self.curves["validation"].append({"step": self.step, "size": stage.size, **found})
            save(self.directory / "weights.pt", self.model.network.state_dict())
            self._put(trained)
            self.model.network.load_state_dict(statistics, strict=False)
            save(
                self.directory / "checkpoint.pt",
                {
                    "config": asdict(self.config),
                    "step": self.step,
                    "model": self.model.state_dict(),
                    "optimizer": self.optimizer.state_dict(),
                    "average": self.average,
                    "curves": self.curves,
                },
            )
            (self.directory / "curves.json").write_text(json.dumps(self.curves, indent=1))
            tqdm.write(f"step {self.step}, {stage.size} px: " + ", ".join(f"{k} {v}" for k, v in found.items()))
        if self.workers > 1:
            dist.barrier()

    def _probability(self, flux):
        return torch.sigmoid(self.model.look(flux)[0])

    def _put(self, values):
        with torch.no_grad():
            for parameter, value in zip(self.parameters, values, strict=True):
                parameter.copy_(value)

    def _resume(self):
        path = self.directory / "checkpoint.pt"
        if not path.exists():
            return
        saved = torch.load(path, map_location=self.device, weights_only=False)
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.average, self.step, self.curves = saved["average"], saved["step"], saved["curves"]


def soft_targets(label: torch.Tensor, log_odds: torch.Tensor, share: float) -> torch.Tensor:
    """Probabilities to learn from labels and what a teacher says (Hinton et al. 2015, arXiv:1503.02531).

    A label is one bit; how sure a good teacher is tells how near the limit of what can be seen a feature is.

    Parameters
    ----------
    label : (n,) tensor
        1 Be, 0 not Be, -1 neither.
    log_odds : (n,) tensor
        Of the teacher.
    share : float
        Of the teacher in the mean of both. A teacher that contradicts the label is not believed; where there is no label, he alone is.
    """
    told = torch.sigmoid(log_odds.clamp(-_SUREST_TEACHER, _SUREST_TEACHER))
    mixed = torch.where((told > 0.5) == (label > 0.5), (1 - share) * label + share * told, label)
    return torch.where(label < 0, told, mixed)


def drawing(config: TrainConfig, stage: Stage) -> torch.nn.Module:
    """How a stage draws."""
    return DrawingClassifier(stage.size, stage.line_width, config.scales, stage.reduction).draw
