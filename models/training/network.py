"""The classifier as a PyTorch module: drawing, ResNet-18, profile network, probability; how its ImageNet start is made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
import torchvision
from torch import nn

from becat.models.training.profile_network import ProfileNetwork
from becat.models.training.render import SCALES, LineImage

__all__ = ["SURE_LOG_ODDS", "Classifier", "load_imagenet", "recompute_batch_norm"]


# Log odds by the flux, 95 %, from which on there is no closer look.
SURE_LOG_ODDS = 3.0
# A closer look sees the profile moved by so many pixels, 51 km/s, to both sides.
_MOVED_PX = 9


class Classifier(nn.Module):
    """Rectified flux of the window in, probability of a Be profile and its log odds out.

    The profile networks look first. Where they leave doubt, they look again at the profile mirrored and moved, and
    ResNet-18 looks at the drawing, which costs far more.

    Parameters
    ----------
    size, line_width, scales
        Of the picture: see `becat.models.training.render.LineImage`.
    reduction : int
        The network is shown the means of blocks of so many by so many pixels: 2 costs a quarter, and half a resolution
        element of LAMOST's medium-resolution survey is still one pixel.
    members : int
        Profile networks.

    Attributes
    ----------
    draw : torch module
        Drawing and reduction of the picture.
    network : torchvision ResNet
        ResNet-18 with two classes, not Be and Be.
    profile : list of ProfileNetwork
        They look at the flux itself; the mean of their log odds counts, which no single one's chance errors move far
        (deep ensembles: Lakshminarayanan et al. 2017, arXiv:1612.01474).
    weight : (2,) tensor
        Weights of the log odds of the drawing and of the profile in those of the classifier, fitted after training on spectra
        that neither saw: calibration (as temperature in Guo et al. 2017, arXiv:1706.04599) and combination. Until
        then only the drawing counts.
    sparing : bool
        Look closer only at the spectra in doubt instead of at all: the same result, much faster where there are few, but
        with an inner batch of any size, which GPUs do not like.
    """

    def __init__(
        self,
        size: int = 256,
        line_width: float = 5.0,
        scales: Sequence[str] = SCALES,
        reduction: int = 2,
        members: int = 1,
    ) -> None:
        super().__init__()
        picture = LineImage(size, line_width, scales)
        self.draw = nn.Sequential(picture, nn.AvgPool2d(reduction)) if reduction > 1 else picture
        self.network = torchvision.models.resnet18(num_classes=2)
        self.profile = nn.ModuleList(ProfileNetwork() for _ in range(members))
        self.register_buffer("weight", torch.tensor([1.0, 0.0]))
        self.sparing = False

    def forward(self, flux: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(n, 481) flux -> (n,) probabilities, (n, k) features of the profile networks and (n,) log odds."""
        first, features = self.by_flux(flux)
        if self.sparing:
            rows = torch.nonzero(self.in_doubt(first))[:, 0]
            closer = flux.new_zeros(flux.shape[0], 2).index_put((rows,), self.closer(flux[rows], first[rows]))
        else:
            closer = self.closer(flux, first)
        log_odds = self.combine(first, closer)
        return torch.sigmoid(log_odds), features, log_odds

    def in_doubt(self, first: torch.Tensor) -> torch.Tensor:
        """Whether these log odds by the profile networks ask for a closer look."""
        return (self.weight[1] * first).abs() < SURE_LOG_ODDS

    def combine(self, first: torch.Tensor, closer: torch.Tensor) -> torch.Tensor:
        """Log odds of the classifier from those by the first look, (n,), and by the closer one, (n, 2)."""
        return torch.where(self.in_doubt(first), closer @ self.weight, self.weight[1] * first)

    def closer(self, flux: torch.Tensor, first: torch.Tensor) -> torch.Tensor:
        """(n, 481) flux and (n,) log odds by the first look -> (n, 2) log odds by the drawing, and by the profile networks over four views.

        A profile mirrored, or moved by a velocity, is as much that of a Be star as before: what the networks say of one view
        only is chance, which the mean has less of.
        """
        blue, red = flux[:, :1].expand(-1, _MOVED_PX), flux[:, -1:].expand(-1, _MOVED_PX)
        moved = torch.cat([blue, flux[:, :-_MOVED_PX]], dim=1), torch.cat([flux[:, _MOVED_PX:], red], dim=1)
        seen = torch.stack([first, *(self.by_flux(view)[0] for view in (flux.flip(1), *moved))])
        return torch.stack([self.by_drawing(flux), seen.mean(dim=0)], dim=1)

    def by_flux(self, flux: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(n, 481) flux -> (n,) log odds by the profile networks, and the (n, k) features before their last layers."""
        features = [network.look(flux) for network in self.profile]
        found = [network.log_odds(each)[:, 0] for network, each in zip(self.profile, features, strict=True)]
        return torch.stack(found).mean(dim=0), torch.cat(features, dim=1)

    def by_drawing(self, flux: torch.Tensor) -> torch.Tensor:
        """(n, 481) flux -> (n,) log odds by ResNet-18."""
        logits = self.network(self.draw(flux))
        return logits[:, 1] - logits[:, 0]


def load_imagenet(model: Classifier, path: str | Path | None) -> str:
    """Start the network from ImageNet weights.

    Parameters
    ----------
    model : Classifier
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
def recompute_batch_norm(model: Classifier, flux_batches: Iterable[torch.Tensor]) -> None:
    """Set the running statistics of the drawing's batch normalisations to the averages over these spectra.

    Needed where weights come without statistics, and after weights were averaged: averaged weights make activations
    that no running average has seen.

    Parameters
    ----------
    model : Classifier
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
