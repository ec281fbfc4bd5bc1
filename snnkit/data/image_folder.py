"""Pictures in folders, one folder per class, through an encoder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from ..checks import flag, integer
from ..errors import FormatError, LimitError, MissingDependencyError, require
from .folder import subfolders
from .images import EncodedImages
from .limits import LIMITS
from .registry import DATASETS

__all__ = ["ImageFolder"]

_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm", ".pgm")
_FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "PPM")  # the parsers that may see a file
_PIXELS = 2**26


@DATASETS.register("image_folder")
class ImageFolder(EncodedImages):
    """Pictures ``<root>/<split>/<class>/<name>.png`` (or ``<root>/<class>/...`` with ``split=None``).

    Classes are the folder names in sorted order, as torchvision has them. Pictures are resized so that their
    shorter side fits, cut around the centre, and kept in memory.

    Args:
        root: see above. split: name of a folder in it, as "train", "val" or "test"; None: root itself.
            "test" is "val" where there is no folder of that name, as in ImageNet.
        size: side of the images. gray: one channel in place of red, green, blue.
        keep: all pictures in memory; False reads each when it is asked for.
        encoder, T, seed: see :class:`EncodedImages`.

    Item: ``(frames [T, C, size, size] float32, label)``; ``paths[i]`` is its file, ``classes`` the names.

    Raises:
        FormatError: no such folder, no picture, one that cannot be decoded.
        LimitError: a picture of more than 2**26 pixels, or more than ``LIMITS.frame_cells`` in all.
        ConfigError: an argument out of range.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        split: str | None = "train",
        *,
        size: int = 32,
        gray: bool = False,
        encoder: Literal["direct", "rate", "regular_rate", "latency"] = "direct",
        T: int = 4,
        seed: int = 0,
        keep: bool = True,
    ) -> None:
        integer("ImageFolder.size", size, 1, 4096)
        flag("ImageFolder.keep", keep)
        require(split is None or "/" not in str(split), "ImageFolder.split", split, "the name of a folder")
        folder = Path(root) if split is None else Path(root) / split
        if split == "test" and not folder.is_dir():
            folder = Path(root) / "val"
        layout = f"Expected <split>/<class>/<name>{'|'.join(_SUFFIXES)}; split=None without splits."
        self.classes = tuple(subfolders(folder, layout))
        found = [
            (str(path), label)
            for label, name in enumerate(self.classes)
            for path in sorted((folder / name).iterdir())
            if path.suffix.lower() in _SUFFIXES and not path.name.startswith(".")
        ]
        if not found:
            raise FormatError(
                folder,
                "no picture in it.",
                hint=layout,
            )
        channels = 1 if gray else 3
        self.paths, self.split, self._gray, self._kept = [path for path, _ in found], split, gray, keep
        if keep:
            LIMITS.check("frame_cells", len(found) * channels * size**2, "ImageFolder: N*C*H*W")
        images = torch.empty(len(found) if keep else 0, channels, size, size, dtype=torch.uint8)
        for i in range(len(images)):
            images[i] = torch.from_numpy(_read(self.paths[i], size, gray))
        labels = torch.tensor([label for _, label in found])
        super().__init__(images, labels, len(self.classes), encoder=encoder, T=T, seed=seed)

    def _image(self, i: int) -> Tensor:
        if self._kept:
            return super()._image(i)
        return torch.from_numpy(_read(self.paths[i], self.img_size, self._gray))[None]


def _read(path: str, size: int, gray: bool) -> np.ndarray:
    """``[C, size, size]`` uint8."""
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise MissingDependencyError("pillow", extra="train", purpose="ImageFolder") from error
    try:
        with Image.open(path, formats=_FORMATS) as file:
            if file.width * file.height > _PIXELS:
                raise LimitError(f"{path!r}: {file.width}x{file.height} pixels, allowed are {_PIXELS}.")
            picture: Any = ImageOps.fit(file.convert("L" if gray else "RGB"), (size, size))
    except LimitError:
        raise
    except Exception as error:  # a decoder of foreign files may raise anything
        raise FormatError(path, f"cannot be decoded as a picture: {error}.") from error
    pixels = np.array(picture, np.uint8)  # a copy: what pillow shares is read-only
    return pixels[None] if gray else pixels.transpose(2, 0, 1).copy()
