"""Token mixers that are SSA with another product or other projections."""

from __future__ import annotations

from typing import Unpack

from torch import Tensor

from ..checks import integer
from ..errors import ShapeError
from .attention import SSA, AttentionArgs, SSAArgs
from .mixer import MIXERS, Place

__all__ = ["LinearV4", "RandomAttention", "StridedSSA"]


@MIXERS.register("linear_v4")
class LinearV4(SSA):
    """Attention of E-SpikeFormer (arXiv 2411.16061): v four times as wide, ``neuron(2/sqrt(d) * Q K^T V)``.

    Arguments as in :class:`snnkit.layers.SSA`; ``scale=None`` is 2 / sqrt(channels of a head), the
    projection has no bias.
    """

    residuals = ("ms",)

    def __init__(
        self, *place: *Place, scale: float | None = None, **attention: Unpack[AttentionArgs]
    ) -> None:
        chosen: AttentionArgs = {"value_ratio": 4, "proj_bias": False, **attention}
        super().__init__(*place, scale=1.0 if scale is None else scale, **chosen)
        if scale is None:
            width, heads, _ = place
            self.scale = 2 * (width // heads) ** -0.5


@MIXERS.register("strided_ssa")
class StridedSSA(SSA):
    """The "local" attention of SGLFormer (Frontiers in Neuroscience 2024): SSA within strided grids.

    Tokens attend to those at the same place modulo ``grid`` in height and width: every second pixel for
    2, not a window.

    Args:
        grid: stride of the grids; the map must be a multiple of it.
        and those of :class:`snnkit.layers.SSA`.
    """

    def __init__(self, *place: *Place, grid: int = 2, **ssa: Unpack[SSAArgs]) -> None:
        super().__init__(*place, **ssa)
        self.grid = integer("StridedSSA.grid", grid)

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        rows, g = q.shape[0], self.grid
        if any(side % g for side in q.shape[-2:]):
            raise ShapeError(
                f"StridedSSA: got a map of {tuple(q.shape[-2:])} tokens, expected multiples of grid = {g}. "
                "Use larger images or another grid."
            )
        out = super().attend(*(_grids(z, g) for z in (q, k, v)))
        by_grid = out.unflatten(0, (rows, g, g))  # [N, g, g, C, H/g, W/g]
        return by_grid.permute(0, 3, 4, 1, 5, 2).flatten(4, 5).flatten(2, 3)


def _grids(x: Tensor, g: int) -> Tensor:
    """``[N, C, H, W] -> [N g g, C, H/g, W/g]``."""
    split = x.unflatten(-1, (-1, g)).unflatten(-3, (-1, g))  # [N, C, H/g, g, W/g, g]
    return split.permute(0, 3, 5, 1, 2, 4).flatten(0, 2)


@MIXERS.register("random")
class RandomAttention(SSA):
    """SSA whose q and k are drawn once and never trained: a baseline for ablations (arXiv 2505.11151).

    Its frozen weights and norms do not ask for gradients.
    """

    def __init__(self, *place: *Place, **ssa: Unpack[SSAArgs]) -> None:
        super().__init__(*place, **ssa)
        for role in ("q", "k"):
            getattr(self, role).affine.requires_grad_(False)

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:  # type: ignore[override]
        return super().mix(q.detach(), k.detach(), v)
