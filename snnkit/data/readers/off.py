"""OFF: triangle meshes as text, the format of ModelNet.

``OFF``, then the numbers of vertices, faces and edges (on the same line in many files of ModelNet40, even
without a space), then three coordinates for each vertex, and for each face the number of its corners and
their indices. ``#`` begins a comment. A face of more than three corners is cut into a fan of triangles;
colours are not read.
"""

from __future__ import annotations

import os
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .source import Source

__all__ = ["Mesh", "read_off"]


class Mesh(NamedTuple):
    """``vertices [V, 3]`` float64; ``faces [F, 3]`` int64, indices of vertices."""

    vertices: NDArray[np.float64]
    faces: NDArray[np.int64]


def read_off(path: str | os.PathLike[str]) -> Mesh:
    """Read an OFF file.

    Raises:
        FormatError: no OFF file, numbers that are none or not finite, fewer than its header tells, a face of
            vertices that there are not. LimitError: too large. InputTypeError: not a path.
    """
    with Source(path, "read_off") as source:
        text = source.read(0, source.size)
        if text[:3] != b"OFF":
            source.fail(f"expected an OFF file, which begins with OFF; got {text[:8]!r}.", 0)
        lines = [line.partition(b"#")[0].split() for line in text[3:].splitlines()]
        lines = [line for line in lines if line]
        try:
            vertices, faces = (int(token) for token in lines[0][:2])
        except (ValueError, IndexError) as error:
            source.fail("expected the numbers of vertices and faces behind OFF.", 3, cause=error)
        if vertices < 0 or faces < 0 or len(lines) - 1 < vertices + faces:
            source.fail(
                f"the header tells {vertices} vertices and {faces} faces, {len(lines) - 1} lines follow.", 3
            )
        try:
            points = np.array([line[:3] for line in lines[1 : 1 + vertices]], np.float64).reshape(-1, 3)
            corners = [list(map(int, line)) for line in lines[1 + vertices : 1 + vertices + faces]]
        except ValueError as error:
            source.fail("expected three numbers for each vertex, and integers for each face.", cause=error)
        if not np.isfinite(points).all():
            source.fail("a coordinate is NaN or Inf.")
        triangles = []
        for number, (count, *indices) in enumerate(corners):
            if count < 3 or len(indices) < count or not all(0 <= i < vertices for i in indices[:count]):
                source.fail(
                    f"face {number} is {[count, *indices][:8]}, expected 3 or more of {vertices} vertices."
                )
            triangles += [(indices[0], indices[i], indices[i + 1]) for i in range(1, count - 1)]
        return Mesh(points, np.array(triangles, np.int64).reshape(-1, 3))
