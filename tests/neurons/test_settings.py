"""Settings of neurons: what is accepted, what is refused and with which words, what is reported."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from snnkit.errors import ConfigError, InputTypeError, ShapeError, UnknownNameError
from snnkit.neurons import IF, LIF, NEURONS, LeakyIntegrator, Neuron, make_neuron
from snnkit.neurons.factory import NeuronFactory
from snnkit.surrogate import ATan

NAN = math.nan
BAD: list[tuple[Any, dict[str, Any], str, str]] = [
    (LIF, {"tau": 0.5}, "LIF.tau", ">= 1"),
    (LIF, {"tau": 0}, "LIF.tau", ">= 1"),
    (LIF, {"tau": NAN}, "LIF.tau", ">= 1"),
    (LIF, {"tau": math.inf}, "LIF.tau", ">= 1"),
    (LIF, {"tau": "2"}, "LIF.tau", ">= 1"),
    (LIF, {"tau": True}, "LIF.tau", ">= 1"),
    (LIF, {"decay_input": "x"}, "LIF.decay_input", "True or False"),
    (LIF, {"detach_reset": 1}, "LIF.detach_reset", "True or False"),
    (LIF, {"fire_at_equal": None}, "LIF.fire_at_equal", "True or False"),
    (LIF, {"learn_tau": "yes"}, "LIF.learn_tau", "True or False"),
    (LIF, {"learn_threshold": 1}, "LIF.learn_threshold", "True or False"),
    (LIF, {"reset": "soft", "v_reset": 0.0}, "LIF.v_reset", 'reset="hard"'),
    (LIF, {"reset_amount": 1.0}, "LIF.reset_amount", 'reset="soft"'),
    (LIF, {"beta": 1.5}, "LIF.beta", "[0, 1]"),
    (LIF, {"beta": -1}, "LIF.beta", "[0, 1]"),
    (LIF, {"beta": NAN}, "LIF.beta", "[0, 1]"),
    (LIF, {"beta": "0.5"}, "LIF.beta", "[0, 1]"),
    (LIF, {"rate": 0}, "LIF.rate", "(0, 1]"),
    (LIF, {"rate": 1.5}, "LIF.rate", "(0, 1]"),
    (LIF, {"rate": NAN}, "LIF.rate", "(0, 1]"),
    (LIF, {"rate": "0.5"}, "LIF.rate", "(0, 1]"),
    (LIF, {"threshold": 0}, "LIF.threshold", "> 0"),
    (LIF, {"threshold": -1.0}, "LIF.threshold", "> 0"),
    (LIF, {"threshold": NAN}, "LIF.threshold", "> 0"),
    (LIF, {"threshold": math.inf}, "LIF.threshold", "> 0"),
    (LIF, {"threshold": None}, "LIF.threshold", "> 0"),
    (LIF, {"v_reset": 1.0}, "LIF.v_reset", "< 1"),
    (LIF, {"v_reset": 2.0}, "LIF.v_reset", "< 1"),
    (LIF, {"v_reset": NAN}, "LIF.v_reset", "< 1"),
    (LIF, {"v_reset": "low"}, "LIF.v_reset", "number"),
    (LIF, {"v_rest": NAN}, "LIF.v_rest", "finite"),
    (LIF, {"reset": "subtract"}, "LIF.reset", '"soft"'),
    (LIF, {"reset_timing": "later"}, "LIF.reset_timing", '"delayed"'),
    (LIF, {"reset": "soft", "reset_amount": NAN}, "LIF.reset_amount", "finite"),
    (LIF, {"channels": 0}, "LIF.channels", "int >= 1"),
    (LIF, {"channels": 2.5}, "LIF.channels", "int >= 1"),
    (LIF, {"tau": 1.0, "learn_tau": True}, "LIF.learn_tau", "tau > 1"),
    (LIF, {"beta": 1.0, "learn_tau": True}, "LIF.learn_tau", "tau > 1"),
    (LIF.snntorch, {"beta": 0.5, "reset_mechanism": "soft"}, "reset_mechanism", '"subtract"'),
    (LIF.snntorch, {"beta": 0.5, "reset_delay": False}, "reset_delay", "immediate soft reset"),
    (LIF.snntorch, {"beta": 1.1}, "LIF.beta", "[0, 1]"),
    (LIF.norse_box, {"tau_mem_inv": -1.0}, "LIF.rate", "(0, 1]"),
    (LIF.norse_box, {"dt": 1.0}, "LIF.rate", "(0, 1]"),
    (LIF.norse_box, {"reset_method": "soft"}, "reset_method", '"value"'),
    (IF, {"threshold": 0}, "IF.threshold", "> 0"),
    (IF, {"v_reset": 1}, "IF.v_reset", "< 1"),
    (LeakyIntegrator, {"tau": 0.9}, "LeakyIntegrator.tau", ">= 1"),
    (LeakyIntegrator, {"tau": NAN}, "LeakyIntegrator.tau", ">= 1"),
    (LeakyIntegrator, {"decay_input": 1}, "LeakyIntegrator.decay_input", "True or False"),
    (LeakyIntegrator, {"tau": "2"}, "LeakyIntegrator.tau", ">= 1"),
]


@pytest.mark.parametrize(
    ("make", "settings", "where", "allowed"), BAD, ids=[f"{w}={s}" for _, s, w, _ in BAD]
)
def test_refused(make: Any, settings: dict[str, Any], where: str, allowed: str) -> None:
    """The message names the setting, its value and what is allowed; generic handlers see a ValueError."""
    with pytest.raises(ConfigError) as caught:
        make(**settings)
    message = str(caught.value)
    assert isinstance(caught.value, ValueError)
    assert where in message
    assert allowed in message
    if len(settings) == 1 and where.rpartition(".")[2] in settings:
        (value,) = settings.values()
        assert repr(value) in message


def test_one_leak_only() -> None:
    with pytest.raises(ConfigError, match="expected one of them"):
        LIF(2.0, beta=0.5)


@pytest.mark.parametrize("surrogate", [3, None, ATan])
def test_surrogates_of_another_type(surrogate: Any) -> None:
    with pytest.raises(InputTypeError, match="surrogate"):
        LIF(surrogate=surrogate)


def test_unknown_surrogate() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'atan'"):
        LIF(surrogate="attan")


def test_integers_are_numbers() -> None:
    assert LIF(2).tau == 2.0
    assert LIF(beta=1).leak == 1.0
    assert LeakyIntegrator(3).tau == 3.0


@pytest.mark.parametrize(
    ("neuron", "tau"),
    [
        (LIF(), 2.0),
        (LIF(4.0), 4.0),
        (LIF(beta=0.75), 4.0),
        (LIF(rate=0.25), 4.0),
        (LIF(beta=0.0), 1.0),
        (LIF(beta=1.0), math.inf),
        (IF(), math.inf),
    ],
    ids=str,
)
def test_tau_is_reported(neuron: LIF, tau: float) -> None:
    assert neuron.tau == tau


@pytest.mark.parametrize("leak", [{"tau": 4.0}, {"beta": 0.75}, {"rate": 0.25}], ids=str)
def test_learned_values_start_at_the_given_ones(leak: dict[str, float]) -> None:
    neuron = LIF(**leak, threshold=0.7, learn_tau=True, learn_threshold=True, channels=3)
    assert [tuple(p.shape) for p in neuron.parameters()] == [(3,), (3,)]
    assert neuron.tau.tolist() == pytest.approx([4.0] * 3)
    assert neuron.threshold.tolist() == pytest.approx([0.7] * 3)


@pytest.mark.parametrize("leak", [{"tau": 4.0}, {"beta": 0.75}, {"rate": 0.25}], ids=str)
def test_repr_of_a_learned_tau_is_not_a_wrong_number(leak: dict[str, float]) -> None:
    """All three are 1/tau = 0.25: the representation may not show 4 or 0.75 as that factor."""
    text = repr(LIF(**leak, learn_tau=True))
    assert "learned=tau" in text
    assert "multiply=4" not in text
    assert "multiply=0.75" not in text


@pytest.mark.parametrize("preset", ["spikingjelly", "snntorch", "norse_box"])
def test_presets_of_if_say_what_is_wrong(preset: str) -> None:
    """IF inherits from LIF but has no leak: an inherited preset must work or raise a ConfigError."""
    settings = {"beta": 1.0} if preset == "snntorch" else {}
    make = getattr(IF, preset, None)
    if make is None:
        return
    try:
        neuron = make(**settings)
    except ConfigError:
        return
    assert isinstance(neuron, IF)


@pytest.mark.parametrize("shape", [(4, 2, 5), (4, 2, 5, 3), (4, 2)])
def test_channels_must_fit(shape: tuple[int, ...]) -> None:
    neuron = LIF(learn_tau=True, channels=3)
    with pytest.raises(ShapeError, match=r"channels=3.*axis 2"):
        neuron(torch.zeros(shape))


def test_channel_values_act_on_their_channel() -> None:
    neuron = LIF(learn_threshold=True, reset="none", tau=1.0, channels=2)
    with torch.no_grad():
        neuron.threshold_raw.copy_(torch.tensor([0.0, 2.0]))  # softplus: 0.69, 2.13
    x = torch.full((1, 1, 2, 3), 1.5)
    assert neuron(x)[0, 0].tolist() == [[1.0] * 3, [0.0] * 3]


# -- make_neuron and the factory of models ---------------------------------------------------------


def test_make_neuron() -> None:
    neuron = make_neuron("lif", tau=3.0)
    assert isinstance(neuron, LIF)
    assert neuron.tau == 3.0
    with pytest.raises(UnknownNameError, match="did you mean 'lif'"):
        make_neuron("liff")
    with pytest.raises(
        ConfigError, match=r"'lif' has no argument 'taw'; did you mean 'tau'\?.*Arguments: tau"
    ):
        make_neuron("lif", taw=3.0)


def test_factory_forms() -> None:
    assert isinstance(NeuronFactory("if")("q", 4), IF)
    assert isinstance(NeuronFactory(IF)("q", 4), IF)
    assert NeuronFactory({"name": "lif", "tau": 3.0})("q", 4).tau == 3.0
    asked = []

    def own(role: str, channels: int) -> nn.Module:
        asked.append((role, channels))
        return LIF(5.0)

    assert NeuronFactory(own)("mlp1", 7).tau == 5.0
    assert asked == [("mlp1", 7)]


def test_factory_overrides_by_role() -> None:
    factory = NeuronFactory(
        {"default": "lif", "attn": {"name": "if", "threshold": 0.3}, "head": LeakyIntegrator}
    )
    assert type(factory("q", 4)) is LIF
    assert type(factory("head", 4)) is LeakyIntegrator
    assert factory("attn", 4).threshold == 0.3
    assert type(NeuronFactory({"attn": "if"})("q", 4)) is LIF


def test_factory_defaults_of_a_family() -> None:
    """Published settings for a plain name only; role settings where the user gave none."""
    settings = {"published": {"lif": {"tau": 3.0}}, "roles": {"attn": {"threshold": 0.5}}}
    plain = NeuronFactory("lif", **settings)
    assert (plain("q", 4).tau, plain("q", 4).threshold) == (3.0, 1.0)
    assert (plain("attn", 4).tau, plain("attn", 4).threshold) == (3.0, 0.5)
    literal = NeuronFactory({"name": "lif", "threshold": 0.9}, **settings)
    assert (literal("attn", 4).tau, literal("attn", 4).threshold) == (2.0, 0.9)
    assert NeuronFactory(LIF, **settings)("attn", 4).threshold == 0.5
    assert NeuronFactory("leaky_integrator", **settings)("attn", 4).tau == 2.0


@pytest.mark.parametrize(
    ("spec", "error", "text"),
    [
        ("lift", UnknownNameError, "did you mean 'lif'"),
        ({"name": "lift"}, UnknownNameError, "did you mean 'lif'"),
        ({"attn": "lift"}, UnknownNameError, "did you mean 'lif'"),
        ({"atn": "lif"}, ConfigError, "unknown role 'atn'; did you mean 'attn'"),
        ({"tau": 2.0}, ConfigError, r"dict\(name="),
        (3, InputTypeError, "got 3"),
        ({"default": 3}, InputTypeError, "got 3"),
    ],
    ids=str,
)
def test_factory_refuses(spec: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        NeuronFactory(spec)


def test_factory_refuses_unknown_arguments() -> None:
    with pytest.raises(ConfigError, match="did you mean 'tau'"):
        NeuronFactory({"name": "lif", "tauu": 2.0})("q", 4)


# -- the base class --------------------------------------------------------------------------------


class Unfinished(Neuron):
    State = LIF.State


@pytest.mark.parametrize(
    ("call", "method"),
    [
        (lambda n: n(torch.zeros(1, 1)), "initial_state"),
        (lambda n: n.step(None, None), "step"),
        (lambda n: n.energy_ops(), "energy_ops"),
    ],
)
def test_a_neuron_without_its_methods_says_which(call: Any, method: str) -> None:
    with pytest.raises(TypeError, match=f"Unfinished must implement {method}"):
        call(Unfinished())


def test_energy_of_the_lif_family() -> None:
    assert LIF().energy_ops().mul == 1
    assert IF().energy_ops().mul == 0
    assert LIF(reset="soft").energy_ops().spike_add == 1
    assert LIF(reset="soft").energy_ops().spike_write == 0
    assert LIF().energy_ops().spike_write == 1
    assert LIF(v_rest=0.1).energy_ops().add == 2
    assert NEURONS.get("leaky_integrator")().energy_ops().cmp == 0
