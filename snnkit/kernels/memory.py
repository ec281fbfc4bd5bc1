"""Keep freed memory in the process: on the CPU, touching fresh pages costs more than the neurons do."""

from __future__ import annotations

import ctypes
import platform

__all__ = ["keep_memory"]

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _LARGEST = -1, -3, 2**31 - 1


def keep_memory() -> str:
    """Tell the C library's allocator to reuse freed memory instead of returning it to the system.

    Large tensors are otherwise mapped anew at every allocation, and the system clears each page at its first
    use, which takes several times as long as a copy. The setting holds for the whole process and for every
    library in it, and cannot be undone; resident memory stays at its peak. Nothing calls it by itself.

    Returns:
        What was done, or why nothing could be: only glibc (most Linux systems) has the setting.

    Example:
        >>> print(snnkit.keep_memory())  # doctest: +SKIP
        freed memory stays in the process (glibc mallopt: mmap and trim thresholds at 2 GiB)
    """
    if platform.libc_ver()[0] != "glibc":
        return f"nothing done: {platform.system()} does not use glibc"
    mallopt = ctypes.CDLL(None).mallopt
    done = [mallopt(option, _LARGEST) for option in (_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD)]
    if not all(done):
        return "nothing done: glibc refused the setting"
    return "freed memory stays in the process (glibc mallopt: mmap and trim thresholds at 2 GiB)"
