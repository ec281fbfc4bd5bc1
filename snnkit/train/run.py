"""One training run: from a recipe and overrides to a folder that holds everything it produced.

::

    <out>/config.yaml          resolved configuration; train with it again to repeat the run
    <out>/metrics.csv          one row per epoch: losses, accuracies, firing rate of every layer
    <out>/checkpoints/*.ckpt   the last two epochs, for --resume
    <out>/model.safetensors    final weights with model and data configuration
"""

from __future__ import annotations

import argparse
import inspect
import logging
import re
import shutil
import sys
import warnings
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import lightning as L
import yaml  # type: ignore[import-untyped]
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, WeightAveraging
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from torch.optim.swa_utils import get_ema_multi_avg_fn

from ..errors import ConfigError, MissingDependencyError, SnnkitError, UnknownNameError, quote, require
from ..files import write_atomically
from ..models import save_model
from ..registry import closest
from .callbacks import EpochCSV, EpochLines, EpochSeed, FiringRates
from .checkpoint import AtomicCheckpointIO, newest_checkpoint
from .classifier import Classifier
from .datamodule import EventData
from .published import PUBLISHED_RECIPES
from .quantization import QuantizationSchedule

__all__ = ["list_recipes", "recipe_path", "train"]


def list_recipes() -> list[str]:
    """Names of the recipes that come with snnkit: those in files, and those as published."""
    files = [p.name[:-5] for p in _recipes().iterdir() if p.name.endswith(".yaml")]
    return sorted([*files, *PUBLISHED_RECIPES])


def recipe_path(recipe: str) -> str:
    """Path of a shipped recipe by name, or of a YAML file by path.

    Of a published recipe (:mod:`snnkit.train.published`) this is the file on which it rests.

    Raises:
        UnknownNameError: neither.
    """
    if recipe in PUBLISHED_RECIPES:
        return str(_recipes() / "published" / f"{PUBLISHED_RECIPES[recipe].base}.yaml")
    if recipe in list_recipes():
        return str(_recipes() / f"{recipe}.yaml")
    if Path(recipe).is_file():
        return recipe
    raise UnknownNameError(
        f"recipe: got {quote(recipe)}{closest(recipe, list_recipes())} Expected a YAML file or one of: "
        f"{', '.join(list_recipes())}."
    )


