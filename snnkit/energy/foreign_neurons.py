"""Neurons of spikingjelly, snntorch and norse: their costs by class name, so that none is imported."""

from __future__ import annotations

from typing import Any

from .neuron_rules import NeuronCost, NeuronSpec, neuron_rule

__all__: list[str] = []


def _firing(
    *, soft: bool, mul: float, add: float, cmp: float = 1.0, words: float = 1.0, writes: bool = True
) -> NeuronCost:
    return NeuronCost(mul, add, cmp, float(soft), float(writes and not soft), words)


# -- spikingjelly: v_reset None means a soft reset; step_mode "m" takes [T, B, ...] ---------------------


def _jelly(
    module: Any, mul: float, add: float, cmp: float = 1.0, words: float = 1.0, **kw: Any
) -> NeuronSpec:
    v_reset = getattr(module, "v_reset", None)
    moved = bool(mul) and v_reset not in (None, 0, 0.0)  # the leak is towards v_reset
    return NeuronSpec(
        _firing(soft=v_reset is None, mul=mul, add=add + moved, cmp=cmp, words=words),
        time_first=getattr(module, "step_mode", "s") == "m",
        **kw,
    )


@neuron_rule("spikingjelly.IFNode", "spikingjelly.SimpleIFNode")
def _jelly_if(module: Any) -> NeuronSpec:
    return _jelly(module, 0, 1)


@neuron_rule("spikingjelly.LIFNode", "spikingjelly.SimpleLIFNode", "spikingjelly.ParametricLIFNode")
def _jelly_lif(module: Any) -> NeuronSpec:
    return _jelly(module, 1, 1)


@neuron_rule("spikingjelly.CUBALIFNode")
def _jelly_cuba(module: Any) -> NeuronSpec:
    return _jelly(module, 2, 2, words=2)


@neuron_rule("spikingjelly.TernaryIFNode")
def _jelly_ternary_if(module: Any) -> NeuronSpec:
    return _jelly(module, 0, 1, cmp=2, signed=True, assumed="a ternary neuron compares with two thresholds")


@neuron_rule("spikingjelly.TernaryLIFNode")
def _jelly_ternary_lif(module: Any) -> NeuronSpec:
    return _jelly(module, 1, 1, cmp=2, signed=True, assumed="a ternary neuron compares with two thresholds")


@neuron_rule("spikingjelly.NonSpikingIFNode")
def _jelly_integrator(module: Any) -> NeuronSpec:
    return NeuronSpec(NeuronCost(add=1, state_words=1), levels=None, time_first=True)


@neuron_rule("spikingjelly.NonSpikingLIFNode")
def _jelly_leaky_integrator(module: Any) -> NeuronSpec:
    return NeuronSpec(NeuronCost(mul=1, add=1, state_words=1), levels=None, time_first=True)


@neuron_rule("spikingjelly.PSN", "spikingjelly.MaskedPSN")
def _jelly_parallel(module: Any) -> NeuronSpec:
    steps = float(module.T)
    masked = type(module).__name__ == "MaskedPSN"
    per_step = (steps + 1) / 2 if masked else steps
    return NeuronSpec(
        NeuronCost(mul=per_step, add=per_step, cmp=1),
        time_first=not masked or module.step_mode == "m",
        covers_products=True,
    )


@neuron_rule(
    "spikingjelly.BaseNode", "spikingjelly.SimpleBaseNode", "spikingjelly.ILIFNode", "spikingjelly.LIAFNode",
    "spikingjelly.SlidingPSN", "spikingjelly.GatedLIFNode", "spikingjelly.ILCBaseNode",
    "spikingjelly.NoisyBaseNode", "spikingjelly.DSRIFNode", "spikingjelly.DSRLIFNode",
    "spikingjelly.STBIFNode", "spikingjelly.FewSpikeNode",
)  # fmt: skip
def _jelly_other(module: Any) -> NeuronSpec:
    return NeuronSpec(None, levels=None, time_first=getattr(module, "step_mode", "m") == "m")


# -- snntorch: single steps; reset_mechanism "subtract", "zero" or "none" -------------------------------


def _torch(module: Any, mul: float, add: float, words: float, **kw: Any) -> NeuronSpec:
    reset = getattr(module, "reset_mechanism", "subtract")
    if not getattr(module, "all_to_all", True):  # one recurrent weight per neuron: not a matrix product
        mul, add = mul + 1, add + 1
    cost = _firing(soft=reset == "subtract", mul=mul, add=add, words=words, writes=reset == "zero")
    return NeuronSpec(cost, **kw)


@neuron_rule("snntorch.Leaky", "snntorch.Lapicque", "snntorch.RLeaky")
def _torch_leaky(module: Any) -> NeuronSpec:
    return _torch(module, 1, 1, 1)


@neuron_rule("snntorch.Synaptic", "snntorch.RSynaptic")
def _torch_synaptic(module: Any) -> NeuronSpec:
    return _torch(module, 2, 2, 2)


@neuron_rule("snntorch.LeakyParallel")
def _torch_parallel(module: Any) -> NeuronSpec:
    cost = NeuronCost(mul=1, add=1, cmp=1, state_words=1)
    return NeuronSpec(cost, time_first=True, covers_products=True, assumed="LeakyParallel is priced as a LIF")


@neuron_rule("snntorch.SpikingNeuron")
def _torch_other(module: Any) -> NeuronSpec:
    return NeuronSpec(None, levels=None)


# -- norse: classes that end in "Cell" take one step; hard reset to v_reset ------------------------------


def _norse(module: Any, cost: NeuronCost | None, levels: int | None = 1, assumed: str = "") -> NeuronSpec:
    cells = [c.__name__ for c in type(module).__mro__ if c.__name__.startswith("SNN")]
    return NeuronSpec(cost, levels, time_first=not (cells and "Cell" in cells[0]), assumed=assumed)


@neuron_rule(
    "norse.LIF", "norse.LIFCell", "norse.LIFRecurrent", "norse.LIFRecurrentCell",
)  # fmt: skip
def _norse_lif(module: Any) -> NeuronSpec:
    return _norse(module, _firing(soft=False, mul=2, add=2, words=2))


@neuron_rule("norse.LIFBoxCell")
def _norse_box(module: Any) -> NeuronSpec:
    return _norse(module, _firing(soft=False, mul=1, add=1))


@neuron_rule("norse.IAF", "norse.IAFCell")
def _norse_iaf(module: Any) -> NeuronSpec:
    return _norse(module, _firing(soft=False, mul=0, add=1))


@neuron_rule("norse.LI", "norse.LICell")
def _norse_li(module: Any) -> NeuronSpec:
    return _norse(module, NeuronCost(mul=2, add=2, state_words=2), levels=None)


@neuron_rule("norse.LIBoxCell")
def _norse_li_box(module: Any) -> NeuronSpec:
    return _norse(module, NeuronCost(mul=1, add=1, state_words=1), levels=None)


@neuron_rule("norse.LSNN", "norse.LSNNCell", "norse.LSNNRecurrent", "norse.LSNNRecurrentCell")
def _norse_lsnn(module: Any) -> NeuronSpec:
    cost = NeuronCost(mul=3, add=4, cmp=1, spike_add=1, spike_write=1, state_words=3)
    return _norse(
        module, cost, assumed="LSNN = current-based LIF + adaptive threshold: 3 mul, 4 add, 3 words"
    )


@neuron_rule("norse.SNN", "norse.SNNCell", "norse.SNNRecurrent", "norse.SNNRecurrentCell")
def _norse_other(module: Any) -> NeuronSpec:
    return _norse(module, None, levels=None)
