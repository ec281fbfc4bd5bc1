"""Steps and samples are right for every T and B, however a model or its caller holds them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

import snnkit
from snnkit.energy import NeuronCost, trace
from snnkit.errors import ConfigError

SIZES = range(1, 9)
Make = Callable[[int], nn.Module]
Shape = Callable[[int, int], tuple[int, ...]]


class Fire(nn.Module):
    """A sequence neuron without state."""

    spike_levels = 1

    def energy_ops(self) -> NeuronCost:
        return NeuronCost(mul=1, add=1, cmp=1, state_words=1)

    def forward(self, x):
        return (x > 0.3).to(x.dtype)


class Shown(nn.Module):
    """A stem that runs once, then T equal steps."""

    def __init__(self, T: int, neuron: nn.Module | None = None) -> None:
        super().__init__()
        self.T = T
        self.stem, self.act, self.mid = nn.Linear(6, 5), neuron or nn.Identity(), nn.Linear(5, 3)

    def forward(self, x):
        x = self.stem(x)
        return self.mid(self.act(x.expand(self.T, *x.shape))).mean(0)


class Repeated(Shown):
    """The same, but the loop over time runs single steps, stem included."""

    def forward(self, x):
        return sum(self.mid(self.act(self.stem(x))) for _ in range(self.T)) / self.T


class Patches(nn.Module):
    """Neurons see ``[T, B*P, F]``: samples are split into three patches."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.fire, self.mid, self.again, self.head = (
            nn.Linear(6, 6),
            Fire(),
            nn.Linear(2, 4),
            Fire(),
            nn.Linear(12, 3),
        )

    def forward(self, x):  # [T, B, 6]
        x = self.fire(self.embed(x)).unflatten(2, (3, 2)).flatten(1, 2)
        x = self.again(self.mid(x))
        return self.head(x.unflatten(1, (-1, 3)).flatten(2))


