r"""What a trained teacher adds to the loss of a student.

::

    L = (1 - w) L_own(z, y) + w D + a L_similarity

    D = tau^2 KL(softmax(z_T / tau) || softmax(z / tau))     one head; z, z_T: means over time
    D = CE(z', argmax z_T)                                    two heads: the second answers as the teacher

The first D is that of Hinton et al., arXiv 1503.02531; the second that of Meta-SpikeFormer, arXiv 2404.03663
(hard labels, w = 0.5 in its public code). L_similarity is :class:`snnkit.quant.AttentionSimilarityLoss`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..checks import number
from ..errors import ConfigError, ShapeError
from ..quant import AttentionSimilarityLoss, attention_maps
from .evaluate import open_model

__all__ = ["Distillation"]


class Distillation:
    """Teacher, and the weights of what it says.

    The teacher sees the same batch as the student and is no part of it: no checkpoint or optimiser holds it.

    Args:
        teacher: run folder or ``model.safetensors`` of a network for the same data, of any family.
        weight: w, share of the teacher's answers in the loss, in [0, 1].
        temperature: tau > 0, for students with one head.
        attention: a >= 0, weight of the similarity of q, k and v; for it both networks need spiking
            attention in equally many layers and the same number of heads and tokens in each.

    Raises:
        CheckpointError: unreadable teacher. ConfigError: weights out of range, or both 0.
    """

    def __init__(
        self, teacher: str, weight: float = 0.5, temperature: float = 1.0, attention: float = 0.0
    ) -> None:
        self.weight = number("model.distill.weight", weight, at_least=0, at_most=1)
        self.temperature = number("model.distill.temperature", temperature, above=0)
        self.similarity = AttentionSimilarityLoss(number("model.distill.attention", attention, at_least=0))
        if not weight and not attention:
            raise ConfigError(
                "model.distill: weight and attention are both 0, so that the teacher is not heard. Set one."
            )
        self.teacher = open_model(teacher)[0].requires_grad_(False)
        self._maps: tuple[dict[str, Tensor], dict[str, Tensor]] = {}, {}

    @contextmanager
    def watch(self, student: nn.Module) -> Iterator[None]:
        """Inside, forward passes of student and teacher leave their q, k and v for :meth:`__call__`."""
        with ExitStack() as hooks:
            if self.similarity.weight:
                watched = (attention_maps(net) for net in (student, self.teacher))
                self._maps = tuple(hooks.enter_context(maps) for maps in watched)  # type: ignore[assignment]
            yield

    def __call__(self, own: Tensor, x: Tensor, logits: Tensor, taught: Tensor | None = None) -> Tensor:
        """The whole loss, inside of :meth:`watch`, behind the student's forward pass.

        Args:
            own: loss of the student by itself. x: what the student read. logits: its answer ``[B, K]``.
            taught: answer ``[B, K]`` of its second head, if it has one.

        Raises:
            ShapeError: the teacher has other classes, or other heads or tokens (attention > 0).
        """
        with torch.no_grad():
            wanted = self.teacher.to(x.device)(x).float()
        if wanted.shape != logits.shape:
            raise ShapeError(
                f"model.distill.teacher: its answers have shape {tuple(wanted.shape)}, those of the student "
                f"{tuple(logits.shape)}, [B, K]. Choose a teacher of the same classes."
            )
        loss = own
        if self.weight:
            loss = (1 - self.weight) * own + self.weight * self._answers(logits, taught, wanted)
        return loss + self.similarity(*self._maps) if self.similarity.weight else loss

    def _answers(self, logits: Tensor, taught: Tensor | None, wanted: Tensor) -> Tensor:
        if taught is not None:
            return F.cross_entropy(taught, wanted.argmax(-1))
        tau = self.temperature
        log_student, log_teacher = ((z / tau).log_softmax(-1) for z in (logits, wanted))
        return tau**2 * F.kl_div(log_student, log_teacher, log_target=True, reduction="batchmean")
