"""Operations that cost nothing: views, copies, casts, padding, selections, constants.

They pass values on, and what is known about them: see :mod:`snnkit.energy.watch`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .rules import FREE, Op, rule

__all__ = ["LAYOUT", "free", "keeps_alphabet"]


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Operations that move, copy or relabel values. Their result has the alphabet of their operands.
LAYOUT = _names("""
    alias as_strided atleast_1d atleast_2d atleast_3d broadcast_to cat channel_shuffle chunk clone
    concat concatenate constant_pad_nd contiguous copy copy_ detach detach_ diagonal expand expand_as
    flatten flip hsplit im2col lift lift_fresh lift_fresh_copy movedim moveaxis narrow
    native_channel_shuffle permute pin_memory pixel_shuffle pixel_unshuffle positive reflection_pad1d
    reflection_pad2d reflection_pad3d repeat repeat_interleave replication_pad1d replication_pad2d
    replication_pad3d reshape resize_ resolve_conj resolve_neg roll rot90 select select_copy
    select_scatter slice slice_copy slice_scatter split split_with_sizes split_with_sizes_copy squeeze
    squeeze_ stack swapaxes t t_ tensor_split tile to transpose transpose_ tril triu unbind unflatten
    unfold unfold_copy unsafe_chunk unsafe_split unsafe_split_with_sizes unsqueeze unsqueeze_
    upsample_nearest1d upsample_nearest2d upsample_nearest3d view view_as view_as_complex view_as_real
    view_copy vsplit _conj _neg_view _pack_padded_sequence _pad_packed_sequence _reshape_alias
    _reshape_copy _to_copy _unsafe_view
""")
# Making constants, asking for sizes or values, writing some values into others, signs and bits.
_NO_ARITHMETIC = _names("""
    arange bitwise_not bitwise_not_ conj_physical device dim empty empty_like empty_strided equal eye fill
    fill_ full full_like index_put index_put_ is_nonzero is_pinned is_same_size isfinite isinf isnan item
    layout linspace logical_not logical_not_ masked_fill masked_fill_ masked_scatter neg neg_ new_empty
    new_empty_strided new_full new_ones new_zeros numel ones ones_like record_stream scalar_tensor scatter
    scatter_ set_ signbit size stride sym_numel sym_size sym_stride zero_ zeros zeros_like _assert_async
    _assert_scalar _efficientzerotensor _local_scalar_dense where
""")


def keeps_alphabet(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """The result of the operator takes only values of its operands, and zeros."""
    if name == "_to_copy":
        dtype = kwargs.get("dtype")
        return dtype is None or dtype.is_floating_point
    if name == "constant_pad_nd":
        return len(args) < 3 or args[2] == 0
    return name in LAYOUT or "max_pool" in name


@rule(*LAYOUT, *_NO_ARITHMETIC)
def free(op: Op) -> object:
    """Nothing to count. A module of its own decides what passes on, see :mod:`snnkit.energy.watch`."""
    return FREE


@rule("constant_pad_nd")
def _pad(op: Op) -> object:
    """Remember which part existed before: padding is no input position of a later convolution."""
    x, pad = op.tensor("self"), list(op.args["pad"])
    if op.args.get("value", 0) == 0:
        pairs = list(zip(pad[::2], pad[1::2], strict=True))[::-1]
        pairs = [(0, 0)] * (x.ndim - len(pairs)) + pairs
        bounds = tuple((max(a, 0), n - max(b, 0)) for (a, b), n in zip(pairs, op.out.shape, strict=True))
        op.inner = (tuple(op.out.shape), bounds)
    return FREE
