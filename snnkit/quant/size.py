"""How large a network is: ideal bits, packed bytes, bytes of the file. 1 MB = 10^6 bytes, 1 MiB = 2^20 bytes.

::

    theoretical_bits = sum over quantised layers of (weights x bits)
    packed_bytes     = rows of codes rounded up to bytes + everything that is not a code, at its width
    file_bytes       = what the integer model takes on disk
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from torch import Tensor, nn

from ..errors import InputTypeError
from .integer_file import serialised
from .packing import packed_bytes
from .program import IntegerModel
from .quantize import original_weight, quantized_layers, weight_layers

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["LayerSize", "SizeReport", "size_report"]


@dataclass(frozen=True)
class LayerSize:
    """One layer: weights, bits of each, their bytes packed, and bytes of the floats that remain with it."""

    weights: int
    bits: int
    packed_bytes: int
    other_bytes: int


@dataclass(frozen=True)
class SizeReport:
    """Sizes of one network, see the module docstring.

    Attributes:
        parameters: of the float network, with those of norms and neurons.
        float_bytes: of all parameters and buffers of the float network.
        other_bytes: of what is no layer: norms, neurons, buffers.
        file_bytes: None unless an integer model is given.
    """

    parameters: int
    theoretical_bits: int
    packed_bytes: int
    float_bytes: int
    other_bytes: int
    file_bytes: int | None
    per_layer: dict[str, LayerSize]

    def to_table(self) -> Table:
        """A rich table: layer, weights, bits, bytes."""
        from rich import box
        from rich.table import Table

        table = Table("layer", "weights", "bits", "packed bytes", "other bytes", box=box.SIMPLE_HEAD)
        for path, layer in self.per_layer.items():
            cells = (layer.weights, layer.bits, layer.packed_bytes, layer.other_bytes)
            table.add_row(path, *(f"{n:,}" for n in cells))
        table.add_row("beside layers", "", "", "", f"{self.other_bytes:,}")
        return table


def size_report(model: nn.Module, integer: IntegerModel | None = None) -> SizeReport:
    """Sizes of a quantised network, and of the file of its integer form if that is given.

    Args:
        model: made by :func:`snnkit.quant.quantize`; other layers count at the width of their dtype.
        integer: from :func:`snnkit.quant.convert_to_integer`.

    Raises:
        InputTypeError: not a module.
    """
    if not isinstance(model, nn.Module):
        raise InputTypeError(f"size_report: got {type(model).__name__}, expected a torch.nn.Module.")
    quantizers = {path: quantizer for path, _, quantizer in quantized_layers(model)}
    per_layer: dict[str, LayerSize] = {}
    inside: set[int] = set()
    saved = 0  # what exists for training only
    for path, layer in weight_layers(model).items():
        quantizer = quantizers.get(path)
        weight = cast(Tensor, layer.weight) if quantizer is None else original_weight(layer)
        own = [*layer.parameters(), *layer.buffers()]
        inside |= {id(t) for t in own}
        bias = _bytes(cast(Tensor | None, layer.bias))
        number, size = weight.numel(), weight.element_size()
        if quantizer is None:
            per_layer[path] = LayerSize(number, 8 * size, _bytes(weight), bias)
            continue
        rows = weight.shape[0]
        packed = packed_bytes(rows, number // max(rows, 1), quantizer.bits)
        steps = (rows if quantizer.per_channel else 1) * size
        per_layer[path] = LayerSize(number, quantizer.bits, packed, bias + steps)
        saved += sum(map(_bytes, own)) - _bytes(weight) - bias
    everything = {id(t): t for t in (*model.parameters(), *model.buffers())}
    of_floats = sum(map(_bytes, everything.values())) - saved
    other = sum(_bytes(t) for i, t in everything.items() if i not in inside)
    of_training = {id(t) for _, _, q in quantized_layers(model) for t in q.parameters()}
    return SizeReport(
        parameters=sum(p.numel() for p in model.parameters() if id(p) not in of_training),
        theoretical_bits=sum(s.weights * s.bits for s in per_layer.values()),
        packed_bytes=sum(s.packed_bytes + s.other_bytes for s in per_layer.values()) + other,
        float_bytes=of_floats,
        other_bytes=other,
        file_bytes=None if integer is None else len(serialised(integer.program)),
        per_layer=per_layer,
    )


def _bytes(t: Tensor | None) -> int:
    return 0 if t is None else t.numel() * t.element_size()
