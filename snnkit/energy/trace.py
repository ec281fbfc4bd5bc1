"""Stage 1: run the model once per batch and count what happens, independent of any hardware."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from inspect import Parameter, signature
from typing import Any

from torch import Tensor, nn

from ..checks import integer
from ..errors import ConfigError, InputTypeError, require
from .axes import AXES, Held, axes_of, steps_of
from .counts import Counts
from .guard import Snapshot, same_random_numbers, unfused
from .ledger import Ledger, OpRecord
from .moments import Moments
from .provenance import tensors_in
from .watch import Watch

__all__ = ["Trace", "Uncounted", "trace"]

_MODAL = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)  # behave differently in training


@dataclass(frozen=True)
class Uncounted:
    """Operations that no count covers.

    Attributes:
        layer: module path. op: operator. calls: how often. elements: size of the results.
        reason: why. matmul: it may hide multiply-accumulates, so a total without it is too low.
    """

    layer: str
    op: str
    calls: int
    elements: int
    reason: str
    matmul: bool = False


@dataclass(eq=False)
class Trace:
    """Counts of one model on some inputs; reusable for any number of hardware profiles.

    Attributes:
        model: class name. T: time steps per inference. samples: number of inferences traced.
        records: one per operation, see :class:`OpRecord`.
        uncounted: operations left out of all counts. warnings: what may make the counts misleading.
        covered: elements computed inside of neurons, whose declared cost stands for them.
        aliases: further paths of modules that are registered more than once.
        by_sample: counts of every sample in input order, if asked for.
        static_input: the input was the same at every time step.
    """

    model: str
    T: int
    samples: int
    records: list[OpRecord]
    uncounted: list[Uncounted]
    warnings: list[str]
    moments: Moments
    covered: int = 0
    aliases: dict[str, list[str]] = field(default_factory=dict)
    by_sample: list[Counts] | None = None
    static_input: bool = False

    @property
    def by_layer(self) -> dict[str, Counts]:
        """Module path -> counts over all steps and samples. Innermost modules only, so they add up.

        The path of the traced module itself is ``""``.
        """
        layers: dict[str, Counts] = {}
        for record in self.records:
            layers[record.path] = layers.get(record.path, Counts()) + sum(record.counts(), Counts())
        return layers

    @property
    def by_step(self) -> list[Counts]:
        """Counts of every time step, over all layers and samples."""
        steps = [Counts()] * self.T
        for record in self.records:
            for t, counts in enumerate(record.counts()):
                steps[t] = steps[t] + counts
        return steps

    @property
    def total(self) -> Counts:
        """Counts over all layers, steps and samples."""
        return sum(self.by_step, Counts())

    @property
    def coverage(self) -> float:
        """Share of element operations (slots, updates, elements) that were counted, 0..1."""
        total = self.total
        beside = total.adds + total.muls + total.cmps + total.and_ops + total.exps + total.divs + total.sqrts
        counted = total.dense + total.neuron_steps + beside
        missing = sum(u.elements for u in self.uncounted)
        return counted / (counted + missing) if counted + missing else 1.0


def trace(
    model: nn.Module,
    inputs: Any,
    *,
    T: int | None = None,
    axes: Held | None = None,
    per_sample: bool = False,
    popcounts: bool = False,
    preprocessing: bool = False,
    strict: bool = False,
) -> Trace:
    """Count the operations of ``model`` on ``inputs``; exact, and without changing anything.

    Args:
        model: any ``nn.Module``; put it in ``eval()`` mode first, as for inference.
        inputs: a tensor, a tuple (positional arguments) or a dict (keyword arguments) for one call; or
            an iterable of those, as a DataLoader, streamed. Batches that are lists or tuples whose
            second item is one integer label per sample are taken as (input, labels, ...).
        T: time steps per inference. Default: the steps that the neurons of the model see, if they take
            sequences ``[T, B, ...]`` (snnkit, spikingjelly multi-step, norse); else 1, with a warning.
            Needed for networks whose loop over time calls neurons step by step (snntorch).
        axes: leading axes of the first tensor of every input: "TB" ``[T, B, ...]``, "BT" ``[B, T, ...]``, "B"
            ``[B, ...]`` without time, which the model repeats itself, or "T*B", both on one axis, time-major.
            Default: as what the neurons see and the operations run on; ``warnings`` tell if several fit.
        per_sample: keep the counts of every sample in ``Trace.by_sample``.
        popcounts: also count the ones in the binary numbers of integer operands, which
            ``price(multilevel="bitserial")`` needs.
        preprocessing: also count what a module with a method ``preprocessing_ops(x)`` declares, as
            sampling and neighbour search of point clouds, in a line of its own. Papers leave it out, and
            so does the default, with a note in ``warnings``.
        strict: raise if anything is left uncounted.

    Every batch starts from the state in which the model is handed in, and the model is handed back in
    that state: neuron states, buffers, random numbers, flags and hooks are as before, also if the model
    raises. The caller's grad mode and autocast apply.

    Returns:
        A :class:`Trace`. Warnings are collected in ``Trace.warnings``, not emitted.

    Raises:
        InputTypeError: model or inputs of another type; nested and meta tensors. ConfigError: T < 1,
            axes that an input has not, no batch at all, or ``strict`` and something is not counted.

    Limits: a module whose ``forward`` is called directly is not seen as a module. Kernels that are no
    operators of torch are seen by their results only, and modules that run in other threads by their calls:
    both are listed as uncounted.
    """
    if not isinstance(model, nn.Module):
        raise InputTypeError(f"trace.model: got {type(model).__name__}, expected a torch.nn.Module.")
    ok = T is None or (isinstance(T, int) and not isinstance(T, bool) and T >= 1)
    require(ok, "trace.T", T, "an integer >= 1, or None to read it off the neurons")
    require(axes is None or axes in AXES, "trace.axes", axes, f"one of {AXES}, or None to find out")
    model = getattr(model, "_orig_mod", model)  # what torch.compile wraps
    if isinstance(model, nn.DataParallel):  # its threads cannot be observed
        model = model.module
    lazy = [n for n, p in model.named_parameters() if nn.parameter.is_lazy(p)]
    require(not lazy, "trace.model", lazy, "initialised parameters", "Call the model once first.")
    empty = [n for n, t in (*model.named_parameters(), *model.named_buffers()) if t.is_meta]
    require(not empty, "trace.model", empty, "tensors with values", "Move the model off the meta device.")

    ledger = Ledger(per_sample=per_sample)
    watch = Watch(model, ledger, popcounts=popcounts, preprocessing=preprocessing)
    warnings: dict[str, None] = {}
    if any(m.training and isinstance(m, _MODAL) for m in model.modules()):
        warnings["norm or dropout layers are in training mode: call eval() for the energy of inference"] = (
            None
        )
    found: list[int] = []
    samples = 0
    static = True
    snapshot = Snapshot(model)
    with same_random_numbers():
        for args, kwargs in _calls(inputs, model):
            _check_tensors(args, kwargs)
            try:
                with unfused():
                    watch.run(args, kwargs)
            except BaseException:
                ledger.discard()
                raise
            finally:
                snapshot.restore()
            call = (args, kwargs)
            steps = steps_of(watch, T, call, axes, warnings)
            held = axes_of(watch, ledger, call, steps, axes, warnings)
            batch = held.batch
            for path in ledger.close(steps, batch):
                warnings[
                    f"{path or 'model'}: its rows fit neither {steps} steps nor {batch} samples; spread"
                ] = None
            static = static and held.static(call)
            found.append(steps)
            samples += batch
    if not found:
        raise ConfigError("trace.inputs: got no batch, expected at least one. Check the length of the data.")
    if len(set(found)) > 1:
        warnings[f"sequences of {min(found)} to {max(found)} steps: counts per step mix them"] = None
    for name in snapshot.changed_parameters():
        warnings[f"the model changed its parameter {name} in place during the trace"] = None
    uncounted = [
        Uncounted(path, op, t.calls, t.elements, t.reason, t.matmul)
        for (path, op), t in sorted(watch.tally.items())
    ]
    for u in uncounted:
        if u.matmul:
            warnings[f"{u.layer or 'model'}: {u.op} may hold multiply-accumulates that are not counted"] = (
                None
            )
    if strict and uncounted:
        what = ", ".join(sorted({f"{u.op} in {u.layer or 'model'}" for u in uncounted})[:8])
        raise ConfigError(f"trace(strict=True): not counted: {what}. Use strict=False to list them instead.")
    for record in ledger.records.values():
        record.weight_bits = _declared_bits(model, record)
    return Trace(
        model=type(model).__name__,
        T=max(found),
        samples=samples,
        records=list(ledger.records.values()),
        uncounted=uncounted,
        warnings=[*warnings, *watch.notes],
        moments=ledger.moments,
        covered=watch.covered,
        aliases={paths[0]: paths[1:] for paths in watch.paths.values() if len(paths) > 1},
        by_sample=ledger.by_sample() if per_sample else None,
        static_input=static,
    )


def _declared_bits(model: nn.Module, record: OpRecord) -> int | None:
    """``weight_bits`` of the layer of a product with weights."""
    if record.kind != "weight":
        return None
    bits = getattr(dict(model.named_modules())[record.path], "weight_bits", None)
    return None if bits is None else integer(f"{record.path}.weight_bits", bits, 1, 64)


# -- inputs --------------------------------------------------------------------------------------------


def _calls(inputs: Any, model: nn.Module) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Arguments of every call."""
    if isinstance(inputs, (Tensor, tuple, Mapping)):
        yield _one_call(inputs)
        return
    if isinstance(inputs, (str, bytes)) or not isinstance(inputs, Iterable):
        raise InputTypeError(
            f"trace.inputs: got {type(inputs).__name__}, expected a tensor, a tuple, a dict, "
            "or an iterable of those."
        )
    for batch in inputs:
        if isinstance(batch, (list, tuple)):
            batch = _without_labels(tuple(batch), model)
        elif not isinstance(batch, (Tensor, Mapping)):
            raise InputTypeError(
                f"trace.inputs: got a batch of type {type(batch).__name__}, "
                "expected tensors, tuples or dicts."
            )
        yield _one_call(batch)


def _check_tensors(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    for x in tensors_in((args, kwargs)):
        if x.is_nested:
            raise InputTypeError(
                "trace.inputs: got a nested tensor, expected ordinary ones. Pad the sequences."
            )
        if x.is_meta:
            raise InputTypeError("trace.inputs: got a tensor on the meta device, expected one with values.")


def _one_call(batch: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if isinstance(batch, Tensor):
        return (batch,), {}
    return ((), dict(batch)) if isinstance(batch, Mapping) else (batch, {})


def _without_labels(batch: tuple[Any, ...], model: nn.Module) -> tuple[Any, ...]:
    """(input, integer labels, ...) -> (input,), unless ``forward`` asks for the second argument."""
    labels = batch[1] if len(batch) > 1 else None
    if not isinstance(labels, Tensor) or labels.ndim > 1 or labels.is_floating_point():
        return batch
    kinds = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    wanted = [
        p for p in signature(model.forward).parameters.values() if p.kind in kinds and p.default is p.empty
    ]
    return batch[:1] if len(wanted) < 2 else batch
