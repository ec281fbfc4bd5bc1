"""The C library: found, loaded with ctypes, and called with raw pointers.

It is built by ``pip install`` when a C compiler is there (``setup.py``). Loading comes after ``import
torch``, so that both share one OpenMP runtime; nothing is loaded before a kernel is asked for.
"""

from __future__ import annotations

import ctypes as c
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ._layout import EVERY, constant_in_graphs, not_plain, per_neuron

__all__ = [
    "AfterJob",
    "IntJob",
    "Job",
    "NormJob",
    "PoolJob",
    "fill",
    "isa",
    "library",
    "param",
    "run",
    "threads_for",
    "unavailable",
]

ABI = 8
SHARE = 65_536  # neuron-steps that are worth a thread of their own
STATES, PARAMS, SUMS = 2, 10, 3
PIECES = 32  # of the sums by channel
ISA_NAMES = ("baseline", "AVX2", "AVX-512", "AVX-512 VNNI")


class Param(c.Structure):
    """One value per neuron: ``data[(n // inner) % period]``, or ``value`` for all."""

    _fields_ = [("data", c.c_void_p), ("period", c.c_int64), ("inner", c.c_int64), ("value", c.c_float)]


class Job(c.Structure):
    """``snn_job`` of csrc/native.c."""

    _fields_ = [
        *[(name, c.c_int32) for name in ("family", "charge", "reset", "surrogate", "detach", "learn")],
        *[(name, c.c_int32) for name in ("x_bf16", "out_bf16", "threads", "every", "normed", "unused")],
        *[(name, c.c_int64) for name in ("T", "N", "x_stride")],
        ("x", c.c_void_p),
        ("out", c.c_void_p),
        ("v0", c.c_void_p * STATES),
        ("v0_value", c.c_float * STATES),
        ("v1", c.c_void_p * STATES),
        ("kept", c.c_void_p * STATES),
        ("param", Param * PARAMS),
        ("scalar", c.c_float * 8),
        ("g_out", c.c_void_p),
        ("g_v1", c.c_void_p * STATES),
        ("g_x", c.c_void_p),
        ("g_v0", c.c_void_p * STATES),
        ("g_param", c.c_void_p * SUMS),
        ("g_norm", c.c_void_p),
        ("stream_bytes", c.c_int64),
    ]


class NormJob(c.Structure):
    """``snn_norm`` of csrc/native.c."""

    _fields_ = [
        ("x", c.c_void_p),
        *[(name, c.c_int64) for name in ("outer", "channels", "inner")],
        *[(name, c.c_int32) for name in ("bf16", "threads")],
        *[(name, c.c_void_p) for name in ("mean", "var", "scale", "shift")],
        ("eps", c.c_double),
    ]


class AfterJob(c.Structure):
    """``snn_after`` of csrc/native.c."""

    _fields_ = [
        *[(name, c.c_int32) for name in ("kind", "scaled", "shift", "levels")],
        *[(name, c.c_int32) for name in ("bits", "halving", "inward", "reset")],
        *[(name, c.c_int32) for name in ("v_rest", "v_reset", "grid_shift", "grid_bits", "small", "unused")],
        ("period", c.c_int64),
        *[(name, c.c_void_p) for name in ("m", "decay", "theta", "amount", "r", "middle")],
    ]


class IntJob(c.Structure):
    """``snn_int`` of csrc/native.c."""

    _fields_ = [
        *[(name, c.c_void_p) for name in ("x", "gathered", "dense", "y")],
        *[(name, c.c_int64) for name in ("steps", "batch", "height", "width", "out_height", "out_width")],
        *[(name, c.c_int64) for name in ("groups", "inputs", "outputs", "all_inputs", "all_outputs")],
        *[(name, c.c_int64 * 2) for name in ("kernel", "stride", "padding", "dilation")],
        *[(name, c.c_int64) for name in ("rows", "runs", "run", "gathered_group", "dense_group")],
        *[(name, c.c_int32) for name in ("layout", "room", "high", "largest", "threads", "unused")],
        ("after", AfterJob),
    ]


class PoolJob(c.Structure):
    """``snn_pool`` of csrc/native.c."""

    _fields_ = [
        *[(name, c.c_void_p) for name in ("x", "y")],
        *[(n, c.c_int64) for n in ("images", "height", "width", "out_height", "out_width", "channels")],
        *[(name, c.c_int64 * 2) for name in ("kernel", "stride", "padding")],
        *[(name, c.c_int32) for name in ("bytes", "threads")],
    ]


