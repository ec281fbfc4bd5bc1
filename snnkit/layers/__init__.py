"""Blocks that act on ``[T, B, ...]``: the seven parts from which every spiking transformer is built.

Each kind has a registry: ``EMBEDS``, ``MIXERS``, ``CHANNEL_MIXERS``. To add one, write it in a file of this
folder, register it and import it here.
"""

from .attention import SDSA1, SSA, AttentionArgs, SpikingAttention, SSAArgs, channel_sums
from .block import Residual
from .conv import Order, SpikingConv
from .conv_mixers import DWC3, DWC5, DWC7, AvgPoolMixer, ConvBranch, IdentityMixer, MaxPoolMixer, SepConv
from .dropout import SequenceDropout
from .dssa import DSSA, FiringRate
from .ei import EIConv2d, EILinear
from .embed import EMBEDS, PatchEmbed, ms_sps, sps, sps_ms_order
from .embed_shortcut import halve_membrane, halve_spikes, orig, spike_chain, stem_membrane_8
from .embed_strided import NoEmbed, conv_stem, down, residual_down, scs
from .head import Head, TokenTimeHead
from .mixer import MIXERS, Place, ResidualKind, TokenMixer, branch_order
from .mlp import CHANNEL_MIXERS, GWFFN, MLP, ChannelConv, ResidualMLP
from .norm_neuron import norm_neuron
from .per_step import PerStep
from .point_attention import PointAttention
from .point_groups import AllPoints, PointGroups, PointPyramid, PointQueue, map_at
from .qk import QKChannel, QKToken
from .rep import DepthwiseSeparable, RepConv, fuse_rep
from .sdsa import SDSA3, SDSA4
from .ssa_variants import LinearV4, RandomAttention, StridedSSA

__all__ = [
    "CHANNEL_MIXERS",
    "DSSA",
    "DWC3",
    "DWC5",
    "DWC7",
    "EMBEDS",
    "GWFFN",
    "MIXERS",
    "MLP",
    "SDSA1",
    "SDSA3",
    "SDSA4",
    "SSA",
    "AllPoints",
    "AttentionArgs",
    "AvgPoolMixer",
    "ChannelConv",
    "ConvBranch",
    "DepthwiseSeparable",
    "EIConv2d",
    "EILinear",
    "FiringRate",
    "Head",
    "IdentityMixer",
    "LinearV4",
    "MaxPoolMixer",
    "NoEmbed",
    "Order",
    "PatchEmbed",
    "PerStep",
    "Place",
    "PointAttention",
    "PointGroups",
    "PointPyramid",
    "PointQueue",
    "QKChannel",
    "QKToken",
    "RandomAttention",
    "RepConv",
    "Residual",
    "ResidualKind",
    "ResidualMLP",
    "SSAArgs",
    "SepConv",
    "SequenceDropout",
    "SpikingAttention",
    "SpikingConv",
    "StridedSSA",
    "TokenMixer",
    "TokenTimeHead",
    "branch_order",
    "channel_sums",
    "conv_stem",
    "down",
    "fuse_rep",
    "halve_membrane",
    "halve_spikes",
    "map_at",
    "ms_sps",
    "norm_neuron",
    "orig",
    "residual_down",
    "scs",
    "spike_chain",
    "sps",
    "sps_ms_order",
    "stem_membrane_8",
]
