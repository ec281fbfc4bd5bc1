"""What every model of clouds must do with every registered neuron: shapes, gradients, invariances, counts."""

from __future__ import annotations

import copy
import pickle
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from _pytest.mark import ParameterSet
from helpers import same_bits
from model_settings import spec, streams
from torch import Tensor, nn

from snnkit.energy import price, trace
from snnkit.errors import ConfigError, NumericsError, ShapeError, SpikeDrivenError
from snnkit.models import PointModel, create_model, list_models, list_neurons, load_model, save_model
from snnkit.neurons import NEURONS
from snnkit.points import gather_points, queue_samples
from snnkit.quant import assert_spike_driven
from snnkit.quant.quantize import weight_layers
from snnkit.sequence import stream

MODELS = [name for name in list_models("*_micro") if isinstance(create_model(name), PointModel)]
GROUPED = [name for name in MODELS if hasattr(create_model(name).embed, "groups")]
every_model = pytest.mark.parametrize("model", MODELS)
# graphs take seconds each
exported_model = pytest.mark.parametrize(
    "model", [m if m == "spikepoint_micro" else pytest.param(m, marks=pytest.mark.slow) for m in MODELS]
)
every_grouped = pytest.mark.parametrize("model", GROUPED)
# By default every neuron goes through every test in one model, LIF in all; the whole matrix is slow.
ALL_NEURONS = "spikepoint_micro"


def _pair(model: str, neuron: str) -> ParameterSet:
    marks = () if neuron == "lif" or model == ALL_NEURONS else pytest.mark.slow
    return pytest.param(model, neuron, id=f"{model}-{neuron}", marks=marks)


PAIRS = [_pair(m, n) for m in MODELS for n in list_neurons()]
every_pair = pytest.mark.parametrize(("model", "neuron"), PAIRS)


def clouds(batch: int, points: int = 32) -> Tensor:
    return torch.rand(batch, points, 3)


@cache
def _calibrated(model: str, neuron: str, steps: int) -> dict[str, Tensor]:
    """Weights whose batch norms have seen data, so that neurons deep in the network fire."""
    torch.manual_seed(1)
    net = create_model(model, neuron=spec(neuron, steps), T=steps)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 1.5, 3.0)
            nn.init.uniform_(module.bias, 0.0, 0.8)
            module.momentum = None
    with torch.no_grad():
        for _ in range(3):
            net(clouds(8))
    return net.state_dict()


def build(model: str, neuron: str = "lif", steps: int = 4, **settings: Any) -> PointModel:
    """A model in evaluation mode with lively weights."""
    net = create_model(model, neuron=spec(neuron, steps), T=steps, **settings)
    own, lively = net.state_dict(), _calibrated(model, neuron, steps)
    net.load_state_dict({k: lively[k].clone() if lively[k].shape == v.shape else v for k, v in own.items()})
    return net.eval()  # type: ignore[return-value]


# -- forward and backward --------------------------------------------------------------------------


@every_pair
@pytest.mark.parametrize("steps", [1, 3])
def test_shapes(model: str, neuron: str, steps: int) -> None:
    net = build(model, neuron, steps, readout="per_step")
    for batch in (0, 1, 3):
        out = net(clouds(batch))
        assert out.shape == (steps, batch, 10)
        assert out.isfinite().all()


@every_model
def test_a_cloud_is_a_sequence_of_itself(model: str) -> None:
    net, x = build(model, readout="per_step"), clouds(3)
    assert same_bits(net(x.expand(4, -1, -1, -1)), net(x))


@every_pair
@pytest.mark.parametrize(("steps", "batch"), [(1, 8), (3, 8), (3, 1)])
def test_gradients_reach_every_parameter(model: str, neuron: str, steps: int, batch: int) -> None:
    torch.manual_seed(1)
    net = create_model(model, neuron=spec(neuron, steps), T=steps)
    (net(clouds(batch)) * torch.randn(batch, 10)).sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    # behind the maximum over points one cloud leaves a batch norm nothing but its mean
    assert net.body.stem.affine[0].weight.grad.any() or batch == 1


