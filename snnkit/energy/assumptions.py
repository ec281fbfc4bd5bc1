"""The assumptions of one price: widths, arithmetic, policies, data-flow. Checked once, printed always."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ..checks import choice, integer, number
from ..errors import ConfigError, require
from .dataflow import FLOWS, DataFlow
from .policies import check_policy
from .profile import Arithmetic, Profile
from .profile_file import load_profile

__all__ = ["Setup", "make_setup"]


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
    classify: str = "alphabet"
    zero_skip: bool = False
    spike_matmul: str = "single"
    multilevel: str = "unroll"
    unroll_levels: int = 15
    encode_once: bool = False
    encoding: str = "aer"
    fifo_messages: int | None = None
    address: bool = False
    hops: float = 0.0
    time_group: int | None = None
    interpolation: str = "none"
    reuse: Mapping[str, float] = field(default_factory=dict)
    levels: Mapping[str, str] = field(default_factory=dict)
    terms: tuple[str, ...] = ()
    sparsity: float = 0.0
    static_mw: float | None = None
    latency_ms: float | None = None
    own_widths: bool = True  # weights of a layer that declares their width have that one

    @property
    def flow(self) -> DataFlow:
        """The row of :mod:`snnkit.energy.dataflow`."""
        return FLOWS[self.dataflow]

    @property
    def memory(self) -> bool:
        """Memory traffic is priced."""
        return self.flow.memory and not self.profile.events

    def op(self, name: str, *bits: int) -> float | None:
        """Price in pJ, None if the profile has none."""
        found = self.profile.price(name, self.arithmetic, *(bits or (self.state_bits,)))
        return None if found is None else found[0]

    @property
    def ac(self) -> float:
        """Accumulate: one addition of state width."""
        return self._must("acc", self.state_bits)

    @property
    def mul(self) -> float:
        """Multiplication of an activation by a weight."""
        return self._must("mul", self.act_bits, self.weight_bits)

    def mac(self, act_bits: int | None = None) -> float:
        """Multiply-accumulate; ``act_bits`` for operands narrower than ``act_bits`` in integers."""
        if act_bits is None or self.arithmetic == "float":
            return self.mul + self.ac
        return self._must("mul", act_bits, self.weight_bits) + self.ac

    @property
    def shift_add(self) -> float:
        """One step of a bit-serial multiplication."""
        return self._must("shift", self.state_bits) + self.ac

    def share(self, factor: str) -> float:
        """1 / reuse factor."""
        return 1.0 / self.reuse.get(factor, 1.0)

    def access(self, tensor: str, bits: float, nbytes: float) -> float:
        """Energy of reading or writing ``bits`` of a tensor (a letter of CLASSES) of ``nbytes``."""
        return bits * self.profile.pj_per_bit(nbytes, self.levels.get(tensor))

    def stored_bits(self, declared: int | None) -> int:
        """Width of the weights of a layer in memory."""
        return self.weight_bits if declared is None or not self.own_widths else declared

    def on_chip(self, nbytes: float) -> bool:
        """A memory of limited size holds the weights."""
        level = self.profile.level(nbytes, self.levels.get("w"))
        return level is not None and level.capacity_bytes is not None

    def _must(self, name: str, *bits: int) -> float:
        price = self.op(name, *bits)
        if price is None:
            raise ConfigError(
                f"hardware {self.profile.id!r} has no {self.arithmetic} {name} of "
                f"{' x '.join(map(str, bits))} bits. "
                'Choose other widths, arithmetic="int", or another profile.'
            )
        return price

    def ground(self) -> str:
        """What two reports must share to be compared: hardware, data-flow, memories, accounting."""
        flow = self.dataflow if self.memory else "none"
        shared = (
            sorted(self.reuse.items()), sorted(self.levels.items()), self.interpolation, self.terms,
            self.address, self.hops, self.fifo_messages, self.time_group,
        )  # fmt: skip
        return f"{self.profile.id}; data-flow {flow}; {'; '.join(map(str, shared))}"

    def assumptions(self) -> list[str]:
        """Everything that the totals take for granted."""
        p = self.profile
        what = f"{p.id}: {p.title}" if p.title else p.id
        lines = [f"hardware {what} (scope: {p.scope})", *([p.note] if p.note else [])]
        lines += self._of_events() if p.events else self._of_operations()
        if self.kind != "snn":
            lines.append(
                "the same layers in one step: real-valued, every existing slot computed"
                + (f", {self.sparsity:.0%} of activations zero and skipped" if self.sparsity else "")
                + "; a ReLU comparison for every neuron"
            )
        if self.terms:
            lines.append(f"only these terms are charged: {', '.join(self.terms)}")
        left_out = ["control", "clock", "input/output"]
        if self.static_mw is None:
            left_out.append("leakage and idle power")
        else:
            lines.append(f"static power {self.static_mw:g} mW over {self.latency_ms:g} ms, as given")
        if not self.hops and not p.events:
            left_out.append("network on chip")
        if not self.address and not p.events:
            left_out.append("address generation")
        if p.scope != "system":
            lines.append(f"not included: {', '.join(left_out)}")
        return lines

    def _of_events(self) -> list[str]:
        known = ", ".join(f"{e.name} {e.at(self.profile.bound):.4g} pJ" for e in self.profile.events)
        return [
            f"priced per event: {known}; memory, address generation and biases are part of these prices",
            f"integer operands are sent as unit events up to {self.unroll_levels} levels",
        ]

    def _of_operations(self) -> list[str]:
        p = self.profile
        lines = [
            f"{self.arithmetic} arithmetic, weights {self.weight_bits}, activations {self.act_bits}, "
            f"states {self.state_bits} bits; AC {self.ac:.4g} pJ, MAC {self.mac():.4g} pJ",
        ]
        if self.own_widths:
            lines.append("weights of layers that declare weight_bits are stored in that width")
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
            if self.classify == "rate":
                lines.append("a layer costs MACs if no input is ever zero, else ACs, whatever the values are")
            if self.encode_once:
                lines.append("layers before the first neuron run once: their input is the same at every step")
        if self.memory:
            factors = [f"R_{k} = {v:g}" for k, v in sorted(self.reuse.items())]
            lines.append(
                f"data-flow {self.dataflow}: {self.flow.text}{'; ' if factors else ''}{', '.join(factors)}"
            )
            where = "a tensor lives in the smallest memory that holds it"
            if self.interpolation != "none":
                where += f", prices between sizes {self.interpolation}"
            if self.levels:
                where += "; " + ", ".join(f"{t} in {name}" for t, name in sorted(self.levels.items()))
            coded = "one bit per neuron-step" if self.flow.inputs == "slot" else self.encoding
            lines += [
                f"events encoded as {coded}; {where}",
                "pointwise operations keep their operands in registers",
            ]
        else:
            lines.append(FLOWS["compute"].text)
        lines.append("batch norms, biases and scales that directly follow a weight layer are folded into it")
        if self.address:
            lines.append("address generation after Lemaire et al.: integer additions and multiplications")
        if self.hops:
            lines.append(f"every event or activation travels {self.hops:g} hops")
        return lines


def make_setup(hardware: Any, options: Mapping[str, Any]) -> Setup:
    """Check and complete the options of :func:`snnkit.energy.price`."""
    profile = load_profile(hardware)
    given = {k: v for k, v in options.items() if v is not None}
    widths, own = {}, "weight_bits" not in given
    for name in ("weight_bits", "act_bits", "state_bits"):
        widths[name] = integer(name, given.pop(name, profile.bits), 1, 64, f"Default: {profile.bits}.")
    numbers = {}
    for name in ("static_mw", "latency_ms"):
        if name in given:
            numbers[name] = number(name, given.pop(name), at_least=0)
    require(
        len(numbers) != 1, "static_mw, latency_ms", numbers, "both or none",
        "Static energy is power x latency; neither is invented.",
    )  # fmt: skip
    if "arithmetic" in given:
        arithmetic = choice("arithmetic", given.pop("arithmetic"), ("float", "int"))
    else:
        floats = {op.bits for op in profile.ops if op.dtype == "float"}
        same = len(set(widths.values())) == 1 and set(widths.values()) <= floats
        default = set(widths.values()) == {profile.bits} or same
        arithmetic = profile.arithmetic if default else "int"
    merged = {**profile.options, **{name: check_policy(name, name, v) for name, v in given.items()}}
    if "interpolation" in given:
        profile = replace(profile, options={**profile.options, "interpolation": merged["interpolation"]})
    known = {m.level for m in profile.memory}
    for tensor, level in merged.get("levels", {}).items():
        require(level in known, f"levels[{tensor!r}]", level, f"a memory of {profile.id!r}: {sorted(known)}")
    setup = Setup(profile=profile, arithmetic=arithmetic, own_widths=own, **widths, **numbers, **merged)  # type: ignore[arg-type]
    without = sorted(set(setup.reuse) - setup.flow.factors)
    require(
        not without, "reuse", dict(setup.reuse), f"no factor for {without} with dataflow={setup.dataflow!r}"
    )
    if not profile.events:
        setup.mac()  # raises now if the profile lacks a price
        if setup.multilevel == "bitserial":
            _ = setup.shift_add
    return setup
