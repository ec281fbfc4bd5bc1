"""Recipes as published, for every family whose training is known; none was repeated here.

A recipe is one of three YAML files (``recipes/published``: ImageNet, CIFAR, events), which are Spikformer's,
and what the family does otherwise, as read in the configuration files and defaults of its public code.
Deviations:

- Rates warm up from near 0; epochs at the final rate ("cooldown") and a stochastic depth, which these codes
  configure and do not use, are left out. Automatic precision is bfloat16, theirs float16.
- :class:`snnkit.data.transforms.ImageAugment` and :class:`.NDA` stand for the augmentation of timm and of
  the event codes: the same kinds of operations, in real values; no repeated augmentation. Gestures are not
  mirrored: left and right are classes.
- Frames are bins of equal time. SpikingResformer's hold equal numbers of events and shrink to 64x64 by a
  smooth bilinear filter, here by sums of pixels. Its configurations for events name mixup and label
  smoothing, which its code applies to pictures alone: both are off here.
- Pictures are not shifted by the mean of the data set: the norm behind the first convolution does that.
- Nothing is chosen on the test set: the accuracy is that of the last epoch. Some of the published ones are
  the best.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .published_recipe import PublishedRecipe

__all__ = ["PUBLISHED_RECIPES"]

PUBLISHED_RECIPES: dict[str, PublishedRecipe] = {}

Settings = Mapping[str, Any]
_SHORT = {"batch": "data.batch_size", "epochs": "trainer.max_epochs"}


def _file(data: str, suffix: str, rows: Iterable[tuple[str, str, str, Settings]], **common: Any) -> None:
    """File rows of (family, model, source, settings) as ``family_suffix``.

    Settings: dotted keys; batch and epochs; and, without a dot, arguments of the Classifier. Besides them
    processes and expected of :class:`PublishedRecipe`.
    """
    for family, model, source, own in rows:
        given = {**common, **own}
        about = {key: given.pop(key) for key in ("processes", "expected") if key in given}
        settings = {_SHORT.get(k, k if "." in k else f"model.{k}"): v for k, v in given.items()}
        recipe = PublishedRecipe(model, data, source.format(data), settings, **about)
        PUBLISHED_RECIPES[f"{family}_{suffix}"] = recipe


# -- ImageNet ----------------------------------------------------------------------------------------

_CROP = {"name": "image", "crop": [0.08, 1.0], "erase": 0.25, "fill": "noise"}  # timm's default crop
_PLAIN: Settings = {"augment": _CROP, "mixing": {}, "min_lr": 1e-6, "epochs": 200}
_ONE_STEP: Settings = {
    **_PLAIN,
    "optimizer": "lamb",
    "data.settings": {"size": 224, "T": 1, "keep": False},
}

_file(
    "image_folder",
    "imagenet",
    [
        ("spikformer", "spikformer_8_512", "imagenet/imagenet.yml", {}),
        ("spikingformer", "spikingformer_8_768", "imagenet/imagenet.yml", {"batch": 36}),
        (
            "sdt",
            "sdt_8_384",
            "conf/imagenet/8_384_300E_t4.yml",
            {
                "processes": None,
                "batch": 48,
                "optimizer": "lamb",
                "lr": 1.5e-3,
                "min_lr": 1.5e-5,
                "weight_decay": 0.01,
                "augment": {"name": "image", "crop": [0.2, 1.0], "magnitude": 5},
                "mixing": {"mixup": 0.2, "cutmix": 1.0, "prob": 0.6},
            },
        ),
        (
            "meta_spikeformer",
            "meta_spikeformer_55m",
            "classification/train.sh, first stage: T = 1",
            {
                **_ONE_STEP,
                "batch": 128,
                "lr": 2.4e-3,
                "warmup_epochs": 10,
                "expected": "ImageNet 78.0, T=1 (recalled, not re-read)",
            },
        ),
        (
            "qsd",
            "qsd_55m",
            "code of QSD-Transformer, rate 6e-4 for a batch of 256; no teacher: none is in it",
            {
                **_ONE_STEP,
                "batch": 196,
                "epochs": 300,
                "lr": 3.675e-3,
                "warmup_epochs": 15,
                "quant": {"weight_bits": 4},
                "expected": "ImageNet 80.3, largest size, 4 bits (repository)",
            },
        ),
        (
            "sdt3",
            "sdt3_19m",
            "Model_Base/Train_Base.md",
            {**_ONE_STEP, "batch": 256, "lr": 4.8e-3, "warmup_epochs": 5},
        ),
        (
            "max_former",
            "max_former_10_384",
            "imagenet/conf/10_384_t4.yml",
            {
                **_PLAIN,
                "batch": 64,
                "lr": 2.7e-3,
                "min_lr": 2.5e-6,
                "warmup_epochs": 5,
                "mixing": {"mixup": 0.25, "cutmix": 1.0, "prob": 0.5},
            },
        ),
        (
            "qkformer",
            "qkformer_10_768",
            "imagenet/train.py, defaults",
            {**_PLAIN, "batch": 64, "lr": 1.2e-3, "warmup_epochs": 5},
        ),
        (
            "sglformer",
            "sglformer_8_512",
            "README and imagenet/main.py, defaults",
            {
                **_PLAIN,
                "batch": 32,
                "lr": 1.2e-3,
                "warmup_epochs": 5,
                "trainer.accumulate_grad_batches": 2,
            },
        ),
        (
            "spikingresformer",
            "spikingresformer_s",
            "readme, configs/main/spikingresformer_s.yaml and main.py",
            {
                "batch": 32,
                "epochs": 320,
                "lr": 1e-3,
                "weight_decay": 0.01,
                "warmup_epochs": 3,
                "augment": {"name": "image", "crop": [0.08, 1.0], "magnitude": 7},
                "mixing": {"mixup": 0.2, "cutmix": 1.0},
            },
        ),
    ],
    processes=8,
)

# -- CIFAR -------------------------------------------------------------------------------------------

_WHOLE: Settings = {"readout": "mean"}  # heads that weigh the steps themselves
_SDT: Settings = {
    "batch": 64,
    "lr": 3e-4,
    "augment": {"name": "image", "ops": 1, "magnitude": 9, "spread": 0.4},
}
_MAX: Settings = {
    "epochs": 400,
    "lr": 1.5e-3,
    "mixing": {"mixup": 0.5, "cutmix": 0.5, "until": 200},
}
_QK: Settings = {"batch": 64, "epochs": 400, "lr": 1e-3}
_RES: Settings = {
    "epochs": 600,
    "weight_decay": 0.01,
    "warmup_epochs": 3,
    "mixing": {"mixup": 0.5},
    "augment": {"name": "image", "ops": 1, "magnitude": 7, "spread": 0.5},
}
_CIFAR: tuple[tuple[str, str, str, Settings], ...] = (
    ("spikformer", "spikformer_cifar_4_384", "cifar10/cifar10.yml, there is no other", {}),
    ("spikingformer", "spikingformer_cifar_4_384", "{0}/{0}.yml", {"batch": 64, "epochs": 400}),
    ("sdt", "sdt_cifar_2_512", "conf/{0}/2_512_300E_t4.yml", _SDT),
    ("max_former", "max_former_cifar_4_384", "cifar10-100/{0}.yaml", _MAX),
    ("max_resnet", "max_resnet18_cifar", "cifar10-100/{0}.yaml", _MAX),
    ("qkformer", "qkformer_cifar_4_384", "{0}/{0}.yml", _QK),
    ("sglformer", "sglformer_cifar_4_384", "{0}/{0}.yml", {**_QK, **_WHOLE}),
    ("spikingresformer", "spikingresformer_cifar", "configs/direct_training/{0}.yaml", _RES),
)
_MAX_100: Settings = {"batch": 64, "mixing": {"mixup": 0.75, "cutmix": 0.5, "until": 250}}
_ONLY_100: Mapping[str, Settings] = {
    "max_former": _MAX_100,
    "max_resnet": _MAX_100,
    "sglformer": {"weight_decay": 0.05},
}

_file("cifar10", "cifar10", _CIFAR)
_file("cifar100", "cifar100", [(f, m, s, {**own, **_ONLY_100.get(f, {})}) for f, m, s, own in _CIFAR])

# -- events ------------------------------------------------------------------------------------------

_FAST: Settings = {"lr": 5e-3}
_FAST_MIXED: Settings = {"lr": 5e-3, "mixing": {"mixup": 0.5, "cutmix": 0.1, "prob": 0.5}}
_TWICE: Settings = {"epochs": 192}
_RES_EVENTS: Settings = {
    "batch": 8,
    "epochs": 300,
    "weight_decay": 0.05,
    "warmup_epochs": 3,
    "loss_settings": {},
    "mixing": {},
    "data.settings": {"T": 16, "polarity": "with_sum"},
    "data.transforms": [{"name": "downsample", "width": 64, "height": 64}],
}
_NDA: Settings = {"name": "nda", "ops": 1, "roll": 21, "cutout": 21}  # a third of the side
_RES_SOURCE = "configs/direct_training/{0}.yaml, main.py and utils"

_file(
    "cifar10dvs",
    "cifar10dvs",
    [
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
                "loss": "tet",
                "loss_settings": {"lam": 1e-3, "label_smoothing": 0.1},
                "data.settings": {"T": 10},
                "data.transforms": [{"name": "downsample", "width": 64, "height": 64}],
                "expected": "none for T=10; CIFAR10-DVS 80.0, T=16 (STEP, arXiv 2505.11151)",
            },
        ),
        ("max_former", "max_former_dvs_2_256", "event/cifar10dvs.yaml", _FAST_MIXED),
        ("qkformer", "qkformer_dvs_2_256", "cifar10-dvs/train.py, defaults", _FAST),
        ("sglformer", "sglformer_dvs_3_256", "cifar10-dvs/train.py, defaults", {**_FAST, **_WHOLE}),
        (
            "spikingresformer",
            "spikingresformer_cifar",
            _RES_SOURCE,
            {**_RES_EVENTS, "lr": 5e-4, "augment": {**_NDA, "flip": 0.5}},
        ),
    ],
)
_file(
    "dvs_gesture",
    "gesture",
    [
        ("spikformer", "spikformer_dvs_2_256", "none public: those of CIFAR10-DVS, twice the epochs", _TWICE),
        ("spikingformer", "spikingformer_dvs_2_256", "dvs128-gesture/train.py, defaults", _TWICE),
        (
            "sdt",
            "sdt_gesture_2_256",
            "conf/gesture/2_256_200E_t16.yml",
            {"epochs": 200, "optimizer": "lamb", "lr": 3e-4, "mixing": {}},
        ),
        ("max_former", "max_former_dvs_2_256", "event/dvsgesture.yaml", {**_FAST_MIXED, "epochs": 150}),
        (
            "qkformer",
            "qkformer_dvs_2_256",
            "dvs128-gesture/train.py, defaults",
            {**_TWICE, "min_lr": 2e-5},
        ),
        (
            "sglformer",
            "sglformer_dvs_3_256",
            "dvs128-gesture/train.py, defaults",
            {**_FAST, **_TWICE, **_WHOLE},
        ),
        (
            "spikingresformer",
            "spikingresformer_gesture",
            _RES_SOURCE.format("dvs128gesture"),
            {**_RES_EVENTS, "lr": 1e-4, "augment": {**_NDA, "flip": 0.0}},
        ),
    ],
    augment={"name": "nda", "ops": 1, "flip": 0.0},
)
