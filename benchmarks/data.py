"""Event files: from disk to arrays, ours beside tonic, spikingjelly and expelliarmus.

    python -m benchmarks.data

One thread, files in the page cache; recordings of SNNKIT_DATA, repeated to some MB. Ours checks every event
against the sensor and the order of time; the peers check nothing. A peer that is not installed is left out:
pip install --no-deps tonic importRosbag loguru expelliarmus spikingjelly
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import os
import tempfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any, Union

import numpy as np
import torch

from snnkit.data import Events, read_dat, read_evt2, read_evt3, read_nmnist, write_dat, write_nmnist

from .harness import race, save, show

Reader = Callable[[Path], Any]


def spikingjelly_reader() -> Reader:
    """Its 40-bit reader alone: the package around it imports torchvision and torchaudio."""
    package = importlib.util.find_spec("spikingjelly")
    if package is None or not package.submodule_search_locations:
        raise ImportError("No module named 'spikingjelly'")
    file = Path(package.submodule_search_locations[0]) / "datasets" / "utils.py"
    tree = ast.parse(file.read_text())
    found = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "load_ATIS_bin"]
    names: dict[str, Any] = {"np": np, "Path": Path, "Union": Union}
    exec(compile(ast.Module(found, []), str(file), "exec"), names)
    return names["load_ATIS_bin"]


def tonic_reader() -> Reader:
    from tonic.io import make_structured_array, read_mnist_file

    dtype = make_structured_array([0], [0], [0], [0]).dtype
    return lambda path: read_mnist_file(str(path), dtype)


def expelliarmus_reader(encoding: str) -> Reader:
    from expelliarmus import Wizard

    wizard = Wizard(encoding=encoding)
    return lambda path: wizard.read(str(path))


Peers = dict[str, Callable[[], Reader]]
EXPELLIARMUS = {name: (lambda name=name: expelliarmus_reader(name)) for name in ("dat", "evt2", "evt3")}
FORMATS: dict[str, tuple[Reader, Peers]] = {
    "40-bit": (
        lambda path: read_nmnist(path, (128, 128, 2)),
        {"tonic": tonic_reader, "spikingjelly": spikingjelly_reader},
    ),
    "DAT": (read_dat, {"expelliarmus": EXPELLIARMUS["dat"]}),
    "EVT 2.0": (read_evt2, {"expelliarmus": EXPELLIARMUS["evt2"]}),
    "EVT 3.0": (read_evt3, {"expelliarmus": EXPELLIARMUS["evt3"]}),
}


def files(data: Path, folder: Path) -> dict[str, Path]:
    """One file per format; that of the clip in two formats has the same events."""
    clip = read_nmnist(data / "dvs_gesture_clips" / "5.bin", (128, 128, 2))
    parts = [clip.t + k * 1_450_000 for k in range(5)]
    events = Events(
        np.concatenate(parts), *(np.tile(c, 5) for c in (clip.x, clip.y, clip.p)), clip.sensor_size
    )
    write_nmnist(folder / "clip.bin", events)
    write_dat(folder / "clip.dat", events)
    samples = data / "format_samples"
    return {
        "40-bit": folder / "clip.bin",
        "DAT": folder / "clip.dat",
        "EVT 2.0": samples / "evt2_sample.raw",
        "EVT 3.0": samples / "evt3_sample.raw",
    }


def contestants(name: str, path: Path) -> dict[str, Callable[[], Any]]:
    """Calls that read ``path``; a peer that finds another number of events is not timed."""
    ours, peers = FORMATS[name]
    calls = {"ours": lambda: ours(path)}
    for peer, make in peers.items():
        try:
            reader = make()
        except ImportError as error:
            print(f"{name}: {peer} is left out, it cannot be imported ({error})")
            continue
        found = reader(path)
        count = len(found["t"])
        if count != len(ours(path)):
            print(f"{name}: {peer} finds {count} events, we find {len(ours(path))}; not timed")
            continue
        calls[peer] = lambda reader=reader: reader(path)
    return calls


def readers() -> list[dict[str, Any]]:
    """Million events per second of ours, and the time of each peer over ours."""
    data, rows = Path(os.environ["SNNKIT_DATA"]), []
    with tempfile.TemporaryDirectory() as folder:
        for name, path in files(data, Path(folder)).items():
            seconds, ratios = race(contestants(name, path), "ours", 25)
            count = len(FORMATS[name][0](path))
            row: dict[str, Any] = {"format": name, "events": count, "ours, M events/s": count / seconds / 1e6}
            for peer in ("tonic", "spikingjelly", "expelliarmus"):
                row[peer] = ratios.get(peer, "-")
            rows.append(row)
    return rows


def versions() -> dict[str, str]:
    """Of the peers that only read files."""
    found = {d.metadata["Name"]: d.version for d in metadata.distributions()}
    return {name: found.get(name, "not installed") for name in ("tonic", "expelliarmus")}


def main() -> None:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    if "SNNKIT_DATA" not in os.environ:
        print("SNNKIT_DATA is not set: no recordings to read, nothing timed")
        return
    torch.set_num_threads(1)
    rows = readers()
    show("event files to arrays: time of the peer / ours, 1 thread", rows)
    print(f"wrote {save('readers', rows, readers=versions())}")


if __name__ == "__main__":
    main()
