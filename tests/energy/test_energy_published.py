"""Published energies close, or are refused; the script that says so runs."""

from __future__ import annotations

import os

import pytest

from benchmarks.published_energy import SPIKINGFORMER, refusal, repriced, rows
from snnkit.energy import estimate, price, trace


def test_published_totals_close():
    found = {row.network: row for row in rows()}
    for name in ("spiking_resnet18", "sew_resnet18", "resnet18", "Spikformer-8-512"):
        assert abs(found[name].difference) < 1e-4, name
    corrected = found["PMC10242054, table 3"]
    assert corrected.ours_mj == pytest.approx(2.26e-3, rel=1e-3)
    assert corrected.published_mj == pytest.approx(
        0.1366 * corrected.ours_mj, rel=1e-3
    )  # the rate, once more
    assert "applied twice" in refusal()


@pytest.mark.data
def test_spikingformer_table_is_among_them():
    root = os.environ.get("SNNKIT_DATA")
    if not root:
        pytest.skip(f"SNNKIT_DATA is not set: {SPIKINGFORMER}")
    (row,) = [row for row in rows() if row.network == "Spikingformer-8-512"]
    assert abs(row.difference) < 1e-8


def test_both_prices_of_residual_sums_are_reachable_by_options():
    """Sums of residuals as ACs, or as MACs: one trace, two policies."""
    import torch
    from torch import nn

    sums = torch.tensor([[0.0, 1, 2, 1]])
    counted = trace(nn.Linear(4, 5, bias=False), sums)
    as_acs = price(counted, "spikingformer-script")
    as_macs = price(counted, "sop-rule", multilevel="mac")
    assert (as_acs.acs, as_acs.macs) == (15, 0)
    assert (as_macs.acs, as_macs.macs) == (0, 15)
    assert repriced(0.0) < 18.82 < repriced(1.0)
    assert estimate(nn.Linear(4, 5, bias=False), sums, "sop-rule").acs == 20  # unrolled into unit events
