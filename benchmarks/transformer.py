"""A training step of a spiking transformer: snnkit beside spikingjelly.

    python -m benchmarks.transformer [--repeats 7] [--batch 16] [--profile]

Spikformer for 32x32 images, 2 blocks of width 256, 4 heads, T = 4: forward, cross-entropy, backward, AdamW;
1 thread, processor time, snnkit.keep_memory() for all. "as published": the peer in float32 with maps in NCHW
and transpositions around the norms of tokens. "tuned": it with channels_last and bfloat16 autocast, as
ours in bfloat16. Both have the same weights; logits and gradients in float64 are compared before anything is
timed.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import snnkit
from snnkit.models import from_reference

from .harness import race, save, show
from .spikformer_peer import PeerSpikformer

MODEL = "spikformer_cifar_4_256"
SIZE = {"width": 256, "depth": 2, "heads": 4}
Step = Callable[[], None]


def networks() -> tuple[nn.Module, nn.Module]:
    """Ours and the peer, with the same weights."""
    torch.manual_seed(0)
    peer = PeerSpikformer(**SIZE)
    return from_reference(MODEL, peer.state_dict(), **SIZE).net.train(), peer.train()


def check(ours: nn.Module, peer: nn.Module, x: Tensor, y: Tensor) -> None:
    """Refuse to time networks that compute something else."""
    ours, peer = (copy.deepcopy(net).double() for net in (ours, peer))
    logits = []
    for net in (ours, peer):
        logits.append(net(x.double()))
        F.cross_entropy(logits[-1], y).backward()
    gradients = {name: p.grad for name, p in peer.named_parameters()}
    expected = from_reference(MODEL, peer.state_dict() | gradients, **SIZE).net.parameters()
    pairs = [(logits[0], logits[1]), *((p.grad, g) for p, g in zip(ours.parameters(), expected, strict=True))]
    scale = max(b.abs().max() for _, b in pairs[1:])
    for what, part, unit in (("logits", pairs[:1], logits[1].abs().max()), ("gradients", pairs[1:], scale)):
        error = max(((a - b).abs().max() / unit).item() for a, b in part)
        print(f"{what}: largest difference over largest value {error:.1e}")
        if not error < 1e-6:
            raise SystemExit("the networks compute different things; not timed")


def step_of(net: nn.Module, x: Tensor, y: Tensor, *, bf16: bool = False, channels_last: bool = False) -> Step:
    """One training step of a copy of ``net``."""
    net = copy.deepcopy(net)
    if channels_last:
        net, x = net.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(net.parameters(), 1e-4)
    casts: AbstractContextManager[Any] = torch.autocast("cpu", torch.bfloat16) if bf16 else nullcontext()

    def step() -> None:
        optimizer.zero_grad()
        with casts:
            loss = F.cross_entropy(net(x).float(), y)
        loss.backward()
        optimizer.step()

    return step


def profile(step: Step, name: str) -> None:
    """Print the operations that take the most time of a step."""
    step()
    with torch.profiler.profile() as found:
        step()
    print(f"{name}\n{found.key_averages().table(sort_by='self_cpu_time_total', row_limit=14)}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--profile", action="store_true", help="where the time goes, instead")
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(snnkit.keep_memory())
    ours, peer = networks()
    x, y = torch.rand(args.batch, 3, 32, 32), torch.randint(10, (args.batch,))
    check(ours, peer, x, y)
    build = {
        "snnkit float32": partial(step_of, ours),
        "snnkit bfloat16": partial(step_of, ours, bf16=True, channels_last=True),
        "as published": partial(step_of, peer),
        "tuned": partial(step_of, peer, bf16=True, channels_last=True),
    }
    steps = {name: make(x, y) for name, make in build.items()}
    if args.profile:
        for name, step in steps.items():
            profile(step, name)
        return
    rows = []
    for name in ("snnkit float32", "snnkit bfloat16"):
        calls = {name: steps[name], **{n: s for n, s in steps.items() if not n.startswith("snnkit")}}
        seconds, ratios = race(calls, name, args.repeats)
        rows.append({"training step": name, "ours, ms": 1e3 * seconds, **ratios})
    show(f"Spikformer 2-256, batch {args.batch}, time of spikingjelly / ours, 1 thread", rows)
    print(f"wrote {save('transformer', rows, batch=args.batch)}")


if __name__ == "__main__":
    main()
