"""Blocks that act on ``[T, B, ...]``: the seven parts from which every spiking transformer is built."""

from .attention import MIXERS, SDSA1, SSA, ResidualKind
from .block import Residual
from .conv import SpikingConv
from .ei import EIConv2d, EILinear
from .embed import EMBEDS, PatchEmbed, ms_sps, sps
from .head import Head
from .mlp import CHANNEL_MIXERS, MLP
from .norm_neuron import norm_neuron
from .per_step import PerStep
from .point_attention import PointAttention
from .point_groups import AllPoints, PointGroups, PointPyramid, map_at

__all__ = [
    "CHANNEL_MIXERS",
    "EMBEDS",
    "MIXERS",
    "MLP",
    "SDSA1",
    "SSA",
    "AllPoints",
    "EIConv2d",
    "EILinear",
    "Head",
    "PatchEmbed",
    "PerStep",
    "PointAttention",
    "PointGroups",
    "PointPyramid",
    "Residual",
    "ResidualKind",
    "SpikingConv",
    "map_at",
    "ms_sps",
    "norm_neuron",
    "sps",
]
