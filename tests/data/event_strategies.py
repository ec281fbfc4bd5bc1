"""Recordings for property tests: small, but with every kind of edge."""

from __future__ import annotations

from hypothesis import strategies as st

from snnkit.data import Events


@st.composite
def recordings(draw, min_side: int = 1, size: tuple[int, int, int] | None = None):
    """Few events on a tiny sensor; none at all, simultaneous ones, far and negative times included."""
    sides = (draw(st.integers(min_side, 5)), draw(st.integers(2, 4)), draw(st.integers(1, 2)))
    width, height, polarities = size or sides
    start = draw(st.sampled_from([0, -7, 10**9, -(2**60)]))
    scale = draw(st.sampled_from([1, 1, 1000, 2**40]))
    t = sorted(draw(st.lists(st.integers(0, 60), max_size=30)))
    columns = [
        draw(st.lists(st.integers(0, high - 1), min_size=len(t), max_size=len(t)))
        for high in (width, height, polarities)
    ]
    end = start + scale * (t[-1] if t else 0) + draw(st.integers(1, 50))
    return Events([start + scale * v for v in t], *columns, (width, height, polarities), (start, end))
