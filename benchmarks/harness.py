"""What the benchmarks share: interleaved timing, ratios with their spread, tables and JSON.

Calls of all contestants alternate, so that whatever else the machine does meets all of them. A ratio is the
time of a peer divided by ours in the same round; reported are the median and the range over the rounds.
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import geometric_mean, median
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Ratio:
    """Median, smallest and largest of a peer's time over ours."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.1f} ({self.low:.1f} to {self.high:.1f})"


def clock() -> Callable[[], float]:
    """Processor time on one thread, which other load hardly touches; else wall time."""
    return time.process_time if torch.get_num_threads() == 1 else time.perf_counter


def race(calls: Mapping[str, Callable[[], Any]], ours: str, repeats: int) -> tuple[float, dict[str, Ratio]]:
    """Median seconds of ``ours`` and the ratios of the others, calls interleaved, one round to warm up."""
    now, times = clock(), {name: [] for name in calls}  # type: dict[str, list[float]]
    for round_ in range(repeats + 1):
        for name, call in calls.items():
            start = now()
            call()
            if round_:
                times[name].append(now() - start)
    ratios = {
        name: [theirs / mine for theirs, mine in zip(seconds, times[ours], strict=True)]
        for name, seconds in times.items()
        if name != ours
    }
    return median(times[ours]), {n: Ratio(median(r), min(r), max(r)) for n, r in ratios.items()}


def repeats_for(work: int, least: int = 7) -> int:
    """More rounds for small work, whose times scatter more."""
    return max(least, min(60, int(2e7 / max(work, 1))))


def mean_ratio(ratios: Sequence[Ratio]) -> float:
    """Geometric mean of the medians."""
    return geometric_mean([r.median for r in ratios])


def in_own_process(module: str, *arguments: str) -> None:
    """Run ``python -m benchmarks.<module> arguments``: for settings that hold for a whole process."""
    subprocess.run([sys.executable, "-m", f"benchmarks.{module}", *arguments], check=True)


def environment() -> dict[str, str]:
    """Versions and machine of a result."""
    from importlib import metadata

    cpu = next(
        (line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.processor(),
    )
    found = {"python": platform.python_version(), "cpu": cpu, "torch": torch.__version__}
    for package in ("spikingjelly", "snntorch", "norse"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).is_file() else []


def save(name: str, rows: Sequence[Mapping[str, Any]], **facts: Any) -> Path:
    """Write ``benchmarks/results/<name>.json``."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    plain = [{k: asdict(v) if isinstance(v, Ratio) else v for k, v in row.items()} for row in rows]
    path.write_text(json.dumps({"environment": environment(), **facts, "rows": plain}, indent=1) + "\n")
    return path


def show(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows as a table; the columns are the keys of the first one."""
    table = Table(*(str(k) for k in rows[0]), title=title)
    for row in rows:
        table.add_row(*(f"{v:.3g}" if isinstance(v, float) else str(v) for v in row.values()))
    Console(width=150).print(table)