@cache
def library() -> c.CDLL | str:
    """The loaded library, or the reason why there is none."""
    found = sorted(Path(__file__).parent.glob("_native*.so"))
    if not found:
        return "the C library was not built; install snnkit where a C compiler is"
    try:
        lib = c.CDLL(str(found[0]))
        if lib.snn_abi() != ABI or lib.snn_job_size() != c.sizeof(Job):
            return f"{found[0].name} is of another version; install snnkit again"
    except (OSError, AttributeError) as error:
        return f"{found[0].name} cannot be loaded: {error}"
    for name in ("snn_forward", "snn_backward"):
        getattr(lib, name).argtypes = [c.POINTER(Job)]
    norm, pointer = c.POINTER(NormJob), c.c_void_p
    lib.snn_moments.argtypes = [norm, pointer]
    lib.snn_affine.argtypes = [norm, *[pointer] * 3]
    lib.snn_norm_back.argtypes = [norm, pointer, c.c_int32, *[pointer] * 4]
    i32, i64 = c.c_int32, c.c_int64
    lib.snn_int_layer.argtypes = [c.POINTER(IntJob)]
    lib.snn_int_values.argtypes = [*[i64] * 2, i32, pointer, c.POINTER(AfterJob), pointer, i32]
    lib.snn_int_pool.argtypes = [c.POINTER(PoolJob)]
    lib.snn_farthest.argtypes = [i64, i32, i64, i64, i32, *[pointer] * 3, i32]
    lib.snn_nearest.argtypes = [i64, i32, i64, i64, i32, *[pointer] * 4, i32]
    lib.snn_delay_shift.argtypes = [*[i64] * 3, pointer, i32, *[pointer] * 2, i32]
    lib.snn_delay_correlate.argtypes = [*[i64] * 4, *[pointer] * 4, i32]
    lib.snn_delay_events.argtypes = [*[i64] * 3, *[pointer] * 4]
    lib.snn_delay_scatter.argtypes = [*[i64] * 5, *[pointer] * 4, i32]
    lib.snn_delay_through.argtypes = [i32, *[i64] * 5, *[pointer] * 6, i32]
    lib.snn_isa(-1)
    return lib


def isa(wanted: int = -1) -> str:
    """Instruction set in use; ``wanted`` (0 baseline, 1 AVX2, 2 AVX-512) limits it, for tests."""
    lib = library()
    return "" if isinstance(lib, str) else ISA_NAMES[lib.snn_isa(wanted)]


def unavailable(x: Tensor, *operands: Any) -> str | None:
    """Why the library cannot take these tensors, None if it can."""
    if x.device.type != "cpu":
        return f"it works on CPU tensors, the input is on {x.device}"
    if strange := not_plain(x, *operands):
        return f"it reads the memory of plain tensors, not of a {strange}"
    if x.dtype not in (torch.float32, torch.bfloat16):
        return f"it works in float32 and bfloat16, the input is {x.dtype}"
    for a in operands:
        if isinstance(a, Tensor) and (a.dtype != torch.float32 or a.device != x.device):
            return "states and parameters must be float32 on the CPU"
    return missing()


@constant_in_graphs
def missing() -> str | None:
    """Why there is no library, None if there is one."""
    lib = library()
    return lib if isinstance(lib, str) else None


def param(value: Tensor, step: torch.Size, keep: list[Tensor]) -> Param:
    """A float32 tensor that broadcasts against a step of that shape; ``keep`` keeps it alive."""
    data, period, inner = per_neuron(value, step)
    keep.append(data)
    return Param(data.data_ptr(), period, inner, 0.0)


def fill(job: Job, x: Tensor, states: Sequence[Tensor]) -> None:
    """Sizes, types, threads, input ``x [T, *]`` in rows, and first states."""
    steps = x.shape[0]
    neurons = x.numel() // steps if steps else 0
    job.T, job.N, job.x, job.every = steps, neurons, x.data_ptr(), EVERY
    job.x_stride = 0 if steps and x.stride(0) == 0 else neurons
    job.x_bf16 = job.out_bf16 = x.dtype == torch.bfloat16
    job.threads = threads_for(steps * neurons)
    job.stream_bytes = _stream_bytes()
    for i, v0 in enumerate(states):
        if neurons > 1 and not any(v0.stride()):  # the initial state: one value, expanded
            job.v0_value[i] = c.c_float.from_address(v0.data_ptr()).value
        elif neurons:
            job.v0[i] = v0.data_ptr()


def threads_for(work: int) -> int:
    """As many as torch may use, if each gets its share: waking one takes longer than a small layer."""
    return max(1, min(torch.get_num_threads(), work // SHARE))


def run(what: str, work: Job) -> None:
    """``forward`` or ``backward``."""
    if work.T and work.N:
        status = getattr(library(), f"snn_{what}")(c.byref(work))
        assert status == 0, f"the native {what} pass refused its job ({status})"


@cache
def _stream_bytes() -> int:
    """Outputs that, with the input, exceed three quarters of the last-level cache are written past it."""
    try:
        levels = Path("/sys/devices/system/cpu/cpu0/cache")
        sizes = [int((p / "size").read_text().strip().rstrip("K")) for p in levels.glob("index*")]
        return max(sizes) * 1024 * 3 // 8
    except (OSError, ValueError):
        return 12 << 20
