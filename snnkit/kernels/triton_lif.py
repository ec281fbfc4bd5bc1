"""LIF in Triton: CUDA tensors in float32, bfloat16 or float16, state in float32.

The semantics are those of the C library: the input is saved and the potentials are computed again, from the
first state where T <= 32, else from one state in 16. Configurations are fixed by T and N, nothing is tuned at
the first call, and no call waits for the device.

Division is IEEE division, so that spikes equal those of the CPU. PyTorch's own CUDA kernels divide a tensor
by a Python number through a reciprocal, ``x * (1 / tau)``: with a number for tau that is not a power of two,
the step loop on CUDA differs from this in the last bit of a potential. A tensor tau is divided by.

With ``TRITON_INTERPRET=1`` in the environment before the first use, Triton's interpreter runs the kernels, on
CPU tensors too if ``use_backend("triton")`` asks for it: slow, for tests.

Not run on a GPU yet. Values and gradients were checked under the interpreter of Triton 3.9, and the kernels
compiled by 3.3 to 3.9 for compute capability 9.0, where nothing is fused and division is ``div.rn`` (before
3.9 with denormal quotients flushed to 0). Launching, compiled graphs on CUDA, speed and the choice of block
sizes were not tried.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
import os
import re
from collections.abc import Sequence
from functools import cache
from importlib import metadata
from typing import Any

import torch
from torch import Tensor

from ._layout import EVERY, NOTHING, constant_in_graphs, kept_shape, per_neuron, rows, state
from ._lif_op import Kernels, Kinds, Number, Scalars, leak_slope, register, run_lif
from .dynamics import LIFDynamics

__all__ = ["KERNELS", "blocks", "launch", "lif_triton", "triton_missing", "triton_unavailable"]

LONGEST = 32  # steps whose potentials all fit into registers
OLDEST = 3, 3  # triton with tuples of blocks
SMALL = 1 << 17  # neurons below which small blocks keep more multiprocessors busy


def lif_triton(
    x: Tensor, v0: Tensor, leak: Number, threshold: Number, d: LIFDynamics
) -> tuple[Tensor, Tensor]:
    """Spikes and final state as :func:`snnkit.kernels.lif`, by Triton."""
    return run_lif(KERNELS, x, v0, leak, threshold, d)


def triton_unavailable(x: Tensor, *operands: Any) -> str | None:
    """Why Triton cannot take these tensors, None if it can."""
    if x.device.type != "cuda" and not (x.device.type == "cpu" and _interpreted()):
        return f"it works on CUDA tensors, the input is on {x.device}"
    if x.dtype not in (torch.float32, torch.bfloat16, torch.float16):
        return f"it works in float32, bfloat16 and float16, the input is {x.dtype}"
    if any(isinstance(a, Tensor) and (a.dtype != torch.float32 or a.device != x.device) for a in operands):
        return f"states and parameters must be float32 on {x.device}"
    return triton_missing()


@constant_in_graphs
def triton_missing() -> str | None:
    """Why there is no Triton, None if there is."""
    return _missing()


@cache
def _missing() -> str | None:
    if importlib.util.find_spec("triton") is None:
        return "triton is not installed; builds of torch for CUDA bring it, else: pip install triton"
    version = metadata.version("triton")
    if tuple(int(digits) for digits in re.findall(r"\d+", version)[:2]) < OLDEST:
        return f"triton {version} is too old, it needs {OLDEST[0]}.{OLDEST[1]} (torch 2.7 brings it)"
    return None


def _interpreted() -> bool:
    return os.environ.get("TRITON_INTERPRET", "").lower() in ("1", "true", "on", "yes", "y")


def blocks(steps: int, neurons: int, wanted: int) -> dict[str, Any]:
    """Steps of a chunk, neurons of a program, warps: fixed by (T, N), ``wanted`` values a thread."""
    chunk = steps if steps <= LONGEST else EVERY
    each = 1 if neurons < SMALL else max(1, min(8, wanted // (1 << (chunk - 1).bit_length())))
    warps = 2 if neurons < SMALL else 4
    return {
        "CHUNK": chunk,
        "WHOLE": steps <= LONGEST,
        "BLOCK": 32 * warps * each,
        "num_warps": warps,
        "enable_fp_fusion": False,
    }


def _arguments(
    x: Tensor,
    v0: Tensor,
    leak: Tensor | None,
    threshold: Tensor | None,
    scalars: Scalars,
    kinds: Kinds,
    norm: Tensor | None,
) -> tuple[dict[str, Any], int]:
    """What both passes take, and the number of neurons; ``x`` in rows."""
    steps = x.shape[0]
    neurons = x.numel() // steps
    arguments: dict[str, Any] = {"x_at": x, "v0_at": v0, "N": neurons, "T": steps}
    for name, value, number in (("leak", leak, scalars[0]), ("threshold", threshold, scalars[1])):
        found = (None, 1, 1) if value is None else per_neuron(value, x.shape[1:])
        arguments |= dict(zip([f"{name}_{what}" for what in ("at", "period", "inner")], found, strict=True))
        arguments[f"{name}_value"] = number if value is None else 0.0
    arguments |= {"scale_at": None, "shift_at": None, "norm_period": 1, "norm_inner": 1}
    if norm is not None:
        arguments |= {"scale_at": norm[2], "shift_at": norm[3]}
        arguments |= {"norm_period": x.shape[2], "norm_inner": math.prod(x.shape[3:])}
    own = math.isnan(scalars[4])
    arguments |= {
        "other_value": 1 - scalars[0] if leak is None else 0.0,
        "amount_value": 0.0 if own else scalars[4],
        "rest": scalars[2],
        "v_reset": scalars[3],
        "x_stride": 0 if x.stride(0) == 0 else neurons,
        "V0_STRIDE": int(neurons <= 1 or any(v0.stride())),  # the initial state: one value, expanded
        "CHARGE": kinds[0],
        "RESET": kinds[1],
        "AT_EQUAL": bool(kinds[4]),
        "OWN_AMOUNT": own,
    }
    return arguments, neurons


def launch(module: str, kernel: str, neurons: int, arguments: dict[str, Any]) -> None:
    """Run a kernel of that module of this package, imported now: it needs triton."""
    kernels = importlib.import_module(f".{module}", __package__)
    with torch.cuda.device_of(arguments["x_at"]):
        getattr(kernels, kernel)[(-(-neurons // arguments["BLOCK"]),)](**arguments)


def _forward(
    x: Tensor,
    v0: Tensor,
    leak: Tensor | None,
    threshold: Tensor | None,
    scalars: Scalars,
    kinds: Kinds,
    keep: bool,
    norm: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    x, v0 = rows(x), state(v0)
    out = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    if not x.numel():
        return out, v0.clone(), NOTHING
    v, kept = torch.empty_like(v0, memory_format=torch.contiguous_format), NOTHING
    if keep and x.shape[0] > LONGEST:
        kept = torch.empty(kept_shape(x), dtype=torch.float32, device=x.device)
    arguments, neurons = _arguments(x, v0, leak, threshold, scalars, kinds, norm)
    arguments |= {"out_at": out, "v1_at": v, "kept_at": None if kept is NOTHING else kept}
    launch("_triton_kernels", "lif_forward", neurons, arguments | blocks(x.shape[0], neurons, 64))
    return out, v, kept


def _backward(
    g_out: Tensor | None,
    g_v: Tensor | None,
    x: Tensor,
    v0: Tensor,
    kept: Tensor,
    leak: Tensor | None,
    threshold: Tensor | None,
    scalars: Scalars,
    kinds: Kinds,
    of_v0: bool,
    norm: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    x, v0 = rows(x), state(v0)
    g_x = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    g_v0 = torch.empty_like(v0, memory_format=torch.contiguous_format) if of_v0 else NOTHING
    learn = leak is not None or threshold is not None
    sums = torch.zeros(2, *v0.shape, dtype=torch.float32, device=x.device) if learn else NOTHING
    norm_sums = NOTHING
    if norm is not None:
        norm_sums = torch.zeros(2, *v0.shape, dtype=torch.float32, device=x.device)
    if not x.numel():
        if of_v0:
            g_v0.zero_() if g_v is None else g_v0.copy_(g_v)
        return g_x, g_v0, sums, norm_sums
    arguments, neurons = _arguments(x, v0, leak, threshold, scalars, kinds, norm)
    of_x, of_w = leak_slope(kinds[0])
    arguments |= {
        "kept_at": kept if x.shape[0] > LONGEST else None,
        "g_out_at": None if g_out is None else g_out.contiguous(),
        "g_v_at": None if g_v is None else g_v.contiguous(),
        "g_x_at": g_x,
        "g_v0_at": g_v0 if of_v0 else None,
        "g_leak_at": None if leak is None else sums[0],
        "g_threshold_at": None if threshold is None else sums[1],
        "g_norm_at": None if norm is None else norm_sums,
        "mean_at": None if norm is None else norm[0],
        "a": scalars[5],
        "b": scalars[6],
        "SURROGATE": kinds[2],
        "DETACH": bool(kinds[3]),
        "OF_X": of_x,
        "OF_W": of_w,
    }
    launch("_triton_kernels", "lif_backward", neurons, arguments | blocks(x.shape[0], neurons, 16))
    return g_x, g_v0, sums, norm_sums


def _norm(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, moments: Sequence[Tensor] | None, eps: float
) -> Tensor:
    if moments is None:
        var, mean = torch.var_mean(x.float(), [i for i in range(x.ndim) if i != 2], correction=0)
    else:
        mean, var = moments
    scale = torch.rsqrt(var + eps) * (1.0 if weight is None else weight.detach())
    shift = (0.0 if bias is None else bias.detach()) - mean * scale
    return torch.stack((mean, var, scale, shift))


def _norm_back(
    g: Tensor, x: Tensor, norm: Tensor, sums: Tensor, eps: float, of_batch: bool
) -> tuple[Tensor, Tensor]:
    channels = x.shape[2]
    s, product = sums.reshape(2, x.shape[1], channels, -1).sum((1, 3), dtype=torch.float64)
    inverse = 1 / (norm[1].double() + eps)
    share = channels / x.numel() if of_batch else 0.0
    offset, slope = (s * share).float(), (product * inverse * share).float()
    arguments = {"g_at": g, "x_at": x, "scale_at": norm[2], "mean_at": norm[0], "offset_at": offset}
    sizes = {"period": channels, "inner": math.prod(x.shape[3:]), "N": x.numel(), "BLOCK": 1024}
    launch("_triton_kernels", "norm_back", x.numel(), {**arguments, "slope_at": slope, **sizes})
    return (product * inverse.sqrt()).float(), s.float()


KERNELS = Kernels(_forward, _backward, _norm, _norm_back)
register(KERNELS, "CUDA")
