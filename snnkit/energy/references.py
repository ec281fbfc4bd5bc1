"""Whole tasks measured on chips: lines to draw beside an estimate, never prices of operations.

Another network on another task, with everything that a chip needs: they say which order of magnitude hardware
reaches. Figures as printed; the papers were not re-read for this table.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..checks import number
from ..errors import ConfigError, UnknownNameError, quote
from ..registry import closest

__all__ = ["REFERENCES", "Reference", "reference_pj"]


@dataclass(frozen=True, slots=True)
class Reference:
    """One measurement: an energy per inference, or a power that needs the time of one.

    Attributes:
        title: what was measured. source: where it is printed.
        pj: energy of one inference. mw: power while it runs.
    """

    title: str
    source: str
    pj: float | None = None
    mw: float | None = None


REFERENCES = {
    "xylo-audio-2": Reference(
        "Xylo Audio 2, one keyword", "Bos and Muir, arXiv 2406.15112: 291 uW dynamic, 6.6 uJ", pj=6.6e6
    ),
    "speck-idle": Reference(
        "Speck, at rest", "Yao et al., Nature Communications 15 (2024): 0.42 mW", mw=0.42
    ),
    "speck": Reference(
        "Speck, running", "Yao et al., Nature Communications 15 (2024): from 0.70 mW", mw=0.70
    ),
}


def reference_pj(name: str, latency_ms: float | None) -> tuple[str, float]:
    """Title and energy of one inference; a power times ``latency_ms``.

    Raises:
        UnknownNameError: no such measurement. ConfigError: a power, and no latency is given.
    """
    if name not in REFERENCES:
        raise UnknownNameError(
            f"unknown reference {quote(name)}{closest(name, REFERENCES)} Available: {', '.join(REFERENCES)}."
        )
    known = REFERENCES[name]
    if known.pj is not None:
        return known.title, known.pj
    if latency_ms is None or known.mw is None:
        raise ConfigError(
            f"reference {name!r} is a power, {known.mw} mW: its energy needs the time of one inference. "
            f"Use references={{{name!r}: latency in ms}}."
        )
    latency = number(f"references[{name!r}]", latency_ms, at_least=0)
    return f"{known.title}, {latency:g} ms", known.mw * latency * 1e6  # mW ms = uJ
