"""Every example runs as it stands, in a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted(ROOT.joinpath("examples").glob("*.py"))
SAYS = {
    "01_lif_trace": "spike",
    "02_network_energy": "synaptic operations of",
    "03_train_digits": "test accuracy",
    "04_streaming": "equal to one call, bit for bit",
    "05_foreign_energy": "not counted: nothing",
    "06_learned_delays": "delays in whole steps: ",
    "07_motion": "of the weights",
}


def run(command: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_example(path: Path, tmp_path: Path) -> None:
    if path.stem == "05_foreign_energy":
        pytest.importorskip("spikingjelly")
        pytest.importorskip("snntorch")
    done = run([sys.executable, str(path)], tmp_path)
    assert done.returncode == 0, done.stderr
    assert SAYS[path.stem] in done.stdout


def test_trained_example_learns(tmp_path: Path) -> None:
    done = run([sys.executable, str(ROOT / "examples" / "03_train_digits.py")], tmp_path)
    assert float(done.stdout.split()[-2]) > 80


def test_code_of_the_readme_runs(tmp_path: Path) -> None:
    code = ROOT.joinpath("README.md").read_text().split("```python\n")[1].split("```")[0]
    assert len([line for line in code.splitlines() if line.strip()]) <= 16
    done = run([sys.executable, "-c", code], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "uJ; as an ANN" in done.stdout
