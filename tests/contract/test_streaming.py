"""Streaming every registered model in chunks: bit-equal to one call, without traces on the network."""

from __future__ import annotations

from itertools import accumulate

import pytest
import torch
from helpers import same_bits
from model_settings import build, events, every_model, every_pair, streams
from torch import Tensor

from snnkit.errors import StateShapeError
from snnkit.readout import READOUTS
from snnkit.sequence import StreamSession, stream

SPLITS = [(8,), (4, 4), (1,) * 8, (3, 1, 4), (0, 5, 0, 3), (2, 0, 6, 0), (7, 1)]
READ = [name for name in READOUTS if name != "per_step"]


def chunks(x: Tensor, split: tuple[int, ...]) -> tuple[Tensor, ...]:
    return x.split(list(split))


@every_pair
@pytest.mark.parametrize("batch", [1, 3])
def test_any_split_is_bit_equal_per_step(model: str, neuron: str, batch: int) -> None:
    net, x = build(model, neuron, 8, readout="per_step"), events(8, batch)
    if not streams(net):
        return
    whole = net(x)
    for split in SPLITS:
        with stream(net) as session:
            assert same_bits(torch.cat([session(c) for c in chunks(x, split)]), whole), split
    assert same_bits(net(x), whole)


@every_pair
@pytest.mark.parametrize("readout", READ)
def test_the_last_chunk_has_the_answer_of_one_call(model: str, neuron: str, readout: str) -> None:
    net, x = build(model, neuron, 8, readout=readout), events(8, 2)
    if not streams(net):
        return
    prefixes = [net(x[:t]) for t in range(1, 9)]
    for split in SPLITS[1:6]:
        with stream(net) as session:
            answers = [session(c) for c in chunks(x, split)]
        for answer, seen in zip(answers, accumulate(split), strict=True):
            assert seen == 0 or same_bits(answer, prefixes[seen - 1]), (split, seen)


@every_model
def test_a_static_image_can_be_shown_in_parts(model: str) -> None:
    net, image = build(model, readout="per_step", T=3), torch.rand(2, 2, 16, 16)
    with stream(net) as session:
        streamed = torch.cat([session(image), session(image)])
    assert same_bits(streamed, net(image.expand(6, -1, -1, -1, -1)))


@every_pair
def test_interleaved_sessions(model: str, neuron: str) -> None:
    net, a, b = build(model, neuron, 6, readout="per_step"), events(6, 2), events(6, 3)
    if not streams(net):
        return
    first, second = stream(net), stream(net)
    outs: list[list[Tensor]] = [[], []]
    for t in range(6):
        outs[0].append(first(a[t : t + 1]))
        if t % 2:
            outs[1].append(second(b[t - 1 : t + 1]))
        net(events(1, 4))  # a plain call in between
    assert same_bits(torch.cat(outs[0]), net(a))
    assert same_bits(torch.cat(outs[1]), net(b))


@every_pair
def test_states_survive_an_exception(model: str, neuron: str) -> None:
    net, x = build(model, neuron, 6, readout="per_step"), events(6, 2)
    if not streams(net):
        return
    whole, session = net(x), stream(net)
    first = session(x[:3])
    before = {path: tuple(s.clone() for s in state) for path, state in session.states().items()}

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    handle = net.head.linear.register_forward_hook(fail)  # after most neurons have advanced
    with pytest.raises(KeyboardInterrupt):
        session(x[3:])
    handle.remove()
    assert all(same_bits(tuple(state), before[path]) for path, state in session.states().items())
    assert set(before) == set(session.states())
    assert same_bits(torch.cat([first, session(x[3:])]), whole)


@every_pair
@pytest.mark.parametrize("readout", ["mean", "per_step"])
def test_saved_in_the_middle(model: str, neuron: str, readout: str) -> None:
    net, x = build(model, neuron, 6, readout=readout), events(6, 2)
    if not streams(net):
        return
    session = stream(net)
    session(x[:4])
    saved = session.state_dict()
    copies = {key: value.clone() for key, value in saved.items()}
    wanted = session(x[4:])
    other = StreamSession(build(model, neuron, 6, readout=readout))
    other.load_state_dict(saved)
    assert same_bits(other(x[4:]), wanted)
    assert all(same_bits(saved[key], copies[key]) for key in copies), (
        "a session writes into what it was given"
    )
    other.reset()
    assert same_bits(other(x), net(x))


@every_model
def test_a_change_of_batch_is_refused(model: str) -> None:
    session = stream(build(model))
    session(events(2, 3))
    with pytest.raises(StateShapeError, match="session"):
        session(events(2, 1))
    session(events(2, 3))


@every_model
def test_compiled_network(model: str) -> None:
    """A session runs a compiled network eagerly, so its states are not lost in the graph."""
    net, x = build(model, readout="per_step"), events(4, 2)
    with torch.no_grad(), stream(torch.compile(net, backend="aot_eager")) as session:
        assert same_bits(torch.cat([session(x[:1]), session(x[1:])]), net(x))


@every_model
def test_gradients_are_cut_between_chunks(model: str) -> None:
    net, x = build(model, readout="per_step"), events(4, 2).requires_grad_()
    for detach in (True, False):
        x.grad = None
        session = stream(net, detach=detach)
        session(x[:2])
        session(x[2:]).sum().backward()
        assert x.grad is not None
        assert bool(x.grad[2:].any())
        assert bool(x.grad[:2].any()) is not detach
    x.grad = None
    net(x)[2:].sum().backward()
    assert bool(x.grad[:2].any())
