"""Feature maps, the axis of time, and heads of the backbone."""

from __future__ import annotations

import pytest
import torch
from helpers import same_bits

from snnkit.errors import ConfigError, ShapeError
from snnkit.models import create_model, list_models

EVERY = pytest.mark.parametrize("name", list_models("*_test"))


@EVERY
def test_feature_maps(name: str) -> None:
    """Channels and strides as declared; no head, and the coarsest map is what it would read."""
    net = create_model(name, features_only=True).eval()
    x = torch.rand(3, 2, 2, 32, 16)
    maps = net(x)
    assert len(maps) == len(net.feature_channels) == len(net.feature_strides) > 0
    for got, channels, stride in zip(maps, net.feature_channels, net.feature_strides, strict=True):
        assert got.shape == (3, 2, channels, 32 // stride, 16 // stride)
    assert not [n for n, _ in net.named_parameters() if n.startswith("head")]
    whole = create_model(name).eval()
    whole.load_state_dict(net.state_dict(), strict=False)
    seen = []
    whole.head.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    whole(x)
    assert same_bits(seen[0], maps[-1])


@pytest.mark.parametrize(
    ("name", "channels", "strides"),
    [
        ("meta_spikeformer_15m", [64, 128, 256, 360], [4, 8, 16, 16]),
        ("qkformer_10_384", [96, 192, 384], [4, 8, 16]),
        ("max_former_10_384", [96, 192, 384], [4, 8, 16]),
        ("spikingresformer_ti", [64, 192, 384], [4, 8, 16]),
    ],
)
def test_published_pyramids(name: str, channels: list[int], strides: list[int]) -> None:
    with torch.device("meta"):
        net = create_model(name, features_only=True).eval()
        maps = net(torch.empty(1, 1, 3, 64, 64))
    assert (net.feature_channels, net.feature_strides) == (channels, strides)
    assert [m.shape for m in maps] == [
        (1, 1, c, 64 // s, 64 // s) for c, s in zip(channels, strides, strict=True)
    ]


@EVERY
def test_batch_first_only_when_asked(name: str) -> None:
    net, x = create_model(name).eval(), torch.rand(3, 2, 2, 16, 16)
    assert same_bits(net(x.transpose(0, 1), time_axis=1), net(x))
    with pytest.raises(ShapeError, match="time_axis=1"):
        net(x[0], time_axis=1)
    with pytest.raises(ConfigError, match="time_axis: got 2"):
        net(x, time_axis=2)


@EVERY
@pytest.mark.parametrize("training", [False, True])
def test_the_stem_sees_a_static_image_once(name: str, training: bool) -> None:
    """Its first convolution works on every image once, however many steps follow."""
    net, rows = create_model(name, T=3).train(training), []
    net.embeds[0].convs[0].affine[0].register_forward_pre_hook(lambda _, args: rows.append(len(args[0])))
    net(torch.rand(2, 2, 16, 16))
    assert sum(rows) == 2
    rows.clear()
    net(torch.rand(3, 2, 2, 16, 16))
    assert sum(rows) == 3 * 2


def test_distilled_head_answers_twice_in_training_and_with_the_mean_in_evaluation() -> None:
    low = {"default": "lif", "head": {"name": "lif", "threshold": 0.01}}
    net, x = create_model("meta_spikeformer_test", neuron=low, distill=True), torch.rand(2, 3, 2, 16, 16)
    answer, taught = net.train()(x)
    assert answer.shape == taught.shape == (3, 10)
    assert not same_bits(answer, taught)
    net.eval()
    seen: dict[str, list[torch.Tensor]] = {"linear": [], "teacher": []}
    for head, outs in seen.items():
        getattr(net.head, head).register_forward_hook(lambda _, __, out, outs=outs: outs.append(out))
    out = net(x)
    means = [torch.stack(outs).mean(0) for outs in seen.values()]
    torch.testing.assert_close(out, (means[0] + means[1]) / 2)


def test_a_head_that_weighs_the_steps_refuses_others() -> None:
    net = create_model("sglformer_test", weigh_steps=True, T=4).eval()
    assert net(torch.rand(4, 2, 2, 16, 16)).shape == (2, 10)
    assert net(torch.rand(2, 2, 16, 16)).shape == (2, 10)
    with pytest.raises(ShapeError, match="16 tokens in 3 steps, expected 16 in 4"):
        net(torch.rand(3, 2, 2, 16, 16))
    with pytest.raises(ShapeError, match="64 tokens in 4 steps"):
        net(torch.rand(4, 2, 2, 32, 32))
    with pytest.raises(ConfigError, match="readout='per_step'"):
        create_model("sglformer_test", weigh_steps=True, readout="per_step")