@every_pair
def test_order_of_points_does_not_matter(model: str, neuron: str) -> None:
    net, x = build(model, neuron), clouds(2)
    wanted = net(x)
    assert same_bits(net(x), wanted)
    assert same_bits(net(x[:, torch.randperm(32)]), wanted)


WHERE_ORDER_COULD_MATTER = [
    *((model, {"sampler": sampler}) for model in GROUPED for sampler in ("fps", "fps_subset", "stride")),
    *((model, {"coding": "queue"}) for model in MODELS),
]


@pytest.mark.parametrize(("model", "settings"), WHERE_ORDER_COULD_MATTER)
def test_order_does_not_matter_where_it_could(model: str, settings: dict[str, Any]) -> None:
    """On a grid, where points coincide and distances tie; and to a sampler that goes by the order."""
    net, x = build(model, **settings), torch.randint(0, 4, (4, 64, 3)) / 3
    assert same_bits(net(x[:, torch.randperm(64)]), net(x))


@every_model
def test_rows_do_not_matter_to_each_other(model: str) -> None:
    net, x = build(model), clouds(4)
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(net(x[order]), net(x)[order], rtol=0, atol=1e-5)


@every_model
def test_the_mean_over_time_is_the_read_out(model: str) -> None:
    x = clouds(3)
    torch.testing.assert_close(build(model)(x), build(model, readout="per_step")(x).mean(0))


@every_model
def test_points_that_coincide(model: str) -> None:
    net = build(model)
    for x in (torch.full((2, 32, 3), 0.3), clouds(2).repeat(1, 2, 1), torch.zeros(1, 40, 3)):
        assert net(x).isfinite().all()
        assert net.train()(x).isfinite().all()
        net.eval()


@every_grouped
def test_one_group_of_one_point(model: str) -> None:
    net = create_model(model, groups=1, k=1, T=1)
    assert net(clouds(2, 1)).isfinite().all()
    assert net.eval()(clouds(3, 5)).shape == (3, 10)


@every_model
def test_chunks_of_a_sequence_of_clouds(model: str) -> None:
    net, x = build(model, readout="per_step"), torch.rand(4, 2, 32, 3)
    assert streams(net)
    with stream(net) as session:
        parts = torch.cat([session(x[:1]), session(x[1:])])
    assert same_bits(parts, net(x))
    assert same_bits(net(x[:2]), net(x)[:2])
    assert net(x[:0]).shape == (0, 2, 10)


@every_model
def test_the_cloud_is_not_modified(model: str) -> None:
    x = clouds(2)
    before = x.clone()
    build(model)(x)
    assert same_bits(x, before)


@every_model
@pytest.mark.parametrize("dtype", [torch.int64, torch.float16, torch.float64], ids=str)
def test_input_is_cast(model: str, dtype: torch.dtype) -> None:
    net, x = build(model), torch.randint(0, 9, (2, 32, 3)).float()
    assert same_bits(net(x.to(dtype)), net(x))


@every_model
def test_autocast(model: str) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        assert build(model)(clouds(2)).isfinite().all()


# -- codings ---------------------------------------------------------------------------------------


@every_grouped
@pytest.mark.parametrize("coding", ["rate", "regular_rate", "latency"])
def test_spikes_reach_the_first_layer(model: str, coding: str) -> None:
    net, seen = build(model, steps=8, coding=coding), []
    net.body.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    x = clouds(3)
    first = net(x)
    assert set(seen[0].unique().tolist()) == {0.0, 1.0}
    assert seen[0].shape[:2] == (8, 3)
    assert same_bits(net(x), first)
    torch.testing.assert_close(net(x[1:2]), net(x.flip(0))[1:2], rtol=0, atol=1e-6)


