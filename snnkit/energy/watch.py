"""The two modes and the module hooks through which a running model is observed.

``TorchDispatchMode`` sees every operation, functional or not, of any library. Two helpers fill its
gaps: module hooks give names and neuron boundaries, and a ``TorchFunctionMode`` remembers the shape
that a product has in the model (the dispatcher sees it flattened) and keeps recurrent layers unfused.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from threading import get_ident
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import ParametrizationList
from torch.utils._python_dispatch import TorchDispatchMode

from ..errors import InputTypeError, SnnkitError
from . import foreign_neurons as foreign_neurons  # registers its rules
from .alphabet import BINARY, EMPTY, REAL, Alphabet, has_no_zero, observe
from .calls import Calls
from .delays import delay_count, delays_of, returns_of
from .layout import keeps_alphabet
from .ledger import Ledger
from .neuron_count import neuron_count
from .neuron_rules import NeuronSpec, neuron_spec
from .operators import DEVICES, Operator, describe
from .popcount import with_popcounts
from .preprocessing import declared_work
from .provenance import Linear, Mark, Provenance, storage_key, tensors_in
from .rules import FREE, Op, OpCount, looks_like_matmul

__all__ = ["Tally", "Watch"]

# of its own, in C++: Python decompositions of some operators would change what is executed
_COMPOSITE = torch._C.DispatchKey.CompositeImplicitAutograd


@dataclass(slots=True)
class Tally:
    """Operations of one kind in one module that were not counted. ``elements`` are those of their results."""

    reason: str
    matmul: bool
    calls: int = 0
    elements: int = 0


@dataclass(slots=True)
class _Frame:
    """A module in execution. ``covered``: 1 its pointwise work is priced as a neuron, 2 all of its work."""

    path: str
    covered: int
    outer: bool
    spec: NeuronSpec | None = None
    delays: bool = False


class Watch(TorchDispatchMode):
    """Observes one model; :meth:`run` once per batch.

    Attributes:
        tally: (path, operator) -> what was not counted. covered: elements priced as neuron updates.
        sequences: path -> shapes that a time-first neuron saw; single: the same of one-step neurons.
        notes: warnings.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Nothing is compiled under this mode; the wrapper that says so would import the compiler."""
        return False

    def __init__(
        self, model: nn.Module, ledger: Ledger, *, popcounts: bool = False, preprocessing: bool = False
    ) -> None:
        super().__init__()
        self.model, self.ledger = model, ledger
        self.popcounts, self.preprocessing = popcounts, preprocessing
        self.tally: dict[tuple[str, str], Tally] = {}
        self.covered = 0
        self.notes: dict[str, None] = {}
        self.sequences: dict[str, list[tuple[int, ...]]] = defaultdict(list)
        self.single: dict[str, list[tuple[int, ...]]] = defaultdict(list)
        self.paths: dict[nn.Module, list[str]] = {}
        for path, module in model.named_modules(remove_duplicate=False):
            self.paths.setdefault(module, []).append(path)
        self._specs = {m: self._spec(m, names[0]) for m, names in self.paths.items()}
        self._operators: dict[Any, Operator] = {}
        self._real: dict[tuple[str, int], tuple[bool, bool]] = {}
        self._nonzero: dict[tuple[Any, ...], bool] = {}
        self._parameters = {storage_key(p) for p in model.parameters()}
        # what a parametrization keeps beside its parameters, as spectral norm its vectors, makes weights too
        lists = (m for m in model.modules() if isinstance(m, ParametrizationList))
        self._weights = [*model.parameters(), *(b for m in lists for b in m.buffers())]
        self._stack: list[_Frame] = []
        self._calls = Calls()

    def _spec(self, module: nn.Module, path: str) -> NeuronSpec | None:
        try:
            spec = neuron_spec(module)
        except SnnkitError:
            raise
        except (TypeError, NotImplementedError, ValueError) as error:
            self._note(path or type(module).__name__, f"no neuron cost, energy_ops() failed: {error}")
            return None
        if spec is not None and spec.assumed:
            self._note(path or type(module).__name__, spec.assumed)
        return spec

    def _note(self, path: str, text: str) -> None:
        self.notes[f"{path or 'model'}: {text}"] = None

    # -- running -----------------------------------------------------------------------------------

    def run(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Call the model once and observe it; hooks and modes are gone afterwards, whatever happens."""
        self.marks = Provenance(self._weights, tensors_in((args, kwargs)))
        self.sequences, self.single = defaultdict(list), defaultdict(list)
        self._stack, self._calls = [], Calls()
        self._bottom, self._thread = sys._getframe(), get_ident()
        with ExitStack() as stack:
            for module in self.paths:
                if not isinstance(module, torch.jit.ScriptModule):  # its operations go to its parent
                    enter = module.register_forward_pre_hook(self._enter, with_kwargs=True, prepend=True)
                    stack.callback(enter.remove)
                    leave = module.register_forward_hook(self._leave, with_kwargs=True, always_call=True)
                    stack.callback(leave.remove)
            stack.enter_context(self._calls)
            stack.enter_context(self)
            self.model(*args, **kwargs)

    def _enter(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        if get_ident() != self._thread:
            return
        spec, delays = self._specs[module], callable(getattr(module, "energy_delays", None))
        around = self._stack[-1].covered if self._stack else 0
        own = 2 if delays or (spec is not None and spec.covers_products) else 1 if spec is not None else 0
        own = 2 if hasattr(module, "preprocessing_ops") else own
        # a neuron inside of a neuron is part of it
        frame = _Frame(self.paths[module][0], max(around, own), around == 0, spec, delays)
        self._stack.append(frame)

    def _leave(self, module: nn.Module, args: Any, kwargs: Any, out: Any) -> None:
        if get_ident() != self._thread:
            elements = sum(t.numel() for t in tensors_in((out,)))
            why = "it runs in another thread, which is not observed"
            self._uncounted(self.paths[module][0], type(module).__name__, elements, why, True)
            return
        if not self._stack:
            return
        frame = self._stack.pop()
        if self._calls.busy:
            return
        x, y = next(tensors_in((args, kwargs)), None), next(tensors_in((out,)), None)
        if frame.outer and x is not None and y is not None:
            with self._quiet():
                if hasattr(module, "preprocessing_ops"):
                    self._prepared(frame.path, declared_work(module, x))
                elif frame.delays:
                    self._delay(frame.path, delays_of(module), x, y)
                elif frame.spec is not None:
                    self._neuron(frame.path, frame.spec, x, y)
                    self._returns(frame.path, returns_of(module), y)
        self._filled_elsewhere(tensors_in((out,)), frame)

    @contextmanager
    def _quiet(self) -> Iterator[None]:
        """Own arithmetic: not observed, not differentiated, not autocast."""
        devices = [d for d in DEVICES if torch.is_autocast_enabled(d)]
        self._calls.busy = True
        try:
            with torch._C.DisableTorchFunction(), torch._C._DisableTorchDispatch(), torch.no_grad():
                if not devices:
                    yield
                    return
                with ExitStack() as stack:
                    for device in devices:
                        stack.enter_context(torch.autocast(device, enabled=False))
                    yield
        finally:
            self._calls.busy = False

    # -- modules that declare what they cost -------------------------------------------------------

    def _neuron(self, path: str, spec: NeuronSpec, x: Tensor, y: Tensor) -> None:
        self.marks.follow([self.marks.get(x)], y)  # a kernel outside of torch leaves its output unmarked
        if spec.time_first:
            self.sequences[path].append(tuple(x.shape))
        else:
            self.single[path].append(tuple(x.shape))
        if spec.cost is None:
            self._uncounted(path, "neuron update", x.numel(), "the cost of this neuron is not known")
        count, declared, warning = neuron_count(spec, x, y)
        if warning:
            self._note(path, warning)
        mark = self._mark_of_all(y)
        if mark is not None and declared is not None:
            mark.alphabet, mark.declared = count.a, declared
        elif mark is not None and spec.levels is None and spec.cost is not None:
            mark.alphabet = REAL  # declared: real outputs that happen to be equal are not spikes of that size
        self.ledger.add(path, "neuron", self._site(), count, spec)

    def _delay(self, path: str, spec: Any, x: Tensor, y: Tensor) -> None:
        source = self.marks.get(x)
        self.marks.follow([source], y)
        self.sequences[path].append(tuple(x.shape))
        seen = source.alphabet if source is not None and source.alphabet is not None else observe(x)
        if seen.kind == "empty" and source is not None and source.declared is not None:
            seen = source.declared
        count = delay_count(path, spec, x, y, seen)
        mark = self._mark_of_all(y)
        if mark is not None and count.kind == "weight":
            mark.alphabet, mark.declared = None, None
            mark.linear = Linear(path, bool(getattr(spec, "bias", False)))
        elif mark is not None and source is not None:  # held back, and zeros before
            mark.alphabet, mark.declared = source.alphabet, source.declared
        self.ledger.add(path, "delay", self._site(), count)

    def _returns(self, path: str, spec: Any | None, y: Tensor) -> None:
        """Outputs of a neuron that wait before they come back to it."""
        if spec is not None:
            mark = self.marks.get(y)
            seen = mark.alphabet if mark is not None and mark.alphabet is not None else observe(y)
            self.ledger.add(path, "delay", self._site(), delay_count(path, spec, y, y, seen))

    def _mark_of_all(self, y: Tensor) -> Mark | None:
        """The mark of the storage of ``y``, if ``y`` is all of it and not a view of a part."""
        return self.marks.get(y) if y.untyped_storage().nbytes() == y.numel() * y.element_size() else None

    def _prepared(self, path: str, work: OpCount | None) -> None:
        """Declared work on coordinates."""
        if work is not None and self.preprocessing:
            self.ledger.add("preprocessing", path or "model", 0, work)
        elif work is not None:
            each = sum(work.values.values()) / max(work.rows, 1)
            self._note(path, f"{each:,.0f} operations of preprocessing per input are left out")

    # -- operations --------------------------------------------------------------------------------

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self._calls.busy:
            return func(*args, **kwargs)
        operator = self._operators.get(func)
        if operator is None:
            operator = self._operators[func] = describe(func)
        if operator.composite:  # inference_mode hands operations over before they are split
            with ExitStack() as stack:
                for device, dtype in self._calls.autocast:
                    if device not in operator.autocast:
                        stack.enter_context(torch.autocast(device, dtype))
                stack.enter_context(self)
                return func._op_dk(_COMPOSITE, *args, **kwargs)
        out = func(*args, **kwargs)
        self._observe(operator, args, kwargs, out)
        return out

    def _observe(self, operator: Operator, args: Any, kwargs: Any, out: Any) -> None:
        marks = self.marks
        inputs = list(tensors_in(args))
        if kwargs:
            inputs += tensors_in(kwargs.values())
        before = [marks.get(t) for t in inputs]
        written = [t for at in operator.written for t in tensors_in((_argument(args, kwargs, at),))]
        if operator.allocates:
            marks.allocated(out)
        elif not operator.shape_only and any(m is not None and m.blank for m in before):
            changed = {storage_key(t) for t in (*written, *tensors_in((out,)))}  # or viewed
            read = (t for t in inputs if storage_key(t) not in changed)
            self._filled_elsewhere(read, self._stack[-1] if self._stack else None)
        data = any(m is not None and m.data for m in before)
        # zeros_like(x) takes nothing from x but its shape
        fresh = [] if operator.shape_only else marks.follow(before, out)
        op: Op | None = None
        if not operator.free or operator.rule is not None:
            op = self._judge(operator, args, kwargs, out, data)
        if written:
            marks.overwrite(written, before)
        if fresh and keeps_alphabet(operator.name, args, kwargs):
            # of a pooling, the first result holds values, the second indices
            self._pass_on(inputs, before, fresh if operator.free else fresh[:1], copied=operator.free)
        if fresh and data and operator.name == "_to_copy":
            self._before_rounding(inputs[0], out, fresh[0])
        if not operator.free and (op is None or op.linear is None):
            for mark in before:
                if mark is not None and mark.linear is not None:
                    mark.linear.used = True
        if op is not None and (op.linear or op.inner or op.result):
            mark = next((m for t in tensors_in((out,)) if (m := marks.get(t)) is not None), None)
            if mark is not None:
                mark.linear, mark.inner, mark.declared = op.linear, op.inner, op.result

    def _filled_elsewhere(self, tensors: Iterable[Tensor], frame: _Frame | None) -> None:
        """Memory is used that no operation has written: a kernel outside of torch has, and is not counted."""
        for tensor in tensors:
            mark = self.marks.get(tensor)
            if mark is not None and mark.blank:
                mark.blank, mark.data = False, True  # most likely made from the input
                if frame is None or not frame.covered:
                    why = "its result was written outside of the operations of torch"
                    self._uncounted(frame.path if frame else "", "custom kernel", tensor.numel(), why, True)

    def _judge(self, operator: Operator, args: Any, kwargs: Any, out: Any, data: bool) -> Op | None:
        """Apply the rule of an operation, if it is to be counted at all."""
        frame = self._stack[-1] if self._stack else _Frame("", 0, True)
        hidden = operator.rule is None and looks_like_matmul(operator.name)
        if not data and self.marks.any_data and not operator.synaptic and not hidden:
            return None  # a constant: computed once, ahead of time
        if frame.covered == 2 or (frame.covered and not operator.synaptic and not hidden):
            if not operator.free:
                self.covered += sum(t.numel() for t in tensors_in((out,)))
            return None
        if operator.rule is None:
            elements = sum(t.numel() for t in tensors_in((out,)))
            if elements or hidden:
                self._uncounted(frame.path, operator.name, elements, "no counting rule", hidden)
            return None
        if operator.synaptic and any(t.layout != torch.strided for t in tensors_in(args)):
            elements = sum(t.numel() for t in tensors_in((out,)))
            self._uncounted(frame.path, operator.name, elements, "an operand is not a dense tensor", True)
            return None
        names = dict(operator.arguments)
        names.update(zip((n for n, _ in operator.arguments), args, strict=False))
        names.update(kwargs)
        call, shape = self._calls.name, self._calls.shape
        op = Op(frame.path, operator.name, names, out, call, shape, self.marks, self._has_no_zero)
        site = self._site() if operator.synaptic else 0
        op.real = self._real.get((frame.path, site), (False, False))
        with self._quiet():
            answer = operator.rule(op)
            if self.popcounts:
                answer = with_popcounts(op, operator.rule, answer)
        for note in op.notes:
            self._note(frame.path, note)
        if isinstance(answer, str):
            elements = sum(t.numel() for t in tensors_in((out,)))
            self._uncounted(frame.path, operator.name, elements, answer, operator.synaptic)
        for count in _counts(operator.name, answer):
            if count.kind in ("weight", "product"):
                self._real[frame.path, site] = (count.a.kind == "real", count.b.kind == "real")
            path = frame.path if count.path is None else count.path
            self.ledger.add(path, operator.name, site or self._site(), count)
        return op

    def _pass_on(
        self, inputs: list[Tensor], before: list[Mark | None], fresh: list[Mark], *, copied: bool
    ) -> None:
        """Results have the alphabet of their sources; mere copies also stay foldable as those."""
        exact: Alphabet | None = EMPTY
        declared: Alphabet | None = EMPTY
        linear: Linear | None = None
        for tensor, mark in zip(inputs, before, strict=True):
            known = BINARY if tensor.dtype == torch.bool else mark.alphabet if mark is not None else None
            possible = known or (mark.declared if mark is not None else None)
            exact = None if known is None or exact is None else exact | known
            declared = None if possible is None or declared is None else declared | possible
        sources = [mark.linear if mark is not None else None for mark in before]
        if copied and sources and all(source is not None and not source.used for source in sources):
            one, *rest = (source for source in sources if source is not None)
            if all(source.path == one.path for source in rest):
                linear = Linear(one.path, all(source.bias for source in (one, *rest)))
        for mark in fresh:
            mark.alphabet, mark.declared, mark.linear = exact, declared, linear

    def _before_rounding(self, x: Tensor, copy: Tensor, mark: Mark) -> None:
        """A cast to a narrower type, as autocast makes, must not turn reals into multiples of a unit."""
        narrower = (
            x.is_floating_point() and copy.is_floating_point() and copy.element_size() < x.element_size()
        )
        if mark.alphabet is None and narrower and not (self._stack and self._stack[-1].covered):
            with self._quiet():
                seen = observe(x)
            mark.alphabet = None if seen.kind == "empty" else seen

    def _uncounted(self, path: str, op: str, elements: int, reason: str, matmul: bool = False) -> None:
        tally = self.tally.setdefault((path, op), Tally(reason, matmul))
        tally.calls += 1
        tally.elements += elements

    def _has_no_zero(self, weight: Tensor) -> bool:
        """Remembered for parameters; weights computed on the way are looked at every time."""
        storage = storage_key(weight)
        fixed = storage in self._parameters and not weight.is_inference()
        key = (storage, weight._version, weight.storage_offset(), tuple(weight.shape)) if fixed else None
        known = None if key is None else self._nonzero.get(key)
        if known is None:
            known = has_no_zero(weight)
            if key is not None:
                self._nonzero[key] = known
        return known

    def _site(self) -> int:
        """Identifies the place in the code with all callers: repeated calls from one place are a loop."""
        places = []
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and frame is not self._bottom:
            places.append((id(frame.f_code), frame.f_lasti))
            frame = frame.f_back
        return hash(tuple(places))


def _counts(name: str, answer: Any) -> tuple[OpCount, ...]:
    """The counts in the answer of a rule; anything that is no answer is an error, not a zero."""
    if answer is FREE or isinstance(answer, str):
        return ()
    counts = answer if isinstance(answer, tuple) else (answer,)
    for count in counts:
        if not isinstance(count, OpCount):
            raise InputTypeError(
                f"energy rule for {name}: got {type(count).__name__}, expected an OpCount, a tuple of them, "
                "FREE, or a sentence that says why it is not counted."
            )
    return counts


def _argument(args: Any, kwargs: Any, at: int | str) -> Any:
    if isinstance(at, str):
        return kwargs.get(at)
    return args[at] if at < len(args) else None
