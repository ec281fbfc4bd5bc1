"""Pages of the documentation that are written by a program are up to date."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"


@pytest.mark.parametrize("kind", ["neuron", "model", "recipe"])
def test_the_table_is_up_to_date(kind: str) -> None:
    made = runpy.run_path(str(DOCS / f"make_{kind}_table.py"))
    if (DOCS / f"{kind}s.md").read_text() != made["page"]():
        pytest.fail(f"docs/{kind}s.md does not fit the registry; renew it by: {made['COMMAND']}")
