"""``snnkit data``: look at a recording, check a data set, measure how fast one is read."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from .checks import integer
from .errors import ConfigError, require

__all__ = ["add_data_commands"]

_SHOWN = 20  # findings that are printed
_WINDOWS = 3  # of a recording that are drawn as clouds
_OF_CLOUDS: dict[str, tuple[str, int | None]] = {
    "--points": ("of a cloud", 1024),
    "--window-us": ("length of a window", None),
    "--groups": ("centres of a cloud", 64),
    "--k": ("neighbours of a centre", 24),
}
_SENSORS = ((34, 34), (128, 128), (240, 180), (304, 240), (346, 260), (640, 480), (1280, 720))


def add_data_commands(commands: Any) -> None:
    """Add ``data`` with its own commands to the parsers of ``snnkit``."""
    data = commands.add_parser("data", help="show a recording, check a data set, measure its speed")
    parts = data.add_subparsers(dest="what", metavar="show|check|bench", required=True)

    show = parts.add_parser("show", help="statistics of one recording, with a PNG and a GIF")
    show.set_defaults(run=_show)
    show.add_argument("file", help="event file, or the name of a data set (snnkit list datasets)")
    show.add_argument("--root", metavar="FOLDER", help="of the recordings of a data set")
    show.add_argument("--split", default="train", help="of a data set (default: train)")
    show.add_argument(
        "--index", type=int, default=0, help="which recording of a data set or an HDF5 file (default: 0)"
    )
    show.add_argument("--out", metavar="FOLDER", default=".", help="for the pictures (default: here)")
    show.add_argument("--frames", type=int, default=40, help="of the animation (default: 40)")
    show.add_argument(
        "--cloud",
        action="store_true",
        help="show what point networks see: windows, centres and groups in 3-D",
    )
    for name, (what, default) in _OF_CLOUDS.items():
        told = "the whole recording" if default is None else default
        show.add_argument(name, type=int, help=f"with --cloud: {what} (default: {told})")
    _sensor(show, "which is guessed otherwise")

    check = parts.add_parser(
        "check",
        help="read every recording and report what is wrong; exit status 1 if anything is",
        description="Read every recording of a folder (or, with --dataset, of a data set there). Reported "
        "are recordings that cannot be read, that are empty, from which something had to be dropped, and "
        "that have the same events as another.",
    )
    check.set_defaults(run=_check)
    check.add_argument("folder", help="folder of recordings")
    check.add_argument("--report", metavar="FILE", help="write all findings as JSON")
    check.add_argument("--dataset", help="name of a data set that says how the folder is laid out")
    check.add_argument("--split", default="train", help="of a data set (default: train)")
    _sensor(check, "40-bit files are held against 34x34 otherwise")

    bench = parts.add_parser("bench", help="recordings and events per second, through a data loader")
    bench.set_defaults(run=_bench)
    bench.add_argument("dataset", nargs="?", default="digits", help="name of a data set (default: digits)")
    bench.add_argument("--root", metavar="FOLDER", help="of the recordings")
    bench.add_argument("--workers", type=int, default=0, help="processes that read (default: 0, this one)")
    bench.add_argument("--batch-size", type=int, default=32, help="(default: %(default)s)")
    bench.add_argument("--samples", type=int, default=2000, help="at most so many (default: %(default)s)")
    bench.add_argument("--T", type=int, default=8, help="frames per sample (default: %(default)s)")


def _sensor(parser: argparse.ArgumentParser, otherwise: str) -> None:
    parser.add_argument(
        "--sensor", metavar="WxH", help=f"of files that do not tell it, as 34x34; {otherwise}"
    )


def _show(args: argparse.Namespace) -> None:
    from rich.console import Console
    from rich.table import Table

    from . import plot
    from .data import DATASETS, statistics

    integer("--frames", args.frames, 1, 300)
    of_clouds = _cloud_options(args)
    if args.file in DATASETS:
        data = _open(args.file, args.root, args.split)
        if not -len(data) <= args.index < len(data):
            raise ConfigError(
                f"--index: got {args.index}, expected below {len(data)}, the number of recordings."
            )
        events, name = data.events(args.index), f"{args.file}_{args.split}_{args.index}"
    else:
        events, name = _recording(args), Path(args.file).stem
    s = statistics(events)
    table = Table(show_header=False, box=None)
    table.add_row("events", f"{s.events:,}")
    table.add_row("sensor", "x".join(map(str, events.sensor_size)))
    table.add_row("recording", f"[{events.t_span[0]:,}, {events.t_span[1]:,}) µs")
    if s.events:
        table.add_row("first, last event", f"{s.first_us:,}, {s.last_us:,} µs")
        table.add_row("rate", f"{s.rate_hz:,.0f} events/s, busiest 10 ms {s.peak_hz:,.0f} events/s")
        table.add_row("simultaneous", f"{s.simultaneous:,} events ({100 * s.simultaneous / s.events:.1f} %)")
    if s.on_share == s.on_share:
        table.add_row("polarity", f"ON {100 * s.on_share:.1f} %")
    table.add_row("active pixels", f"{s.active:,} of {s.pixels:,}; {s.dead:,} without events")
    hot = ", ".join(f"({x}, {y}): {n}" for x, y, n in s.hot[:5])
    table.add_row("hot pixels", f"{len(s.hot)}" + (f", busiest {hot}" if hot else ""))
    if events.info.get("dropped"):
        table.add_row("dropped", str(events.info["dropped"]))
    Console().print(table)
    out = Path(args.out)
    if args.cloud:
        _show_cloud(events, out / f"{name}_cloud", args.frames, *of_clouds)
        return
    print(f"wrote {plot.save(plot.overview(events, title=name), out / f'{name}.png', dpi=120)}")
    if events.sensor_size[1] > 1:
        print(f"wrote {plot.animate(events, out / f'{name}.gif', T=args.frames)}")


def _cloud_options(args: argparse.Namespace) -> tuple[int, int | None, int, int]:
    """Points, window, groups and k; none may be given in vain."""
    found: dict[str, Any] = {}
    for name, (_, default) in _OF_CLOUDS.items():
        given = getattr(args, name[2:].replace("-", "_"))
        if given is not None:
            require(args.cloud, name, given, "together with --cloud only")
            integer(name, given)
        found[name] = default if given is None else given
    points, window_us, groups, k = found.values()
    for name, number in (("--groups", groups), ("--k", k)):
        require(number <= points, name, number, f"at most {points}, the number of --points")
    return points, window_us, groups, k


def _show_cloud(
    events: Any, path: Path, frames: int, points: int, window_us: int | None, groups: int, k: int
) -> None:
    """Windows of a recording side by side (PNG), and turning (GIF)."""
    import torch

    from . import plot
    from .data.transforms import EventCloud, windows

    parts = windows(events, window_us or max(events.t_span[1] - events.t_span[0], 1))
    if not parts:
        raise ConfigError("data show --cloud: the recording has no events.")
    count = min(_WINDOWS, len(parts))
    shown = [parts[i * (len(parts) - 1) // max(count - 1, 1)] for i in range(count)]
    generator = torch.Generator().manual_seed(0)
    clouds = torch.stack([EventCloud(points)(part, generator) for part in shown])
    print(f"windows: {len(parts)} with events, shown {len(shown)}, of {[len(part) for part in shown]} events")
    titles = [
        f"{part.t_span[0] / 1000:g} to {part.t_span[1] / 1000:g} ms, "
        f"{min(len(part), points):,} of {len(part):,} events"
        for part in shown
    ]
    settings: dict[str, Any] = {"groups": groups, "k": k, "titles": titles}
    picture = plot.point_groups(clouds, **settings)
    print(f"wrote {plot.save(picture, path.with_suffix('.png'), dpi=120)}")
    print(f"wrote {plot.turn(clouds, path.with_suffix('.gif'), frames=frames, **settings)}")


def _check(args: argparse.Namespace) -> int:
    import json

    from rich.progress import track

    from .data import check_dataset, check_files, event_files
    from .files import write_atomically

    if not Path(args.folder).is_dir():
        raise ConfigError(f"data check: {args.folder!r} is no folder. Give the folder of the recordings.")
    if args.dataset:
        data = _open(args.dataset, args.folder, args.split)
        number, results = len(data), check_dataset(data, args.dataset)
    else:
        paths = event_files(args.folder)
        number, results = len(paths), check_files(paths, _reader(args))
    if not number:
        raise ConfigError(f"data check: no recordings in {args.folder!r}.")
    bar = track(results, "checking", number, transient=True, disable=not sys.stdout.isatty())
    findings = [f for found in bar for f in found]
    kinds = Counter(finding.kind for finding in findings)
    for finding in findings[:_SHOWN]:
        print(f"{finding.kind}: {finding.name}: {finding.message}")
    if len(findings) > _SHOWN:
        print(f"... and {len(findings) - _SHOWN} more")
    if kinds["unreadable"] and not (args.sensor or args.dataset):
        print("Files that do not tell their sensor were held against 34x34: give another with --sensor WxH.")
    summary = ", ".join(f"{n} {kind}" for kind, n in sorted(kinds.items())) or "nothing wrong"
    print(f"{number} recordings checked: {summary}")
    if args.report:
        rows = {"recordings": number, "findings": [vars(finding) for finding in findings]}
        write_atomically(args.report, (json.dumps(rows, indent=1) + "\n").encode())
    return 1 if findings else 0


def _bench(args: argparse.Namespace) -> None:
    import time

    from torch.utils.data import DataLoader, Subset

    from .data import Framing, Transformed, collate_events

    data = _open(args.dataset, args.root, "train")
    workers, batch_size = integer("--workers", args.workers, 0), integer("--batch-size", args.batch_size)
    number = min(integer("--samples", args.samples), len(data))
    for what, steps in (("events", []), (f"frames T={args.T}", [Framing(T=args.T)])):
        seen = Subset(Transformed(data, steps), range(number))
        loader = DataLoader(
            seen,
            batch_size,
            num_workers=workers,
            collate_fn=_counted if steps else collate_events,
        )
        begin, size = time.perf_counter(), 0
        for batch in loader:
            size += int(batch if steps else len(batch.t))
        seconds = time.perf_counter() - begin
        unit = "counts" if steps else "events"
        print(
            f"{what:12} {number / seconds:10,.0f} recordings/s  {size / seconds / 1e6:8.2f} M {unit}/s  "
            f"({number} recordings, {workers} workers, start included)"
        )


def _counted(batch: Any) -> int:
    """Events in the frames of a batch: what crosses from a worker is a number, not the frames."""
    return int(sum(frames.sum() for frames, _ in batch))


def _open(name: str, root: str | None, split: str) -> Any:
    from .data import DATASETS

    factory = DATASETS.get(name)
    try:
        data = factory(split=split, **({"root": root} if root else {}))
    except TypeError as error:
        raise ConfigError(f"data set {name!r}: {error}. Give its folder.") from error
    if not hasattr(data, "events"):
        raise ConfigError(f"data set {name!r} holds no recordings of events.")
    return data


def _recording(args: argparse.Namespace) -> Any:
    """The events of a file; a sensor that neither file nor caller tells is guessed, and said."""
    from .data import FORMATS, identify_format

    name = identify_format(args.file)
    read = FORMATS.get(name).read
    if name == "hdf5":
        return read(args.file, index=args.index)
    largest = {"40-bit": (256, 256, 2), "40-bit-1d": (2**16, 1, 2), "npy": (2**16, 2**16, 2)}
    if args.sensor or name not in largest:
        return _reader(args)(args.file)
    events = read(args.file, largest[name])
    width, height = (int(side.max(initial=0)) + 1 for side in (events.x, events.y))
    if name == "40-bit-1d":
        size = max(width, 64), 1
    else:
        size = next((s for s in _SENSORS if width <= s[0] and height <= s[1]), (width, height))
    print(f"sensor {size[0]}x{size[1]} guessed from the events; give another with --sensor WxH")
    return events.with_(sensor_size=(*size, 2))


def _reader(args: argparse.Namespace) -> Any:
    """Reads a file of any format."""
    from functools import partial

    from .data import open_events

    if not args.sensor:
        return open_events
    sides = args.sensor.lower().split("x")
    if len(sides) not in (2, 3) or not all(side.isdigit() for side in sides):
        raise ConfigError(f"--sensor: got {args.sensor!r}, expected WxH as 34x34, or WxHxP.")
    size = tuple(int(side) for side in sides)
    return partial(open_events, sensor_size=size if len(size) == 3 else (*size, 2))
