"""Delays in a Lightning training: widths by epoch, delays inside, the warning about rounding."""

from __future__ import annotations

import lightning as L
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

import snnkit
from snnkit.losses import sum_softmax
from snnkit.models import DelayMLP
from snnkit.neurons import delay_layers, delay_param_groups
from snnkit.train.delay_recipes import DELAY_RECIPES, pool_units
from snnkit.train.delays import DelayCallback, DelayOptimizers, warn_of_rounding


class Module(L.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.net = DelayMLP(4, 3, width=6, depth=1, max_delay=6, interp="gauss")
        self.widths: list[float] = []

    def training_step(self, batch: Tensor, index: int) -> Tensor:
        self.widths.append(self.net.readout.sigma.item())
        return sum_softmax(self.net(batch.transpose(0, 1)), torch.zeros(len(batch), dtype=torch.long))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(delay_param_groups(self.net, 0.1, delay_lr=1e5))


def fit(module: Module, callback: DelayCallback, epochs: int) -> None:
    trainer = L.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[callback],
    )
    trainer.fit(module, DataLoader(torch.rand(4, 9, 4), batch_size=2))


@pytest.mark.filterwarnings("ignore:.*num_workers.*", "ignore:.*logging interval.*", "ignore:.*LeafSpec.*")
def test_callback(capsys: pytest.CaptureFixture[str]) -> None:
    module = Module()
    answers = iter([0.5, 0.9])
    with pytest.warns(UserWarning, match=r"50.0 % with rounded delays, 90.0 % with"):
        fit(module, DelayCallback(2, accuracy=lambda _: next(answers)), 3)
    assert module.widths == pytest.approx([3, 3, 3 * (1 / 6) ** 0.5, 3 * (1 / 6) ** 0.5, 0.5, 0.5])
    for layer in delay_layers(module).values():
        assert bool(((layer.delay >= 0) & (layer.delay <= 6)).all())
    assert "rounded delays 0.5000, fractional 0.9000" in capsys.readouterr().out


def test_no_warning_within_a_point(recwarn: pytest.WarningsRecorder) -> None:
    warn_of_rounding(0.90, 0.905)
    assert not recwarn


def test_published_schedules() -> None:
    net = DelayMLP(4, 3, width=6, depth=1, max_delay=24, interp="gauss")
    optimizers = DelayOptimizers(net, 8)
    rows = []
    for _ in range(8):
        rates = [o.param_groups[0]["lr"] for o in optimizers.optimizers]
        rows.append((*rates, optimizers.weights.param_groups[0]["betas"][0], net.readout.sigma.item()))
        optimizers.step(net(torch.rand(5, 2, 4)).square().sum())
        optimizers.end_epoch()
    weights, delays, momentum, widths = zip(*rows, strict=True)
    assert weights[0] == pytest.approx(2e-4)
    assert max(weights) <= 5e-3
    assert weights[-1] == pytest.approx(2e-8)  # the cycle is as long as the training
    assert delays[0] == 0.1
    assert delays[4] == pytest.approx(0.05)
    assert momentum[0] == 0.95
    assert min(momentum) < 0.9
    assert widths[:3] == pytest.approx((12, 12 * (0.5 / 12) ** 0.5, 0.5))
    frozen = DelayMLP(4, 3, width=6, depth=1, max_delay=24, interp="fixed")
    assert len(DelayOptimizers(frozen, 8).optimizers) == 1


def test_model_streams_and_refuses_bad_settings() -> None:
    net = DelayMLP(4, 3, width=6, depth=2, max_delay=5).eval()
    x = torch.rand(11, 2, 2, 2)
    with torch.no_grad(), snnkit.stream(net) as session:
        assert torch.equal(torch.cat([session(c) for c in x.split([3, 1, 7])]), net(x))
    assert isinstance(net, nn.Module)
    with pytest.raises(snnkit.errors.ConfigError, match=r"DelayMLP\.depth"):
        DelayMLP(4, 3, depth=0)


@pytest.mark.parametrize(("name", "millions"), [("shd", 0.21), ("ssc", 1.23), ("gsc", 1.23)])
def test_published_recipes(name: str, millions: float) -> None:
    recipe = DELAY_RECIPES[name]
    net = recipe.network()
    learned = sum(p.numel() for p in net.parameters() if p.requires_grad)
    assert learned / 1e6 == pytest.approx(millions, abs=0.006)
    frames = torch.randint(3, (7, 2, 700, 1, 1)).float()
    x = pool_units(frames)
    assert torch.equal(x[3, 1, 2], frames[3, 1, 10:15].sum())
    assert net.eval()(x).shape == (7 + (recipe.depth + 1) * (recipe.max_delay // 2), 2, recipe.classes)
    assert recipe.optimizers(net).sigma.epochs == recipe.epochs // 4
    with pytest.raises(snnkit.errors.ConfigError, match="protocol"):
        recipe.check_protocol("best")
