"""Weights of published codes: the same logits and firing rates as those codes gave, and refusals by name.

The files in reference_logits hold what the public code gave in float64 for weights that ``reference_weights``
makes from names and shapes: names, shapes, logits, and mean output per layer of neurons. ``reference_code``
writes them, beside checkouts of that code, and compares every single neuron and the parameters of every size.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from reference_weights import image, weights
from torch import Tensor

from snnkit.errors import CheckpointError, ConfigError, InputTypeError
from snnkit.models import create_model, from_reference, reference_models, to_reference

FILES = sorted((Path(__file__).parent / "reference_logits").glob("*.json"))
CASES = {file.stem: json.loads(file.read_text()) for file in FILES}
every_case = pytest.mark.parametrize("case", CASES)
MICRO = [name for name in reference_models() if name.endswith("_test")]


def published(case: str) -> dict[str, Tensor]:
    return weights(CASES[case]["shapes"])


def load(case: str, given: Any = None, **settings: Any) -> Any:
    settings = CASES[case]["settings"] | settings
    return from_reference(CASES[case]["model"], published(case) if given is None else given, **settings)


def exact(case: str) -> torch.nn.Module:
    """In float64: the layout applied to weights that were never rounded."""
    torch.set_default_dtype(torch.float64)
    try:
        return load(case).net
    finally:
        torch.set_default_dtype(torch.float32)


@every_case
def test_logits_and_rates_are_those_of_the_published_code(case: str) -> None:
    wanted, net, rates = CASES[case], exact(case), []
    gains = {m.attn: m.gain for m in net.modules() if hasattr(m, "gain")}  # part of the published neuron
    for module in net.modules():
        if hasattr(module, "spike_levels"):
            gain = gains.get(module, 1.0)
            module.register_forward_hook(lambda _, __, out, gain=gain: rates.append(gain * float(out.mean())))
    x = image(wanted["input"])
    with torch.no_grad():
        out = net(x, time_axis=1) if wanted["events"] else net(x)
    torch.testing.assert_close(out, torch.tensor(wanted["logits"], dtype=torch.float64), rtol=1e-6, atol=1e-9)
    assert sorted(rates) == pytest.approx(wanted["rates"], rel=1e-6)


@every_case
def test_every_key_is_used_or_reported(case: str) -> None:
    given = published(case)
    result = load(case, given)
    assert not result.net.training
    dead = ("norm1", "norm2", "talking_heads", "pos_embed", "norm.weight", "norm.bias")
    assert all(any(word in key for word in dead) for key in result.unused)
    used = given.keys() - set(result.unused)
    counters = sum(key.endswith("num_batches_tracked") for key in result.net.state_dict())
    assert len(used) == len(result.net.state_dict()) - counters


@pytest.mark.parametrize("case", ["spikformer_cifar", "spikingresformer"])
def test_every_missing_key_is_named(case: str) -> None:
    given = published(case)
    keys = sorted(set(given) - set(load(case).unused))
    for start in range(0, len(keys), 20):  # as many as a message names
        without = set(keys[start : start + 20])
        with pytest.raises(CheckpointError) as caught:
            load(case, {k: t for k, t in given.items() if k not in without})
        assert set(re.findall(r"'(\S+): missing", str(caught.value))) == without


@pytest.mark.parametrize("case", ["spikformer_cifar", "spikingresformer", "qsd"])
def test_wrong_tensors_are_named(case: str) -> None:
    given = published(case)
    key = next(k for k in given if k not in load(case).unused)
    for bad, text in (
        (given[key][:1].repeat_interleave(3, 0), "has shape"),
        (given[key].unsqueeze(0), "has shape"),
        (given[key] * float("nan"), "NaN"),
        (given[key].long(), "has type"),
    ):
        with pytest.raises(CheckpointError, match=f"{key}: .*{text}"):
            load(case, given | {key: bad})
    with pytest.raises(CheckpointError, match=r"blocks\.99\.weight: not part of this model"):
        load(case, given | {"blocks.99.weight": torch.ones(1)})


def test_other_settings_do_not_fit() -> None:
    with pytest.raises(CheckpointError, match=r"head\.weight: has shape \(10, 32\), expected \(7, 32\)"):
        load("spikformer_cifar", num_classes=7)
    with pytest.raises(CheckpointError, match="missing"):
        load("spikformer_cifar", depth=3)
    with pytest.raises(CheckpointError, match=r"head_kd\.weight: not part of this model"):
        load("meta_spikeformer", distill=False)


def test_data_parallel_prefix() -> None:
    plain = load("sdt_cifar").net.state_dict()
    prefixed = {f"module.{k}": t for k, t in published("sdt_cifar").items()}
    assert all(torch.equal(t, plain[k]) for k, t in load("sdt_cifar", prefixed).net.state_dict().items())


@pytest.mark.parametrize("odd", [None, [1], {"model": {"a": torch.ones(1)}}, {3: torch.ones(1)}], ids=str)
def test_what_is_no_state_dict(odd: Any) -> None:
    with pytest.raises(InputTypeError, match="mapping from names to tensors"):
        load("sdt_cifar", [] if odd is None else odd)


def test_unknown_layout() -> None:
    with pytest.raises(ConfigError, match=r"spikformer_v2_8_384.*Models with known keys: .*sdt_8_384"):
        from_reference("spikformer_v2_8_384", {})
    with pytest.raises(ConfigError, match="to_reference"):
        to_reference(create_model("spikformer_v2_test"))


@pytest.mark.parametrize("name", MICRO)
def test_there_and_back(name: str) -> None:
    net = create_model(name)
    back = from_reference(name, to_reference(net))
    assert not back.unused
    assert back.net.state_dict().keys() == net.state_dict().keys()
    assert all(torch.equal(t, net.state_dict()[k]) for k, t in back.net.state_dict().items())


@pytest.mark.parametrize("name", [n for n in reference_models() if not n.endswith(("_test", "_512", "_768"))])
def test_every_tensor_of_every_size_has_a_published_name(name: str) -> None:
    with torch.device("meta"):
        net = create_model(name)
    assert len(to_reference(net)) == len(net.state_dict())


@pytest.mark.parametrize("name", MICRO)
def test_feature_maps_of_a_trained_classifier(name: str) -> None:
    net, x = create_model(name).eval(), torch.rand(4, 1, 2, 16, 16)
    given = to_reference(net)
    maps, unused = from_reference(name, given, features_only=True)
    own = net.state_dict()
    assert all(torch.equal(t, own[key]) for key, t in maps.state_dict().items())
    assert len(unused) == sum(key.startswith("head.") for key in own) > 0
    assert len(maps(x)) == len(maps.feature_strides)
    with pytest.raises(CheckpointError, match=f"{re.escape(unused[0])}: missing"):
        from_reference(name, {key: t for key, t in given.items() if key not in unused})
