"""The ``snnkit`` command. Torch and everything heavy is imported inside the commands."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import __version__
from .cli_ablate import add_ablate_command
from .cli_data import add_data_commands
from .errors import ConfigError, SnnkitError, UnknownNameError
from .registry import closest

__all__ = ["main"]

KINDS = (
    "models",
    "quantized",
    "neurons",
    "surrogates",
    "readouts",
    "losses",
    "datasets",
    "profiles",
    "recipes",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status (0 done, 1 findings, 2 refused with a message)."""
    parser = build_parser()
    args, rest = parser.parse_known_args(argv)
    if rest and args.command not in ("train", "ablate"):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    args.overrides = rest
    try:
        return args.run(args) or 0
    except BrokenPipeError:  # the reader of a pipe has seen enough
        sys.stderr.close()
        return 0
    except (SnnkitError, OSError) as error:
        print(f"snnkit {args.command}: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"snnkit {args.command}: interrupted", file=sys.stderr)
        return 130


def build_parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    parser = argparse.ArgumentParser(
        prog="snnkit",
        description="Spiking neural networks on PyTorch: build, train, and learn what an inference costs.",
        epilog="Each command explains itself: snnkit COMMAND --help",
    )
    parser.add_argument("--version", action="version", version=f"snnkit {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    demo = commands.add_parser("demo", help="train a small spiking transformer and print its energy bill")
    demo.set_defaults(run=_demo)
    demo.add_argument("--out", default="runs/demo", help="folder to write (default: %(default)s)")
    demo.add_argument("--seed", type=int, default=0, help="of weights, order and augmentation (default: 0)")
    demo.add_argument("--epochs", type=int, help="fewer or more epochs than the recipe")
    demo.add_argument("--resume", action="store_true", help="continue an interrupted demo")

    train = commands.add_parser(
        "train",
        help="train a recipe",
        description="Train a recipe. Any of its values can be replaced: --model.lr=1e-3 "
        "--model.settings.width=96 --data.batch_size=32 --trainer.max_epochs=10 "
        "--trainer.precision=bf16-mixed",
    )
    train.set_defaults(run=_train)
    train.add_argument("recipe", help="name (snnkit list recipes) or YAML file; several: digits+qat")
    train.add_argument("--out", help="folder to write (default: runs/RECIPE)")
    train.add_argument("--data", metavar="FOLDER", help="folder of the recordings")
    train.add_argument("--seed", type=int, help="of weights, order and augmentation")
    train.add_argument("--epochs", type=int, help="fewer or more epochs than the recipe")
    train.add_argument("--resume", action="store_true", help="continue from the newest checkpoint in --out")
    train.add_argument("--overwrite", action="store_true", help="replace the run that --out holds")
    train.add_argument("--tensorboard", action="store_true", help="also log for TensorBoard")
    train.add_argument(
        "--dry-run",
        action="store_true",
        help="one step of a published recipe, on noise; nothing is kept without --out",
    )

    evaluate = commands.add_parser("evaluate", help="accuracy of a trained model on unseen data")
    evaluate.set_defaults(run=_evaluate)
    evaluate.add_argument("--checkpoint", required=True, help="run folder or model.safetensors")
    evaluate.add_argument(
        "--data", help="data set name or folder in the layout of the training data (default: its test split)"
    )

    energy = commands.add_parser(
        "energy",
        help="energy of one inference, beside ANN and quantised ANN",
        description="Energy of one inference of a model on test samples. `snnkit energy profiles` lists the "
        "hardware profiles with their scope.",
    )
    energy.set_defaults(run=_energy)
    energy.add_argument("what", nargs="?", choices=("profiles",), help="list the hardware profiles instead")
    which = energy.add_mutually_exclusive_group()
    which.add_argument("--checkpoint", help="run folder or model.safetensors of a trained model")
    which.add_argument("--model", help="registered model with fresh weights (not trained)")
    energy.add_argument("--data", help="data set name or folder (default: that of the model, else digits)")
    energy.add_argument("--samples", type=int, default=64, help="test samples to trace (default: 64)")
    energy.add_argument(
        "--hardware", default="45nm-fp32", help="profile name or TOML file (default: 45nm-fp32)"
    )
    energy.add_argument(
        "--dataflow", help="how often tensors are fetched (default: that of the profile, else event)"
    )
    energy.add_argument(
        "--compare", help="twins, of ann and qann (default: both if the hardware runs them; '' for none)"
    )
    energy.add_argument("--metrics", action="store_true", help="also print unit-free metrics")
    energy.add_argument(
        "--preprocessing", action="store_true", help="also count sampling and neighbour search of clouds"
    )
    energy.add_argument("--json", metavar="FILE", help="write the report as JSON")
    energy.add_argument("--csv", metavar="FILE", help="write one row per layer and term")
    energy.add_argument("--markdown", metavar="FILE", help="write the table with its assumptions")
    energy.add_argument(
        "--plot",
        metavar="FILE",
        nargs="?",
        const="energy.png",
        help="draw a picture (default file: energy.png)",
    )
    energy.add_argument(
        "--picture",
        default="layers",
        help="what to draw: layers, terms, steps, breakeven, sparsity or sweep (default: layers)",
    )

    quantize = commands.add_parser(
        "quantize",
        help="low-bit weights for a trained model, and its integer form",
        description="Quantise a trained model, fit its steps and norms to training samples, and print "
        "accuracy, size and energy before and after. snnkit train digits+qat trains with quantised weights.",
    )
    quantize.set_defaults(run=_quantize)
    quantize.add_argument("--checkpoint", required=True, help="run folder or model.safetensors")
    quantize.add_argument("--bits", type=int, default=4, help="of weights (default: 4)")
    quantize.add_argument("--scheme", default="lsq", help="lsq, statsq, ternary or binary (default: lsq)")
    quantize.add_argument("--integer", action="store_true", help="also convert to integers, and write them")
    quantize.add_argument("--out", help="file of the integer model (default: beside the checkpoint)")
    quantize.add_argument("--data", help="test data: data set name or folder (default: that of the model)")
    quantize.add_argument("--samples", type=int, default=64, help="test samples to trace (default: 64)")
    quantize.add_argument(
        "--hardware", default="45nm-int8", help="profile name or TOML file (default: 45nm-int8)"
    )

    add_ablate_command(commands)
    add_data_commands(commands)

    listing = commands.add_parser("list", help="names of everything registered")
    listing.set_defaults(run=_list)
    listing.add_argument("kind", nargs="?", help=f"one of {', '.join(KINDS)} (default: all)")
    listing.add_argument("pattern", nargs="?", default="*", help="shell-style pattern, as 'sdt_*'")

    models = commands.add_parser("models", help="table of models: size, cost, published accuracy")
    models.set_defaults(run=_models)
    models.add_argument("pattern", nargs="?", default="*", help="shell-style pattern, as 'sdt_*'")

    info = commands.add_parser("info", help="versions, devices and backends")
    info.set_defaults(run=_info)
    return parser


def _demo(args: argparse.Namespace) -> None:
    from .train.demo import demo

    demo(Path(args.out), seed=args.seed, epochs=args.epochs, resume=args.resume)


def _train(args: argparse.Namespace) -> None:
    from tempfile import TemporaryDirectory

    from .train import train

    overrides = list(args.overrides)
    if args.data is not None:
        overrides.append(f"--data.root={args.data}")
    if args.seed is not None:
        overrides.append(f"--seed_everything={args.seed}")
    if args.epochs is not None:
        overrides.append(f"--trainer.max_epochs={args.epochs}")
    how = {"resume": args.resume, "overwrite": args.overwrite, "tensorboard": args.tensorboard}
    how["dry_run"] = args.dry_run
    if args.dry_run and args.out is None:  # a folder in runs/ would be in the way of the training itself
        with TemporaryDirectory() as nowhere:
            train(args.recipe, nowhere, overrides, **how)
        print(f"{args.recipe} starts: one step on noise of the shape of its data; nothing was kept")
        return
    out = args.out or f"runs/{Path(args.recipe).stem}"
    train(args.recipe, out, overrides, **how)
    print(f"wrote {out}/  (snnkit evaluate --checkpoint {out}, snnkit energy --checkpoint {out})")


def _evaluate(args: argparse.Namespace) -> None:
    from rich.console import Console
    from rich.table import Table

    from .train import evaluate

    result = evaluate(args.checkpoint, args.data)
    table = Table("class", "correct", "samples", "accuracy", box=None)
    for label, (correct, total) in result.by_class.items():
        table.add_row(str(label), str(correct), str(total), f"{100 * correct / total:.1f} %")
    Console().print(table)
    low, high = result.interval
    print(
        f"accuracy {100 * result.accuracy:.2f} % ({result.correct} of {result.total}), "
        f"95 % interval {100 * low:.2f} to {100 * high:.2f} %"
    )


def _quantize(args: argparse.Namespace) -> None:
    from .train.compress import compress

    compress(
        args.checkpoint,
        bits=args.bits,
        scheme=args.scheme,
        integer=args.integer,
        out=args.out,
        data=args.data,
        samples=args.samples,
        hardware=args.hardware,
    )


def _energy(args: argparse.Namespace) -> None:
    if args.what == "profiles":
        _profiles()
        return
    from .train.bill import energy_bill

    twins: Any = None if args.compare is None else [twin for twin in args.compare.split(",") if twin]
    for twin in twins or ():
        if twin not in ("ann", "qann"):
            near = closest(twin, ("ann", "qann"))
            raise UnknownNameError(f"--compare: unknown twin {twin!r}{near} Available: ann, qann.")
    if args.checkpoint is None and args.model is None:
        raise ConfigError("energy: got no network, expected --checkpoint FOLDER or --model NAME.")
    energy_bill(
        checkpoint=args.checkpoint,
        model=args.model,
        data=args.data,
        samples=args.samples,
        hardware=args.hardware,
        dataflow=args.dataflow,
        twins=twins,
        metrics=args.metrics,
        preprocessing=args.preprocessing,
        files={"json": args.json, "csv": args.csv, "markdown": args.markdown, "plot": args.plot},
        picture=args.picture,
    )


def _profiles() -> None:
    from rich.console import Console
    from rich.table import Table

    from .energy import list_profiles, load_profile

    table = Table("profile", "prices of", "what it is", box=None)
    for name in list_profiles():
        profile = load_profile(name)
        table.add_row(
            name, {"operation": "operations"}.get(profile.scope, f"a {profile.scope}"), profile.title
        )
    Console().print(table)


def _list(args: argparse.Namespace) -> None:
    if args.kind is not None and args.kind not in KINDS:
        raise UnknownNameError(
            f"unknown kind {args.kind!r}{closest(args.kind, KINDS)} Available: {', '.join(KINDS)}."
        )
    from fnmatch import fnmatchcase

    for kind in [args.kind] if args.kind else KINDS:
        names = [name for name in _names(kind) if fnmatchcase(name, args.pattern)]
        if args.kind:
            print("\n".join(names))
        elif names:
            print(f"{kind}:\n  " + "\n  ".join(names))


def _names(kind: str) -> list[str]:
    match kind:
        case "models":
            from .models import list_models

            return list_models()
        case "quantized":
            from .train import QUANTIZED_MODELS

            return QUANTIZED_MODELS.names()
        case "neurons":
            from .neurons import NEURONS

            return NEURONS.names()
        case "surrogates":
            from .surrogate import SURROGATES

            return SURROGATES.names()
        case "readouts":
            from .readout import READOUTS

            return READOUTS.names()
        case "losses":
            from .losses import LOSSES

            return LOSSES.names()
        case "datasets":
            from .data import DATASETS

            return DATASETS.names()
        case "profiles":
            from .energy import list_profiles

            return list_profiles()
        case _:
            from .train import list_recipes

            return list_recipes()


def _models(args: argparse.Namespace) -> None:
    from rich.console import Console
    from rich.table import Column, Table

    from .models import model_table

    rows = model_table(args.pattern)
    if not rows:
        raise UnknownNameError(f"models: no model fits {args.pattern!r}. Names: snnkit list models.")
    name = Column("model", no_wrap=True)  # whole in a narrow terminal too
    table = Table(name, "input", "parameters", "MACs/step", "published accuracy", "read in", box=None)
    for row in rows:
        size, macs = f"{row.parameters / 1e6:.2f} M", f"{row.macs / 1e9:.2f} G"
        table.add_row(row.name, row.input, size, macs, row.accuracy, row.source)
    Console().print(table)


def _info(args: argparse.Namespace) -> None:
    import platform
    from importlib import metadata

    import torch
    from rich.console import Console
    from rich.table import Table

    from .kernels import backend_report

    table = Table(show_header=False, box=None)
    table.add_row("snnkit", __version__)
    table.add_row("python", platform.python_version())
    table.add_row("system", f"{platform.system()} {platform.machine()}")
    for package in ("torch", "numpy", "lightning", "scikit-learn", "spikingjelly", "snntorch"):
        try:
            table.add_row(package, metadata.version(package))
        except metadata.PackageNotFoundError:
            table.add_row(package, "not installed")
    table.add_row("threads", str(torch.get_num_threads()))
    devices = ["cpu", *(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        devices.append("mps")
    table.add_row("devices", ", ".join(devices))
    table.add_row("neuron backends", backend_report())
    Console().print(table)
