"""Which instructions of an integer program run as one kernel, and that kernel.

A layer, the rescaling of its sums and the neuron behind it are one pass over memory, of which only the spike
counts remain; so are a rescaling and its neuron. What the C library does not take runs one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from ..errors import ConfigError
from ..kernels.int_layer import IntLayer
from ..kernels.int_pool import int_pool
from ..kernels.int_values import IntAfter, int_after, int_values

if TYPE_CHECKING:
    from .program import Instruction, Program

__all__ = ["Kernel", "chain_kernel", "chains"]

_NEURONS = ("threshold", "clip", "counts", "lif")
_STATEFUL = ("counts", "lif")
_HEADS = ("layer", "rescale", *_NEURONS)
_MOST = 255  # counts that fit a byte

Kernel = Callable[[Tensor, tuple[int, int]], Tensor | None]  # the input, [T, B]


def chains(program: Program) -> list[tuple[int, ...]]:
    """All instructions in order, grouped: layer, unfold, rescale, neuron, if nothing else reads between."""
    code = program.instructions
    readers: dict[int, list[int]] = {}
    for i, instruction in enumerate(code):
        for source in instruction.inputs:
            readers.setdefault(source, []).append(i)
    readers.setdefault(program.output, []).append(-1)
    found: list[tuple[int, ...]] = []
    taken: set[int] = set()
    for i, instruction in enumerate(code):
        if i in taken:
            continue
        chain, ops = [i], [instruction.op]
        while ops[0] in _HEADS and ops[-1] not in _NEURONS:
            after = readers.get(chain[-1] + 1, [])
            if len(after) != 1 or after[0] < 0 or not _follows(ops, code[after[0]].op):
                break
            chain.append(after[0])
            ops.append(code[after[0]].op)
        found.append(tuple(chain))
        taken |= set(chain)
    return found


def _follows(ops: list[str], op: str) -> bool:
    if op in ("unfold", "rescale"):
        return op not in ops and ops[0] == "layer"
    return op in _NEURONS and not (op in _STATEFUL and ops[0] == "layer" and "unfold" not in ops)


def chain_kernel(chain: Sequence[Instruction]) -> Kernel | None:
    """What runs a chain, None if torch has to; the kernel, too, gives None for what it refuses."""
    head = chain[0]
    if head.op == "pool":
        return lambda x, sizes: int_pool(x, **head.args)
    if head.op not in _HEADS:
        return None
    rescale = next((i for i in chain if i.op == "rescale"), None)
    neuron = chain[-1] if chain[-1].op in _NEURONS else None
    found = [t for i in chain for name, t in i.tensors.items() if name != "codes"]
    if head.op == "layer":
        channels = len(head.tensors["codes"])
    else:
        channels = max(t.shape[-1] if t.ndim else 1 for t in found)  # theta of a table: [D, C]
        if neuron and neuron.op == "threshold" and neuron.tensors["theta"].ndim == 1:
            channels = 1
    after = None
    if rescale or neuron:
        after = int_after(
            channels,
            None if rescale is None else (rescale.tensors["M"], rescale.tensors["R"], rescale.args["shift"]),
            None if neuron is None else (neuron.op, neuron.args, neuron.tensors),
        )
        if after is None:
            return None
    if head.op != "layer":
        axis = head.args.get("axis", 2)
        return lambda x, sizes: int_values(x, after, axis)  # type: ignore[arg-type]
    return _layer(chain, after, neuron is not None and neuron.op in _STATEFUL)


def _layer(chain: Sequence[Instruction], after: IntAfter | None, stateful: bool) -> Kernel | None:
    head = chain[0]
    codes, conv = head.tensors["codes"], head.args["conv"]
    most = int(codes.long().flatten(1).abs().sum(1).max())
    high = head.args["bound"] // most if most else _MOST
    try:
        layer = IntLayer(codes, high, conv, after)
    except ConfigError:  # more than bytes
        return None
    unfold = next((k for k, i in enumerate(chain) if i.op == "unfold"), None)
    wanted = [  # axes of channels, each as it would be without the time axis
        i.args.get("axis", 2) - (unfold is not None and k > unfold)
        for k, i in enumerate(chain)
        if any(t.ndim and name != "codes" for name, t in i.tensors.items())
    ]

    def run(x: Tensor, sizes: tuple[int, int]) -> Tensor | None:
        axis = 1 if conv else x.ndim - 1
        if any(w != axis for w in wanted):
            return None
        y = layer(x, sizes[0] if stateful else 1)
        return y if y is None or unfold is None else y.unflatten(0, sizes)

    return run
