"""Every test runs on one thread, from a fixed seed. Plain helper functions are in ``helpers.py``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True)
def reproducible() -> Iterator[None]:
    """One thread and a fixed seed; the default float type is put back."""
    default = torch.get_default_dtype()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(default)
