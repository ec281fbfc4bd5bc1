"""Linear layers on spikes: gathered weights against the dense product, float32, 1 thread.

python -m benchmarks.event_linear
"""

from __future__ import annotations

from functools import partial

import torch
from torch.nn import functional as F

from snnkit.kernels.event_linear import _gather

from .harness import race, save, show


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rows = []
    for n, m in ((512, 1), (1024, 1), (4096, 1), (512, 256), (1024, 256)):
        weight, bias = torch.randn(n, n), torch.randn(n)
        columns = weight.t().contiguous()
        row: dict[str, object] = {"n": n, "rows": m}
        for density in (0.01, 0.05, 0.2, 0.5):
            x = (torch.rand(m, n) < density).float()
            gathered = partial(_gather, x, weight, bias, columns)
            dense = partial(F.linear, x, weight, bias)
            error = (gathered() - dense()).abs().max().item()
            if error > 1e-3:
                raise SystemExit(f"n = {n}: results differ by {error}; not timed")
            row[f"{density:.0%} active"] = race({"ours": gathered, "dense": dense}, "ours", 21)[1]["dense"]
        rows.append(row)
    show("dense product / gathered", rows)
    print(f"wrote {save('event_linear', rows)}")


if __name__ == "__main__":
    main()
