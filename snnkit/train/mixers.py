"""The baselines of a token mixer: none at all, and one that learned nothing."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Literal

import torch
from torch import nn

from ..checks import choice
from ..errors import ConfigError
from ..layers import Residual, SpikingAttention, TokenMixer

__all__ = ["MIXER_KINDS", "MixerKind", "random_mixers", "set_mixers", "without_mixers"]

MixerKind = Literal["own", "identity", "random"]
MIXER_KINDS: tuple[MixerKind, ...] = ("own", "identity", "random")


def set_mixers(net: nn.Module, kind: MixerKind) -> nn.Module:
    """Make ``net``, which is about to be trained, a baseline of itself; in place.

    Args:
        kind: "identity": every token mixer, with its shortcut, passes the stream on as it is; "random": what
            chooses the tokens keeps its fresh weights (of attention q and k, of other mixers all); "own":
            nothing changes.

    Raises:
        ConfigError: unknown kind, or a network without token mixers.
    """
    choice("mixers", kind, MIXER_KINDS)
    if kind == "own":
        return net
    for parent, name, mixer in list(_mixers(net)):
        if kind == "identity":
            setattr(parent, name, nn.Identity())
        else:
            for part in _choosing(mixer):
                part.requires_grad_(False)
    return net


def without_mixers(net: nn.Module) -> nn.Module:
    """A copy in which every token mixer, with its shortcut, passes the stream on as it is."""
    return set_mixers(copy.deepcopy(net), "identity")


@torch.no_grad()
def random_mixers(net: nn.Module, seed: int = 0) -> nn.Module:
    """A copy whose token mixers have their weights in random order: of attention q and k, of others all."""
    net, generator = copy.deepcopy(net), torch.Generator().manual_seed(seed)
    for _, _, mixer in _mixers(net):
        convs = (m for part in _choosing(mixer) for m in part.modules() if isinstance(m, nn.Conv2d))
        for weight in (conv.weight for conv in convs):
            order = torch.randperm(weight.numel(), generator=generator)
            weight.copy_(weight.flatten()[order].view_as(weight))
    return net


def _choosing(mixer: TokenMixer) -> list[nn.Module]:
    """The parts that say which token hears which."""
    if isinstance(mixer, SpikingAttention):
        return [mixer.get_submodule(role) for role in ("q", "k")]
    return [mixer]


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
        raise ConfigError("mixers: the network has no token mixers. Choose a spiking transformer.")
