"""The two classifiers as PyTorch modules: ResNet-18 on a drawing, and profile networks on the flux; how ResNet-18's ImageNet start is made."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
import torchvision
from torch import nn

from becat.models.training.profile_network import ProfileNetwork
from becat.models.training.render import SCALES, LineImage

__all__ = [
    "SURE_LOG_ODDS",
    "Classifier",
    "DrawingClassifier",
    "ProfileClassifier",
    "load_imagenet",
    "recompute_batch_norm",
]


# Log odds by the flux, 95 %, from which on there is no closer look.
SURE_LOG_ODDS = 3.0
# A closer look sees the profile moved by so many pixels, 51 km/s, to both sides.
_MOVED_PX = 9


class Classifier(nn.Module, ABC):
    """Rectified flux of the window in, probability of a Be profile, features and log odds out.

    Attributes
    ----------
    weight : tensor of one number
        By which the log odds of the networks are multiplied, fitted after training on spectra that they have not seen: calibration (as
        temperature in Guo et al. 2017, arXiv:1706.04599).
    """

    network_name: str

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weight", torch.tensor(1.0))

    def forward(self, flux: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(n, 481) flux -> (n,) probabilities, (n, k) features before the last layer and (n,) log odds."""
        first, features = self.look(flux)
        log_odds = self.calibrated(flux, first)
        return torch.sigmoid(log_odds), features, log_odds

    @abstractmethod
    def look(self, flux: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(n, 481) flux -> (n,) log odds as the networks were trained to tell them, and (n, k) features before the last layer."""

    def calibrated(self, flux: torch.Tensor, first: torch.Tensor) -> torch.Tensor:
        """(n,) log odds to believe, from those of a first look."""
        return self.weight * first


class DrawingClassifier(Classifier):
    """ResNet-18 on a drawing of the profile.

    Parameters
    ----------
    size, line_width, scales
        Of the picture: see `becat.models.training.render.LineImage`.
    reduction : int
        The network is shown the means of blocks of so many by so many pixels: 2 costs a quarter, and half a resolution
        element of LAMOST's medium-resolution survey is still one pixel.

    Attributes
    ----------
    draw : torch module
        Drawing and reduction of the picture.
    network : torchvision ResNet
        ResNet-18 with two classes, not Be and Be.
    """

    network_name = "resnet18"

    def __init__(
        self, size: int = 256, line_width: float = 5.0, scales: Sequence[str] = SCALES, reduction: int = 2
    ) -> None:
        super().__init__()
        picture = LineImage(size, line_width, scales)
        self.draw = nn.Sequential(picture, nn.AvgPool2d(reduction)) if reduction > 1 else picture
        self.network = torchvision.models.resnet18(num_classes=2)

    def look(self, flux: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = []
        hook = self.network.fc.register_forward_pre_hook(lambda _, given: features.append(given[0]))
        logits = self.network(self.draw(flux))
        hook.remove()
        return logits[:, 1] - logits[:, 0], features[0]


class ProfileClassifier(Classifier):
    """Profile networks on the flux itself; where they leave doubt, they look again at the profile mirrored and moved.

    Parameters
    ----------
    members : int
        Networks; the mean of their log odds counts, which no single one's chance errors move far (deep ensembles: Lakshminarayanan
        et al. 2017, arXiv:1612.01474).

    Attributes
    ----------
    profile : list of ProfileNetwork
    sparing : bool
        Look closer only at the spectra in doubt instead of at all: the same result, faster where there are few, but with an inner
        batch of any size, which GPUs do not like.
    """

    network_name = "profile"

    def __init__(self, members: int = 1) -> None:
        super().__init__()
        self.profile = nn.ModuleList(ProfileNetwork() for _ in range(members))
        self.sparing = False

    def look(self, flux: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = [network.look(flux) for network in self.profile]  # pyright: ignore[reportCallIssue]
        found = [network.log_odds(each)[:, 0] for network, each in zip(self.profile, features, strict=True)]  # pyright: ignore[reportCallIssue]
        return torch.stack(found).mean(dim=0), torch.cat(features, dim=1)

    def calibrated(self, flux: torch.Tensor, first: torch.Tensor) -> torch.Tensor:
        doubt = self.in_doubt(first)
        if self.sparing:
            rows = torch.nonzero(doubt)[:, 0]
            closer = first.index_put((rows,), self.closer(flux[rows], first[rows]))
        else:
            closer = torch.where(doubt, self.closer(flux, first), first)
        return self.weight * closer

    def in_doubt(self, first: torch.Tensor) -> torch.Tensor:
        """Whether these log odds ask for a closer look."""
        return (self.weight * first).abs() < SURE_LOG_ODDS

    def closer(self, flux: torch.Tensor, first: torch.Tensor) -> torch.Tensor:
        """(n, 481) flux and (n,) log odds by the first look -> (n,) mean over four views.

        A profile mirrored, or moved by a velocity, is as much that of a Be star as before: what the networks say of one view
        only is chance, which the mean has less of.
        """
        blue, red = flux[:, :1].expand(-1, _MOVED_PX), flux[:, -1:].expand(-1, _MOVED_PX)
        moved = torch.cat([blue, flux[:, :-_MOVED_PX]], dim=1), torch.cat([flux[:, _MOVED_PX:], red], dim=1)
        return torch.stack([first, *(self.look(view)[0] for view in (flux.flip(1), *moved))]).mean(dim=0)


def load_imagenet(model: DrawingClassifier, path: str | Path | None) -> str:
    """Start the network from ImageNet weights.

    Parameters
    ----------
    model : DrawingClassifier
    path : path, optional
        A NumPy archive of torchvision's ResNet-18 tensors by their names there (running statistics and the last layer
        may be missing: see `recompute_batch_norm`). By default torchvision's own download.

    Returns
    -------
    str
        Where the weights are from.

    Raises
    ------
    ValueError
        A tensor of the convolutions or batch normalisations is missing or has another shape.
    """
    if path is None:
        source = torchvision.models.ResNet18_Weights.IMAGENET1K_V1
        tensors = {name: value.numpy() for name, value in source.get_state_dict(progress=False).items()}
    else:
        with np.load(path) as archive:
            tensors = {name: archive[name] for name in archive.files}
    own = model.network.state_dict()
    wanted = {name for name in own if not name.startswith("fc.") and name.rsplit(".", 1)[1] in ("weight", "bias")}
    wrong = sorted(name for name in wanted if name not in tensors or tensors[name].shape != own[name].shape)
    if wrong:
        raise ValueError(f"{path}: {len(wrong)} tensors missing or of another shape, among them {wrong[0]}")
    found = {name: torch.from_numpy(np.array(tensors[name], np.float32)) for name in wanted}
    model.network.load_state_dict(found, strict=False)
    return "torchvision IMAGENET1K_V1" if path is None else f"file {Path(path).name}"


@torch.no_grad()
def recompute_batch_norm(model: DrawingClassifier, flux_batches: Iterable[torch.Tensor]) -> None:
    """Set the running statistics of the drawing's batch normalisations to the averages over these spectra.

    Needed where weights come without statistics, and after weights were averaged: averaged weights make activations
    that no running average has seen.

    Parameters
    ----------
    model : DrawingClassifier
    flux_batches : iterable of (n, 481) tensors
    """
    layers = [module for module in model.network.modules() if isinstance(module, nn.BatchNorm2d)]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
    was_training = model.training
    model.train()
    for flux in flux_batches:
        model.network(model.draw(flux))
    for layer in layers:
        layer.momentum = 0.1
    model.train(was_training)
