r"""Distillation by the similarity of tokens, from a float teacher to a quantised student.

::

    P_F = F F^T / |F F^T|        F in {q, k, v}: [N, d] of one head, mean over time; Frobenius norm
    L   = weight sum over layers and F of mean over batch and heads of |P_F(student) - P_F(teacher)|^2

In the manner of the fine-grained distillation of QSD-Transformer (arXiv 2501.13492), whose repository holds
no code of it; the equation is ours, after direction matching of q, k and v in the code of OFQ
(arXiv 2302.02210).
Matrices are tokens by tokens, so head dimensions may differ, and the scale of F cancels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ..checks import number
from ..errors import ConfigError, ShapeError

__all__ = ["AttentionSimilarityLoss", "attention_maps"]

_SMALLEST = 1e-6  # of the norm: no spikes give P = 0, with zero gradient


class AttentionSimilarityLoss(nn.Module):
    """Squared distance of the token similarities of student and teacher; see the module docstring.

    Args:
        weight: factor of the loss, >= 0.

    Shape:
        Two mappings with equally many entries, taken in order: ``[B, heads, N, d]`` each, from
        :func:`attention_maps` or a teacher of any kind. -> scalar in the student's dtype.

    Raises:
        ConfigError: weight < 0. ShapeError: other numbers of entries, or batch, heads and tokens differ.

    Example:
        >>> student, teacher = (snnkit.create_model("sdt_test", num_classes=10) for _ in range(2))
        >>> x = torch.rand(2, 3, 2, 16, 16)
        >>> with snnkit.quant.attention_maps(student) as of_student:
        ...     logits = student(x)
        >>> with torch.no_grad(), snnkit.quant.attention_maps(teacher.eval()) as of_teacher:
        ...     _ = teacher(x)
        >>> loss = snnkit.quant.AttentionSimilarityLoss()(of_student, of_teacher)
    """

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = number("AttentionSimilarityLoss.weight", weight, at_least=0)

    def forward(self, student: Mapping[str, Tensor], teacher: Mapping[str, Tensor]) -> Tensor:
        """See the class; the teacher gets no gradient."""
        if not student or len(student) != len(teacher):
            raise ShapeError(
                f"AttentionSimilarityLoss: got {len(student)} maps of the student and {len(teacher)} of the "
                "teacher, expected equally many, at least one. Choose the layers that belong together."
            )
        losses = []
        for (path, s), (other, t) in zip(student.items(), teacher.items(), strict=True):
            if s.ndim != 4 or t.ndim != 4 or s.shape[:3] != t.shape[:3]:
                raise ShapeError(
                    f"AttentionSimilarityLoss: {path}: got {tuple(s.shape)}, and {tuple(t.shape)} of the "
                    f"teacher's {other}, expected [B, heads, N, d] with the same B, heads and N."
                )
            distance = _similarity(s) - _similarity(t.detach().to(s.dtype))
            losses.append(distance.square().sum((-2, -1)).mean())
        return self.weight * torch.stack(losses).sum()

    def extra_repr(self) -> str:
        """The weight."""
        return f"weight={self.weight}"


def _similarity(f: Tensor) -> Tensor:
    product = f @ f.mT
    return product / torch.linalg.matrix_norm(product, keepdim=True).clamp(min=_SMALLEST)


@contextmanager
def attention_maps(model: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Collect q, k and v ``[B, heads, N, d]``, mean over time, of every attention, with their graph.

    The mapping is filled by each forward pass inside the block; keys are paths of modules.

    Raises:
        ConfigError: the network has no :class:`snnkit.layers.SpikingAttention`.
    """
    maps: dict[str, Tensor] = {}
    handles = []
    for path, module in model.named_modules():
        if hasattr(module, "projections") and hasattr(module, "heads"):  # what an attention declares
            for role in module.projections:
                keep = _keeper(maps, f"{path}.{role}".lstrip("."), module.heads)
                handles.append(getattr(module, role).register_forward_hook(keep))
    if not handles:
        raise ConfigError("attention_maps: got a network without spiking attention.")
    try:
        yield maps
    finally:
        for handle in handles:
            handle.remove()


def _keeper(maps: dict[str, Tensor], path: str, heads: int) -> Callable[[nn.Module, Any, Tensor], None]:
    def keep(module: nn.Module, args: Any, out: Tensor) -> None:
        maps[path] = out.mean(0).flatten(2).unflatten(1, (heads, -1)).mT

    return keep
