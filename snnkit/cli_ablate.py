"""``snnkit ablate``: what the token mixers of a trained network are worth."""

from __future__ import annotations

import argparse
from typing import Any

__all__ = ["add_ablate_command"]


def add_ablate_command(commands: Any) -> None:
    """Add ``ablate`` to the sub-commands."""
    parser = commands.add_parser(
        "ablate",
        help="accuracy and energy of a trained model without its token mixers, and with random ones",
        description="Replace the token mixers of a trained model by nothing and by random ones. Nothing is "
        "trained again: the losses are upper bounds.",
    )
    parser.set_defaults(run=_ablate)
    parser.add_argument("--checkpoint", required=True, help="run folder or model.safetensors")
    parser.add_argument("--data", help="data set name or folder (default: that of the model)")
    parser.add_argument("--samples", type=int, default=64, help="test samples to trace (default: 64)")
    parser.add_argument("--hardware", default="45nm-fp32", help="profile name or TOML file")
    parser.add_argument("--seed", type=int, default=0, help="of the random mixers (default: 0)")


def _ablate(args: argparse.Namespace) -> None:
    from rich.console import Console
    from rich.table import Table

    from .train.ablate import ablate

    rows = ablate(args.checkpoint, args.data, samples=args.samples, hardware=args.hardware, seed=args.seed)
    own = rows[0]
    table = Table(
        "token mixer", "accuracy", "95 % interval", "difference", "energy / nJ", "times own", box=None
    )
    for row in rows:
        low, high = row.interval
        table.add_row(
            row.mixer,
            f"{100 * row.accuracy:.1f} %",
            f"{100 * low:.1f} to {100 * high:.1f}",
            f"{100 * (row.accuracy - own.accuracy):+.1f}",
            f"{row.pj / 1e3:.3g}",
            f"{row.pj / own.pj:.2f}" if own.pj else "-",
        )
    Console().print(table)