class Looped(nn.Module):
    """A loop over the first axis around a network."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x):
        return torch.stack([self.net(x_t) for x_t in x])


def sequence_net(*_: int) -> nn.Module:
    return nn.Sequential(nn.Linear(6, 5), Fire(), nn.Linear(5, 3))


def jelly(mode: str, wrap: Callable[[nn.Module], nn.Module] = nn.Sequential) -> Make:
    def make(T: int) -> nn.Module:
        pytest.importorskip("spikingjelly")
        from spikingjelly.activation_based import functional, neuron

        net = nn.Sequential(nn.Linear(6, 5), neuron.LIFNode(), nn.Linear(5, 3), neuron.IFNode())
        functional.set_step_mode(net, mode)
        return wrap(net)

    return make


def jelly_shown(T: int) -> nn.Module:
    pytest.importorskip("spikingjelly")
    from spikingjelly.activation_based import neuron

    return Repeated(T, neuron.LIFNode())


def plain(*_: int) -> nn.Module:
    return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))


def sequence(*rest: int) -> Shape:
    return lambda T, B: (T, B, *rest)


def images(*rest: int) -> Shape:
    return lambda T, B: (B, *rest)


# kind -> model of T steps, shape of its input, whether T has to be given
KINDS: dict[str, tuple[Make, Shape, bool]] = {
    "backbone, sequence": (lambda T: snnkit.create_model("sdt_test", T=T), sequence(2, 16, 16), False),
    "backbone, images": (lambda T: snnkit.create_model("sdt_test", T=T), images(2, 16, 16), False),
    "points, sequence": (lambda T: snnkit.create_model("spikepoint_micro", T=T), sequence(32, 3), False),
    "points, clouds": (lambda T: snnkit.create_model("spikepoint_micro", T=T), images(32, 3), False),
    "sequence neurons": (sequence_net, sequence(6), False),
    "sequence neurons, shown": (lambda T: Shown(T, Fire()), images(6), False),
    "sequence neurons, patches": (lambda T: Patches(), sequence(6), False),
    "spikingjelly, multi-step": (jelly("m"), sequence(6), False),
    "spikingjelly, loop outside": (jelly("s", Looped), sequence(6), True),
    "spikingjelly, loop inside": (jelly_shown, images(6), True),
    "torch, loop outside": (lambda T: Looped(plain()), sequence(6), True),
    "torch, loop inside": (Repeated, images(6), True),
    "torch, shown": (Shown, images(6), True),
    "torch, sequence": (plain, sequence(6), True),
    "torch, sequence of maps": (lambda T: Looped(nn.Conv2d(2, 3, 3)), sequence(2, 5, 5), True),
    "torch, folded": (plain, lambda T, B: (T * B, 6), True),
}


@pytest.mark.parametrize("T", [1, 2, 4, 8, *(pytest.param(T, marks=pytest.mark.slow) for T in (3, 5, 6, 7))])
@pytest.mark.parametrize("kind", KINDS)
def test_steps_and_samples_of_every_kind(kind, T):
    make, shape, given = KINDS[kind]
    torch.manual_seed(0)
    net = make(T).eval()
    wrong = []
    for batch in SIZES:
        result = trace(net, torch.rand(shape(T, batch)), T=T if given else None)
        doubts = [w for w in result.warnings if "samples" in w]
        if (result.T, result.samples) != (T, batch) and not doubts:
            wrong.append((batch, result.T, result.samples))
        if doubts and not kind.startswith("torch"):
            wrong.append((batch, doubts))
    assert not wrong


def test_energy_of_a_sample_is_that_of_a_batch_of_the_same_samples():
    net = snnkit.create_model("sdt_test", T=4).eval()
    image = torch.rand(1, 2, 16, 16)
    one = trace(net, image, per_sample=True)
    for batch in (4, 8):
        many = trace(net, image.expand(batch, -1, -1, -1), per_sample=True)
        assert many.total.sop == batch * one.total.sop
        assert [s.sop for s in many.by_sample] == [one.total.sop] * batch


@pytest.mark.parametrize("batch", [2, 3, 4, 8])
def test_images_are_static_input_and_moving_sequences_are_not(batch):
    net = snnkit.create_model("sdt_test", T=4).eval()
    x = torch.rand(4, batch, 2, 16, 16)
    assert trace(net, x[0]).static_input
    assert trace(net, x[:1].expand(4, -1, -1, -1, -1)).static_input
    assert not trace(net, x).static_input
    moving = {"x": x.transpose(0, 1), "time_axis": 1}
    still = {"x": x[:1].expand(4, -1, -1, -1, -1).transpose(0, 1), "time_axis": 1}
    for axes in ("BT", None) if batch != 4 else ("BT",):
        assert not trace(net, moving, axes=axes).static_input
        assert trace(net, still, axes=axes).static_input


def test_two_images_of_two_channels_on_two_steps_are_no_sequence():
    result = trace(snnkit.create_model("sdt_test", T=2).eval(), torch.rand(2, 2, 16, 16))
    assert (result.T, result.samples, result.static_input) == (2, 2, True)


def test_axes_that_nothing_decides_are_warned_about_and_can_be_given():
    x = torch.rand(4, 4, 6)
    doubtful = trace(nn.Linear(6, 2), x, T=4)
    assert doubtful.samples == 4
    assert any("may hold 4 or 1 samples: 4 assumed; pass axes=" in w for w in doubtful.warnings)
    for axes, samples in {"TB": 4, "T*B": 1, "B": 4, "BT": 4}.items():
        result = trace(nn.Linear(6, 2), x, T=4, axes=axes)
        assert (result.T, result.samples) == (4, samples)
        assert not any("axes=" in w for w in result.warnings)
    assert trace(Looped(nn.Linear(6, 2)), torch.rand(3, 2, 6), axes="TB").T == 3  # read off the input
    with pytest.raises(ConfigError, match=r"trace\.axes: got 'TB' for an input of shape \[3, 6\] on 4 steps"):
        trace(nn.Linear(6, 2), torch.rand(3, 6), T=4, axes="TB")
    with pytest.raises(ConfigError, match=r"trace\.axes"):
        trace(nn.Linear(6, 2), x, axes="time")


def test_a_loop_of_sequence_neurons_without_T_says_what_to_pass():
    class Steps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = sequence_net()

        def forward(self, x):
            return torch.cat([self.net(x_t[None]) for x_t in x])

    x = torch.rand(4, 3, 6)
    assert any("pass T=4" in w for w in trace(Steps(), x).warnings)
    result = trace(Steps(), x, T=4)
    assert (result.T, result.samples, result.warnings) == (4, 3, [])
