"""Event files to arrays and recordings to frames, ours beside tonic, spikingjelly and expelliarmus.

    python -m benchmarks.data

One thread, files in the page cache; recordings of SNNKIT_DATA, repeated to some MB. Our readers check every
event against the sensor and the order of time; the peers check nothing. Frames are float32 of ours, int16 of
tonic and float64 of spikingjelly, as each makes them. A peer that is not installed is left out:
pip install --no-deps tonic importRosbag loguru expelliarmus spikingjelly
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import os
import tempfile
import typing
from collections.abc import Callable
from functools import partial
from importlib import metadata
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from snnkit.data import (
    Events,
    Framing,
    batch_frames,
    collate_events,
    read_dat,
    read_evt2,
    read_evt3,
    read_nmnist,
    write_dat,
    write_nmnist,
)
from snnkit.data.transforms import VoxelGrid

from .harness import race, repeats_for, save, show

Reader = Callable[[Path], Any]


def spikingjelly_function(name: str) -> Callable[..., Any]:
    """One function of its data sets alone: the package around it imports torchvision and torchaudio."""
    package = importlib.util.find_spec("spikingjelly")
    if package is None or not package.submodule_search_locations:
        raise ImportError("No module named 'spikingjelly'")
    file = Path(package.submodule_search_locations[0]) / "datasets" / "utils.py"
    tree = ast.parse(file.read_text())
    found = [n for n in tree.body if isinstance(n, ast.FunctionDef)]
    names: dict[str, Any] = {kind: getattr(typing, kind) for kind in ("Callable", "Optional", "Union")}
    names |= {"np": np, "Path": Path}
    exec(compile(ast.Module(found, []), str(file), "exec"), names)
    return names[name]


def spikingjelly_reader() -> Reader:
    return spikingjelly_function("load_ATIS_bin")


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


T = 10  # frames of a recording


def tonic_array(events: Events) -> np.ndarray:
    from tonic.io import make_structured_array

    return make_structured_array(events.x, events.y, events.t, events.p)


def tonic_frames(events: Events) -> Callable[[], Any]:
    from tonic.transforms import ToFrame

    array, frame = tonic_array(events), ToFrame(sensor_size=events.sensor_size, n_time_bins=T)
    return lambda: frame(array)


def tonic_voxels(events: Events) -> Callable[[], Any]:
    from tonic.transforms import ToVoxelGrid

    array, grid = tonic_array(events), ToVoxelGrid(sensor_size=events.sensor_size, n_time_bins=T)
    return lambda: grid(array.copy())  # it writes to its input


def spikingjelly_frames(events: Events) -> Callable[[], Any]:
    make = spikingjelly_function("integrate_events_by_fixed_frames_number")
    columns = {name: getattr(events, name) for name in "txyp"}
    width, height, _ = events.sensor_size
    return lambda: make(columns, "time", T, height, width)


Make = Callable[[Events], Callable[[], Any]]
FRAMES: dict[str, tuple[Make, dict[str, Make]]] = {
    "frames": (
        lambda events: partial(Framing(T=T), events),
        {"tonic": tonic_frames, "spikingjelly": spikingjelly_frames},
    ),
    "voxels": (lambda events: partial(VoxelGrid(T), events), {"tonic": tonic_voxels}),
    "frames, batch of 16": (
        lambda events: partial(batch_frames, collate_events([(events, 0)] * 16), Framing(T=T)),
        {},
    ),
}


def frames() -> list[dict[str, Any]]:
    """Million events per second of ours, and the time of each peer over ours."""
    data, rows = Path(os.environ["SNNKIT_DATA"]), []
    recordings = {
        "N-MNIST": read_nmnist(min((data / "nmnist_mini" / "Train" / "0").iterdir())),
        "gesture": read_nmnist(data / "dvs_gesture_clips" / "5.bin", (128, 128, 2)),
        "EVT 2.0 sample": read_evt2(data / "format_samples" / "evt2_sample.raw"),
    }
    for (name, events), what in product(recordings.items(), FRAMES):
        calls = makers(what, events)
        seconds, ratios = race(calls, "ours", repeats_for(50 * len(events)))
        size = "x".join(map(str, events.sensor_size[:2]))
        row: dict[str, Any] = {"recording": f"{name}, {size}, {len(events)} events", "to": f"{what}, T = {T}"}
        row["ours, M events/s"] = (16 if "batch" in what else 1) * len(events) / seconds / 1e6
        rows.append(row | {peer: ratios.get(peer, "-") for peer in ("tonic", "spikingjelly")})
    return rows


def makers(what: str, events: Events) -> dict[str, Callable[[], Any]]:
    """Calls that make frames; a peer that loses more than an event per bin is not timed."""
    ours, peers = FRAMES[what]
    calls = {"ours": ours(events)}
    for peer, make in peers.items():
        try:
            call = make(events)
        except ImportError as error:
            print(f"{what}: {peer} is left out, it cannot be imported ({error})")
            continue
        count = int(np.asarray(call()).sum())
        if what == "frames" and abs(count - len(events)) > T:
            print(f"{what}: {peer} counts {count} of {len(events)} events; not timed")
            continue
        calls[peer] = call
    return calls


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
    rows = frames()
    show("recordings to frames: time of the peer / ours, 1 thread", rows)
    print(f"wrote {save('frames', rows, readers=versions())}")


if __name__ == "__main__":
    main()
