"""Training on Lightning: recipes, data in batches, checkpoints that resume exactly, evaluation."""

from ..errors import MissingDependencyError

try:
    import lightning as _lightning
except ModuleNotFoundError as error:
    raise MissingDependencyError("lightning", extra="train", purpose="snnkit.train") from error

from ..data.transforms import FrameAugment
from .ablate import Ablation, ablate, ablate_training
from .callbacks import EpochCSV, EpochSeed, FiringRates, read_metrics
from .checkpoint import AtomicCheckpointIO, newest_checkpoint
from .classifier import Classifier
from .datamodule import EpochSampler, EventData, InMemory, OnDemand
from .delay_recipes import DELAY_RECIPES, DelayRecipe, pool_units
from .delays import DelayCallback, DelayOptimizers, warn_of_rounding
from .distill import Distillation
from .evaluate import Evaluation, evaluate, open_model, predict, wilson_interval
from .lamb import LAMB
from .mixers import MIXER_KINDS, MixerKind, random_mixers, set_mixers, without_mixers
from .mixing import Mixing
from .optim import OptimizerName, adamw_cosine, parameter_groups, warmup_cosine
from .published import PUBLISHED_RECIPES
from .published_recipe import PublishedRecipe
from .quantization import QuantizationSchedule
from .quantized import QUANTIZED_MODELS, create_quantized
from .run import list_recipes, recipe_path, train

del _lightning

__all__ = [
    "DELAY_RECIPES",
    "LAMB",
    "MIXER_KINDS",
    "PUBLISHED_RECIPES",
    "QUANTIZED_MODELS",
    "Ablation",
    "AtomicCheckpointIO",
    "Classifier",
    "DelayCallback",
    "DelayOptimizers",
    "DelayRecipe",
    "Distillation",
    "EpochCSV",
    "EpochSampler",
    "EpochSeed",
    "Evaluation",
    "EventData",
    "FiringRates",
    "FrameAugment",
    "InMemory",
    "MixerKind",
    "Mixing",
    "OnDemand",
    "OptimizerName",
    "PublishedRecipe",
    "QuantizationSchedule",
    "ablate",
    "ablate_training",
    "adamw_cosine",
    "create_quantized",
    "evaluate",
    "list_recipes",
    "newest_checkpoint",
    "open_model",
    "parameter_groups",
    "pool_units",
    "predict",
    "random_mixers",
    "read_metrics",
    "recipe_path",
    "set_mixers",
    "train",
    "warmup_cosine",
    "warn_of_rounding",
    "wilson_interval",
    "without_mixers",
]
