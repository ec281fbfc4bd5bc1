"""Pages of the documentation that are written by a program are up to date."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"


def test_the_table_of_neurons_is_up_to_date() -> None:
    made = runpy.run_path(str(DOCS / "make_neuron_table.py"))
    if (DOCS / "neurons.md").read_text() != made["page"]():
        pytest.fail(f"docs/neurons.md does not fit the registry; renew it by: {made['COMMAND']}")
