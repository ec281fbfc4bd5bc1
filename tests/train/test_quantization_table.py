"""The table of low-bit networks: what is written is what was measured, and it holds what it has to."""

from __future__ import annotations

import json
from statistics import mean

import pytest

from benchmarks.harness import RESULTS
from benchmarks.quantization import NETWORKS, PAGE, summary, table

CELLS = json.loads((RESULTS / "quantization.json").read_text())["cells"]


def test_the_page_shows_the_results() -> None:
    assert table(summary(CELLS)) in PAGE.read_text()


@pytest.mark.parametrize("data", ["digits", "nmnist"])
@pytest.mark.parametrize(
    ("network", "points"), [("8 bit", 1.0), ("4 bit", 1.0), ("2 bit", 3.0), ("ternary", 3.0)]
)
def test_accuracy_is_near_that_of_float(data: str, network: str, points: float) -> None:
    """Mean over three seeds, against the float network from which each one started."""
    right = {(c["network"], c["seed"]): 100 * c["right"] / c["samples"] for c in CELLS if c["data"] == data}
    assert mean(right["float", seed] - right[network, seed] for seed in range(3)) <= points
    assert mean(right["float", seed] for seed in range(3)) > 94


def test_fewer_bits_cost_fewer_bytes_and_less_energy() -> None:
    for data in ("digits", "nmnist"):
        size = {c["network"]: c["bytes"] for c in CELLS if c["data"] == data}
        order = [size[name] for name in ("float", "8 bit", "4 bit", "3 bit", "2 bit", "binary")]
        assert order == sorted(order, reverse=True)
        assert set(size) == set(NETWORKS)
