"""The published recipes: each is complete, and a training starts on noise of the shape of its data."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml

import snnkit
from snnkit.cli import main
from snnkit.errors import ConfigError
from snnkit.models import list_models
from snnkit.train import PUBLISHED_RECIPES, list_recipes, read_metrics, train

NAMES = sorted(PUBLISHED_RECIPES)
FAMILIES = {name.removesuffix("_test") for name in list_models("*_test")} - {
    "spikformer_v2",  # no code was published
    "ms_qkformer",  # a variant of the code of Max-Former, without a recipe of its own
}
# one of each kind of data and of what is special in it
FEW = ("sdt_imagenet", "qsd_imagenet", "max_former_cifar100", "sdt_cifar10dvs", "sglformer_gesture")
FEW += ("spikingresformer_gesture",)  # three channels


def dry(name: str, out: Path, *overrides: str) -> dict[str, object]:
    """A dry run; the resolved configuration."""
    model, _ = train(name, out, overrides, dry_run=True)
    losses = [row["train_loss"] for row in read_metrics(out / "metrics.csv")]
    assert len(losses) == 1
    assert torch.isfinite(torch.tensor(losses)).all()
    assert model.global_step == 1
    return yaml.safe_load((out / "config.yaml").read_text())


def micro(name: str) -> str:
    return f"--model.name={name.rsplit('_', 1)[0]}_test"


def test_every_family_has_recipes() -> None:
    kinds = {
        name: {PUBLISHED_RECIPES[n].data for n in NAMES if n.rsplit("_", 1)[0] == name} for name in FAMILIES
    }
    assert all(kinds.values()), kinds
    for family in FAMILIES - {"meta_spikeformer", "qsd", "sdt3", "max_resnet"}:
        assert kinds[family] == {"image_folder", "cifar10", "cifar100", "cifar10dvs", "dvs_gesture"}
    assert set(NAMES) <= set(list_recipes())


@pytest.mark.parametrize("name", NAMES)
def test_recipes_name_what_exists(name: str) -> None:
    recipe = PUBLISHED_RECIPES[name]
    assert recipe.source
    assert recipe.processes is None or recipe.processes >= 1
    with torch.device("meta"):
        assert snnkit.create_model(recipe.model) is not None
    assert recipe.accuracy != "-" or recipe.model.startswith("spikingresformer")


@pytest.mark.filterwarnings("ignore:model.quant without model.start_from")
@pytest.mark.filterwarnings("ignore:no spike in epoch")  # fresh networks
@pytest.mark.parametrize("name", FEW)
def test_training_starts_at_micro_width(name: str, tmp_path: Path) -> None:
    config = dry(name, tmp_path, micro(name))
    recipe = PUBLISHED_RECIPES[name]
    for key, value in recipe.settings.items():
        if key.startswith("model."):
            assert config["model"][key.removeprefix("model.")] == value, key


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:no spike in epoch")
@pytest.mark.parametrize("name", [name for name in NAMES if name not in FEW])
def test_training_of_the_others_starts(name: str, tmp_path: Path) -> None:
    dry(name, tmp_path, micro(name))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:no spike in epoch")
@pytest.mark.parametrize("name", [name for name in NAMES if not name.endswith("imagenet")])
def test_training_starts_at_full_size(name: str, tmp_path: Path) -> None:
    dry(name, tmp_path)


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "digits", "--dry-run", "--out", str(tmp_path / "a")]) == 2
    assert "spikformer_cifar10" in capsys.readouterr().err
    options = ["--model.name=spikformer_test", "--model.settings={width: 8, heads: 1}"]
    with pytest.warns(UserWarning, match="no spike"):
        assert main(["train", "spikformer_cifar10", "--dry-run", "--out", str(tmp_path / "b"), *options]) == 0


def test_dry_run_is_not_in_the_way_of_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    options = ["--model.name=sdt_test", "--model.settings={width: 8, heads: 1}"]
    assert main(["train", "sdt_cifar10", "--dry-run", *options]) == 0
    assert "sdt_cifar10 starts" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())
    assert main(["train", "sdt_cifar10"]) == 2
    assert "--data FOLDER" in capsys.readouterr().err


def test_accuracy_is_that_of_the_settings() -> None:
    """Not of other steps, or other weights, where the recipe has its own."""
    assert "T=1" in PUBLISHED_RECIPES["meta_spikeformer_imagenet"].accuracy
    assert "4 bits" in PUBLISHED_RECIPES["qsd_imagenet"].accuracy
    assert "none for T=10" in PUBLISHED_RECIPES["sdt_cifar10dvs"].accuracy
    assert PUBLISHED_RECIPES["sdt_cifar10"].accuracy.startswith("CIFAR-10/100 95.6/78.4, T=4 (STEP")


def test_dry_run_needs_a_published_recipe(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not say what its data look like"):
        train("digits", tmp_path / "out", dry_run=True)
