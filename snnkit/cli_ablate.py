"""``snnkit ablate``: what the token mixers of a network are worth."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .errors import ConfigError

__all__ = ["add_ablate_command"]


def add_ablate_command(commands: Any) -> None:
    """Add ``ablate`` to the sub-commands."""
    parser = commands.add_parser(
        "ablate",
        help="accuracy and energy of a model without its token mixers, and with random ones",
        description="Replace the token mixers of a network by nothing and by random ones. With --checkpoint "
        "nothing is trained again: the losses are upper bounds. With --train all three are trained alike, "
        "several times; values of the recipe are replaced as for snnkit train: --model.name=spikformer_test.",
    )
    parser.set_defaults(run=_ablate)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--checkpoint", help="run folder or model.safetensors")
    which.add_argument("--train", metavar="RECIPE", help="name (snnkit list recipes) or path of a YAML file")
    parser.add_argument("--data", help="test data for --checkpoint (default: that of the model)")
    parser.add_argument("--samples", type=int, default=64, help="test samples to trace (default: 64)")
    parser.add_argument("--hardware", default="45nm-fp32", help="profile name or TOML file")
    parser.add_argument("--seed", type=int, default=0, help="of random mixers of --checkpoint (default: 0)")
    parser.add_argument("--seeds", type=int, default=3, help="networks of each kind, --train (default: 3)")
    parser.add_argument("--epochs", type=int, help="fewer or more epochs than the recipe, --train")
    parser.add_argument("--out", help="folder of the runs of --train (default: runs/ablate_RECIPE)")


def _ablate(args: argparse.Namespace) -> None:
    from rich.console import Console
    from rich.table import Table

    from .train.ablate import ablate, ablate_training

    traced = {"samples": args.samples, "hardware": args.hardware}
    if args.train is not None:
        if args.data is not None:
            raise ConfigError("ablate: --data goes with --checkpoint; with --train use --data.root=FOLDER.")
        overrides = list(args.overrides)
        if args.epochs is not None:
            overrides.append(f"--trainer.max_epochs={args.epochs}")
        out = args.out or f"runs/ablate_{Path(args.train).stem}"
        rows = ablate_training(args.train, out, overrides, seeds=args.seeds, **traced)
        spread = f"of {args.seeds} seeds"
    else:
        if args.overrides:
            raise ConfigError(f"ablate: unrecognized arguments: {' '.join(args.overrides)}")
        rows = ablate(args.checkpoint, args.data, seed=args.seed, **traced)
        spread = "95 % interval"
    own = rows[0]
    table = Table("token mixer", "accuracy", spread, "difference", "energy / nJ", "times own", box=None)
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
