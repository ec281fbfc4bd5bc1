"""Codes of a few bits each in bytes: two's complement, low bits first, every row padded to a byte.

Codes that are all odd, as of mid-rise and binary grids, are stored as the k of ``2k + 1``: one bit less.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

__all__ = ["code_width", "is_odd", "pack_codes", "packed_bytes", "unpack_codes"]


def is_odd(codes: Tensor) -> bool:
    """All codes are odd."""
    return codes.numel() > 0 and bool((codes % 2 != 0).all())


def code_width(codes: Tensor) -> int:
    """Bits that every code fits into, at least 1; of ``k`` if all are odd."""
    if not codes.numel():
        return 1
    codes = codes.long() - 1 >> 1 if is_odd(codes) else codes.long()
    low, high = int(codes.min()), int(codes.max())
    return max(1, (-low - 1).bit_length() + 1 if low < 0 else 1, high.bit_length() + 1 if high > 0 else 1)


def packed_bytes(rows: int, columns: int, width: int) -> int:
    """Bytes of ``rows`` rows of codes."""
    return rows * math.ceil(columns * width / 8)


def pack_codes(codes: Tensor, width: int) -> Tensor:
    """Codes ``[C, ...]`` as bytes ``[C, bytes of a row]``, uint8."""
    values = codes.long() - 1 >> 1 if is_odd(codes) else codes.long()
    flat = values.reshape(codes.shape[0], -1).cpu().numpy()
    bits = (flat[..., None] >> np.arange(width)) & 1
    packed = np.packbits(bits.reshape(len(flat), -1).astype(np.uint8), axis=1, bitorder="little")
    return torch.from_numpy(packed)


def unpack_codes(packed: Tensor, shape: tuple[int, ...], width: int, odd: bool) -> Tensor:
    """Undoes :func:`pack_codes`; int16 of ``shape``."""
    columns = math.prod(shape[1:])
    bits = np.unpackbits(packed.numpy(), axis=1, count=columns * width, bitorder="little")
    weights = 2 ** np.arange(width, dtype=np.int64)
    weights[-1] *= -1  # two's complement
    values = bits.reshape(len(bits), columns, width).astype(np.int64) @ weights
    values = 2 * values + 1 if odd else values
    return torch.from_numpy(values.astype(np.int16)).reshape(shape)
