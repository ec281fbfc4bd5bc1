"""Batches: time first, padding told by a mask."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from snnkit.data import Batch, Events, collate, collate_events
from snnkit.errors import ConfigError, InputTypeError, ShapeError


def sample(steps: int, label: int = 0, *shape: int) -> tuple[torch.Tensor, int]:
    return torch.rand(steps, *(shape or (2, 3))) + 1, label


@given(st.lists(st.integers(0, 6), min_size=1, max_size=5), st.sampled_from(["pad", "crop"]))
def test_mask_tells_what_is_real(lengths, mode):
    samples = [sample(n, i) for i, n in enumerate(lengths)]
    batch = collate(samples, mode)
    kept = [n if mode == "pad" else min(lengths) for n in lengths]
    assert isinstance(batch, Batch)
    assert batch.x.shape == (max(kept), len(lengths), 2, 3)
    assert batch.lengths.tolist() == kept == batch.mask.sum(0).tolist()
    assert batch.mask.dtype == torch.bool
    assert batch.y.tolist() == list(range(len(lengths)))
    assert not batch.x[~batch.mask].any()
    for b, (x, _) in enumerate(samples):
        assert torch.equal(batch.x[batch.mask[:, b], b], x[: kept[b]])


def test_stack_demands_equal_lengths():
    batch = collate([sample(4), sample(4, 1)], mode="stack")
    assert batch.x.shape == (4, 2, 2, 3)
    assert batch.mask.all()
    with pytest.raises(ShapeError, match=r"sample 1 is \(5, 2, 3\).*sample 0 is \(4, 2, 3\).*pad"):
        collate([sample(4), sample(5)], mode="stack")


@pytest.mark.parametrize(
    ("batch", "error", "parts"),
    [
        ([], ShapeError, ("empty batch",)),
        ([sample(4), sample(4, 0, 3, 2)], ShapeError, ("sample 1", "(4, 3, 2)", "(4, 2, 3)")),
        ([sample(4), (sample(4)[0].double(), 1)], ShapeError, ("sample 1", "float64", "float32")),
        ([(torch.tensor(1.0), 0)], ShapeError, ("sample 0", "()")),
        ([sample(4)[0]], InputTypeError, ("sample 0", "Tensor", "label")),
        ([(np.zeros((4, 2)), 0)], InputTypeError, ("sample 0", "ndarray", "tensor [T, ...]")),
        (sample(4)[0], InputTypeError, ("got Tensor", "list")),
        ([(sample(4)[0], "seven")], InputTypeError, ("labels", "str")),
        ([sample(4), (sample(4)[0], torch.zeros(3))], InputTypeError, ("labels", "one shape")),
    ],
)
def test_bad_batches(batch, error, parts):
    with pytest.raises(error) as caught:
        collate(batch)
    for part in parts:
        assert part in str(caught.value)


def test_unknown_mode():
    with pytest.raises(ConfigError, match=r"collate\.mode: got 'wrap', expected 'pad'"):
        collate([sample(4)], mode="wrap")


def test_labels_may_be_tensors():
    soft = torch.tensor([0.1, 0.9])
    assert collate([(sample(2)[0], soft), (sample(3)[0], soft)]).y.shape == (2, 2)
    assert collate([(sample(2)[0], np.int64(7))]).y.dtype == torch.int64


def test_as_collate_function_of_a_loader():
    data = [sample(n, n) for n in (3, 5, 4, 1)]
    batches = list(DataLoader(data, batch_size=2, collate_fn=partial(collate, mode="pad"), num_workers=0))
    assert [b.x.shape[0] for b in batches] == [5, 4]
    assert [b.y.tolist() for b in batches] == [[3, 5], [4, 1]]


def test_raw_events(random_events):
    parts = [random_events(n, seed=n) for n in (5, 0, 7)]
    batch = collate_events([(e, i) for i, e in enumerate(parts)])
    assert batch.ptr.tolist() == [0, 5, 5, 12]
    assert batch.labels.tolist() == [0, 1, 2]
    for b, e in enumerate(parts):
        inside = slice(batch.ptr[b], batch.ptr[b + 1])
        for name in "txyp":
            column = getattr(batch, name)
            assert column.dtype == torch.int64
            assert column[inside].tolist() == getattr(e, name).tolist()


def test_raw_events_of_one_sensor_only(random_events):
    with pytest.raises(ShapeError, match="different sensors"):
        collate_events([(random_events(2), 0), (random_events(2, size=(8, 8, 2)), 1)])
    with pytest.raises(ShapeError, match="empty batch"):
        collate_events([])
    with pytest.raises(InputTypeError, match=r"\(Tensor, int\).*snnkit.data.Events"):
        collate_events([sample(2)])
    assert isinstance(random_events(2), Events)
