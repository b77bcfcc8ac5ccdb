"""The classifier as a PyTorch module: drawing, ResNet-18, profile network, probability; how its ImageNet start is made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
import torchvision
from torch import nn

from models.profile_network import ProfileNetwork
from models.render import SCALES, LineImage

__all__ = ["Classifier", "load_imagenet", "recompute_batch_norm"]


class Classifier(nn.Module):
    """Rectified flux of the window in, probability of a Be profile and its log odds out.

    Parameters
    ----------
    size, line_width, scales
        Of the picture: see `models.render.LineImage`.
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
        that neither saw: calibration (as temperature in Guo et al. 2017, arXiv:1706.04599) and combination in one. Until
        then only the drawing counts.
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

    def logits(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(n, 3, size, size) pictures -> (n, 2) logits and the (n, 512) features before the last layer."""
        net = self.network
        x = net.maxpool(net.relu(net.bn1(net.conv1(image))))
        x = net.layer4(net.layer3(net.layer2(net.layer1(x))))
        features = net.avgpool(x).flatten(1)
        return net.fc(features), features

    def forward(self, flux: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(n, 481) flux -> (n,) probabilities, (n, 512) features of the drawing and (n,) log odds."""
        parts, features = self.log_odds(flux)
        log_odds = (parts * self.weight).sum(dim=1)
        return torch.sigmoid(log_odds), features, log_odds

    def log_odds(self, flux: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(n, 481) flux -> (n, 2) log odds, by the drawing and by the profile, and (n, 512) features of the drawing."""
        logits, features = self.logits(self.draw(flux))
        profile = torch.stack([network(flux) for network in self.profile]).mean(dim=0)
        return torch.stack([logits[:, 1] - logits[:, 0], profile], dim=1), features


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
        model.logits(model.draw(flux))
    for layer in layers:
        layer.momentum = 0.1
    model.train(was_training)
