"""Which products of which family spikes drive is what docs/spike_driven.md says."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
TABLE = runpy.run_path(str(DOCS / "make_spike_table.py"))
PAGE = (DOCS / "spike_driven.md").read_text()

REP = [f"{role}.{part}" for role in ("k", "proj", "q", "v") for part in ("depthwise", "out")]
UNFUSED = " ".join(["convs.pointwise", *REP])
AVERAGE = "head.linear"  # reads means over tokens
REAL = {
    "max_resnet": f"embeds.shortcut {AVERAGE}",
    "meta_spikeformer": UNFUSED,
    "qsd": UNFUSED,
    "qkformer": AVERAGE,
    "sglformer": AVERAGE,
    "spikformer": AVERAGE,
    "spikingformer": AVERAGE,
    "spikingresformer": f"attention {AVERAGE}",  # products of dual attention with real numbers
}


@pytest.mark.parametrize("name", TABLE["families"]())
def test_the_products_of_a_family(name: str) -> None:
    """All is driven by spikes or counts but the first convolution, and what is listed; nothing once fused."""
    lines = TABLE["rows"](name)
    family = name.removesuffix("_test")
    columns = [line.strip("| \n").split(" | ") for line in lines]
    assert [row[-1] for row in columns] == [REAL.get(family, "-"), "-"][: len(lines)]
    assert (len(lines) == 2) == (REAL.get(family) == UNFUSED)
    if "".join(lines) not in PAGE:
        pytest.fail(f"docs/spike_driven.md does not fit the models; renew it by: {TABLE['COMMAND']}")


def test_every_family_stands_in_the_table() -> None:
    found = [line.split("`")[1].split(",")[0] for line in PAGE.splitlines() if line.startswith("| `")]
    assert sorted(set(found)) == sorted(name.removesuffix("_test") for name in TABLE["families"]())
