"""Two processes (gloo, CPU) take the same step as one with the joined batch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

CODE = '''
import sys, torch, lightning as L, snnkit
from snnkit import quant
from torch import nn
from torch.nn import functional as F
from snnkit.train import EpochSampler, InMemory

class Net(L.LightningModule):
    """No batch norm: its statistics differ between one batch and two halves by definition."""
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        head = snnkit.PerStep(nn.Flatten(), nn.Linear(6 * 36, 4))
        self.net = nn.Sequential(snnkit.PerStep(nn.Conv2d(2, 6, 3)), snnkit.LIF(), head)
        if sys.argv[3] == "quantised":
            quant.quantize(self.net, 3, inplace=True)
    def training_step(self, batch, i):
        return F.cross_entropy(self.net(batch.x).mean(0), batch.y)
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.5)
    def on_after_backward(self):
        if self.global_rank == 0:
            grads.append([p.grad.clone() for p in self.parameters()])

def loader(batch):
    g = torch.Generator().manual_seed(1)
    data = InMemory(torch.rand(32, 3, 2, 8, 8, generator=g) * 3, torch.randint(0, 4, (32,), generator=g))
    sampler = EpochSampler(32, seed=5, shuffle=True)
    return torch.utils.data.DataLoader(data, batch, sampler=sampler, collate_fn=lambda b: b)

if __name__ == "__main__":
    torch.set_num_threads(1)
    grads, devices = [], int(sys.argv[1])
    trainer = L.Trainer(max_epochs=2, accelerator="cpu", devices=devices,
        strategy="ddp" if devices > 1 else "auto",
        logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        use_distributed_sampler=False)
    trainer.fit(Net(), loader(16 // devices))
    if trainer.is_global_zero:
        torch.save(grads, sys.argv[2])
'''


@pytest.mark.parametrize("weights", ["float", "quantised"])
def test_two_processes_equal_one_with_the_joined_batch(tmp_path: Path, weights: str) -> None:
    """Plain DDP, which refuses unused parameters: every learned step has its gradient too."""
    script = tmp_path / "script.py"
    script.write_text(CODE)
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    environment.pop("PYTEST_XDIST_WORKER", None)
    grads = []
    for devices in (1, 2):
        out = tmp_path / f"{devices}.pt"
        command = [sys.executable, str(script), str(devices), str(out), weights]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=120, cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr[-2000:]
        grads.append(torch.load(out, weights_only=True))
    assert len(grads[0]) == len(grads[1]) == 4
    assert len(grads[0][0]) == {"float": 4, "quantised": 6}[weights]
    for one, two in zip(*grads, strict=True):
        for a, b in zip(one, two, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)
    assert any(g.abs().max() > 1e-3 for g in grads[0][0])
