"""The fixed split: stratified, disjoint, complete, the same everywhere."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from snnkit.data import holdout
from snnkit.errors import ConfigError, InputTypeError


@given(st.lists(st.integers(0, 3), min_size=10, max_size=60), st.integers(2, 5))
def test_folds_partition_each_class(labels, folds):
    labels = [*labels, *range(4), *range(4), *range(4), *range(4), *range(4)]
    parts = [holdout(labels, fold=f, folds=folds) for f in range(folds)]
    assert sorted(i for _, held in parts for i in held) == list(range(len(labels)))
    for train, held in parts:
        assert sorted(train + held) == list(range(len(labels)))
        assert train == sorted(train)
        for c in range(4):
            n = labels.count(c)
            assert sum(labels[i] == c for i in held) in (n // folds, -(-n // folds))


def test_exact_positions():
    labels = torch.tensor([1, 0, 1, 1, 0, 0, 1])
    train, held = holdout(labels, fold=1, folds=2)
    assert held == [2, 4, 6]  # every second of class 0 (1, 4, 5) and of class 1 (0, 2, 3, 6)
    assert train == [0, 1, 3, 5]
    assert holdout(labels) == holdout(labels.tolist()) == holdout(labels.numpy(), 0, 5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"folds": 1}, "holdout.folds: got 1"),
        ({"folds": 2.0}, "holdout.folds: got 2.0"),
        ({"fold": 5}, r"holdout.fold: got 5, expected an int in \[0, 4\]"),
        ({"fold": -1}, "holdout.fold: got -1"),
        ({"fold": True}, "holdout.fold: got True"),
    ],
)
def test_bad_folds(arguments, message):
    with pytest.raises(ConfigError, match=message):
        holdout([0, 1] * 10, **arguments)


def test_too_few_samples():
    with pytest.raises(ConfigError, match=r"holds out 0 of 2 samples.*fewer folds"):
        holdout([0, 1], fold=3)
    with pytest.raises(ConfigError, match="holds out 2 of 2 samples"):
        holdout([0, 1], fold=0)
    for nothing in (7, "0123", object()):
        with pytest.raises(InputTypeError, match="expected a data set with labels"):
            holdout(nothing)
