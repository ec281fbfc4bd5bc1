"""The attention-similarity loss: its value against loops, no spikes, other head dimensions, refusals."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import snnkit
from snnkit import quant
from snnkit.errors import ConfigError, ShapeError


def slow(student: dict[str, Tensor], teacher: dict[str, Tensor]) -> float:
    total = 0.0
    for s, t in zip(student.values(), teacher.values(), strict=True):
        batch, heads = s.shape[:2]
        for b in range(batch):
            for h in range(heads):
                found = []
                for f in (s[b, h].detach(), t[b, h]):
                    g = [[float((x * y).sum()) for y in f] for x in f]
                    size = max(sum(v * v for row in g for v in row) ** 0.5, 1e-6)
                    found.append([[v / size for v in row] for row in g])
                pairs = zip(*([v for row in p for v in row] for p in found), strict=True)
                total += sum((a - c) ** 2 for a, c in pairs) / (batch * heads)
    return total


def test_value_and_gradient() -> None:
    gen = torch.Generator().manual_seed(0)

    def draw(d: int) -> Tensor:
        return torch.rand(2, 3, 5, d, generator=gen, dtype=torch.float64)

    student = {role: draw(4).requires_grad_() for role in "qkv"}
    teacher = {role: draw(7) for role in "qkv"}
    loss = quant.AttentionSimilarityLoss(weight=0.5)
    assert loss(student, teacher).item() == pytest.approx(0.5 * slow(student, teacher), rel=1e-12)
    assert loss(student, student).item() == 0
    assert torch.autograd.gradcheck(lambda q: loss({"q": q}, {"q": teacher["q"]}), (student["q"],))
    doubled = {role: 2 * f for role, f in student.items()}
    torch.testing.assert_close(loss(doubled, teacher), loss(student, teacher))


def test_no_spikes() -> None:
    silent = torch.zeros(1, 2, 3, 4, requires_grad=True)
    loss = quant.AttentionSimilarityLoss()({"q": silent}, {"q": torch.rand(1, 2, 3, 4)})
    assert loss.item() == pytest.approx(1.0)
    loss.backward()
    assert silent.grad is not None
    assert not silent.grad.any()


def test_refused() -> None:
    loss, x = quant.AttentionSimilarityLoss(), torch.rand(1, 2, 3, 4)
    with pytest.raises(ShapeError, match="q: got"):
        loss({"q": x}, {"q": x[:, :, :2]})
    with pytest.raises(ShapeError, match="0 of the"):
        loss({"q": x}, {})
    with pytest.raises(ConfigError):
        quant.AttentionSimilarityLoss(weight=-1)
    with pytest.raises(ConfigError), quant.attention_maps(nn.Linear(2, 2)):
        pass


def test_a_student_approaches_its_teacher() -> None:
    torch.manual_seed(0)
    teacher = snnkit.create_model("sdt_test", num_classes=10, neuron="ilif")
    student = quant.quantize(teacher, 2)
    x = (torch.rand(2, 4, 2, 16, 16) < 0.4).float()
    with torch.no_grad(), quant.attention_maps(teacher) as wanted:
        teacher(x)
    optimizer, losses = torch.optim.Adam(student.parameters(), 2e-3), []
    for _ in range(8):
        with quant.attention_maps(student) as got:
            student(x)
        assert got.keys() == wanted.keys()
        losses.append(quant.AttentionSimilarityLoss()(got, wanted))
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
        quant.project_steps(student)
    assert losses[-1] < 0.9 * losses[0]
    assert not any(m._forward_hooks for m in student.modules())
