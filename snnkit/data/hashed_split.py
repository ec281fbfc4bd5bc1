"""Training and test samples of data sets that are published without a split."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence

from ..checks import integer, number
from ..errors import ShapeError

__all__ = ["hashed_split"]


def hashed_split(
    names: Sequence[str], labels: Sequence[int], *, share: float = 0.1, seed: int = 0
) -> tuple[list[int], list[int]]:
    """Ascending indices (train, test), by a rule that is the same on every machine.

    In each class the samples are put in the order of SHA-256 of ``"<seed>/<name>"``; the first
    ``round(share * n)`` are the test set. A sample keeps its place if files of other classes come or go.

    Args:
        names: of the samples, as "airplane/cifar10_airplane_0.aedat". labels: their classes.
        share: of the test set, in [0, 1]. seed: another one gives another split.

    Raises:
        ShapeError: names and labels differ in number. ConfigError: share or seed out of range.
    """
    number("hashed_split.share", share, at_least=0, at_most=1)
    integer("hashed_split.seed", seed, 0)
    if len(names) != len(labels):
        raise ShapeError(f"hashed_split: {len(names)} names and {len(labels)} labels, expected as many.")
    classes: dict[int, list[tuple[str, int]]] = defaultdict(list)
    for i, (name, label) in enumerate(zip(names, labels, strict=True)):
        classes[int(label)].append((hashlib.sha256(f"{seed}/{name}".encode()).hexdigest(), i))
    test = {i for members in classes.values() for _, i in sorted(members)[: round(share * len(members))]}
    return [i for i in range(len(names)) if i not in test], sorted(test)