def train(
    recipe: str,
    out: str | Path,
    overrides: Sequence[str] = (),
    *,
    resume: bool = False,
    overwrite: bool = False,
    tensorboard: bool = False,
    dry_run: bool = False,
) -> tuple[Classifier, EventData]:
    """Train as ``recipe`` says and write ``out``.

    Args:
        recipe: name of a shipped recipe or path of a YAML file; several joined by "+", of which later ones
            add to earlier ones and win over them: "digits+qat".
        out: folder of the run.
        overrides: ``--key=value`` pairs, as ``--model.lr=1e-3`` or ``--trainer.max_epochs=5``.
        resume: continue from the newest readable checkpoint in ``out``. Epochs after it repeat those
            of an uninterrupted run bit for bit, on the same machine with the same number of threads.
            The configuration has to be that of the run, except ``trainer.max_epochs``.
        overwrite: replace a run that ``out`` holds; without it such a folder is refused.
        tensorboard: also log for TensorBoard.
        dry_run: one step of a published recipe on noise of the shape of its data, to see that it starts.

    Raises:
        UnknownNameError, ConfigError: recipe, key or value. CheckpointError: see :mod:`.checkpoint`.
        MissingDependencyError: tensorboard is asked for and not installed.
    """
    out = Path(out)
    quiet()
    parts = [recipe] if Path(recipe).is_file() else recipe.split("+")
    shipped = []
    for part in parts:  # in this order: later ones win
        shipped.append(f"--config={recipe_path(part)}")
        shipped += PUBLISHED_RECIPES[part].overrides() if part in PUBLISHED_RECIPES else []
    if dry_run:
        shapes = [PUBLISHED_RECIPES[part] for part in parts if part in PUBLISHED_RECIPES]
        if not shapes:
            raise ConfigError(
                f"--dry-run: {quote(recipe)} does not say what its data look like. Recipes that do: "
                f"{', '.join(PUBLISHED_RECIPES)}."
            )
        shipped += shapes[0].dry()
    cli = _parse([*shipped, *overrides])
    seed = int(cli.config["seed_everything"])
    epochs = cli.config["trainer"]["max_epochs"]
    require(epochs is not None and epochs >= 1, "trainer.max_epochs", epochs, "an int >= 1")
    text = cli.parser.dump(cli.config)
    loggers: list[Any] = [EpochCSV(out)]
    if tensorboard:
        loggers.append(_tensorboard(out))
    callbacks: list[Callback] = [FiringRates(), EpochSeed(seed), _checkpoints(out)]
    if cli.model.quant is not None:
        callbacks.append(QuantizationSchedule(**cli.model.quant_schedule))
    if cli.model.ema:
        callbacks.append(WeightAveraging(multi_avg_fn=get_ema_multi_avg_fn(cli.model.ema)))
    if not sys.stdout.isatty():
        callbacks.append(EpochLines())
    settings: dict[str, Any] = {} if cli.datamodule.folds else {"limit_val_batches": 0}
    trainer = cli.instantiate_trainer(
        **settings,
        logger=loggers,
        callbacks=callbacks,
        plugins=[AtomicCheckpointIO()],
        enable_progress_bar=sys.stdout.isatty(),
        enable_model_summary=False,
        use_distributed_sampler=False,  # EpochSampler shares out by itself
        default_root_dir=str(out),
    )
    if trainer.is_global_zero:
        _prepare(out, text, resume=resume, overwrite=overwrite)
        write_atomically(out / "config.yaml", text.encode())
    checkpoint = newest_checkpoint(out / "checkpoints") if resume else None
    with warnings.catch_warnings():
        _ignore_hints()
        trainer.fit(cli.model, datamodule=cli.datamodule, ckpt_path=checkpoint)
    if trainer.is_global_zero:
        data = {name: getattr(cli.datamodule, name) for name in ("dataset", "root", "settings", "transforms")}
        info = {"data": data, "seed": seed, "quant": cli.model.quant, "mixers": cli.model.mixers}
        save_model(cli.model.net, out / "model.safetensors", info)
    return cli.model, cli.datamodule


def _prepare(out: Path, config: str, *, resume: bool, overwrite: bool) -> None:
    """Make sure that a folder holds one run, and that a resumed run is the one that was begun.

    Raises:
        ConfigError: the folder holds a run and neither resume nor overwrite is asked for; it is a file; or
            the configuration differs from that of the run.
    """
    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out: {quote(str(out))} is a file, expected a folder.")
    begun = out / "config.yaml"
    if resume and begun.is_file():
        old, new = (_flat(yaml.safe_load(text)) for text in (begun.read_text(), config))
        keys = sorted(
            k for k in old.keys() | new.keys() if old.get(k) != new.get(k) and k != "trainer.max_epochs"
        )
        if keys:
            changes = ", ".join(
                f"{k} = {quote(new.get(k), 60)} (was {quote(old.get(k), 60)})" for k in keys[:4]
            )
            raise ConfigError(
                f"--resume: the configuration differs from that of the run in {str(out)!r}: {changes}. "
                "Repeat the command that began it, or start anew in another --out."
            )
        return
    traces = [out / name for name in ("metrics.csv", "model.safetensors", "checkpoints")]
    found = [path.name for path in traces if path.exists()]
    if found and not overwrite:
        raise ConfigError(
            f"--out: {str(out)!r} holds a run already ({', '.join(found)}). Continue it with --resume, "
            "choose another --out, or replace it with --overwrite."
        )
    for path in traces:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _flat(tree: Any, prefix: str = "") -> dict[str, Any]:
    """``{"a": {"b": 1}}`` -> ``{"a.b": 1}``."""
    if not isinstance(tree, dict) or not tree:
        return {prefix[:-1]: tree}
    return {k: v for name, branch in tree.items() for k, v in _flat(branch, f"{prefix}{name}.").items()}


