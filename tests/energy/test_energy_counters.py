"""The page that sets counters side by side is up to date, and the loop over every event is met."""

from __future__ import annotations

import pytest
import torch

from benchmarks.energy_counters import PAGE, Network, inputs, of_snnkit, record, truth


def test_every_operation_of_the_network_equals_the_loop():
    net = Network().eval()
    with torch.no_grad():
        seen = record(net, inputs())
        counted = of_snnkit(net, inputs(), seen)
    assert len(seen) == 9
    for name, call in seen.items():
        right = truth(*call)
        assert right.ac > 0, name
        assert (counted[name].ac, counted[name].mac) == pytest.approx((right.ac, 0)), name


@pytest.mark.oracle
def test_the_page_is_up_to_date():
    pytest.importorskip("spikingjelly.activation_based.op_counter")
    from benchmarks.energy_counters import page

    if PAGE.read_text() != page():
        pytest.fail(
            f"{PAGE.name} does not fit what is counted; renew it by python -m benchmarks.energy_counters"
        )
