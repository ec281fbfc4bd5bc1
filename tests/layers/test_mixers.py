"""Every token and channel mixer against its equation, written as loops or as torch modules side by side."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from helpers import same_bits
from torch import Tensor, nn

from snnkit.errors import ConfigError, ShapeError
from snnkit.layers import CHANNEL_MIXERS, DSSA, MIXERS, FiringRate, Residual, SpikingConv
from snnkit.neurons import LIF
from snnkit.neurons.factory import NeuronFactory

LIFS = NeuronFactory("lif", roles={"attn": {"threshold": 0.5}})


class Through(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x


def bare(name: str, width: int, heads: int, **settings: Any) -> nn.Module:
    """A mixer whose neurons pass their input."""
    cls = MIXERS.get(name)
    return cls(width, heads, lambda role, channels: Through(), residual=cls.residuals[-1], **settings).eval()


def spikes(*shape: int, rate: float = 0.4) -> Tensor:
    return (torch.rand(*shape) < rate).double()


def loops(q: Tensor, k: Tensor, v: Tensor, heads: int, scale: float, seen: Any) -> Tensor:
    """``scale sum_m (q_n . k_m) v_m`` over the tokens m that ``seen(n, m)``, for one ``[C, H, W]``."""
    c, h, w = q.shape
    out, cv = torch.zeros(v.shape, dtype=q.dtype), v.shape[0]
    places = [(i, j) for i in range(h) for j in range(w)]
    for head in range(heads):
        own = slice(head * c // heads, (head + 1) * c // heads)
        values = slice(head * cv // heads, (head + 1) * cv // heads)
        for n in places:
            for m in places:
                if seen(n, m):
                    weight = (q[own, n[0], n[1]] * k[own, m[0], m[1]]).sum()
                    out[values, n[0], n[1]] += weight * v[values, m[0], m[1]]
    return scale * out


@pytest.mark.parametrize(
    ("name", "settings", "scale"),
    [
        ("ssa", {}, 0.125),
        ("ssa", {"scale": 0.25}, 0.25),
        ("sdsa3", {}, 0.125),
        ("sdsa3", {"gain": 2.0, "scale": 0.25}, 0.5),
        ("sdsa4", {"scale": 0.25}, 0.25),
        ("linear_v4", {}, 2 / math.sqrt(3)),
        ("linear_v4", {"scale": 0.5}, 0.5),
        ("strided_ssa", {}, 0.125),
        ("random", {}, 0.125),
    ],
)
@pytest.mark.parametrize("size", [(2, 2), (4, 2), (4, 4)])
def test_products(name: str, settings: dict[str, Any], scale: float, size: tuple[int, int]) -> None:
    """Three channels per head: with 4 tokens one order of the product is taken, with 16 the other."""
    mixer = bare(name, 6, 2, **settings).double()
    ratio = 4 if name == "linear_v4" else 1
    q, k, v = (spikes(1, 1, c, *size) for c in (6, 6, 6 * ratio))
    same_grid = lambda n, m: (n[0] - m[0]) % 2 == 0 == (n[1] - m[1]) % 2  # noqa: E731
    seen = same_grid if name == "strided_ssa" else lambda n, m: True
    wanted = loops(q[0, 0], k[0, 0], v[0, 0], 2, scale, seen)
    torch.testing.assert_close(mixer.mix(q, k, v)[0, 0].detach(), wanted, rtol=1e-6, atol=1e-12)


def test_qk_token_equals_a_loop() -> None:
    mixer = bare("qk_token", 6, 2)
    q, k = spikes(1, 1, 6, 2, 3), spikes(1, 1, 6, 2, 3)
    got = mixer.mix(q, k)[0, 0]
    for c in range(6):
        own = range(0, 3) if c < 3 else range(3, 6)
        for i in range(2):
            for j in range(3):
                assert got[c, i, j] == sum(q[0, 0, o, i, j] for o in own) * k[0, 0, c, i, j]


@pytest.mark.parametrize("name", ["qk_channel", "sdsa2"])
def test_qk_channel_equals_a_loop(name: str) -> None:
    q, k = spikes(1, 1, 6, 2, 3), spikes(1, 1, 6, 2, 3)
    got = bare(name, 6, 2).mix(q, k)[0, 0]
    for c in range(6):
        total = sum(q[0, 0, c].flatten().tolist())
        assert same_bits(got[c], total * k[0, 0, c])


@pytest.mark.parametrize("patch", [1, 2])
def test_dssa_equals_a_loop(patch: int) -> None:
    """From the spikes that enter to what enters the output neuron, with running rates given."""
    mixer = DSSA(6, 2, LIFS, residual="ms", patch=patch).double().eval()
    mixer.rate.running_mean.copy_(torch.tensor([0.25, 0.5]))
    mixer.attn_rate.running_mean.copy_(torch.tensor([0.1, 0.0]))  # 0 counts as the floor
    entered, x = {}, 3 * torch.rand(1, 1, 6, 4, 4, dtype=torch.float64)
    for name in ("attn", "out"):
        getattr(mixer, name).register_forward_hook(
            lambda m, i, o, name=name: entered.update({name: (i[0], o)})
        )
    with torch.no_grad():
        mixer(x)
    s = mixer.neuron(x)
    y = mixer.pair.affine(s[0])[0].flatten(1)  # [2C, N/p^2]
    s = s[0, 0].flatten(1)
    for head, rate, attn_rate in ((0, 0.25, 0.1), (1, 0.5, FiringRate.floor)):
        own, pair = s[3 * head : 3 * head + 3], y[6 * head : 6 * head + 6]
        for n in range(pair.shape[1]):
            for m in range(16):
                wanted = sum(pair[c, n] * own[c, m] for c in range(3)) / math.sqrt(rate * 3)
                assert entered["attn"][0][0, 0, head, n, m] == pytest.approx(wanted.item(), abs=1e-12)
        attn = entered["attn"][1][0, 0, head]
        wanted = pair[3:] @ attn / math.sqrt(attn_rate * pair.shape[1])
        got = entered["out"][0][0, 0, 3 * head : 3 * head + 3].flatten(1)
        torch.testing.assert_close(got, wanted, rtol=1e-12, atol=1e-12)


def test_dssa_refuses_a_map_that_patches_do_not_fill() -> None:
    with pytest.raises(ShapeError, match=r"\(4, 3\).*multiples of patch = 2"):
        DSSA(6, 2, LIFS, residual="ms", patch=2)(torch.rand(1, 1, 6, 4, 3))


def test_firing_rate_starts_with_the_first_batch_and_then_moves_slowly() -> None:
    rate = FiringRate(2).train()
    x = torch.zeros(2, 1, 2, 1, 4)
    x[:, :, 1] = 1.0
    assert rate(x).flatten().tolist() == pytest.approx([FiringRate.floor, 1.0])
    rate(0 * x)
    assert rate.running_mean.tolist() == pytest.approx([0.0, 0.999])
    rate.eval()(x)
    assert rate.running_mean.tolist() == pytest.approx([0.0, 0.999])


def test_strided_ssa_refuses_odd_maps() -> None:
    mixer = bare("strided_ssa", 4, 2).double()
    with pytest.raises(ShapeError, match="multiples of grid = 2"):
        mixer(spikes(1, 1, 4, 3, 4))


def test_random_attention_trains_only_its_values() -> None:
    mixer = MIXERS.get("random")(8, 2, LIFS, residual="ms")
    mixer(4 * torch.rand(2, 2, 8, 4, 4)).sum().backward()
    frozen = {name for name, p in mixer.named_parameters() if not p.requires_grad}
    assert frozen == {n for n, _ in mixer.named_parameters() if n.startswith(("q.", "k."))}
    assert not [n for n, p in mixer.named_parameters() if p.requires_grad and p.grad is None]


def each(f: Any, x: Tensor) -> Tensor:
    return torch.stack([f(x_t) for x_t in x])


@pytest.mark.parametrize("residual", ["sew", "ms"])
@pytest.mark.parametrize("kernel", [3, 5, 7])
def test_dwc(kernel: int, residual: Any) -> None:
    mixer = MIXERS.get(f"dwc{kernel}")(4, 8, LIFS, residual=residual).eval()
    x = 3 * torch.rand(3, 2, 4, 8, 8)
    conv = nn.Conv2d(4, 4, kernel, padding=kernel // 2, groups=4)
    norm = nn.BatchNorm2d(4).eval()
    conv.load_state_dict(mixer.conv.affine[0].state_dict())
    wanted = (
        each(lambda z: norm(conv(z)), LIF(surrogate="atan")(x))
        if residual == "ms"
        else LIF()(each(lambda z: norm(conv(z)), x))
    )
    assert same_bits(mixer(x), wanted)


@pytest.mark.parametrize("name", ["maxpool", "avgpool", "identity"])
def test_mixers_that_replace_the_stream(name: str) -> None:
    mixer = MIXERS.get(name)(2, 1, LIFS, residual="ms")
    assert not mixer.shortcut
    x = torch.randn(2, 1, 2, 4, 5)
    got = mixer(x)
    for i in range(4):
        for j in range(5):
            around = x[..., max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2]
            wanted = {"maxpool": around.amax((-2, -1)), "avgpool": around.mean((-2, -1))}.get(
                name, x[..., i, j]
            )
            torch.testing.assert_close(got[..., i, j], wanted)


def test_sepconv() -> None:
    """pw, BN, then depthwise and pointwise without anything between; or with norm and neuron between."""
    x = 3 * torch.rand(2, 1, 4, 8, 8)
    plain = MIXERS.get("sepconv")(4, 1, LIFS, residual="ms", kernel=5).eval()
    pw, last = plain.convs
    y = LIF()(each(pw.affine, LIF()(x)))
    separable = last.affine[0]
    assert same_bits(plain(x), each(lambda z: last.affine[1](separable.pointwise(separable.depthwise(z))), y))
    spiking = MIXERS.get("sepconv")(4, 1, LIFS, residual="ms", spike_between=True).eval()
    y = x
    for conv in spiking.convs:
        y = each(conv.affine, LIF()(y))
    assert same_bits(spiking(x), y)
    assert spiking.convs[1].affine[0].groups == 8


def test_conv_branch() -> None:
    mixer = MIXERS.get("conv_branch")(4, 1, LIFS, residual="sew").eval()
    x = spikes(2, 1, 4, 8, 8).float()
    y = x + mixer.near(x)
    a, b, c = mixer.inverted
    assert same_bits(mixer(x), y + c(b(a(y))))
    assert (mixer.near.affine[0].groups, b.affine[0].groups) == (4, 16)


@pytest.mark.parametrize(("name", "kernel", "bias"), [("mlp", 1, True), ("channelconv", 3, False)])
@pytest.mark.parametrize("residual", ["sew", "ms"])
def test_two_convolutions(name: str, kernel: int, bias: bool, residual: Any) -> None:
    mixer = CHANNEL_MIXERS.get(name)(4, LIFS, residual=residual, ratio=2).eval()
    x = 3 * torch.rand(3, 2, 4, 4, 4)
    lif, y = LIF(), x
    for part in (mixer.fc1, mixer.fc2):
        conv = part.affine[0]
        assert (conv.kernel_size, conv.bias is not None) == ((kernel, kernel), bias)
        y = each(part.affine, lif(y)) if residual == "ms" else lif(each(part.affine, y))
    assert same_bits(mixer(x), y)


def test_residual_mlp() -> None:
    mixer = CHANNEL_MIXERS.get("residual_mlp")(4, LIFS, residual="ms").eval()
    x = 3 * torch.rand(3, 2, 4, 4, 4)
    y = x + mixer.fc1(x)
    assert same_bits(mixer(x), y + mixer.fc2(y))
    with pytest.raises(ConfigError, match="ratio: got 4"):
        CHANNEL_MIXERS.get("residual_mlp")(4, LIFS, residual="ms", ratio=4)


def test_gwffn() -> None:
    mixer = CHANNEL_MIXERS.get("gwffn")(4, LIFS, residual="ms", group=8).eval()
    x, lif = 3 * torch.rand(3, 2, 4, 4, 4), LIF()
    y = each(mixer.up.affine, lif(x))
    z = y + each(mixer.near.affine, lif(y))
    assert same_bits(mixer(x), each(mixer.down.affine, lif(z)))
    assert mixer.near.affine[0].groups == 2
    for settings in ({"group": 5}, {"residual": "sew"}):
        with pytest.raises(ConfigError, match="GWFFN"):
            CHANNEL_MIXERS.get("gwffn")(4, LIFS, **{"residual": "ms", **settings})


def test_layer_scale() -> None:
    branch, x = SpikingConv(2, 2, order="CB"), torch.randn(3, 2, 2, 4, 4)
    block = Residual(branch, 2, 0.5).eval()
    assert same_bits(block(x), x + 0.5 * branch(x))
    with torch.no_grad():
        block.scale[1] = 0.0
    assert same_bits(block(x)[:, :, 1], x[:, :, 1])
    assert not [n for n, _ in Residual(branch, 2).named_parameters() if "scale" in n]