class _CLI(LightningCLI):
    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        for name in ("num_classes", "in_channels", "img_size"):
            parser.link_arguments(f"data.{name}", f"model.{name}", apply_on="instantiate")
        parser.link_arguments("seed_everything", "model.seed", compute_fn=int)
        parser.link_arguments("seed_everything", "data.seed", compute_fn=int)

    def instantiate_classes(self) -> None:
        """Model and data now; the trainer later, when the run folder is known."""
        self.config_init = self.parser.instantiate_classes(self.config)
        self.datamodule = self._get(self.config_init, "data")
        self.model = self._get(self.config_init, "model")
        self.trainer = None

    def instantiate_trainer(self, **kwargs: Any) -> L.Trainer:
        settings = {**self._get(self.config_init, "trainer", default={}), **kwargs}
        try:
            return self._instantiate_trainer(settings, [])
        except (MisconfigurationException, TypeError, ValueError) as error:
            raise ConfigError(
                f"trainer: {' '.join(str(error).split())} Check the --trainer.* values."
            ) from error


def _parse(args: list[str]) -> _CLI:
    try:
        with warnings.catch_warnings():  # of the two packages about each other, and about sys.argv
            warnings.filterwarnings("ignore", message="LightningCLI's args parameter")
            warnings.filterwarnings("ignore", category=DeprecationWarning)
            return _CLI(
                Classifier,
                EventData,
                args=args,
                run=False,
                seed_everything_default=0,
                save_config_callback=None,
                parser_kwargs={"exit_on_error": False, "allow_abbrev": False},
            )
    except (argparse.ArgumentError, ValueError) as error:
        if isinstance(error, SnnkitError):
            raise
        raise ConfigError(_readable(str(error))) from error


def _readable(message: str) -> str:
    """The first lines of a parser message, with the nearest known key for an unknown one."""
    known = ["seed_everything", "model", "data", "trainer"]
    for prefix, cls in (("model", Classifier), ("data", EventData), ("trainer", L.Trainer)):
        known += [f"{prefix}.{name}" for name in inspect.signature(cls).parameters]
    if re.search(r"required: model\.name", message):
        return (
            "training configuration: the recipe names no model. One that adds to others follows another: "
            "digits+qat."
        )
    key = re.search(r"[Kk]ey [\"'`]([\w.]+)[\"'`]|arguments?:? -*([\w.]+)|Option [\"'`]([\w.]+)", message)
    hint = ""
    if key is not None:
        name = next(group for group in key.groups() if group)
        hint = f" {quote(name)}{closest(name, known)}"
    return f"training configuration: {' '.join(message.split())[:600]}{hint}"


def _checkpoints(out: Path) -> ModelCheckpoint:
    return ModelCheckpoint(
        dirpath=out / "checkpoints",
        filename="epoch-{epoch:03d}",
        auto_insert_metric_name=False,
        monitor="epoch",
        mode="max",
        save_top_k=2,
        save_on_train_epoch_end=True,
    )


def _tensorboard(out: Path) -> Any:
    try:
        from lightning.pytorch.loggers import TensorBoardLogger

        return TensorBoardLogger(out, name="tensorboard", version="")
    except ModuleNotFoundError as error:
        raise MissingDependencyError("tensorboard", extra="tensorboard", purpose="--tensorboard") from error


def _recipes() -> Any:
    return resources.files("snnkit.train") / "recipes"


def quiet() -> None:
    """Keep the trainer's notes on hardware and licences out of the way; warnings stay."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _ignore_hints() -> None:
    """Advice that does not apply to in-memory data and per-epoch logs."""
    for message in (
        ".*does not have many workers.*",
        ".*Consider increasing the value of the `num_workers`.*",
    ):
        warnings.filterwarnings("ignore", message=message)
    warnings.filterwarnings(
        "ignore", message=".*number of training batches.*smaller than the logging interval.*"
    )
    warnings.filterwarnings("ignore", message=".*Checkpoint directory.*exists and is not empty.*")
    warnings.filterwarnings("ignore", message=".*`isinstance\\(treespec, LeafSpec\\)` is deprecated.*")
