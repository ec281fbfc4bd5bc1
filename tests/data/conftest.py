"""Fixtures of the data tests: a shared cache, the recordings, and files made on the spot."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snnkit.data import Events


@pytest.fixture(scope="session")
def digits_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder filled once per test process."""
    return tmp_path_factory.mktemp("snnkit-cache")


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Starts fresh processes that share nothing with this one; torch is imported once for all of them."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # the preload of Python 3.11 needs it
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["snnkit.data", "sklearn.datasets"])
    return context


@pytest.fixture
def recordings() -> Path:
    """The folder ``SNNKIT_DATA`` points to."""
    folder = os.environ.get("SNNKIT_DATA")
    if not folder:
        pytest.skip("SNNKIT_DATA is not set: no recordings to read")
    return Path(folder)


@pytest.fixture
def random_events() -> Callable[..., Events]:
    """``random_events(n, seed=0, size=(34, 34, 2), duration=315_000)``."""

    def make(
        n: int, seed: int = 0, size: tuple[int, int, int] = (34, 34, 2), duration: int = 315_000
    ) -> Events:
        rng = np.random.default_rng(seed)
        x, y, p = (rng.integers(0, high, n) for high in size)
        return Events(np.sort(rng.integers(0, duration, n)), x, y, p, size, (0, duration))

    return make
