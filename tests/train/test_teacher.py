"""A student learns from a teacher: what is added to the loss, by hand, and a run of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

import snnkit
from snnkit.errors import ConfigError, ShapeError
from snnkit.quant import AttentionSimilarityLoss, attention_maps
from snnkit.train import Classifier, Distillation, evaluate, open_model, train

SETTINGS = {"num_classes": 10, "in_channels": 2, "img_size": 16}
SMALL = ["--model.settings={width: 16, heads: 2}", "--trainer.max_epochs=1", "--data.settings={T: 2}"]
SMALL += ["--trainer.limit_train_batches=3"]


def save(folder: Path, name: str = "sdt_test", **settings: object) -> str:
    torch.manual_seed(1)
    # a low threshold: fresh networks fire
    net = snnkit.create_model(name, neuron={"name": "lif", "threshold": 0.1}, **(SETTINGS | settings))
    snnkit.save_model(net, folder / "model.safetensors")
    return str(folder)


def test_answers_by_hand(tmp_path: Path) -> None:
    teacher = save(tmp_path)
    x, own = torch.rand(2, 3, 2, 16, 16), torch.tensor(2.0)
    with torch.no_grad():
        wanted = open_model(teacher)[0](x)
    z = torch.randn(3, 10, requires_grad=True)
    p, q = (wanted / 4).softmax(-1), (z / 4).softmax(-1)
    kl = 16 * (p * (p.log() - q.log())).sum(-1).mean()
    torch.testing.assert_close(Distillation(teacher, 0.3, 4.0)(own, x, z), 0.7 * own + 0.3 * kl)
    taught = torch.randn(3, 10)
    hard = F.cross_entropy(taught, wanted.argmax(-1))
    torch.testing.assert_close(Distillation(teacher)(own, x, z, taught), 0.5 * own + 0.5 * hard)
    torch.testing.assert_close(Distillation(teacher, 1.0)(own, x, wanted), torch.tensor(0.0))


def test_similarity_of_the_attention(tmp_path: Path) -> None:
    teacher = save(tmp_path)
    distill = Distillation(teacher, weight=0.0, attention=3.0)
    x, own = torch.rand(2, 3, 2, 16, 16), torch.tensor(2.0)
    student = snnkit.create_model("sdt_test", neuron={"name": "lif", "threshold": 0.1}, **SETTINGS)
    with distill.watch(student):
        logits = student(x)
        loss = distill(own, x, logits)
    with torch.no_grad(), attention_maps(distill.teacher) as of_teacher:
        distill.teacher(x)
    with attention_maps(student) as of_student:
        student(x)
    torch.testing.assert_close(loss, own + AttentionSimilarityLoss(3.0)(of_student, of_teacher))
    assert loss > own
    loss.backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in student.parameters())
    assert all(p.grad is None for p in distill.teacher.parameters())


def test_refusals(tmp_path: Path) -> None:
    teacher = save(tmp_path, num_classes=7)
    with pytest.raises(ShapeError, match="same classes"):
        Distillation(teacher)(torch.tensor(0.0), torch.rand(2, 3, 2, 16, 16), torch.zeros(3, 10))
    with pytest.raises(ConfigError, match="both 0"):
        Distillation(teacher, weight=0)
    with pytest.raises(ConfigError, match="techer"):
        Classifier("sdt_test", distill={"techer": teacher})
    with pytest.raises(ConfigError, match=r"model\.distill\.teacher"):
        Classifier("meta_spikeformer_test", settings={"distill": True})


@pytest.mark.filterwarnings("ignore:model.quant without model.start_from")
@pytest.mark.parametrize(
    ("name", "settings", "attention", "more"),
    [
        ("sdt_test", "{width: 16, heads: 2}", 1.0, []),
        ("sdt_test", "{width: 16, heads: 2}", 1.0, ["--model.quant={weight_bits: 4}"]),
        ("meta_spikeformer_test", "{distill: true}", 0.0, []),
    ],
)
def test_training_with_a_teacher(
    tmp_path: Path, name: str, settings: str, attention: float, more: list[str]
) -> None:
    """One head learns softly and by the attention, two heads learn hard labels; the teacher stays outside."""
    teacher = save(tmp_path / "teacher", "spikformer_test", width=16, heads=2)
    overrides = [*SMALL, *more, f"--model.name={name}", f"--model.settings={settings}", "--model.ema=0.9"]
    overrides += ["--model.neuron={name: lif, threshold: 0.1}"]
    overrides += [f"--model.distill={{teacher: {teacher}, attention: {attention}}}"]
    model, _ = train("micro", tmp_path / "student", overrides)
    assert model.distill is not None
    assert not any("distill" in key for key in model.state_dict())
    assert evaluate(tmp_path / "student").total == 360
    plain, _ = train("micro", tmp_path / "plain", [*overrides, "--model.distill.weight=1.0e-9"])
    assert not all(torch.equal(a, b) for a, b in zip(model.parameters(), plain.parameters(), strict=True))


def test_a_student_comes_to_answer_as_its_teacher(tmp_path: Path) -> None:
    """With nothing but the teacher to learn from, the answers approach it."""
    torch.manual_seed(0)
    distill = Distillation(save(tmp_path), weight=1.0)
    student = snnkit.create_model("spikformer_test", neuron={"name": "lif", "threshold": 0.1}, **SETTINGS)
    optimizer, x = torch.optim.Adam(student.parameters(), 1e-2), torch.rand(2, 8, 2, 16, 16)
    losses = []
    for _ in range(12):
        loss = distill(torch.tensor(0.0), x, student(x))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2