def test_rates_are_those_of_the_features() -> None:
    net, x = build("spikepoint_micro", coding="rate"), clouds(1)
    p = net.embed(x)
    for mode in (True, False):
        spikes = net.train(mode)._spikes(p, 2000)
        error = (spikes.mean(0) - p).abs() / ((p * (1 - p)).sqrt() + 1e-3)
        assert error.max() < 5 / 2000**0.5
    assert not same_bits(net.train()._spikes(p, 4), net._spikes(p, 4))


@every_model
def test_queue_shows_other_points_at_every_step(model: str) -> None:
    net, x = build(model, coding="queue", queue=16), clouds(2)
    sequence = torch.stack([gather_points(x, index) for index in queue_samples(x, 4, 16)])
    assert same_bits(net(x), build(model)(sequence))


# -- bad input -------------------------------------------------------------------------------------


@every_model
@pytest.mark.parametrize(
    ("x", "error", "text"),
    [
        (torch.rand(32, 3), ShapeError, r"\[B, N, 3\]"),
        (torch.rand(2, 3, 32), ShapeError, "channels-first.*transpose"),
        (torch.rand(2, 32, 4), ShapeError, "in_channels"),
        (torch.rand(1, 1, 1, 32, 3), ShapeError, r"\[T, B, N, 3\]"),
        (torch.rand(2, 0, 3), ShapeError, r"\(2, 0, 3\)"),
        (torch.full((1, 32, 3), torch.nan), NumericsError, "96 of 96"),
        (torch.full((1, 32, 3), torch.inf), NumericsError, "NaN or Inf"),
    ],
    ids=["rank", "channels first", "channels", "rank 5", "no points", "NaN", "Inf"],
)
def test_wrong_clouds(model: str, x: Tensor, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        build(model)(x)


@every_grouped
def test_too_few_points(model: str) -> None:
    with pytest.raises(
        ConfigError, match=r"PointGroups\.(groups|k): got 8, expected at most 7, the number of points"
    ):
        build(model)(clouds(2, 7))
    assert build(model)(clouds(2, 8)).shape == (2, 10)


# -- copies and files ------------------------------------------------------------------------------


def _through_pickle(net: PointModel) -> Any:
    return pickle.loads(pickle.dumps(net))


@every_model
@pytest.mark.parametrize("way", [copy.deepcopy, _through_pickle])
def test_copies(model: str, way: Any) -> None:
    net, x = build(model), clouds(2)
    assert same_bits(way(net)(x), net(x))


@every_model
def test_saved_models(model: str, tmp_path: Path) -> None:
    net, x = build(model, coding="queue", queue=16), clouds(2)
    save_model(net, tmp_path / "model.safetensors")
    assert same_bits(load_model(tmp_path / "model.safetensors")(x), net(x))


@exported_model
def test_export(model: str) -> None:
    """The exported program chooses points by torch operations; one step keeps the graph small."""
    net, first, x = build(model, steps=1).double(), clouds(2, 16).double(), clouds(2, 16).double()
    exported = torch.export.export(net, (first,), strict=False).module()
    torch.testing.assert_close(exported(x), net(x), rtol=1e-9, atol=1e-9)


def encoded(net: Any, coding: str) -> PointModel:
    """The first layer reads coordinates: it encodes, unless a rate code does."""
    net.body.stem.affine[0].encoder = coding == "direct"
    return net


# -- energy ----------------------------------------------------------------------------------------


@every_model
def test_everything_is_counted(model: str) -> None:
    with torch.no_grad():
        result = trace(build(model), clouds(3))
    assert (result.T, result.samples, result.uncounted) == (4, 3, [])


@every_grouped
@pytest.mark.parametrize("coding", ["direct", "rate"])
def test_only_a_direct_code_multiplies(model: str, coding: str) -> None:
    """All convolutions behind the stem see binary spikes: additions only."""
    net = build(model, coding=coding)
    with torch.no_grad():
        report = price(trace(net, clouds(3)))
    real = [layer for layer, kind in report.operands.items() if kind != "binary"]
    assert real == (["body.stem.affine.0"] if coding == "direct" else [])
    stem = net.body.stem.affine[0].weight.numel() * net.embed.groups * net.embed.k
    assert report.macs == (stem if coding == "direct" else 0)  # the same at every step: counted once
    assert report.acs > 0


@pytest.mark.parametrize("model", list_models("spike_driven_points_*"))
@pytest.mark.parametrize("coding", ["direct", "rate"])
def test_inference_is_additions(model: str, coding: str) -> None:
    """Behind the stem every product is with spikes; with a rate code the stem sees spikes, too."""
    torch.manual_seed(0)
    net = create_model(model, neuron="lif", T=4, coding=coding)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # one batch decides: neurons deep in the network fire
    with torch.no_grad():
        net.train()(clouds(4, 160))
        proof = assert_spike_driven(encoded(net, coding), clouds(2, 160))
    layers = set(weight_layers(net))
    assert set(proof.layers.values()) == {"binary"}
    assert set(proof.layers) | set(proof.exempt) == layers
    assert proof.exempt == (["body.stem.affine.0"] if coding == "direct" else [])
    assert not proof.products
    # coordinates, once per cloud; logits, in the mean over steps
    assert set(proof.multiplications) <= {"embed", "head.readout"}


def test_softmax_attention_multiplies() -> None:
    net = encoded(create_model("spiking_point_transformer_micro", neuron="lif"), "direct")
    assert "body.blocks.0" in assert_spike_driven(net, clouds(2)).multiplications


def test_transforms_of_coordinates_are_refused() -> None:
    with pytest.raises(SpikeDrivenError, match=r"body \(bmm, left\)"):
        assert_spike_driven(build("spiking_pointnet_micro"), clouds(2))


def test_softmax_attention_is_counted_as_what_it_is() -> None:
    with torch.no_grad():
        result = trace(build("spiking_point_transformer_micro"), clouds(3))
    block = result.by_layer["body.blocks.0"]
    assert block.exps > 0
    assert block.muls > 0


@every_grouped
def test_preprocessing_is_a_line_of_its_own(model: str) -> None:
    net, x = build(model), clouds(3)
    with torch.no_grad():
        plain, full = trace(net, x), trace(net, x, preprocessing=True)
    pairs = 3 * 32 * net.embed.groups
    assert any("4,096 operations of preprocessing per input are left out" in w for w in plain.warnings)
    assert "preprocessing" not in plain.by_layer
    own = full.by_layer["preprocessing"]
    assert own.muls + own.adds == 2 * 8 * pairs  # farthest points and neighbours
    others = {k: v for k, v in full.by_layer.items() if k != "preprocessing"}
    assert others == plain.by_layer
    assert not any("preprocessing" in warning for warning in full.warnings)


@every_model
def test_sampling_of_a_queue_is_preprocessing(model: str) -> None:
    """16 of 32 points, then 5, 5 and 5 of the rest: 32 * 16 + 5 * (16 + 11 + 6) distances."""
    net, x = build(model, coding="queue", queue=16), clouds(3)
    with torch.no_grad():
        plain, full = (trace(net, x, preprocessing=wanted) for wanted in (False, True))
    assert any("queue: 5,416 operations" in warning for warning in plain.warnings)
    own, more = full.by_layer["preprocessing"], net.embed.preprocessing_ops(torch.empty(12, 16, 3))
    more += net.body.pyramid.preprocessing_ops(torch.empty(12, 16, 3)) if hasattr(net.body, "pyramid") else 0
    assert own.muls + own.adds == 3 * 5416 + more
    assert full.uncounted == []


def test_every_registered_neuron_is_covered() -> None:
    assert set(NEURONS.names()) == set(list_neurons())
    assert len(MODELS) == 4
