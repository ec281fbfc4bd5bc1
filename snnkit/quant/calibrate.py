"""What data and weights say about a quantised network before it is trained: steps and running statistics."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from ..checks import integer
from ..errors import QuantConfigError
from .modes import evaluating
from .quantize import original_weight, quantized_layers

__all__ = ["calibrate", "measure_norms"]


@torch.no_grad()
def calibrate(model: nn.Module, loader: Iterable[Any] | None = None, batches: int = 16) -> nn.Module:
    """Fit the steps of LSQ to the weights, then the running statistics of batch norms to data; in place.

    Steps become those of the least squared error, which is better than their start where no training follows.
    With data, means and variances of every norm are measured again behind the quantised weights.

    Args:
        model: a quantised network. loader: inputs of the network, or tuples that begin with them; None: steps
            only. batches: how many of them to use.

    Returns:
        ``model``, in the mode in which it came.

    Raises:
        QuantConfigError: the network is not quantised, or the loader is empty.
    """
    integer("calibrate.batches", batches)
    layers = list(quantized_layers(model))
    if not layers:
        raise QuantConfigError("calibrate: got a network without quantisers. Call quantize first.")
    for _, layer, quantizer in layers:
        fit = getattr(quantizer, "fit", None)
        if fit is not None:
            fit(original_weight(layer))
    if loader is None:
        return model
    if not measure_norms(model, map(_inputs, islice(loader, batches))):
        raise QuantConfigError("calibrate: the loader gave no batch, expected at least one.")
    return model


def _inputs(batch: Any) -> Any:
    return batch if isinstance(batch, Tensor) else batch[0]


@torch.no_grad()
def measure_norms(model: nn.Module, batches: Iterable[Any]) -> int:
    """Give batch norms the plain mean and variance over ``batches``, all else in evaluation; in place.

    Returns:
        How many batches there were; with none, norms keep what they had. Modes and momenta are restored.
    """
    norms = [
        m
        for m in model.modules()
        if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.running_mean is not None
    ]
    momenta = {m: m.momentum for m in norms}
    seen = 0
    try:
        with evaluating(model):
            for x in batches:
                for norm in () if seen else norms:
                    norm.reset_running_stats()
                    norm.momentum = None  # a plain mean over the batches
                    norm.train()
                model(x)
                seen += 1
    finally:
        for norm, momentum in momenta.items():
            norm.momentum = momentum
    return seen
