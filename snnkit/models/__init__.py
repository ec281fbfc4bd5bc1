"""Spiking transformers: one family per file, all built from :class:`Backbone`.

To add a family, write one file whose function returns a :class:`Backbone` (or any module with the
same call), register its sizes with ``@MODELS.register("name")`` and import it here; the contract tests
pick it up. Give it a ``*_test`` size that runs in milliseconds.
"""

from .backbone import Backbone, BackboneArgs, Stage
from .delay_mlp import DelayMLP
from .io import load_model, read_metadata, save_model
from .point_model import PointArgs, PointModel
from .point_net import PointNetBody, TanhWindow, TransformNet, spiking_pointnet
from .point_spike_driven import TokenBody, spike_driven_points
from .point_spikepoint import SpikePointBody, spikepoint
from .point_transformer import PointTransformerBody, spiking_point_transformer
from .registry import MODELS, create_model, list_models, list_neurons
from .spike_driven import spike_driven_transformer
from .spikformer import spikformer

__all__ = [
    "MODELS",
    "Backbone",
    "BackboneArgs",
    "DelayMLP",
    "PointArgs",
    "PointModel",
    "PointNetBody",
    "PointTransformerBody",
    "SpikePointBody",
    "Stage",
    "TanhWindow",
    "TokenBody",
    "TransformNet",
    "create_model",
    "list_models",
    "list_neurons",
    "load_model",
    "read_metadata",
    "save_model",
    "spike_driven_points",
    "spike_driven_transformer",
    "spikepoint",
    "spikformer",
    "spiking_point_transformer",
    "spiking_pointnet",
]
