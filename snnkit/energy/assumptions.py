"""The assumptions of one price: widths, arithmetic, policies, data-flow. Checked once, printed always."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ..errors import ConfigError, require
from .profile import Arithmetic, Profile, load_profile

__all__ = ["DATAFLOWS", "Setup", "make_setup"]

DATAFLOWS = ("event", "compute")


@dataclass(frozen=True)
class Setup:
    """Resolved options of :func:`snnkit.energy.price`, which documents them."""

    profile: Profile
    kind: Literal["snn", "ann", "qann"] = "snn"
    dataflow: str = "event"
    arithmetic: Arithmetic = "float"
    weight_bits: int = 32
    act_bits: int = 32
    state_bits: int = 32
    padding: str = "exact"
    zero_skip: bool = False
    spike_matmul: str = "single"
    multilevel: str = "unroll"
    unroll_levels: int = 15
    encoding: str = "aer"
    reuse: Mapping[str, float] = field(default_factory=dict)
    sparsity: float = 0.0

    def op(self, name: str, *bits: int) -> float | None:
        """Price in pJ, None if the profile has none."""
        found = self.profile.price(name, self.arithmetic, *(bits or (self.state_bits,)))
        return None if found is None else found[0]

    @property
    def ac(self) -> float:
        """Accumulate: one addition of state width."""
        return self._must("add", self.state_bits)

    @property
    def mul(self) -> float:
        """Multiplication of an activation by a weight."""
        return self._must("mul", self.act_bits, self.weight_bits)

    def mac(self, act_bits: int | None = None) -> float:
        """Multiply-accumulate; ``act_bits`` for operands narrower than ``act_bits`` in integers."""
        if act_bits is None or self.arithmetic == "float":
            return self.mul + self.ac
        return self._must("mul", act_bits, self.weight_bits) + self.ac

    def access(self, bits: float, nbytes: float) -> float:
        """Energy of reading or writing ``bits`` of a tensor of ``nbytes``."""
        level = self.profile.level(nbytes)
        return 0.0 if level is None else bits * level.pj_per_bit

    def _must(self, name: str, *bits: int) -> float:
        price = self.op(name, *bits)
        if price is None:
            raise ConfigError(
                f"hardware {self.profile.id!r} has no {self.arithmetic} {name} of "
                f"{' x '.join(map(str, bits))} bits. "
                'Choose other widths, arithmetic="int", or another profile.'
            )
        return price

    def assumptions(self) -> list[str]:
        """Everything that the totals take for granted."""
        p = self.profile
        what = f"{p.id}: {p.title}" if p.title else p.id
        lines = [
            f"hardware {what} (scope: {p.scope})",
            f"{self.arithmetic} arithmetic, weights {self.weight_bits}, activations {self.act_bits}, "
            f"states {self.state_bits} bits; AC {self.ac:.4g} pJ, MAC {self.mac():.4g} pJ",
        ]
        used = (
            p.price("mul", self.arithmetic, self.act_bits, self.weight_bits),
            p.price("add", self.arithmetic, self.state_bits),
        )
        if any(price is not None and price[1] for price in used):
            lines.append("prices below the narrowest published width are extrapolated")
        if self.kind == "snn":
            lines += [
                f"padding: {self.padding}; real operands "
                + ("skip zeros" if self.zero_skip else "compute every slot"),
                f"integer operands: {self.multilevel}"
                + (f" up to {self.unroll_levels} levels" if self.multilevel == "unroll" else "")
                + f"; products of two activations: {self.spike_matmul}",
            ]
        else:
            lines.append(
                "the same layers in one step: real-valued, every existing slot computed"
                + (f", {self.sparsity:.0%} of activations zero and skipped" if self.sparsity else "")
                + "; a ReLU comparison for every neuron"
            )
        if self.dataflow == "compute":
            lines.append("compute only: memory traffic is not included")
        else:
            r = {k: self.reuse.get(k, 1.0) for k in "wui"}
            lines += [
                f"data-flow event: per operation one weight read (/{r['w']:g}) and one read and write of the "
                f"accumulator (/{r['u']:g}), every input read once (/{r['i']:g}); "
                f"events encoded as {self.encoding}; a tensor lives in the smallest memory that holds it",
                "pointwise operations keep their operands in registers",
            ]
        lines += [
            "batch norms, biases and scales that directly follow a weight layer are folded into it",
            "control, clock, leakage, network on chip and input/output are not included",
        ]
        return lines


def make_setup(hardware: Any, dataflow: str, options: Mapping[str, Any]) -> Setup:
    """Check and complete the options of :func:`snnkit.energy.price`."""
    profile = load_profile(hardware)
    require(dataflow in DATAFLOWS, "dataflow", dataflow, f"one of {', '.join(DATAFLOWS)}")
    given = {k: v for k, v in options.items() if v is not None}
    for name in ("weight_bits", "act_bits", "state_bits"):
        bits = given.get(name, profile.bits)
        ok = isinstance(bits, int) and not isinstance(bits, bool) and 1 <= bits <= 64
        require(ok, name, bits, f"an integer from 1 to 64 (default {profile.bits})")
        given[name] = bits
    if "arithmetic" not in given:
        widths = {given[n] for n in ("weight_bits", "act_bits", "state_bits")}
        floats = {op.bits for op in profile.ops if op.dtype == "float"}
        same = len(widths) == 1 and widths <= floats
        given["arithmetic"] = profile.arithmetic if widths == {profile.bits} or same else "int"
    choices = {
        "arithmetic": ("float", "int"),
        "padding": ("exact", "dense"),
        "spike_matmul": ("single", "intersect", "left", "right"),
        "multilevel": ("unroll", "mac"),
        "encoding": ("aer", "bitmap"),
    }
    merged = {**profile.options, **given}
    for name, allowed in choices.items():
        if name in merged:
            require(merged[name] in allowed, name, merged[name], f"one of {', '.join(allowed)}")
    if "zero_skip" in merged:
        require(isinstance(merged["zero_skip"], bool), "zero_skip", merged["zero_skip"], "True or False")
    levels = merged.get("unroll_levels", 15)
    require(isinstance(levels, int) and levels >= 1, "unroll_levels", levels, "an integer >= 1 (default 15)")
    reuse = merged.get("reuse", {})
    fine = isinstance(reuse, Mapping) and set(reuse) <= set("wui")
    fine = fine and all(isinstance(v, (int, float)) and 1 <= v < math.inf for v in reuse.values())
    require(fine, "reuse", reuse, 'factors >= 1 for "w" weights, "u" accumulators and states, "i" inputs')
    setup = Setup(profile=profile, dataflow=dataflow, **merged)
    setup.mac()  # raises now if the profile lacks a price
    return replace(setup, reuse=dict(reuse))
