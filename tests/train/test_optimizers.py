"""LAMB by hand, the end of the schedule, and mixtures of samples."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from snnkit.errors import ConfigError
from snnkit.losses import mean_ce, tet
from snnkit.train import LAMB, Classifier, InMemory, Mixing, warmup_cosine


def test_first_step_of_lamb() -> None:
    """After one step m^ = g and v^ = g^2: every element of r is the sign of g, plus the decay."""
    weight = nn.Parameter(torch.tensor([3.0, 4.0]))
    bias = nn.Parameter(torch.tensor([1.0]))
    groups = [{"params": [weight], "weight_decay": 0.1}, {"params": [bias], "weight_decay": 0.0}]
    optimizer = LAMB(groups, lr=0.5, eps=0.0, max_norm=0.0)
    weight.grad, bias.grad = torch.tensor([0.2, -0.7]), torch.tensor([5.0])
    optimizer.step()
    r = torch.tensor([1 + 0.3, -1 + 0.4])
    torch.testing.assert_close(weight.data, torch.tensor([3.0, 4.0]) - 0.5 * min(5 / r.norm().item(), 1) * r)
    assert bias.item() == pytest.approx(0.5), "no decay: the ratio is 1"


def test_a_small_weight_takes_a_small_step() -> None:
    weight = nn.Parameter(torch.tensor([0.03, 0.04]))
    optimizer = LAMB([weight], lr=1.0, eps=0.0, weight_decay=1e-9, max_norm=0.0)
    weight.grad = torch.tensor([1.0, 1.0])
    before = weight.detach().clone()
    optimizer.step()
    assert (weight - before).norm().item() == pytest.approx(0.05, rel=1e-5), "as long as the weight"


def test_two_steps_of_lamb_are_those_of_adam_where_nothing_decays() -> None:
    a, b = (nn.Parameter(torch.tensor([1.0, 2.0, -3.0])) for _ in range(2))
    ours, theirs = LAMB([a], lr=0.1, eps=1e-8, max_norm=0.0), torch.optim.Adam([b], lr=0.1)
    for gradient in (torch.tensor([1.0, -2.0, 0.5]), torch.tensor([0.3, 0.1, 9.0])):
        for p, optimizer in ((a, ours), (b, theirs)):
            p.grad = gradient.clone()
            optimizer.step()
    torch.testing.assert_close(a, b)


def test_the_gradient_is_cut_as_a_whole() -> None:
    state = []
    for scale in (1.0, 100.0):
        p = nn.Parameter(torch.ones(2))
        optimizer = LAMB([p], lr=0.1)
        p.grad = scale * torch.tensor([0.6, 0.8])
        optimizer.step()
        state.append(optimizer.state[p]["mean"])
    torch.testing.assert_close(*state)


def test_the_rate_ends_where_it_should() -> None:
    settings = {"lr": 1.0, "weight_decay": 0.0, "steps": 10, "warmup_steps": 2}
    optimizer, schedule = warmup_cosine(nn.Linear(1, 1), optimizer="lamb", min_lr=0.3, **settings)
    assert isinstance(optimizer, LAMB)
    for _ in range(10):
        optimizer.step()
        schedule.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.3)
    with pytest.raises(ConfigError, match="min_lr"):
        warmup_cosine(nn.Linear(1, 1), min_lr=2.0, **settings)
    with pytest.raises(ConfigError, match="adamw"):
        warmup_cosine(nn.Linear(1, 1), optimizer="adam", **settings)  # type: ignore[arg-type]


def draws(mixing: Mixing, x: torch.Tensor, count: int, epoch: int = 0) -> list[tuple[torch.Tensor, float]]:
    generator = torch.Generator().manual_seed(0)
    return [mixing(x, epoch, generator) for _ in range(count)]


def test_mixup_is_a_weighted_sum() -> None:
    x = torch.rand(2, 3, 1, 8, 8)
    shares = []
    for mixed, share in draws(Mixing(mixup=0.5), x, 300):
        torch.testing.assert_close(mixed, share * x + (1 - share) * x.flip(1))
        shares.append(share)
    moments = torch.tensor(shares)
    assert abs(moments.mean() - 0.5) < 0.06
    assert abs(moments.var() - 1 / 8) < 0.03, "Beta(a, a) has the variance 1 / (8 a + 4)"


def test_cutmix_counts_what_is_left() -> None:
    x = torch.arange(2.0).view(1, 2, 1, 1, 1).expand(3, 2, 1, 16, 16)
    for mixed, share in draws(Mixing(cutmix=1.0), x, 50):
        assert mixed[0, 0].eq(0).float().mean().item() == pytest.approx(share)
        assert mixed[0, 1].eq(1).float().mean().item() == pytest.approx(share)
        assert torch.equal(mixed[0], mixed[2])


def test_when_nothing_is_mixed() -> None:
    x = torch.rand(1, 4, 1, 4, 4)
    for mixing, epoch in ((Mixing(), 0), (Mixing(mixup=1.0, until=5), 5), (Mixing(mixup=1.0, prob=0.0), 0)):
        assert all(mixed is x and share == 1 for mixed, share in draws(mixing, x, 5, epoch))
    half = [share < 1 for _, share in draws(Mixing(mixup=1.0, prob=0.5), x, 200)]
    assert 70 < sum(half) < 130


def test_the_classifier_asks_for_both_labels() -> None:
    torch.manual_seed(0)
    model = Classifier("sdt_test", neuron={"name": "lif", "threshold": 0.1})
    batch = InMemory(torch.rand(2, 2, 2, 16, 16), torch.tensor([1, 7])).__getitems__(range(2))
    swapped = batch._replace(y=batch.y.flip(0))
    one, other = (model._score(batch.x, b)[0] for b in (batch, swapped))
    torch.testing.assert_close(model._score(batch.x, batch, 0.3)[0], 0.3 * one + 0.7 * other)
    assert one != other


@pytest.mark.parametrize("loss", [mean_ce, tet])
def test_losses_are_linear_in_the_label(loss) -> None:  # type: ignore[no-untyped-def]
    """What the classifier adds up for a mixture is the loss of the soft label."""
    z, y = torch.randn(3, 2, 5), torch.tensor([1, 4])
    parts = 0.3 * loss(z, y, label_smoothing=0.1) + 0.7 * loss(z, y.flip(0), label_smoothing=0.1)
    if loss is mean_ce:
        soft = 0.3 * nn.functional.one_hot(y, 5) + 0.7 * nn.functional.one_hot(y.flip(0), 5)
        soft = 0.9 * soft + 0.1 / 5
        torch.testing.assert_close(parts, nn.functional.cross_entropy(z.mean(0), soft))
    assert torch.isfinite(parts)
