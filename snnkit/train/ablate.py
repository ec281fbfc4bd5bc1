"""What the token mixers of a trained network are worth: without them, and with random ones.

STEP (arXiv 2505.11151) reports that spiking transformers lose little with frozen random queries and keys; a
token mixer should be compared with these baselines before anything is said about it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from ..checks import integer
from ..errors import ConfigError
from ..layers import Residual, SpikingAttention, TokenMixer
from .bill import energy_of, settle_norms
from .evaluate import open_data, open_model, predict, wilson_interval

__all__ = ["Ablation", "ablate", "random_mixers", "without_mixers"]


@dataclass(frozen=True)
class Ablation:
    """One row of :func:`ablate`.

    Attributes:
        mixer: "own", "identity" or "random".
        accuracy, interval: share of correct test samples, and its 95 % Wilson interval.
        pj: energy of an inference.
    """

    mixer: str
    accuracy: float
    interval: tuple[float, float]
    pj: float


def ablate(
    checkpoint: str | Path,
    data: str | None = None,
    *,
    samples: int = 64,
    hardware: str = "45nm-fp32",
    seed: int = 0,
) -> list[Ablation]:
    """Accuracy and energy of a trained network as it is, without token mixers, and with random ones.

    Nothing is trained again, so that the loss is an upper bound of what the mixer is worth: a network
    trained without it could do better. Batch norms of the changed networks are set to training samples.

    Args:
        checkpoint: run folder or ``model.safetensors``. data: as in :func:`snnkit.train.evaluate`.
        samples: so many test samples are traced for the energy, and as many training samples, at least 256,
            seen by the norms. hardware: profile. seed: of the random mixers.

    Raises:
        ConfigError: the network has no token mixers.
    """
    integer("ablate.samples", samples)
    net, described = open_model(checkpoint)
    frames, labels = open_data(described, data).tensors()
    seen = open_data(described, data, "train").tensors()[0][: max(samples, 256)]
    rows = []
    for name, variant in (
        ("own", net),
        ("identity", without_mixers(net)),
        ("random", random_mixers(net, seed)),
    ):
        if name != "own":
            settle_norms(variant, seen)
        correct = int((predict(variant, frames) == labels).sum())
        report = energy_of(variant, frames[:samples], hardware=hardware, twins=())["snn"]  # type: ignore[arg-type]
        interval = wilson_interval(correct, len(labels))
        rows.append(Ablation(name, correct / len(labels), interval, report.total_pj))
    return rows


def without_mixers(net: nn.Module) -> nn.Module:
    """A copy in which every token mixer, with its shortcut, passes the stream on as it is."""
    net = copy.deepcopy(net)
    for stage, name, _ in _mixers(net):
        setattr(stage, name, nn.Identity())
    return net


@torch.no_grad()
def random_mixers(net: nn.Module, seed: int = 0) -> nn.Module:
    """A copy whose token mixers have their weights in random order: of attention q and k, of others all."""
    net, generator = copy.deepcopy(net), torch.Generator().manual_seed(seed)
    for _, _, mixer in _mixers(net):
        parts = (
            [mixer.get_submodule(r) for r in ("q", "k")] if isinstance(mixer, SpikingAttention) else [mixer]
        )
        for conv in (m for part in parts for m in part.modules() if isinstance(m, nn.Conv2d)):
            weight = conv.weight
            weight.copy_(
                weight.flatten()[torch.randperm(weight.numel(), generator=generator)].view_as(weight)
            )
    return net


def _mixers(net: nn.Module) -> Iterator[tuple[nn.Module, str, TokenMixer]]:
    """Parent, name there and mixer, in the order of the network."""
    found = False
    for parent in list(net.modules()):
        for name, child in list(parent.named_children()):
            inner = child.branch if isinstance(child, Residual) else child
            if isinstance(inner, TokenMixer) and not isinstance(parent, Residual):
                found = True
                yield parent, name, inner
    if not found:
        raise ConfigError("ablate: the network has no token mixers. Choose a spiking transformer.")
