"""Pictures for docs/data.md and docs/points.md: ``python docs/make_data_pictures.py RECORDINGS``.

RECORDINGS holds ``nmnist_mini``, ``fsdd``, ``dvs_gesture_clips``, ``mnist_mini`` and ``format_samples``.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from snnkit import plot
from snnkit.cli import main as command
from snnkit.data import MNIST, NMNIST, DigitsEvents, ShapesDataset, SpokenDigits, open_events, read_nmnist

OUT = Path(__file__).parent / "images"


def main(folder: Path) -> None:
    """Draw and write all of them."""
    gesture = partial(read_nmnist, sensor_size=(128, 128, 2))
    for name, make in {
        "digits_16": lambda: DigitsEvents("train").events(1),
        "digits_34": lambda: DigitsEvents("train", size=34, dt_us=5000).events(1),
        "nmnist": lambda: NMNIST(folder / "nmnist_mini").events(300),
        "gesture": lambda: gesture(folder / "dvs_gesture_clips" / "2.bin"),
        "spoken": lambda: SpokenDigits(folder / "fsdd").events(300),
        "ncars": lambda: open_events(folder / "format_samples" / "sample_ncars.dat"),
        "ntidigits": lambda: open_events(folder / "format_samples" / "ntidigits_1.bs1"),
        "evt2": lambda: open_events(folder / "format_samples" / "evt2_sample.raw"),
    }.items():
        plot.save(plot.overview(make()), OUT / f"data_{name}.png", dpi=80)
    plot.save(shapes(), OUT / "data_shapes.png", dpi=80)
    plot.save(images(folder / "mnist_mini"), OUT / "data_mnist.png", dpi=80)
    clouds(folder)


def shapes() -> Axes:
    """One cloud per class; colour is depth."""
    data = ShapesDataset(points=1024)
    _, axes = plt.subplots(2, 5, figsize=(11, 4.6), layout="constrained")
    for ax, (points, label) in zip(axes.flat, (data[i] for i in range(10)), strict=True):
        x, y, z = points.numpy().T
        across, depth = x + 0.45 * y, y
        ax.scatter(across, z + 0.25 * y, s=3, c=depth, cmap="viridis", linewidths=0)
        ax.set_title(data.CLASSES[label])
        ax.set_aspect("equal")
        ax.axis("off")
    return axes.flat[0]


def clouds(folder: Path) -> None:
    """What ``snnkit data show --cloud`` writes: windows, centres and groups, turning and still."""
    nmnist = NMNIST(folder / "nmnist_mini").paths[300]
    gesture = str(folder / "dvs_gesture_clips" / "2.bin")
    with tempfile.TemporaryDirectory() as made:
        show = ["data", "show", "--cloud", "--out", made]
        command([*show, nmnist, "--window-us", "105000", "--groups", "48", "--k", "16", "--frames", "24"])
        command([*show, gesture, "--window-us", "500000", "--sensor", "128x128", "--frames", "1"])
        shutil.copy(Path(made) / f"{Path(nmnist).stem}_cloud.gif", OUT / "points_nmnist.gif")
        shutil.copy(Path(made) / "2_cloud.png", OUT / "points_gesture.png")


def images(folder: Path) -> Axes:
    """One digit, step by step, through every encoder."""
    encoders = ("direct", "rate", "regular_rate", "latency")
    _, axes = plt.subplots(4, 1, figsize=(9, 5.2), layout="constrained")
    for ax, encoder in zip(axes, encoders, strict=True):
        steps = MNIST(folder, encoder=encoder, T=8)[0][0][:, 0].numpy()
        ax.imshow(np.concatenate(list(steps), 1), cmap="gray_r", vmin=0, vmax=1)
        ax.set_ylabel(encoder)
        ax.set_xticks(32 * np.arange(8) + 16, range(8) if ax is axes[-1] else [""] * 8)
        ax.set_yticks([])
    axes[-1].set_xlabel("time (steps)")
    return axes[0]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
