"""Examples in docstrings run and print what they say."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest
import torch

import snnkit
from snnkit.kernels import library

PACKAGES = ["kernels", "neurons", "layers", "models"]
MODULES = [
    "engine",
    "errors",
    "registry",
    "sequence",
    "surrogate",
    "readout",
    "encoding",
    "losses",
    *PACKAGES,
]
MODULES += [
    f"{package}.{info.name}"
    for package in PACKAGES
    for info in pkgutil.iter_modules([f"{snnkit.__path__[0]}/{package}"])
    if info.name[0] != "_"  # private: no examples, and one needs triton
]
WITH_EXAMPLES = {
    "registry",
    "sequence",
    "neurons.lif",
    "layers.per_step",
    "models.registry",
    "engine",
    "kernels.backend",
    "kernels.event_linear",
}


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    if name == "engine" and isinstance(library(), str):
        pytest.skip(f"native backend: {library()}")
    module = importlib.import_module(f"snnkit.{name}")
    finder = doctest.DocTestFinder(exclude_empty=True)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    report: list[str] = []
    for test in finder.find(module, globs={**vars(module), "snnkit": snnkit, "torch": torch}):
        runner.run(test, out=report.append)
    assert runner.failures == 0, "".join(report)
    assert runner.tries > 0 or name not in WITH_EXAMPLES
