"""Farthest-point sampling and nearest neighbours beside the naive forms.

    python -m benchmarks.points [--threads 2] [--repeats 7]

"naive": distances of ``[B, N, 3]`` by broadcasting, as in the public code of PointNet++ models. "planes": our
form in torch operations. kNN of all forms is exact; "cdist" is the product form that torch takes
for large clouds.
"""

from __future__ import annotations

import argparse
from typing import Any

import torch
from torch import Tensor

from snnkit.kernels import farthest, nearest, use_backend

from .harness import race, save, show

SIZES = [(8, 1024, 512, 24), (8, 2048, 512, 24), (32, 1024, 256, 16)]


def naive_farthest(points: Tensor, count: int) -> Tensor:
    batch, number, _ = points.shape
    chosen = torch.zeros(batch, count, dtype=torch.int64)
    distance, last = torch.full((batch, number), 1e10), torch.zeros(batch, dtype=torch.int64)
    rows = torch.arange(batch)
    for i in range(count):
        chosen[:, i] = last
        d = ((points - points[rows, last].view(batch, 1, 3)) ** 2).sum(-1)
        distance = torch.where(d < distance, d, distance)
        last = distance.max(-1).indices
    return chosen


def naive_nearest(points: Tensor, queries: Tensor, k: int) -> Tensor:
    return ((queries[:, :, None] - points[:, None]) ** 2).sum(-1).argsort()[:, :, :k]


def in_torch(call: Any, *args: Any) -> Any:
    with use_backend("reference"):
        return call(*args)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=7)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    rows = []
    for batch, number, count, k in SIZES:
        points, start = torch.rand(batch, number, 3), torch.zeros(batch, dtype=torch.int64)
        queries = points[:, :count].contiguous()
        samplers = {
            "ours": lambda p=points, c=count, s=start: farthest(p, c, s),
            "planes": lambda p=points, c=count, s=start: in_torch(farthest, p, c, s),
            "naive": lambda p=points, c=count: naive_farthest(p, c),
        }
        finders = {
            "ours": lambda p=points, q=queries, k=k: nearest(p, q, k)[0],
            "planes": lambda p=points, q=queries, k=k: in_torch(nearest, p, q, k)[0],
            "cdist": lambda p=points, q=queries, k=k: torch.cdist(q, p).topk(k, largest=False).indices,
            "naive": lambda p=points, q=queries, k=k: naive_nearest(p, q, k),
        }
        size = f"B{batch} N{number} M{count}"
        for what, calls in ((f"FPS {size}", samplers), (f"kNN {size} K{k}", finders)):
            results = {name: call() for name, call in calls.items()}
            for name, found in results.items():  # the product form may swap neighbours that are equally far
                same = (found == results["ours"]).float().mean().item()
                assert same > (0.99 if name == "cdist" else 1 - 1e-6), (what, name, same)
            seconds, ratios = race(calls, "ours", args.repeats)
            row: dict[str, Any] = {"what": what, "ours, ms": 1000 * seconds}
            rows.append(row | {name: ratios.get(name, "") for name in ("naive", "planes", "cdist")})
    show("points: time of the others over ours, median (range)", rows)
    print(f"wrote {save('points', rows, threads=args.threads)}")


if __name__ == "__main__":
    main()
