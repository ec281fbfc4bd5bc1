"""A neuron family of the C library and of Triton: the choice of the backend, and its operations.

Outside of compiled graphs an autograd function calls the kernels. Compiled graphs and exported programs hold
the operation ``snnkit::<name>``, whose backward pass is ``snnkit::<name>_backward``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from ..errors import BackendError
from ..sequence import in_transform
from . import native
from ._layout import NOTHING, kept_shape, own
from ._passes import backward, forward
from ._triton_family import Described, triton_backward, triton_forward
from .backend import backend
from .reference import scan
from .triton_lif import triton_unavailable

__all__ = ["Family"]

Numbers = Sequence[float]
Kinds = Sequence[int]

_ops = torch.library.Library("snnkit", "FRAGMENT")


class Family:
    """One neuron family.

    Args:
        name: of its operation. title: of the neuron, for errors.
        states: how many states. learned: how many parameters may be tensors that receive gradients: the
            first ones of the family in C, which also has as many sums over time.
        job: makes a job of the family from its numbers, without those of ``learned``, and its kinds.
        triton: makes what the Triton kernels take, from the same.
    """

    def __init__(
        self,
        name: str,
        title: str,
        *,
        states: int,
        learned: int,
        job: Callable[..., native.Job],
        triton: Callable[..., Described],
    ) -> None:
        self.name, self.title, self.states, self.learned = name, title, states, learned
        self._make_job, self._describe = job, triton
        self._constants = lru_cache(maxsize=1024)(self._constant_job)
        self._define()

    def run(
        self,
        x: Tensor,
        states: Sequence[Tensor],
        learned: Sequence[float | Tensor],
        numbers: tuple[float, ...],
        kinds: tuple[int, ...],
        step: Callable[[Tensor, Any], tuple[Tensor, Any]],
        refused: str | None = None,
    ) -> tuple[Tensor, Sequence[Tensor]]:
        """Output ``[T, *]`` and final states for ``x [T, *]``.

        Args:
            states: the neuron's state. learned: numbers, or tensors that broadcast against ``[*]``.
            numbers, kinds: as the job of the family takes them.
            step: the pure step ``(x_t, states) -> (out_t, states)``, for the reference backend.
            refused: why the library cannot do this, None if it can.

        Raises:
            BackendError: a backend was chosen explicitly and cannot run this.
        """
        name = backend()
        reason: str | None = ""
        if name in ("auto", "native", "triton"):
            on_triton = name == "triton" or (name == "auto" and x.is_cuda)
            unavailable = triton_unavailable if on_triton else native.unavailable
            reason = refused or unavailable(x, *states, *learned)
            if reason is None and not torch.compiler.is_compiling() and in_transform():
                reason = "transforms of torch.func need plain operations"
        if name in ("native", "triton") and reason is not None:
            raise BackendError(
                f'backend "{name}" cannot run {self.title} here: {reason}. Use backend "auto".'
            )
        if reason is not None:
            out, states = scan(step, x.to(states[0].dtype), states)
            return out.to(x.dtype), states
        tensors = [*states, *(a if isinstance(a, Tensor) else None for a in learned)]
        numbers = (*(math.nan if isinstance(a, Tensor) else float(a) for a in learned), *numbers)
        if torch.compiler.is_compiling():
            out, *states, _ = self._op(x, *tensors, numbers, kinds)
        elif torch.is_grad_enabled() and any(a is not None and a.requires_grad for a in (x, *tensors)):
            out, *states = _Run.apply(self, on_triton, numbers, kinds, x, *tensors)
        else:
            out, *states, _ = self._forward(on_triton, x, tensors, numbers, kinds, keep=False)
        return out, states

    def _constant_job(self, numbers: tuple[float, ...], kinds: tuple[int, ...]) -> bytes:
        job = self._make_job(numbers[self.learned :], kinds)
        for i in range(self.learned):
            job.param[i].value = numbers[i]
        return bytes(job)

    def _job(
        self, step: torch.Size, tensors: Sequence[Tensor | None], numbers: Numbers, kinds: Kinds
    ) -> tuple[native.Job, list[Tensor]]:
        """What both passes share, and the tensors that the job points into, to stay alive."""
        job = native.Job.from_buffer_copy(self._constants(tuple(numbers), tuple(kinds)))
        keep: list[Tensor] = []
        for i, value in enumerate(tensors[self.states :]):
            if value is not None:
                job.param[i] = native.param(value, step, keep)
        return job, keep

    def _forward(
        self, on_triton: bool, x: Tensor, tensors: Sequence[Any], numbers: Numbers, kinds: Kinds, keep: bool
    ) -> tuple[Tensor, ...]:
        states = tensors[: self.states]
        if on_triton:
            learned, described = self._for_triton(tensors, numbers, kinds)
            return triton_forward(x, states, learned, described, keep)
        job, _alive = self._job(x.shape[1:], tensors, numbers, kinds)
        return forward(job, x, states, keep)

    def _for_triton(
        self, tensors: Sequence[Tensor | None], numbers: Numbers, kinds: Kinds
    ) -> tuple[list[float | Tensor], Described]:
        values = zip(tensors[self.states :], numbers, strict=False)
        learned = [number if value is None else value.detach() for value, number in values]
        return learned, self._describe(numbers[self.learned :], kinds)

    def _backward(
        self,
        on_triton: bool,
        g_out: Tensor | None,
        g_states: Sequence[Tensor | None],
        x: Tensor,
        tensors: Sequence[Any],
        kept: Tensor,
        numbers: Numbers,
        kinds: Kinds,
        wanted: Sequence[bool],
    ) -> list[Tensor]:
        """Gradients of ``x`` and of ``tensors``, where ``wanted``."""
        states, of_states, of_learned = tensors[: self.states], wanted[: self.states], wanted[self.states :]
        count = self.learned if any(of_learned) else 0
        passed = (g_out, g_states, x, states, kept)
        if on_triton:
            learned, described = self._for_triton(tensors, numbers, kinds)
            *gradients, sums = triton_backward(*passed, learned, described, wanted=of_states, sums=count)
        else:
            job, _alive = self._job(x.shape[1:], tensors, numbers, kinds)
            *gradients, sums, _ = backward(job, *passed, wanted=of_states, learned=count)
        for i, value in enumerate(tensors[self.states :]):
            gradients.append(sums[i].sum_to_size(value.shape) if of_learned[i] else NOTHING)
        return gradients

    def _define(self) -> None:
        def arguments(kind: str, name: str, n: int) -> str:
            return "".join(f"{kind} {name}{i}, " for i in range(n))

        s, n = self.states, self.learned
        inputs = f"Tensor x, {arguments('Tensor', 's', s)}{arguments('Tensor?', 'p', n)}"
        rest, result = "float[] numbers, int[] kinds", ", Tensor" * (s + n)
        _ops.define(f"{self.name}({inputs}{rest}) -> (Tensor{', Tensor' * s}, Tensor)")
        gradients = f"Tensor g, {arguments('Tensor', 'g', s)}"
        _ops.define(f"{self.name}_backward({gradients}Tensor kept, {inputs}{rest}) -> (Tensor{result})")

        def forward_op(x: Tensor, *inputs: Any) -> tuple[Tensor, ...]:
            *tensors, numbers, kinds = inputs
            return own(self._forward(x.is_cuda, x, tensors, numbers, kinds, keep=True), x)

        def forward_shapes(x: Tensor, *inputs: Any) -> tuple[Tensor, ...]:
            states = [v.new_empty(v.shape) for v in inputs[:s]]
            return x.new_empty(x.shape), *states, states[0].new_empty(kept_shape(x, s))

        def backward_op(g_out: Tensor, *inputs: Any) -> tuple[Tensor, ...]:
            g_states, (kept, x, *tensors, numbers, kinds) = inputs[:s], inputs[s:]
            wanted = [a is not None for a in tensors]
            passed = (g_out, g_states, x, tensors, kept, numbers, kinds, wanted)
            gradients = self._backward(x.is_cuda, *passed)
            nothing = torch.empty(0, dtype=torch.float32, device=x.device)
            return tuple(nothing.clone() if g is NOTHING else g for g in gradients)

        def backward_shapes(g_out: Tensor, *inputs: Any) -> tuple[Tensor, ...]:
            x, *tensors = inputs[s + 1 : -2]
            empty = [tensors[0].new_empty(0 if a is None else a.shape) for a in tensors]
            return x.new_empty(x.shape), *empty

        def setup(ctx: Any, inputs: Any, output: Any) -> None:
            *tensors, ctx.numbers, ctx.kinds = inputs
            ctx.save_for_backward(output[-1], *tensors)

        def differentiate(ctx: Any, *g: Tensor) -> tuple[Any, ...]:
            gradients = self._op_backward(*g[:-1], *ctx.saved_tensors, ctx.numbers, ctx.kinds)
            wanted = ctx.needs_input_grad
            return *(g if want else None for g, want in zip(gradients, wanted, strict=False)), None, None

        name = f"snnkit::{self.name}"
        for device in ("CPU", "CUDA"):
            _ops.impl(self.name, forward_op, device)
            _ops.impl(f"{self.name}_backward", backward_op, device)
        torch.library.register_fake(name, forward_shapes, lib=_ops)
        torch.library.register_fake(f"{name}_backward", backward_shapes, lib=_ops)
        torch.library.register_autograd(name, differentiate, setup_context=setup, lib=_ops)
        self._op = getattr(torch.ops.snnkit, self.name).default
        self._op_backward = getattr(torch.ops.snnkit, f"{self.name}_backward").default


class _Run(torch.autograd.Function):
    """The operations without their dispatcher, which costs more than a small layer."""

    @staticmethod
    def forward(ctx, family, on_triton, numbers, kinds, x, *tensors):  # type: ignore[no-untyped-def]
        *results, kept = family._forward(on_triton, x, tensors, numbers, kinds, keep=True)
        ctx.save_for_backward(x, kept, *tensors)
        ctx.described = family, on_triton, numbers, kinds
        ctx.set_materialize_grads(False)
        return tuple(results)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g_out, *g_states):  # type: ignore[no-untyped-def]
        (x, kept, *tensors), (family, on_triton, numbers, kinds) = ctx.saved_tensors, ctx.described
        wanted = ctx.needs_input_grad[4:]
        passed = (g_out, g_states, x, tensors, kept, numbers, kinds, wanted[1:])
        gradients = family._backward(on_triton, *passed)
        return (
            None,
            None,
            None,
            None,
            *(g if want else None for g, want in zip(gradients, wanted, strict=True)),
        )
