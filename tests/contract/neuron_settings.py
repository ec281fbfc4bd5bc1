"""Which neurons the contract tests build: every registered one, some with further settings."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch
from torch import Tensor

from snnkit.neurons import LIF, NEURONS, Neuron, make_neuron

CHANNELS = 3

VARIANTS: dict[str, list[dict[str, Any]]] = {
    "lif": [
        {},
        {"reset": "soft", "decay_input": False, "detach_reset": True, "surrogate": "sigmoid"},
        {"reset": "none", "tau": 1.0},
        {"beta": 0.9, "reset": "soft", "reset_timing": "delayed", "fire_at_equal": False},
        {"beta": 0.7, "reset_timing": "delayed"},
        {"rate": 0.3, "v_rest": 0.1, "v_reset": -0.2},
        {"learn_tau": True, "learn_threshold": True, "channels": CHANNELS},
        {"learn_tau": True, "learn_threshold": True, "reset": "soft"},
    ],
    "if": [{}, {"reset": "soft", "threshold": 0.6, "learn_threshold": True}],
    "ultra_lif": [
        {},
        {"tau": 1.0, "eps": 0.25, "theta": 0.5, "output": "ste"},
        {"learn_tau": True, "learn_eps": False, "spike_scale": 2.0},
    ],
    "ultra_plif": [{}, {"tau": 0.5, "tau_max": None, "eps_min": 0.5, "eps_max": 2.0, "output": "ste"}],
    "ultra_dlif": [
        {},
        {"learn_tau": True, "neighbours": "index", "boundary": "replicate", "output": "ste"},
        {"form": "lse_then_input", "neighbours": "index", "theta": 1.0},
        {"form": "lse_then_input", "learn_tau": True, "tau": 0.8, "boundary": "replicate"},
        {"neighbours": "spatial", "spike_scale": 2.0, "learn_eps": False},
        {"neighbours": "spatial", "boundary": "replicate", "form": "lse_then_input"},
    ],
    "ielif": [
        {},
        {"levels": 3, "scale": "none", "round": "half_even"},
        {"levels": 1, "scale": "post"},
        {"levels": 6, "learn_scale": True},
        {"tau": 4 / 3},
        {"tau": 2.0, "scale": "none", "learn_scale": True, "detach_reset": False},
    ],
    "count_spike": [
        {},
        {"mode": "binary", "n_max": 7, "k": 2.0},
        {"mode": "bitwise", "n_max": 6, "unit": 0.3, "twos_complement": True},
        {"mode": "binary", "n_max": 3, "unit": 0.5, "dim": -1},
    ],
    "delta": [{}, {"step_size": 0.7, "levels": 1}],
    "synaptic_lif": [
        {},
        {"alpha": 0.0, "beta": 1.0, "reset": "hard", "v_reset": -0.2, "detach_reset": True},
        {"alpha": 0.9, "reset": "none", "fire_at_equal": False, "surrogate": "sigmoid"},
        {"learn_alpha": True, "learn_beta": True, "channels": CHANNELS},
    ],
    "adaptive_lif": [
        {},
        {"beta_a": 0.4, "rho": 0.5, "reset": "hard", "detach_reset": True, "surrogate": "triangle"},
        {"beta": 0.9, "rho": 0.0, "learn_beta": True, "fire_at_equal": False},
        {"learn_beta": True, "learn_rho": True, "rho": 0.8, "channels": CHANNELS, "reset": "none"},
    ],
    "recurrent_lif": [
        {"channels": CHANNELS},
        {
            "channels": CHANNELS,
            "self_connections": False,
            "bias": True,
            "reset": "hard",
            "detach_reset": True,
        },
        {"channels": CHANNELS, "recurrence": "diag", "beta": 0.9, "surrogate": "sigmoid"},
        {"channels": CHANNELS, "recurrence": "diag", "bias": True, "learn_beta": True, "reset": "none"},
    ],
    "izhikevich": [
        {},
        {"preset": "FS", "input_scale": 50.0, "detach_reset": True},
        {"a": [0.02, 0.05, 0.1], "c": [-65.0, -55.0, -50.0], "d": 2.0, "dt": 1.0, "input_scale": 20},
    ],
    "izhikevich_dimensionless": [
        {},
        {"a": 0.5, "b": 0.25, "reset": "soft", "v_rest": -0.2, "tau_w": 4.0, "surrogate": "sigmoid"},
    ],
    "clif": [
        {},
        {"tau": 1.0, "threshold": 0.6, "detach_reset": True, "fire_at_equal": False, "surrogate": "atan"},
    ],
    "glif": [{}, {"channels": CHANNELS, "tau": 0.8, "gain": 0.3, "surrogate": "sigmoid"}],
    "klif": [
        {},
        {"k": 1.3, "decay_input": False, "scale_reset": True, "reset": "soft", "channels": CHANNELS},
        {"k": 0.8, "scale_reset": True, "v_reset": -0.2, "detach_reset": True, "fire_at_equal": False},
    ],
    "psn": [{}, {"surrogate": "sigmoid"}],
    "masked_psn": [{}, {"k": 1}, {"k": 3}, {"lambda_": 0.5}],
    "sliding_psn": [{}, {"k": 1}, {"k": 5, "exp_init": False, "surrogate": "triangle"}],
    "hoyer": [{}, {"scope": "channel", "channels": CHANNELS, "threshold": 0.8, "momentum": 0.5}],
    "mixture": [
        {"channels": CHANNELS},
        {"channels": CHANNELS, "neurons": ("if", {"name": "lif", "reset": "soft"}), "threshold": 0.3},
    ],
    "leaky_integrator": [{}, {"tau": 1.0}, {"tau": 5.0, "decay_input": False}],
}


def _label(name: str, settings: dict[str, Any]) -> str:
    return "-".join([name, *(f"{k}={v}" for k, v in settings.items())])


EVERY = [
    pytest.param(name, settings, id=_label(name, settings))
    for name in NEURONS
    for settings in VARIANTS.get(name, [{}])
]
PLAIN = [pytest.param(name, VARIANTS.get(name, [{}])[0], id=name) for name in NEURONS]
COSTLY = [*PLAIN, pytest.param("lif", VARIANTS["lif"][6], id="lif-learned")]

every_neuron = pytest.mark.parametrize(("name", "settings"), EVERY)
every_costly = pytest.mark.parametrize(("name", "settings"), COSTLY)


def make(name: str, settings: dict[str, Any], steps: int = 5) -> Neuron:
    """The neuron; one for a fixed number of steps is made for ``steps`` of them."""
    fixed = {"T": steps} if "T" in inspect.signature(NEURONS.get(name)).parameters else {}
    return make_neuron(name, **(fixed | settings))


def build(name: str, settings: dict[str, Any], steps: int = 5) -> Neuron:
    """As :func:`make`, with learned parameters moved away from their initial value.

    A neuron with batch statistics has seen a batch and is in evaluation: there its rows are independent.
    """
    neuron = make(name, settings, steps)
    with torch.no_grad():
        for i, p in enumerate(neuron.parameters()):
            p.add_(0.1 * (1 + torch.arange(p.numel()) % CHANNELS).view(p.shape) * (1 if i % 2 else -1))
    if neuron.batch_statistics:
        neuron(sequence(steps, 16, CHANNELS))
        neuron.eval()
    return neuron


def sequence(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Random input that makes a neuron with threshold 1 fire now and then."""
    return (1.5 * torch.randn(*shape) + 0.5).to(dtype)


PRESETS = [LIF.spikingjelly(), LIF.snntorch(0.9), LIF.norse_box()]
