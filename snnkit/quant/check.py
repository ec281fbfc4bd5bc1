"""The proof that inference is additions: every product of a network, and whether one side of it is spikes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..checks import flag
from ..errors import InputTypeError, SpikeDrivenError
from .modes import evaluating
from .product_watch import Offence, ProductWatch
from .quantize import weight_layers

__all__ = ["SpikeProof", "assert_spike_driven", "product_inputs"]


@dataclass(frozen=True)
class SpikeProof:
    """What :func:`product_inputs` has seen; :func:`assert_spike_driven` returns it if nothing offends.

    Attributes:
        layers: path -> "binary" or "integer", the spikes that drive a product with weights.
        counts: path -> the largest count that drives it, in spikes; where outputs of several neurons are
            joined, in their smallest unit: 1 beside quarters counts as 4.
        products: paths of products of two spike tensors; of counts, they are not expandable frame by frame.
        exempt: layers left out: encoders and, if allowed, the head.
        multiplications: path -> elementwise products with real values, as unfused scales and gates.
        offences: operands of products that are neither spikes nor counts.
    """

    layers: dict[str, str]
    counts: dict[str, int]
    products: list[str]
    exempt: list[str]
    multiplications: dict[str, int]
    offences: tuple[Offence, ...] = ()


def assert_spike_driven(
    model: nn.Module,
    x: Tensor | Iterable[Tensor],
    *,
    allow_encoder: bool = True,
    allow_real_head: bool = False,
) -> SpikeProof:
    """Run ``model`` in evaluation and refuse every product that is not driven by spikes.

    Args:
        model, x, allow_encoder, allow_real_head: as in :func:`product_inputs`.

    Raises:
        SpikeDrivenError: with all offending operands in ``.offences``. InputTypeError: no tensors, or empty
            ones.
    """
    proof = product_inputs(model, x, allow_encoder=allow_encoder, allow_real_head=allow_real_head)
    if proof.offences:
        listing = "\n  ".join(map(str, proof.offences))
        raise SpikeDrivenError(
            f"assert_spike_driven: {len(proof.offences)} operands are not spikes:\n  {listing}\n"
            "Put a neuron in front of the layer, fuse factors of a convolution into one, replace average by "
            "max pooling, or mark an input layer with encoder = True.",
            proof.offences,
        )
    return proof


def product_inputs(
    model: nn.Module,
    x: Tensor | Iterable[Tensor],
    *,
    allow_encoder: bool = True,
    allow_real_head: bool = False,
) -> SpikeProof:
    """Run ``model`` in evaluation and tell what drives each of its products: spikes, counts or real numbers.

    Args:
        model: any network. x: inputs ``[T, B, ...]``, one or several. A shuffled and a random input of the
            same range run beside them: evidence from data is only as good as the data.
        allow_encoder: layers with an attribute ``encoder = True`` may read real values.
        allow_real_head: the last layer may, as of models that classify an average over tokens.

    Raises:
        InputTypeError: no tensors, or empty ones.

    Example:
        >>> net = torch.nn.Sequential(snnkit.LIF(), torch.nn.Linear(8, 8), torch.nn.Linear(8, 2))
        >>> seen = snnkit.quant.product_inputs(net, torch.rand(4, 2, 8))
        >>> seen.layers, [offence.path for offence in seen.offences]
        ({'1': 'binary'}, ['2'])
    """
    flag("product_inputs.allow_encoder", allow_encoder)
    flag("product_inputs.allow_real_head", allow_real_head)
    exempt = {p for p, m in model.named_modules() if allow_encoder and getattr(m, "encoder", False) is True}
    if allow_real_head:
        exempt |= set(list(weight_layers(model))[-1:])
    watch = ProductWatch(model, exempt)
    with evaluating(model), torch.no_grad():
        for batch in _with_random([x] if isinstance(x, Tensor) else list(x)):
            watch.run(batch)
    return SpikeProof(
        watch.layers,
        watch.counts,
        sorted(watch.products),
        sorted(watch.exempted),
        watch.multiplications,
        tuple(watch.offences.values()),
    )


def _with_random(given: list[Tensor]) -> Iterator[Tensor]:
    if not given or not all(isinstance(x, Tensor) and x.numel() for x in given):
        raise InputTypeError(
            "product_inputs: got no tensor, or an empty one, which proves nothing. Give inputs [T, B, ...]."
        )
    yield from given
    x = given[0]
    generator = torch.Generator().manual_seed(0)
    yield x.flatten()[torch.randperm(x.numel(), generator=generator).to(x.device)].reshape(x.shape)
    noise = torch.rand(x.shape, generator=generator).to(x.device)
    top = float(x.max())
    counts = bool((x == x.round()).all())
    yield (noise * (top + 1)).floor().to(x.dtype) if counts else (noise * top).to(x.dtype)
