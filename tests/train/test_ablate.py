"""Ablation of token mixers: what is replaced, what stays, and the command."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import snnkit
from snnkit.cli import main
from snnkit.errors import ConfigError
from snnkit.layers import Residual, TokenMixer
from snnkit.models import list_models
from snnkit.train import ablate, ablate_training, open_model, random_mixers, set_mixers, without_mixers

MODELS = ["sdt_test", "spikformer_test", "meta_spikeformer_test", "spikingresformer_test", "sglformer_test"]


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    net = snnkit.create_model("sdt_test", num_classes=10, in_channels=2, img_size=16)
    snnkit.save_model(net, tmp_path / "model.safetensors")
    return tmp_path


@pytest.mark.parametrize("model", MODELS)
def test_without_mixers(model: str) -> None:
    net = snnkit.create_model(model).eval()
    before = {k: t.clone() for k, t in net.state_dict().items()}
    bare = without_mixers(net)
    assert not any(isinstance(m, TokenMixer) for m in bare.modules())
    left = bare.state_dict()
    assert left
    assert all(torch.equal(t, before[k]) for k, t in left.items())
    assert all(torch.equal(t, before[k]) for k, t in net.state_dict().items())
    x = torch.rand(2, 2, 2, 16, 16)
    silent = snnkit.create_model(model).eval()
    silent.load_state_dict(net.state_dict())
    for module in silent.modules():  # a branch that gives 0 is no branch
        if isinstance(module, Residual) and isinstance(module.branch, TokenMixer):
            module.branch.forward = torch.zeros_like
    assert torch.equal(bare(x), silent(x))


@pytest.mark.parametrize("model", MODELS)
def test_random_mixers_keep_the_values_and_what_is_no_mixer(model: str) -> None:
    net = snnkit.create_model(model)
    other, same = random_mixers(net, 1), random_mixers(net, 1)
    inside = {id(p) for m in net.modules() if isinstance(m, TokenMixer) for p in m.parameters()}
    changed = 0
    pairs = zip(net.named_parameters(), other.parameters(), same.parameters(), strict=True)
    for (name, own), new, again in pairs:
        assert torch.equal(new, again)
        assert torch.equal(new.flatten().sort()[0], own.flatten().sort()[0]), name
        if not torch.equal(new, own):
            assert id(own) in inside
            changed += 1
    assert changed


@pytest.mark.parametrize("model", MODELS)
def test_random_mixers_of_a_training_learn_nothing_where_they_choose(model: str) -> None:
    net = set_mixers(snnkit.create_model(model), "random")
    frozen = {name for name, p in net.named_parameters() if not p.requires_grad}
    assert frozen
    inside = {
        f"{n}.{p}"
        for n, m in net.named_modules()
        if isinstance(m, TokenMixer)
        for p, _ in m.named_parameters()
    }
    assert frozen <= inside
    attentions = {n for n in inside if ".v." in n}
    assert not frozen & attentions, "values learn"
    assert all(p.requires_grad for p in set_mixers(snnkit.create_model(model), "own").parameters())


def test_a_network_without_mixers_is_refused() -> None:
    with pytest.raises(ConfigError, match="no token mixers"):
        without_mixers(nn.Linear(2, 2))
    assert "sdt_test" in list_models()


def test_rows(saved: Path) -> None:
    own, identity, random = ablate(saved, samples=4)
    assert [own.mixer, identity.mixer, random.mixer] == ["own", "identity", "random"]
    assert own.accuracy == snnkit.train.evaluate(saved).accuracy
    assert 0 <= identity.interval[0] <= identity.accuracy <= identity.interval[1] <= 1
    assert random.pj > 0
    assert ablate(saved, samples=4)[2] == random


SHORT = [
    "--model.settings={width: 16, heads: 2}",
    "--trainer.limit_train_batches=1",
    "--data.settings={T: 1}",
]
SHORT += ["--trainer.max_epochs=1", "--model.neuron={name: lif, threshold: 0.1}"]


def test_ablation_after_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run per kind and seed, its file opens as it was trained, and finished runs are not repeated."""
    rows = ablate_training("micro", tmp_path, SHORT, seeds=2, samples=4)
    assert [(row.mixer, row.seeds) for row in rows] == [("own", 2), ("identity", 2), ("random", 2)]
    assert all(row.interval[0] <= row.accuracy <= row.interval[1] for row in rows)
    bare, random = (open_model(tmp_path / f"{kind}_0")[0] for kind in ("identity", "random"))
    assert not any(isinstance(m, TokenMixer) for m in bare.modules())
    torch.manual_seed(0)
    begun = [(tmp_path / f"own_{seed}" / "metrics.csv").stat().st_mtime_ns for seed in range(2)]
    assert (
        main(["ablate", "--train", "micro", "--out", str(tmp_path), "--seeds", "2", "--samples", "4", *SHORT])
        == 0
    )
    assert begun == [(tmp_path / f"own_{seed}" / "metrics.csv").stat().st_mtime_ns for seed in range(2)]
    out = capsys.readouterr().out
    assert "of 2 seeds" in out
    assert main(["ablate", "--train", "micro", "--data", "digits"]) == 2
    assert "data.root" in capsys.readouterr().err
    assert any(isinstance(m, TokenMixer) for m in random.modules())


def test_command(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ablate", "--checkpoint", str(saved), "--samples", "4"]) == 0
    out = capsys.readouterr().out
    assert all(word in out for word in ("own", "identity", "random", "+0.0"))
    assert main(["ablate", "--checkpoint", "nowhere"]) == 2
    assert main(["ablate", "--checkpoint", str(saved), "--model.lr=1"]) == 2
