"""What a published recipe is: one of three YAML files, and what a family does otherwise."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..models import model_info

__all__ = ["PublishedRecipe"]

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
        settings: what differs from the YAML file of the data, by dotted key.
        processes: of the published run, None if unknown; the rate is for the batch of all of them together.
        expected: accuracy published for these settings, with its source, where they are not those of the
            accuracy of the model.
    """

    model: str
    data: str
    source: str
    settings: Mapping[str, Any]
    processes: int | None = 1
    expected: str = ""

    @property
    def base(self) -> str:
        """Stem of the YAML file."""
        return _SHAPES[self.data][0]

    @property
    def accuracy(self) -> str:
        """What was published: about the recipe if that is known, else about the model on its data sets."""
        info = model_info(self.model)
        return self.expected or (f"{info.accuracy} ({info.source})" if info.accuracy else "-")

    def overrides(self) -> list[str]:
        """Options that make the YAML file this recipe."""
        return _options({"model.name": self.model, "data.dataset": self.data, **self.settings})

    def dry(self) -> list[str]:
        """Options that replace the data by noise of their shape, and train for one batch of two."""
        _, channels, size, classes = _SHAPES[self.data]
        given = dict(self.settings.get("data.settings", {"T": 16 if self.base == "events" else 4}))
        if given.get("polarity") == "with_sum":
            channels += 1
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
