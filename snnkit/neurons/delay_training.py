"""Training of delays: groups for the optimiser, the narrowing of the profile, and keeping delays inside."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from ..checks import integer, number
from ..errors import ConfigError, NumericsError
from .delayed import Delayed

__all__ = ["SigmaSchedule", "delay_layers", "delay_param_groups", "project_delays"]


def delay_layers(net: nn.Module) -> dict[str, Delayed]:
    """Path -> layer with delays."""
    return {path: m for path, m in net.named_modules() if isinstance(m, Delayed)}


def delay_param_groups(
    net: nn.Module, lr: float, *, delay_lr: float | None = None, weight_decay: float = 1e-5
) -> list[dict[str, Any]]:
    """Parameters of ``net`` in groups for an optimiser: weights, those without decay, delays.

    Args:
        lr: learning rate of all but delays.
        delay_lr: that of delays, whose gradient is per step of time; default 100 lr (arXiv 2306.17670). It is
            the sensitive one: half of it can leave delays short of their goal.
        weight_decay: of weights; biases, norms (ndim <= 1) and delays have none.

    Returns:
        dicts with "params", "lr", "weight_decay" and "name" ("weights", "plain", "delays"); empty groups are
        left out. Clip their gradients separately: their scales differ by about 100.
    """
    number("delay_param_groups.lr", lr, above=0)
    number("delay_param_groups.weight_decay", weight_decay, at_least=0)
    delay_lr = 100 * lr if delay_lr is None else number("delay_param_groups.delay_lr", delay_lr, at_least=0)
    of_delays = {id(d) for layer in delay_layers(net).values() for d, _ in layer.delays().values()}
    groups: dict[str, dict[str, Any]] = {
        "weights": {"params": [], "lr": lr, "weight_decay": weight_decay},
        "plain": {"params": [], "lr": lr, "weight_decay": 0.0},
        "delays": {"params": [], "lr": delay_lr, "weight_decay": 0.0},
    }
    for p in net.parameters():
        if p.requires_grad:
            name = "delays" if id(p) in of_delays else "weights" if p.ndim > 1 else "plain"
            groups[name]["params"].append(p)
    return [{**group, "name": name} for name, group in groups.items() if group["params"]]


def project_delays(net: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> RemovableHandle | None:
    """Set delays outside of ``[0, D]`` to its ends: now, or after every step of ``optimizer`` from now on.

    A forward uses them so anyway; outside, an optimiser would move them in vain.

    Returns:
        the handle of the hook, if an optimiser is given.

    Raises:
        NumericsError: a delay is NaN or infinite; it names the layer.
    """
    layers = delay_layers(net)

    def project(*_: Any) -> None:
        for path, layer in layers.items():
            try:
                layer.project_()
            except NumericsError as error:
                raise NumericsError(f"{path or 'the network'}: {error}") from error

    if optimizer is None:
        project()
        return None
    return optimizer.register_step_post_hook(project)


class SigmaSchedule:
    """Narrows the profiles of all delays, exponentially: ``sigma = start (end/start)^(epoch/epochs)``.

    A wide profile lets a delay feel what lies far from it; a narrow one is what remains after rounding.

    Args:
        net: its layers with delays that are learned.
        epochs: calls of ``step`` until ``end``, >= 1; published: a quarter of the training.
        start: width at first, in steps; None: what each layer was built with.
        end: width at last (published: 0.5); of triangles at least 1, linear interpolation. A layer that
            starts below it stays as it is.

    Raises:
        ConfigError: a value out of range, or no such layer.

    Reference:
        arXiv 2306.17670, whose raw SIG shrinks from floor(Kt/2) to 0.23 while its effective width is 0.27
        more; here it is the effective width that shrinks exponentially.
    """

    def __init__(self, net: nn.Module, epochs: int, *, start: float | None = None, end: float = 0.5) -> None:
        self.epochs = integer("SigmaSchedule.epochs", epochs)
        self.end = number("SigmaSchedule.end", end, above=0)
        if start is not None:
            number("SigmaSchedule.start", start, at_least=end)
        found = [m for m in delay_layers(net).values() if m.interp != "fixed"]
        if not found:
            raise ConfigError("SigmaSchedule: found no layer with delays that are learned in it.")
        self.epoch = 0
        self._layers = [(m, m.initial_sigma if start is None else float(start)) for m in found]
        self.set_epoch(0)

    def step(self) -> None:
        """One epoch further."""
        self.set_epoch(self.epoch + 1)

    @torch.no_grad()
    def set_epoch(self, epoch: int) -> None:
        """Widths as after ``epoch`` steps, for a training that resumes."""
        self.epoch = integer("SigmaSchedule.epoch", epoch, at_least=0)
        share = min(epoch / self.epochs, 1.0)
        for layer, start in self._layers:
            end = max(self.end, 1.0) if layer.interp == "triangle" else self.end
            layer.sigma.fill_(start * (end / start) ** share if start > end else start)
