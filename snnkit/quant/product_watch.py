"""What drives the products of a network: all operations are intercepted at the dispatcher, functional or not.

A product with weights passes if its input holds spikes or counts: it is made of outputs of neurons or of
integers alone, and its values are multiples of their unit (:mod:`.units`). A product of two activations
passes if both do. Averages of spikes, normalised values, images and membranes do not.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from ..energy.provenance import tensors_in
from .units import Units, address

__all__ = ["Offence", "ProductWatch"]

# operator -> positions of its two operands
_PRODUCTS = {
    "convolution": (0, 1), "_convolution": (0, 1), "mm": (0, 1), "bmm": (0, 1), "mv": (0, 1), "dot": (0, 1),
    "addmm": (1, 2), "baddbmm": (1, 2), "addmv": (1, 2), "addbmm": (1, 2), "linear": (0, 1), "matmul": (0, 1),
}  # fmt: skip
_MADE = ("empty", "rand", "normal", "bernoulli", "poisson", "exponential")  # of no known values
_HIDDEN = ("scaled_dot_product", "lstm", "gru", "rnn_", "multi_head_attention", "_cdist", "_trilinear")


@dataclass
class Offence:
    """One operand that should be spikes, over all calls.

    Attributes:
        path, op: module and operator. operand: "input" of weights, or "left" or "right" of a product of two
            activations, or "operands" of a fused operator that cannot be looked into.
        elements: seen; wrong: of them no spikes. low, high, example: of those values.
    """

    path: str
    op: str
    operand: str
    elements: int = 0
    wrong: int = 0
    low: float = 0.0
    high: float = 0.0
    example: float = 0.0

    @property
    def share(self) -> float:
        """Of elements that are no spikes."""
        return self.wrong / max(self.elements, 1)

    def __str__(self) -> str:
        values = f"{self.share:.1%} no spikes, {self.low:g} to {self.high:g}, as {self.example:g}"
        return f"{self.path or 'model'} ({self.op}, {self.operand}): {values}"


class ProductWatch(TorchDispatchMode):
    """Looks at every product; :meth:`run` once per input.

    A tensor is constant if it is made of parameters, buffers and numbers alone. Storages are known by
    address: whatever is made later at the same address passes here, too.
    """

    def __init__(self, model: nn.Module, exempt: set[str]) -> None:
        super().__init__()
        self.model, self.exempt = model, exempt
        self.offences: dict[tuple[str, str, str], Offence] = {}
        self.layers: dict[str, str] = {}
        self.counts: dict[str, int] = {}
        self.products: set[str] = set()
        self.exempted: set[str] = set()
        self.multiplications: dict[str, int] = {}
        self._stack: list[tuple[str, bool]] = []
        self._paths = {module: path for path, module in model.named_modules()}

    def run(self, x: Tensor) -> None:
        """Call the network once; no hook remains."""
        tensors = (*self.model.parameters(), *self.model.buffers())
        self._constant = {address(t) for t in tensors}
        self._stack, self._units = [], Units()
        self._units.give(x, {1.0} if bool((x == x.round()).all()) else None)
        with ExitStack() as stack:
            for module in self._paths:
                for handle in (
                    module.register_forward_pre_hook(self._enter),
                    module.register_forward_hook(self._leave, always_call=True),
                ):
                    stack.callback(handle.remove)
            stack.enter_context(self)
            self.model(x)

    def _enter(self, module: nn.Module, args: Any) -> None:
        inside = bool(self._stack) and self._stack[-1][1]
        self._stack.append((self._paths[module], inside or _is_neuron(module)))

    def _leave(self, module: nn.Module, args: Any, out: Any) -> None:
        if self._stack:
            self._stack.pop()
        if _is_neuron(module) and module.spike_levels is not None:
            for t in tensors_in([out]):
                self._units.give(t, {float(getattr(module, "spike_unit", 1.0))})

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        path, in_neuron = self._stack[-1] if self._stack else ("", False)
        inputs = list(tensors_in([args, kwargs]))
        made = any(word in name for word in _MADE)
        constant = not made and all(address(t) in self._constant for t in inputs)
        if not constant and not in_neuron:
            if name in _PRODUCTS:
                self._product(path, name, *(args[i] for i in _PRODUCTS[name]))
            elif any(hidden in name for hidden in _HIDDEN):
                self._offend(path, name, "operands", sum(t.numel() for t in inputs), inputs[0].flatten()[:1])
            elif name in ("mul", "div"):
                reals = [t for t in inputs if t.ndim and self._units.strange(t).numel()]
                if len(inputs) == 2 and reals:
                    self.multiplications[path] = self.multiplications.get(path, 0) + out.numel()
        for t in tensors_in([out]):
            (self._constant.add if constant else self._constant.discard)(address(t))
        if not in_neuron:
            self._units.follow(name, args, inputs, out)
        return out

    def _product(self, path: str, name: str, left: Tensor, right: Tensor) -> None:
        of_weights = {address(t) in self._constant for t in (left, right)}
        if any(path == e or path.startswith(f"{e}.") for e in self.exempt):
            self.exempted.add(path)
            return
        sides = {"left": left, "right": right}
        if True in of_weights:
            sides = {"input": right if address(left) in self._constant else left}
        for operand, t in sides.items():
            bad = self._units.strange(t)
            if bad.numel():
                self._offend(path, name, operand, t.numel(), bad)
            elif operand == "input":
                self.counts[path] = max(self._units.largest(t), self.counts.get(path, 0))
                binary = self.counts[path] <= 1 and bool(((t == 0) | (t == 1)).all())
                binary = binary and self.layers.get(path) != "integer"
                self.layers[path] = "binary" if binary else "integer"
            else:
                self.products.add(path)

    def _offend(self, path: str, op: str, operand: str, elements: int, bad: Tensor) -> None:
        first = (path, op, operand) not in self.offences
        offence = self.offences.setdefault((path, op, operand), Offence(path, op, operand))
        low, high = (float(v) for v in bad.aminmax()) if bad.numel() else (0.0, 0.0)
        offence.low = low if first else min(low, offence.low)
        offence.high = high if first else max(high, offence.high)
        offence.example = float(bad.flatten()[0]) if first and bad.numel() else offence.example
        offence.elements += elements
        offence.wrong += bad.numel()


def _is_neuron(module: nn.Module) -> bool:
    return hasattr(module, "spike_levels") and hasattr(module, "energy_ops")
