"""Spiking transformers: one family per file, all built from :class:`Backbone`.

To add a family, write one file whose function returns a :class:`Backbone` (or any module with the
same call), register its sizes with :func:`register_model` and import it here; the contract tests
pick it up. Give it a ``*_test`` size that runs in milliseconds.
"""

from .activity import Activity, activity
from .backbone import Backbone, BackboneArgs, Stage
from .delay_mlp import DelayMLP
from .initialise import init_convs, init_linear
from .io import load_model, read_metadata, save_model
from .max_former import max_former, max_resnet
from .meta_spikeformer import e_spikeformer, meta_spikeformer, qsd_transformer
from .point_model import PointArgs, PointModel
from .point_net import PointNetBody, TanhWindow, TransformNet, spiking_pointnet
from .point_spike_driven import TokenBody, spike_driven_points
from .point_spikepoint import SpikePointBody, spikepoint
from .point_transformer import PointTransformerBody, spiking_point_transformer
from .qkformer import qkformer
from .reference import (
    KeyLayout,
    ReferenceImport,
    from_reference,
    reference_models,
    register_layout,
    to_reference,
)
from .registry import (
    MODELS,
    ModelInfo,
    create_model,
    list_models,
    list_neurons,
    model_info,
    register_model,
)
from .sglformer import sglformer
from .spike_driven import spike_driven_transformer
from .spikformer import spikformer
from .spikformer_v2 import spikformer_v2
from .spikingformer import spikingformer
from .spikingresformer import spikingresformer
from .table import ModelRow, macs_per_step, model_table

__all__ = [
    "MODELS",
    "Activity",
    "Backbone",
    "BackboneArgs",
    "DelayMLP",
    "KeyLayout",
    "ModelInfo",
    "ModelRow",
    "PointArgs",
    "PointModel",
    "PointNetBody",
    "PointTransformerBody",
    "ReferenceImport",
    "SpikePointBody",
    "Stage",
    "TanhWindow",
    "TokenBody",
    "TransformNet",
    "activity",
    "create_model",
    "e_spikeformer",
    "from_reference",
    "init_convs",
    "init_linear",
    "list_models",
    "list_neurons",
    "load_model",
    "macs_per_step",
    "max_former",
    "max_resnet",
    "meta_spikeformer",
    "model_info",
    "model_table",
    "qkformer",
    "qsd_transformer",
    "read_metadata",
    "reference_models",
    "register_layout",
    "register_model",
    "save_model",
    "sglformer",
    "spike_driven_points",
    "spike_driven_transformer",
    "spikepoint",
    "spikformer",
    "spikformer_v2",
    "spiking_point_transformer",
    "spiking_pointnet",
    "spikingformer",
    "spikingresformer",
    "to_reference",
]
