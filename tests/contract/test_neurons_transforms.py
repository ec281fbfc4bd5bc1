"""Every registered neuron under what torch does to modules: func, vmap, checkpoint, compile, export."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from helpers import agree, relative_error, same_bits
from neuron_settings import CHANNELS, build, every_costly, every_neuron, sequence
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

Settings = dict[str, Any]


@every_neuron
def test_functional_call(name: str, settings: Settings) -> None:
    neuron, x = build(name, settings), sequence(5, 2, CHANNELS)
    moved = {k: v.detach() + 0.3 for k, v in neuron.named_parameters()}
    out = torch.func.functional_call(neuron, moved, (x,))
    other = build(name, settings)
    other.load_state_dict(neuron.state_dict() | moved)
    assert same_bits(out.detach(), other(x).detach())


@every_neuron
def test_vmap_over_a_batch(name: str, settings: Settings) -> None:
    neuron, x = build(name, settings).requires_grad_(False), sequence(5, 4, CHANNELS, 2)
    one_row = torch.func.vmap(lambda row: neuron(row.unsqueeze(1)).squeeze(1), in_dims=1, out_dims=1)
    assert agree(neuron, one_row(x), neuron(x))


@every_neuron
def test_vmap_over_an_ensemble(name: str, settings: Settings) -> None:
    neuron, x = build(name, settings), sequence(5, 2, CHANNELS, 2)
    members = {k: torch.stack([v.detach(), v.detach() + 0.2]) for k, v in neuron.named_parameters()}
    if not members:
        pytest.skip("nothing to learn")
    outs = torch.func.vmap(lambda p: torch.func.functional_call(neuron, p, (x,)))(members)
    for i in range(2):
        alone = torch.func.functional_call(neuron, {k: v[i] for k, v in members.items()}, (x,))
        assert agree(neuron, outs[i], alone)


@every_neuron
def test_gradients_of_single_samples(name: str, settings: Settings) -> None:
    """``vmap(grad)`` equals one backward pass for each sample."""
    neuron, x = build(name, settings).double(), sequence(5, 3, CHANNELS, dtype=torch.float64)
    parameters = {k: v.detach() for k, v in neuron.named_parameters()}

    def loss(parameters: dict[str, Tensor], row: Tensor) -> Tensor:
        return torch.func.functional_call(neuron, parameters, (row.unsqueeze(1),)).square().sum()

    per_sample, of_input = torch.func.vmap(torch.func.grad(loss, argnums=(0, 1)), in_dims=(None, 1))(
        parameters, x
    )
    for b in range(3):
        neuron.zero_grad()
        row = x[:, b : b + 1].clone().requires_grad_()
        neuron(row).square().sum().backward()
        assert relative_error(of_input[b], row.grad.squeeze(1)) < 1e-9
        for key, p in neuron.named_parameters():
            assert relative_error(per_sample[key][b], p.grad) < 1e-9


@every_neuron
def test_activation_checkpointing(name: str, settings: Settings) -> None:
    neuron, data = build(name, settings, 6), sequence(6, 2, CHANNELS)
    weights, grads = torch.randn_like(data), []
    for run in (neuron, lambda x: checkpoint(neuron, x, use_reentrant=False)):
        neuron.zero_grad()
        x = data.clone().requires_grad_()
        (run(x) * weights).sum().backward()
        grads.append((x.grad, *(p.grad for p in neuron.parameters())))
    assert same_bits(*grads)


@every_neuron
def test_threads_do_not_change_a_bit(name: str, settings: Settings) -> None:
    """Large enough that two threads share the work of the kernels."""
    neuron, data = build(name, settings, 4), sequence(4, 400, CHANNELS, 40)
    weights, found, threads = torch.randn_like(data), [], torch.get_num_threads()
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            x = data.clone().requires_grad_()
            out = neuron(x)
            found.append((out.detach(), torch.autograd.grad(out, x, weights)[0]))
    finally:
        torch.set_num_threads(threads)
    assert same_bits(*found)


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # dynamo's own
@every_costly
def test_compile_without_graph_breaks(name: str, settings: Settings) -> None:
    neuron, data = build(name, settings, 4), sequence(4, 2, CHANNELS)
    compiled = torch.compile(neuron, fullgraph=True, backend="aot_eager")
    grads = []
    for run in (neuron, compiled):
        neuron.zero_grad()
        x = data.clone().requires_grad_()
        out = run(x)
        out.square().sum().backward()
        grads.append((out.detach(), x.grad, *(p.grad for p in neuron.parameters())))
    assert same_bits(grads[0][0], grads[1][0])
    for eager, other in zip(*grads, strict=True):
        assert relative_error(other, eager) < 1e-6
    torch._dynamo.reset()


@every_costly
def test_export(name: str, settings: Settings) -> None:
    neuron, x = nn.Sequential(build(name, settings, 4)).eval(), sequence(4, 2, CHANNELS)
    exported = torch.export.export(neuron, (x,), strict=False).module()
    other = sequence(4, 2, CHANNELS)
    assert same_bits(exported(other).detach(), neuron(other).detach())
