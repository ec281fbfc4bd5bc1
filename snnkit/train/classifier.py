"""The LightningModule: a registered model, a loss on ``[T, B, K]``, warm-up and cosine."""

from __future__ import annotations

import inspect
import warnings
from contextlib import ExitStack
from dataclasses import fields
from typing import Any

import lightning as L
import torch
from torch import Tensor

from ..checks import choice, number
from ..data import Batch
from ..data.transforms import NDA, CloudAugment, FrameAugment, ImageAugment
from ..errors import ConfigError, NumericsError
from ..losses import LOSSES, rate_regularizer
from .distill import Distillation
from .mixers import MixerKind
from .mixing import Mixing
from .network import build_network, known_keys
from .optim import OptimizerName, warmup_cosine
from .quantization import QuantizationSchedule
from .rates import spike_outputs

__all__ = ["Classifier"]

_AUGMENTS: dict[str, Any] = {
    "affine": FrameAugment,
    "cloud": CloudAugment,
    "image": ImageAugment,
    "nda": NDA,
}


class Classifier(L.LightningModule):
    """Trains any registered model as a classifier of event frames or images.

    Args:
        name: registered model. neuron: which neuron, a name or a dict (:mod:`snnkit.neurons.factory`); None:
            that of the published model.
        settings: further arguments of the model, as ``width``, ``depth`` or ``T``.
        num_classes, in_channels, img_size: of the data; the training command takes them from there.
        loss: registered loss. loss_settings: its arguments, as ``label_smoothing``.
        rate_target, rate_weight: add ``rate_weight * rate_regularizer(outputs of all spiking neurons,
            rate_target)`` to the loss: layers that fire more than the target are pushed below it.
        optimizer: "adamw" or "lamb". lr, weight_decay, warmup_epochs, min_lr: of it, with a cosine schedule
            over all epochs.
        ema: decay per step of an exponential moving average of the weights, which is validated and saved
            in place of the last weights; 0: none.
        augment: applied to training batches: arguments of :class:`FrameAugment`, or those of :class:`NDA`
            with ``name: nda``, of :class:`CloudAugment` with ``name: cloud``, of :class:`ImageAugment` with
            ``name: image``.
        mixing: arguments of :class:`snnkit.train.Mixing`: training batches are mixed.
        quant: arguments of :func:`snnkit.quant.quantize`: the network is trained with quantised weights.
        quant_schedule: arguments of :class:`snnkit.train.QuantizationSchedule`, as ``annealing``.
        start_from: run folder or ``model.safetensors`` of the same network, from whose weights to start.
        distill: arguments of :class:`snnkit.train.Distillation`, as ``{teacher: runs/float}``.
        channels_last: maps lie in memory with their channels innermost: faster in bfloat16 and on GPUs.
        mixers: "identity" trains without token mixers, "random" with random ones (:func:`.set_mixers`).
        readout: over time, for models that have no answer per step: "mean".
        seed: of the augmentation; every step draws from (seed, step), so a resumed run repeats it.

    Raises:
        UnknownNameError, ConfigError: unknown model, neuron or loss, or impossible settings.
        NumericsError: the training loss is NaN or infinite.
    """

    def __init__(
        self,
        name: str,
        neuron: str | dict[str, Any] | None = "lif",
        settings: dict[str, Any] | None = None,
        num_classes: int = 10,
        in_channels: int = 2,
        img_size: int = 16,
        loss: str = "mean_ce",
        loss_settings: dict[str, Any] | None = None,
        rate_target: float = 0.1,
        rate_weight: float = 0.0,
        lr: float = 2e-3,
        weight_decay: float = 0.02,
        warmup_epochs: float = 2.0,
        optimizer: OptimizerName = "adamw",
        min_lr: float | None = None,
        ema: float = 0.0,
        augment: dict[str, Any] | None = None,
        mixing: dict[str, Any] | None = None,
        quant: dict[str, Any] | None = None,
        quant_schedule: dict[str, Any] | None = None,
        start_from: str | None = None,
        distill: dict[str, Any] | None = None,
        channels_last: bool = False,
        mixers: MixerKind = "own",
        readout: str = "per_step",
        seed: int = 0,
    ) -> None:
        super().__init__()
        data = {"num_classes": num_classes, "in_channels": in_channels, "img_size": img_size}
        self.net = build_network(
            name,
            neuron,
            settings,
            {**data, "readout": readout},
            mixers=mixers,
            start_from=start_from,
            channels_last=channels_last,
            quant=quant,
        )
        self.mixers, self.quant, self.quant_schedule = mixers, quant, quant_schedule or {}
        known_keys("quant_schedule", quant_schedule, list(inspect.signature(QuantizationSchedule).parameters))
        if quant_schedule and quant is None:
            raise ConfigError("model.quant_schedule: got settings without model.quant, which they belong to.")
        if quant is not None and start_from is None:
            warnings.warn(
                "model.quant without model.start_from: trains low-bit weights from random ones, at a "
                f"learning rate of {lr:g}. Train the float network first and give its folder as "
                "--model.start_from, or choose --model.lr and --trainer.max_epochs for it.",
                stacklevel=2,
            )
        known_keys("loss_settings", loss_settings, list(inspect.signature(LOSSES.get(loss)).parameters)[3:])
        augment = dict(augment or {})
        kind = _AUGMENTS[choice("model.augment.name", augment.pop("name", "affine"), _AUGMENTS)]
        known_keys("augment", augment, [f.name for f in fields(kind)])
        if distill is not None:
            known_keys("distill", distill, list(inspect.signature(Distillation).parameters))
        elif getattr(self.net.head, "teacher", None) is not None:
            raise ConfigError(
                "model.settings.distill: the second head learns from a teacher. Set model.distill.teacher."
            )
        self.distill = None if distill is None else Distillation(**distill)
        self.loss, self.loss_settings = LOSSES.get(loss), loss_settings or {}
        self.lr, self.weight_decay, self.warmup_epochs, self.seed = lr, weight_decay, warmup_epochs, seed
        self.rate_target, self.rate_weight = rate_target, rate_weight
        number("Classifier.rate_weight", rate_weight, at_least=0)
        number("Classifier.warmup_epochs", warmup_epochs, at_least=0)
        self.ema = number("Classifier.ema", ema, at_least=0, below=1)
        self.optimizer, self.min_lr = optimizer, min_lr
        self.augment = kind(**augment) if augment or kind in (NDA, ImageAugment) else None
        known_keys("mixing", mixing, [f.name for f in fields(Mixing)])
        self.mixing = Mixing(**(mixing or {}))

    def forward(self, x: Tensor) -> Tensor:
        """``[T, B, P, H, W] -> [T, B, num_classes]``."""
        return self.net(x)

    def training_step(self, batch: Batch, index: int) -> Tensor:
        x, generator = batch.x, self._generator()
        if self.augment is not None:
            x = self.augment(x, generator)
        x, share = self.mixing(x, self.current_epoch, generator)
        with ExitStack() as watched:
            outputs = watched.enter_context(spike_outputs(self.net)) if self.rate_weight else {}
            if self.distill is not None:
                watched.enter_context(self.distill.watch(self.net))
            loss, logits, taught = self._score(x, batch, share, **self.loss_settings)
            if self.distill is not None:
                loss = self.distill(loss, x, logits, taught)
        if outputs:
            loss = loss + self.rate_weight * rate_regularizer(outputs, self.rate_target)
        if not torch.isfinite(loss):
            raise NumericsError(
                f"training: the loss is {loss.item()} at step {self.global_step}. Lower lr, or set "
                "trainer.gradient_clip_val."
            )
        self._log("train", loss, logits, batch)
        return loss

    def validation_step(self, batch: Batch, index: int) -> None:
        loss, logits, _ = self._score(batch.x, batch)
        self._log("val", loss, logits, batch)

    def _score(
        self, x: Tensor, batch: Batch, share: float = 1.0, **settings: Any
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Loss, and answers ``[B, K]`` of the first and of the second head: means over the real steps.

        ``share``: of the own label; the rest is that of the sample with which it was mixed.
        """
        out, mask = self(x), batch.mask
        heads = [z.float() for z in (out if isinstance(out, tuple) else (out,))]
        if heads[0].ndim == 2:  # one answer for all steps
            heads, mask = [z.unsqueeze(0) for z in heads], None
        loss = self.loss(heads[0], batch.y, mask=mask, **settings)
        if share < 1:
            loss = share * loss + (1 - share) * self.loss(heads[0], batch.y.flip(0), mask=mask, **settings)
        logits, *taught = (_mean_over_time(z, mask) for z in heads)
        return loss, logits, taught[0] if taught else None

    def _log(self, stage: str, loss: Tensor, logits: Tensor, batch: Batch) -> None:
        accuracy = (logits.argmax(-1) == batch.y).float().mean()
        values = {f"{stage}_loss": loss, f"{stage}_accuracy": accuracy}
        self.log_dict(
            values, on_step=False, on_epoch=True, prog_bar=True, sync_dist=True, batch_size=len(batch.y)
        )

    def _generator(self) -> torch.Generator:
        seed = (self.seed * 1_000_003 + self.global_step) * 1_009 + self.global_rank
        return torch.Generator().manual_seed(seed % 2**63)

    def configure_optimizers(self) -> dict[str, Any]:
        total = int(self.trainer.estimated_stepping_batches)
        per_epoch = total / max(self.trainer.max_epochs or 1, 1)
        optimizer, schedule = warmup_cosine(
            self.net,
            optimizer=self.optimizer,
            min_lr=self.min_lr,
            lr=self.lr,
            weight_decay=self.weight_decay,
            steps=total,
            warmup_steps=min(int(self.warmup_epochs * per_epoch), total),
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def _mean_over_time(logits: Tensor, mask: Tensor | None) -> Tensor:
    """Mean logits ``[B, K]`` over the real steps of ``[T, B, K]``."""
    if mask is None:
        return logits.mean(0)
    weight = mask.unsqueeze(-1).to(logits.dtype)
    return (logits * weight).sum(0) / weight.sum(0).clamp(min=1)
