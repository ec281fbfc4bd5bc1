"""Training checkpoints: written atomically, read without executing anything."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from ..errors import CheckpointError, quote
from ..files import write_atomically

__all__ = ["AtomicCheckpointIO", "newest_checkpoint"]


class AtomicCheckpointIO(TorchCheckpointIO):
    """Checkpoint plug-in for Lightning: a kill or a full disk leaves the previous checkpoint whole."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        try:
            write_atomically(path, buffer.getvalue())
        except OSError as error:
            raise CheckpointError(
                f"{quote(str(path))}: the checkpoint could not be written: {error}. "
                "The previous one is untouched."
            ) from error

    def load_checkpoint(
        self,
        path: Any,
        map_location: Callable | None = lambda storage, loc: storage,
        weights_only: bool | None = None,
    ) -> dict[str, Any]:
        return read_checkpoint(path)


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Load tensors and plain containers only: a checkpoint that needs to run code is refused.

    Raises:
        CheckpointError: missing, truncated, or not made of tensors and plain values.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises nearly anything on damaged input
        raise CheckpointError(
            f"{quote(str(path))}: not a readable training checkpoint ({type(error).__name__}: {error}). "
            "Delete it to resume from the one before, or start again without --resume."
        ) from error


def newest_checkpoint(folder: str | Path) -> Path | None:
    """The newest readable ``*.ckpt`` in ``folder``, None if there is none; damaged ones are reported.

    A damaged checkpoint is never deleted.
    """
    import warnings

    found = sorted(Path(folder).glob("*.ckpt"), key=lambda p: p.stat().st_mtime_ns, reverse=True)
    for path in found:
        try:
            read_checkpoint(path)
        except CheckpointError as error:
            warnings.warn(f"skipping a damaged checkpoint: {error}", stacklevel=2)
        else:
            return path
    return None
