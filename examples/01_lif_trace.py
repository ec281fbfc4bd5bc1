"""One LIF neuron, step by step: input, membrane potential, spikes, and a picture of them."""

from pathlib import Path

import torch

import snnkit

x = torch.tensor([0.5, 1.0, 1.2, 0.0, 1.5, 1.5, 1.5, 0.2]).view(-1, 1, 1)  # [T, B, neurons]
lif = snnkit.LIF(tau=2.0, reset="soft")
potential, spikes = snnkit.plot.membrane_trace(lif, x)
for t, (u, s) in enumerate(zip(potential.flatten().tolist(), spikes.flatten().tolist(), strict=True)):
    print(f"t = {t}   input {x[t].item():.2f}   potential {u:.3f}   {'spike' if s else ''}")

out = Path("runs/examples")
out.mkdir(parents=True, exist_ok=True)
axes = snnkit.plot.membrane(potential.flatten(), spikes.flatten(), threshold=1.0)
snnkit.plot.save(axes, out / "lif.png")
print(f"wrote {out / 'lif.png'}")
