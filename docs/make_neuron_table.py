"""Writes docs/neurons.md from the registry: ``python -m docs.make_neuron_table``.

Equation and source come from the sections "Equation" and "Reference" of the class docstring (of its base
where it has none); a source ends at the first semicolon. Everything else is read from the class.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from snnkit.neurons import NEURONS, Neuron, NeuronOps

PAGE = Path(__file__).parent / "neurons.md"
COMMAND = "python -m docs.make_neuron_table"
HEAD = f"""# Neurons

<!-- Written by `{COMMAND}`; change the docstrings instead. -->

Every neuron that [`snnkit.make_neuron`](api.md) and `snnkit.create_model(..., neuron="name")` know.
Equations are those of one step with the default arguments, without `[t]`: a variable that is read before
it is assigned has its value of the step before. The class docstrings have the whole of it.

A level is the largest count that a neuron puts out in a step: 1 for binary spikes, "real" for real
numbers, +- where it may be negative. Operations are those of `energy_ops`: at inference, per neuron and
step, without the input that the layer in front sums up; words of state are read and written once a step.
"""


def section(cls: type, name: str) -> str:
    """That section of the docstring, of the first class in the line of inheritance that has it."""
    for base in cls.__mro__:
        found = re.search(
            rf"^{name}:\n((?: {{4}}.*\n?)+)", inspect.cleandoc(base.__doc__ or ""), re.MULTILINE
        )
        if found and issubclass(base, Neuron):
            return " ".join(found[1].split())
    raise LookupError(f'{cls.__name__}: the docstring needs a section "{name}:", as in snnkit/neurons/lif.py')


def example(cls: type[Neuron]) -> Neuron:
    """An instance with the defaults; one channel where that has none."""
    channels = inspect.signature(cls).parameters.get("channels")
    needed = channels is not None and channels.default is channels.empty
    return cls(**({"channels": 1} if needed else {}))


def levels(neuron: Neuron) -> str:
    """Size and sign of the outputs."""
    size = "real" if neuron.spike_levels is None else str(neuron.spike_levels)
    return f"+-{size}" if neuron.signed and neuron.spike_levels is not None else size


def operations(ops: NeuronOps) -> str:
    """Declared operations in words."""
    words = [f"{getattr(ops, name):g} {name}" for name in ("mul", "add", "cmp") if getattr(ops, name)]
    words += [f"{ops.spike_add:g} add per spike"] if ops.spike_add else []
    words += [f"{ops.spike_write:g} write per spike"] if ops.spike_write else []
    words += [f"{ops.state_words:g} state"] if ops.state_words else []
    return ", ".join(words) or "none"


def arguments(cls: type) -> str:
    """The signature without annotations."""
    parts = []
    for p in inspect.signature(cls).parameters.values():
        if p.kind is p.KEYWORD_ONLY and "*" not in parts:
            parts.append("*")
        default = round(p.default, 6) if isinstance(p.default, float) else p.default
        parts.append(p.name if p.default is p.empty else f"{p.name}={default!r}")
    return ", ".join(parts)


def row(*cells: str) -> str:
    """A line of a table. Bars inside of cells: no escape of them is read alike everywhere."""
    for cell in cells:
        if "|" in cell:
            raise ValueError(f"a bar in {cell!r} would end the cell; write abs(x)")
    return "| " + " | ".join(cells) + " |\n"


def page() -> str:
    """The text of docs/neurons.md."""
    title = row("name", "class", "equation", "state", "levels", "operations", "source")
    rows, signatures = [], []
    for name in NEURONS.names():
        cls = NEURONS.get(name)
        neuron = example(cls)
        state = ", ".join(neuron.State._fields) or "none"
        equation = section(cls, "Equation").replace("``", "`")
        source = section(cls, "Reference").partition(";")[0].rstrip(".").replace("``", "`")
        cost = operations(neuron.energy_ops())
        rows.append(row(f"`{name}`", f"`{cls.__name__}`", equation, state, levels(neuron), cost, source))
        signatures.append(row(f"`{name}`", f"`{cls.__name__}({arguments(cls)})`"))
    table = title + row(*["---"] * 7) + "".join(rows)
    return (
        f"{HEAD}\n{table}\n## Arguments\n\n{row('name', 'signature')}{row('---', '---')}{''.join(signatures)}"
    )


if __name__ == "__main__":
    PAGE.write_text(page())
