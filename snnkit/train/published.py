"""Recipes as published, for every family whose training is known; none was repeated here.

A recipe is one of three YAML files (``recipes/published``: ImageNet, CIFAR, events), which are Spikformer's,
and what the family does otherwise, as read in the configuration files and defaults of its public code.
Deviations:

- Rates warm up from near 0; epochs at the final rate ("cooldown") and a stochastic depth, which these codes
  configure and do not use, are left out. Automatic precision is bfloat16, theirs float16.
- :class:`snnkit.data.transforms.ImageAugment` and :class:`.NDA` stand for the augmentation of timm and of
  the event codes: the same kinds of operations, in real values; no repeated augmentation. Gestures are not
  mirrored: left and right are classes.
- Pictures are not shifted by the mean of the data set: the norm behind the first convolution does that.
- Nothing is chosen on the test set: the accuracy is that of the last epoch. Some of the published ones are
  the best.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..models import model_info

__all__ = ["PUBLISHED_RECIPES", "PublishedRecipe"]

PUBLISHED_RECIPES: dict[str, PublishedRecipe] = {}

_SHAPES = {  # data set -> YAML file, channels, size, classes
    "image_folder": ("imagenet", 3, 224, 1000),
    "cifar10": ("cifar", 3, 32, 10),
    "cifar100": ("cifar", 3, 32, 100),
    "cifar10dvs": ("events", 2, 128, 10),
    "dvs_gesture": ("events", 2, 128, 11),
}


@dataclass(frozen=True)
class PublishedRecipe:
    """How one model was trained on one data set.

    Attributes:
        model: registered model. data: registered data set.
        source: where the settings were read.
        processes: of the published run, None if unknown; the rate is for the batch of all of them together.
        settings: what differs from the YAML file of the data, by dotted key.
    """

    model: str
    data: str
    source: str
    processes: int | None
    settings: Mapping[str, Any]

    @property
    def base(self) -> str:
        """Stem of the YAML file."""
        return _SHAPES[self.data][0]

    @property
    def accuracy(self) -> str:
        """What was published about the model, on all of its data sets, and where it was read."""
        info = model_info(self.model)
        return f"{info.accuracy} ({info.source})" if info.accuracy else "-"

    def overrides(self) -> list[str]:
        """Options that make the YAML file this recipe."""
        return _options({"model.name": self.model, "data.dataset": self.data, **self.settings})

    def dry(self) -> list[str]:
        """Options that replace the data by noise of their shape, and train for one batch of two."""
        _, channels, size, classes = _SHAPES[self.data]
        given = dict(self.settings.get("data.settings", {"T": 16 if self.base == "events" else 4}))
        for transform in self.settings.get("data.transforms", []):
            size = transform.get("width", size)
        shape = {"n": 2, "channels": channels, "size": size, "num_classes": classes, "T": given["T"]}
        return _options(
            {
                "data.dataset": "noise",
                "data.settings": shape,
                "data.transforms": [],
                "data.batch_size": 2,
                "data.workers": 0,
                "trainer.max_epochs": 1,
                "trainer.devices": 1,
            }
        )


def _options(settings: Mapping[str, Any]) -> list[str]:
    return [f"--{k}={v if isinstance(v, str) else json.dumps(v)}" for k, v in settings.items()]


def _register(
    name: str,
    model: str,
    data: str,
    source: str,
    *,
    processes: int | None = 1,
    batch: int | None = None,
    epochs: int | None = None,
    more: Mapping[str, Any] | None = None,
    **of_model: Any,
) -> None:
    """``of_model``: settings of the Classifier; ``more``: others by dotted key."""
    settings = {f"model.{key}": value for key, value in of_model.items()} | dict(more or {})
    if batch is not None:
        settings["data.batch_size"] = batch
    if epochs is not None:
        settings["trainer.max_epochs"] = epochs
    PUBLISHED_RECIPES[name] = PublishedRecipe(model, data, source, processes, settings)


# -- ImageNet ----------------------------------------------------------------------------------------

_CROP = {"name": "image", "crop": [0.08, 1.0], "erase": 0.25, "fill": "noise"}  # timm's default crop
_ONE_STEP = {"data.settings": {"size": 224, "T": 1, "keep": False}}
_PLAIN: dict[str, Any] = {"augment": _CROP, "mixing": {}, "min_lr": 1e-6, "processes": 8, "epochs": 200}
_TEACHERLESS = _PLAIN | {"optimizer": "lamb", "more": _ONE_STEP}

_register("spikformer_imagenet", "spikformer_8_512", "image_folder", "imagenet/imagenet.yml", processes=8)
_register(
    "spikingformer_imagenet",
    "spikingformer_8_768",
    "image_folder",
    "imagenet/imagenet.yml",
    processes=8,
    batch=36,
)
_register(
    "sdt_imagenet",
    "sdt_8_384",
    "image_folder",
    "conf/imagenet/8_384_300E_t4.yml",
    processes=None,
    batch=48,
    optimizer="lamb",
    lr=1.5e-3,
    min_lr=1.5e-5,
    weight_decay=0.01,
    augment={"name": "image", "crop": [0.2, 1.0], "magnitude": 5},
    mixing={"mixup": 0.2, "cutmix": 1.0, "prob": 0.6},
)
_register(
    "meta_spikeformer_imagenet",
    "meta_spikeformer_55m",
    "image_folder",
    "classification/train.sh, first stage: T = 1",
    batch=128,
    lr=2.4e-3,
    warmup_epochs=10,
    **_TEACHERLESS,
)
_register(
    "qsd_imagenet",
    "qsd_55m",
    "image_folder",
    "code of QSD-Transformer, rate 6e-4 for a batch of 256; no teacher: none is in it",
    batch=196,
    lr=3.675e-3,
    warmup_epochs=15,
    quant={"weight_bits": 4},
    **_TEACHERLESS | {"epochs": 300},
)
_register(
    "sdt3_imagenet",
    "sdt3_19m",
    "image_folder",
    "Model_Base/Train_Base.md",
    batch=256,
    lr=4.8e-3,
    warmup_epochs=5,
    **_TEACHERLESS,
)
_register(
    "max_former_imagenet",
    "max_former_10_384",
    "image_folder",
    "imagenet/conf/10_384_t4.yml",
    batch=64,
    lr=2.7e-3,
    warmup_epochs=5,
    **_PLAIN | {"min_lr": 2.5e-6, "mixing": {"mixup": 0.25, "cutmix": 1.0, "prob": 0.5}},
)
_register(
    "qkformer_imagenet",
    "qkformer_10_768",
    "image_folder",
    "imagenet/train.py, defaults",
    batch=64,
    lr=1.2e-3,
    warmup_epochs=5,
    **_PLAIN,
)
_register(
    "sglformer_imagenet",
    "sglformer_8_512",
    "image_folder",
    "README and imagenet/main.py, defaults",
    batch=32,
    lr=1.2e-3,
    warmup_epochs=5,
    more={"trainer.accumulate_grad_batches": 2},
    **_PLAIN,
)
_register(
    "spikingresformer_imagenet",
    "spikingresformer_s",
    "image_folder",
    "configs/main/spikingresformer_s.yaml and main.py",
    processes=None,
    batch=32,
    epochs=320,
    lr=1e-3,
    weight_decay=0.01,
    warmup_epochs=3,
    augment={"name": "image", "crop": [0.08, 1.0], "magnitude": 7},
    mixing={"mixup": 0.2, "cutmix": 1.0},
)

# -- CIFAR -------------------------------------------------------------------------------------------

_WHOLE = {"readout": "mean"}  # heads that weigh the steps themselves
_MAX_10 = {"epochs": 400, "lr": 1.5e-3, "mixing": {"mixup": 0.5, "cutmix": 0.5, "until": 200}}
_MAX_100 = {"batch": 64, "epochs": 400, "lr": 1.5e-3, "mixing": {"mixup": 0.75, "cutmix": 0.5, "until": 250}}
_SDT: dict[str, Any] = {"batch": 64, "lr": 3e-4}
_SDT |= {"augment": {"name": "image", "ops": 1, "magnitude": 9, "spread": 0.4}}
_RES: dict[str, Any] = {"epochs": 600, "weight_decay": 0.01, "warmup_epochs": 3, "mixing": {"mixup": 0.5}}
_RES |= {"augment": {"name": "image", "ops": 1, "magnitude": 7, "spread": 0.5}}

for _family, _model, _source, _ten, _hundred in (
    ("spikformer", "spikformer_cifar_4_384", "cifar10/cifar10.yml, there is no other", {}, {}),
    ("spikingformer", "spikingformer_cifar_4_384", "{0}/{0}.yml", {"batch": 64, "epochs": 400}, {}),
    ("sdt", "sdt_cifar_2_512", "conf/{0}/2_512_300E_t4.yml", _SDT, {}),
    ("max_former", "max_former_cifar_4_384", "cifar10-100/{0}.yaml", _MAX_10, _MAX_100),
    ("max_resnet", "max_resnet18_cifar", "cifar10-100/{0}.yaml", _MAX_10, _MAX_100),
    ("qkformer", "qkformer_cifar_4_384", "{0}/{0}.yml", {"batch": 64, "epochs": 400, "lr": 1e-3}, {}),
    (
        "sglformer",
        "sglformer_cifar_4_384",
        "{0}/{0}.yml",
        {"batch": 64, "epochs": 400, "lr": 1e-3, **_WHOLE},
        {"weight_decay": 0.05},
    ),
    ("spikingresformer", "spikingresformer_cifar", "configs/direct_training/{0}.yaml", _RES, {}),
):
    for _data, _settings in (("cifar10", _ten), ("cifar100", _ten | _hundred)):
        _register(f"{_family}_{_data}", _model, _data, _source.format(_data), **_settings)

# -- events ------------------------------------------------------------------------------------------

_STILL = {"name": "nda", "ops": 1, "flip": 0.0}  # the augmentation for gestures
_FAST: dict[str, Any] = {"lr": 5e-3}
_TET: dict[str, Any] = {"loss": "tet", "loss_settings": {"lam": 1e-3, "label_smoothing": 0.1}}
_HALF = {"data.settings": {"T": 10}, "data.transforms": [{"name": "downsample", "width": 64, "height": 64}]}
_MAX_EVENTS = {"lr": 5e-3, "mixing": {"mixup": 0.5, "cutmix": 0.1, "prob": 0.5}}

for _family, _model, _source, _settings in (
    ("spikformer", "spikformer_dvs_2_256", "cifar10dvs/train.py, defaults", {}),
    ("spikingformer", "spikingformer_dvs_2_256", "cifar10-dvs/train.py, defaults", {}),
    (
        "sdt",
        "sdt_dvs_2_256",
        "conf/cifar10-dvs/2_256_200E_t10_TET.yml",
        {
            "batch": 32,
            "epochs": 200,
            "lr": 7.5e-3,
            "min_lr": 3e-4,
            "weight_decay": 1e-4,
            "mixing": {},
            "more": _HALF,
        }
        | _TET,
    ),
    ("max_former", "max_former_dvs_2_256", "event/cifar10dvs.yaml", _MAX_EVENTS),
    ("qkformer", "qkformer_dvs_2_256", "cifar10-dvs/train.py, defaults", _FAST),
    ("sglformer", "sglformer_dvs_3_256", "cifar10-dvs/train.py, defaults", _FAST | _WHOLE),
):
    _register(f"{_family}_cifar10dvs", _model, "cifar10dvs", _source, **_settings)

for _family, _model, _source, _settings in (
    (
        "spikformer",
        "spikformer_dvs_2_256",
        "none public: those of CIFAR10-DVS, twice the epochs",
        {"epochs": 192},
    ),
    ("spikingformer", "spikingformer_dvs_2_256", "dvs128-gesture/train.py, defaults", {"epochs": 192}),
    (
        "sdt",
        "sdt_gesture_2_256",
        "conf/gesture/2_256_200E_t16.yml",
        {"epochs": 200, "optimizer": "lamb", "lr": 3e-4, "mixing": {}},
    ),
    ("max_former", "max_former_dvs_2_256", "event/dvsgesture.yaml", _MAX_EVENTS | {"epochs": 150}),
    ("qkformer", "qkformer_dvs_2_256", "dvs128-gesture/train.py, defaults", {"epochs": 192, "min_lr": 2e-5}),
    (
        "sglformer",
        "sglformer_dvs_3_256",
        "dvs128-gesture/train.py, defaults",
        _FAST | {"epochs": 192} | _WHOLE,
    ),
):
    _register(f"{_family}_gesture", _model, "dvs_gesture", _source, augment=_STILL, **_settings)
