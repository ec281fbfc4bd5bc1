"""Re-parameterised blocks: the one layer that equals them takes their place."""

from __future__ import annotations

from torch import nn

__all__ = ["fuse_blocks"]


def fuse_blocks(net: nn.Module) -> list[str]:
    """Replace, in place, every module with a method ``fused() -> nn.Module`` by what that returns.

    The protocol of re-parameterised blocks: ``fused`` gives the one layer that equals them in evaluation.

    Returns:
        Paths of the modules that were replaced.
    """
    done = []
    for path, parent in list(net.named_modules()):
        for name, child in list(parent.named_children()):
            fused = getattr(child, "fused", None)
            if callable(fused):
                setattr(parent, name, fused())
                done.append(f"{path}.{name}".lstrip("."))
    return done
