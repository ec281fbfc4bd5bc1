"""Published parameter counts, and that the registered sizes are what their papers describe."""

from __future__ import annotations

import pytest
import torch

from snnkit.models import Backbone, create_model, list_models

MILLIONS = {  # published totals; the count of the published code without layers that take no part
    "8_384": 16.81,
    "6_512": 23.37,
    "8_512": 29.68,
    "10_512": 36.01,
    "8_768": 66.34,
}
SPIKFORMER_SMALL = {
    "spikformer_cifar_4_256": 4.15,
    "spikformer_cifar_2_384": 5.76,
    "spikformer_cifar_4_384": 9.32,
    "spikformer_dvs_2_256": 2.57,
}
PUBLISHED = {f"{family}_{size}": n for family in ("spikformer", "sdt") for size, n in MILLIONS.items()}
PUBLISHED |= SPIKFORMER_SMALL
WITHOUT_PUBLISHED_COUNT = {"sdt_cifar_2_256", "sdt_cifar_2_512", "sdt_dvs_2_256", "sdt_gesture_2_256"}


def parameters(name: str, **settings: int) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in create_model(name, **settings).parameters())


def on_images(name: str) -> bool:
    with torch.device("meta"):
        return isinstance(create_model(name), Backbone)


BACKBONES = [name for name in list_models() if on_images(name)]  # models of clouds: test_point_sizes.py


@pytest.mark.parametrize(("name", "millions"), PUBLISHED.items())
def test_parameters(name: str, millions: float) -> None:
    assert parameters(name) / 1e6 == pytest.approx(millions, rel=0.005)


def test_every_size_is_covered() -> None:
    assert set(PUBLISHED) | WITHOUT_PUBLISHED_COUNT | set(list_models("*_test")) == set(BACKBONES)


@pytest.mark.parametrize("family", ["spikformer", "sdt"])
@pytest.mark.parametrize("size", MILLIONS)
def test_parameters_by_hand(family: str, size: str) -> None:
    """Weights, norms and biases of stem, blocks and head, from the formulas."""
    depth, c = (int(n) for n in size.split("_"))
    stem = 9 * (3 * c // 8 + c**2 // 32 + c**2 // 8 + c**2 // 2 + c**2) + 2 * (
        c // 8 + c // 4 + c // 2 + 2 * c
    )
    block = 4 * c**2 + 8 * c**2 + (8 * c + 8 * c + 2 * c) + (c + 4 * c + c)
    head = 1000 * c + 1000
    assert parameters(f"{family}_{size}") == stem + depth * block + head


@pytest.mark.parametrize("size", MILLIONS)
def test_both_families_have_the_same_size(size: str) -> None:
    assert parameters(f"spikformer_{size}") == parameters(f"sdt_{size}")


@pytest.mark.parametrize("name", BACKBONES)
def test_published_neurons(name: str) -> None:
    """tau 2, detached reset, sigmoid(4) surrogate; 0.5 as threshold of the attention only."""
    with torch.device("meta"):
        net = create_model(name)
    for path, module in net.named_modules():
        if hasattr(module, "dynamics"):
            assert module.tau == 2.0
            assert module.threshold == (0.5 if path.endswith(".attn") else 1.0), path
            assert module.dynamics.detach_reset
            assert module.dynamics.decay_input
            assert repr(module.dynamics.surrogate) == "Sigmoid(alpha=4.0)"


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("spikformer_8_384", (1, 1, 3, 224, 224)),
        ("sdt_8_384", (1, 1, 3, 224, 224)),
        ("spikformer_cifar_4_384", (1, 3, 32, 32)),
        ("spikformer_dvs_2_256", (2, 1, 2, 128, 128)),
        ("sdt_cifar_2_512", (1, 3, 32, 32)),
        ("sdt_dvs_2_256", (2, 1, 2, 64, 64)),
        ("sdt_gesture_2_256", (2, 1, 2, 128, 128)),
    ],
)
def test_published_input_sizes(name: str, shape: tuple[int, ...]) -> None:
    """On the meta device: shapes only. All embeddings end at 64 (small data) or 196 tokens."""
    with torch.device("meta"):
        net = create_model(name).eval()
        tokens = []
        net.blocks[0].register_forward_pre_hook(lambda _, args: tokens.append(args[0].shape[-2:].numel()))
        out = net(torch.empty(shape))
    classes = {"8_384": 1000, "gesture_2_256": 11}
    assert out.shape == (1, next((n for end, n in classes.items() if name.endswith(end)), 10))
    assert tokens == [
        {"spikformer_8_384": 196, "sdt_8_384": 196, "sdt_dvs_2_256": 256, "sdt_gesture_2_256": 256}.get(
            name, 64
        )
    ]


@pytest.mark.parametrize("family", ["spikformer", "sdt"])
def test_arguments_of_the_family_can_be_overridden(family: str) -> None:
    small = parameters(f"{family}_test")
    assert parameters(f"{family}_test", depth=2) > small
    assert parameters(f"{family}_test", width=64, heads=4) > small
    assert parameters(f"{family}_test", ratio=2.0) < small
    assert parameters(f"{family}_test", num_classes=2) == small - 8 * 33


def test_own_function_decides_every_neuron() -> None:
    from snnkit.neurons import LIF

    asked = []

    def make(role: str, channels: int) -> LIF:
        asked.append((role, channels))
        return LIF(learn_tau=True, channels=channels)

    net = create_model("sdt_test", neuron=make).eval()
    assert {role for role, _ in asked} == {
        "stem",
        "embed",
        "in",
        "q",
        "k",
        "v",
        "attn",
        "mlp1",
        "mlp2",
        "head",
    }
    assert net(torch.rand(2, 1, 2, 16, 16)).shape == (1, 10)
    asked.clear()
    create_model("spikformer_test", neuron=make)
    assert {role for role, _ in asked} == {"stem", "embed", "q", "k", "v", "attn", "proj", "mlp1", "mlp2"}
