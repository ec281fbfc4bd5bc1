"""What "auto" takes on this machine."""

from __future__ import annotations

import torch

from .native import isa, library
from .triton_lif import triton_missing

__all__ = ["backend_report"]


def backend_report() -> str:
    """What "auto" takes on this machine, and why."""
    lib = library()
    if isinstance(lib, str):
        report = f"auto: eager on the CPU, because {lib}"
    else:
        openmp = lib.snn_has_openmp()
        threads = f"{torch.get_num_threads()} threads" if openmp else "one thread, built without OpenMP"
        report = f"auto: native on CPU tensors in float32 and bfloat16 ({isa()}, {threads}), else eager"
    missing = triton_missing()
    if missing is not None:
        return f"{report}; eager on CUDA tensors, because {missing}"
    where = "" if torch.cuda.is_available() else ", of which there are none here"
    return f"{report}; triton on CUDA tensors{where}"
