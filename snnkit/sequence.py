"""The time axis: who folds it, who remembers across it, and how a network is streamed.

Axis legend, used in every file of snnkit::

    T time steps   B batch   C channels   H W image rows and columns   N tokens   P points

Everything is time first: ``[T, B, ...]``. Two kinds of modules live on that axis.

*Stateless* layers (convolution, norm, pooling) do not see time: :func:`per_step` applies them.
*Stateful* modules (neurons, delay lines, read-outs) derive from :class:`Stateful`: they own
parameters only, start fresh at every call, and take and return their state in ``run``.

:func:`stream` carries all states of a network from chunk to chunk, outside of the network::

    with snnkit.stream(net) as session:
        for chunk in chunks:            # each [t, B, ...]
            y = session(chunk)          # in eval mode bit-equal to net(torch.cat(chunks)) on the same steps
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .errors import (
    DeviceError,
    DTypeError,
    InputTypeError,
    NumericsError,
    ShapeError,
    StateShapeError,
    StreamError,
    quote,
)

__all__ = [
    "NoState",
    "Stateful",
    "StreamSession",
    "as_sequence",
    "check_finite",
    "check_numerics",
    "check_state",
    "checks_numerics",
    "fold",
    "in_transform",
    "per_step",
    "state_dtype",
    "stream",
    "unfold",
]

State = Any  # a NamedTuple of tensors; every Stateful declares its own


class NoState(NamedTuple):
    """Of a module that remembers nothing from one call to the next."""


def fold(x: Tensor) -> Tensor:
    """``[T, B, ...]`` -> ``[T*B, ...]``, time-major (row ``t*B + b``); a view where possible."""
    return x.flatten(0, 1)


def unfold(x: Tensor, steps: int, batch: int) -> Tensor:
    """``[T*B, ...]`` -> ``[T, B, ...]``; a view. Both sizes are given so that either may be 0."""
    return x.unflatten(0, (steps, batch))


def per_step(layer: Callable[..., Tensor], *xs: Tensor, training: bool | None = None) -> Tensor:
    """Apply a stateless layer to every time step of ``xs``.

    Args:
        layer: module or function on ``[rows, ...]`` tensors.
        xs: one or more sequences ``[T, B, ...]``.
        training: fold or not; default ``layer.training``; a plain function is not folded.

    Returns:
        ``[T, B, ...]``.

    In training the steps are folded into the batch: one large call, batch statistics shared over
    time. In evaluation every step is a call of its own, because floating-point kernels choose their
    order of summation by the number of rows: only so is the result of a step independent of how many
    steps arrive together, which makes streaming in chunks bit-equal to one call. Measured cost of
    that guarantee for convolutions on CPU: none at batch >= 16, up to 1.6x at batch 1. Compiled
    graphs and empty sequences are always folded.
    """
    steps, batch = xs[0].shape[:2]
    training = getattr(layer, "training", False) if training is None else training
    if training or steps == 0 or torch.compiler.is_compiling():
        return unfold(layer(*(fold(x) for x in xs)), steps, batch)
    return torch.stack([layer(*step) for step in zip(*(x.unbind(0) for x in xs), strict=True)])


def in_transform() -> bool:
    """Whether operations are transformed or traced, so that only plain ones may run.

    So in ``torch.func`` transforms, forward-mode differentiation, ``torch.jit.trace`` and ``make_fx``.
    """
    return (
        torch._C._functorch.peek_interpreter_stack() is not None
        or torch.autograd.forward_ad._current_level >= 0
        or torch._C._is_tracing()
        or torch._C._get_dispatch_mode(torch._C._TorchDispatchModeKey.PROXY) is not None
    )


def state_dtype(dtype: torch.dtype) -> torch.dtype:
    """States are at least float32: in bf16, half of the spikes move within 1000 steps."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def as_sequence(x: Tensor, where: str, min_ndim: int = 2, axes: str = "[T, B, ...]") -> Tensor:
    """Check a sequence, with axes as named, and cast bool and integers to the default float type.

    Raises:
        InputTypeError: not a tensor.
        DTypeError: complex or quantised.
        ShapeError: fewer than ``min_ndim`` axes.
    """
    if not isinstance(x, Tensor):
        raise InputTypeError(
            f"{where}: got {type(x).__name__}, expected a torch.Tensor {axes}. "
            "Convert with torch.as_tensor(x)."
        )
    if x.layout != torch.strided or x.is_nested:
        raise DTypeError(
            f"{where}: got a tensor of layout {x.layout}, expected a dense one. Use x.to_dense()."
        )
    if x.is_complex() or x.is_quantized:
        raise DTypeError(
            f"{where}: got dtype {x.dtype}, expected float16, bfloat16, float32, float64, bool or an "
            "integer type. Pass the real part, or dequantize() first."
        )
    if x.ndim < min_ndim:
        raise ShapeError(
            f"{where}: got shape {tuple(x.shape)}, expected at least {min_ndim} axes [T, B, ...]. "
            "Add the missing axis with x.unsqueeze(1) (batch of one) or x.unsqueeze(0) (one step)."
        )
    return x if x.is_floating_point() else x.to(torch.get_default_dtype())


def check_state(state: State, like: State, where: str) -> None:
    """Refuse a state that does not fit: never broadcast, never silently replaced.

    Raises:
        StateShapeError: other type, shape or dtype. DeviceError: other device.
    """
    fix = "Start a new session or pass state=None."
    if type(state) is not type(like):
        raise StateShapeError(
            f"{where}: got a state of type {type(state).__name__}, expected {type(like).__name__}. {fix}"
        )
    for name, given, wanted in zip(like._fields, state, like, strict=True):
        if not isinstance(given, Tensor):
            raise StateShapeError(f"{where}: state {name} is {quote(given)}, expected a torch.Tensor. {fix}")
        if given.shape != wanted.shape or given.dtype != wanted.dtype:
            raise StateShapeError(
                f"{where}: state {name} is {tuple(given.shape)} {given.dtype}, the input needs "
                f"{tuple(wanted.shape)} {wanted.dtype}. {fix}"
            )
        if given.device != wanted.device:
            raise DeviceError(
                f"{where}: state {name} is on {given.device}, the input on {wanted.device}. "
                f"Move one of them with .to(...). {fix}"
            )


_checking: ContextVar[bool] = ContextVar("snnkit_check_numerics", default=False)


@contextmanager
def check_numerics() -> Iterator[None]:
    """Look for NaN and Inf in the input of every neuron and model, and raise where they first appear.

    Costs one reduction per neuron layer; meant for finding the source of a NaN.

    Example:
        >>> with snnkit.sequence.check_numerics():
        ...     spikes = snnkit.LIF()(torch.rand(4, 1, 3))
    """
    token = _checking.set(True)
    try:
        yield
    finally:
        _checking.reset(token)


def checks_numerics(x: Tensor | None = None) -> bool:
    """Whether to look for NaN now: inside :func:`check_numerics`, and for ``x`` on the CPU always."""
    if torch.compiler.is_compiling() or in_transform():
        return False
    return _checking.get() or (x is not None and x.device.type == "cpu")


def check_finite(x: Tensor, where: str) -> None:
    """Refuse NaN and Inf in ``x [T, ...]``.

    Raises:
        NumericsError: with first step, number, and the range of the finite values.
    """
    finite = torch.isfinite(x)
    if bool(finite.all()):
        return
    step = int((~finite).flatten(1).any(1).int().argmax()) if x.ndim > 1 else 0
    rest = x[finite]
    span = f"{rest.min().item():g} to {rest.max().item():g}" if rest.numel() else "none"
    raise NumericsError(
        f"{where}: {int((~finite).sum())} NaN or Inf of {x.numel()} values, first at step {step}; finite "
        f"values: {span}. Expected finite input; clean it with torch.nan_to_num, or find its source."
    )


class Stateful(nn.Module):
    """A module whose output depends on earlier steps. It holds parameters only, never its state.

    Subclasses implement ``run(x, state=None) -> (out, state)``. ``forward`` starts from the initial
    state, or inside ``stream(net)`` from the state that the session kept for this module.

    Attributes:
        causal: the output up to step t depends on inputs up to step t only. A module that is not
            causal cannot be streamed.
    """

    causal: bool = True

    def run(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Process ``x [T, B, ...]`` from ``state`` (None: initial); return output and final state."""
        raise TypeError(f"{type(self).__name__} must implement run(x, state=None)")

    def forward(self, x: Tensor) -> Tensor:
        """Output for the whole sequence ``x [T, B, ...]``."""
        return self._call(self.run, x)

    def _call(self, run: Callable[..., tuple[Tensor, State]], x: Tensor) -> Tensor:
        """Output of ``run`` (an equal of this module's) from the state that a session kept, if one is on."""
        session = None if torch.compiler.is_compiling() else _active.get()
        return run(x)[0] if session is None else session._advance(self, run, x)


class StreamSession:
    """States of one network between chunks; made by :func:`stream`.

    States are filed by module path (and, for a module that is called several times in one forward,
    by the number of the call). The network itself is not changed, so several sessions of one
    network can be interleaved.

    Args:
        net: the network. Every stateful module in it must be causal.
        detach: cut the autograd graph between chunks (truncated back-propagation through time). With
            False, do not combine it with activation checkpointing, which calls modules again after the chunk.

    Raises:
        InputTypeError: ``net`` is not a module.
        StreamError: the network holds a module that is not causal.
    """

    def __init__(self, net: nn.Module, *, detach: bool = True) -> None:
        if not isinstance(net, nn.Module):
            raise InputTypeError(f"stream: got {type(net).__name__}, expected a torch.nn.Module.")
        self.net, self.detach = getattr(net, "_orig_mod", net), detach
        self._paths = {id(m): path for path, m in self.net.named_modules() if isinstance(m, Stateful)}
        for path, module in self.net.named_modules():
            if isinstance(module, Stateful) and not module.causal:
                raise StreamError(
                    f"stream: {path or 'the network'} ({type(module).__name__}) needs the whole sequence "
                    "at once. Call net(x), or build the network with a causal neuron."
                )
        self._states: dict[str, State] = {}
        self._calls: dict[str, int] | None = None
        self._closed = False
        self._loaded = False  # states were loaded, and no chunk has shown yet that they are complete

    def __call__(self, chunk: Tensor, *args: Any, **kwargs: Any) -> Any:
        """Process the next chunk ``[t, B, ...]``; t may differ from call to call.

        If the network raises, the session keeps the states it had before this call.
        """
        if self._closed:
            raise StreamError("stream: this session is closed. Open a new one with stream(net).")
        if self._calls is not None:
            raise StreamError("stream: a session was called from inside its own network.")
        before = dict(self._states)
        self._calls = {}
        token = _active.set(self)
        try:
            with torch.compiler.set_stance("force_eager"):  # compiled graphs hold no session
                out = self.net(chunk, *args, **kwargs)
            self._loaded = False
            return out
        except BaseException:
            self._states = before
            raise
        finally:
            _active.reset(token)
            self._calls = None

    def _advance(self, module: Stateful, run: Callable[..., tuple[Tensor, State]], x: Tensor) -> Tensor:
        path = self._paths.get(id(module))
        if path is None:  # the session was copied, or a module replaced
            self._paths = {id(m): p for p, m in self.net.named_modules() if isinstance(m, Stateful)}
            path = self._paths.get(id(module))
        if path is None or self._calls is None:  # a module of another network, run inside this one
            return run(x)[0]
        number = self._calls[path] = self._calls.get(path, -1) + 1
        key = path if number == 0 else f"{path}#{number}"
        fields = getattr(getattr(module, "State", None), "_fields", ())  # without any, nothing was saved
        if self._loaded and fields and key not in self._states:
            raise StateShapeError(
                f"stream: the loaded states have none for {key}. Load all that state_dict() returned."
            )
        out, state = run(x, self._states.get(key))
        self._states[key] = type(state)(*(s.detach() for s in state)) if self.detach else state
        return out

    def states(self) -> Mapping[str, State]:
        """Module path -> state, for looking at."""
        return dict(self._states)

    def reset(self) -> None:
        """Forget everything: the next chunk is the start of a new sequence."""
        self._states.clear()
        self._loaded = False

    def state_dict(self) -> dict[str, Tensor]:
        """All states as ``{"path:field": tensor}``, ready for safetensors."""
        return {
            f"{path}:{name}": getattr(state, name).detach().clone().contiguous()
            for path, state in self._states.items()
            for name in state._fields
        }

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Replace all states by saved ones.

        Raises:
            InputTypeError: not a tensor.
            StateShapeError: a path or field that this network does not have. The next call checks the
                shapes against its input, and raises if a state is missing.
        """
        if self._closed:
            raise StreamError("stream: this session is closed. Open a new one with stream(net).")
        if not isinstance(tensors, Mapping):
            raise InputTypeError(
                f"stream: got {type(tensors).__name__}, expected what state_dict() returned."
            )
        by_path = {path: module for path, module in self.net.named_modules() if isinstance(module, Stateful)}
        fields: dict[str, dict[str, Tensor]] = {}
        for key, tensor in tensors.items():
            path, _, name = key.rpartition(":")
            if not isinstance(tensor, Tensor):
                raise InputTypeError(
                    f"stream: saved state {quote(key)} is a {type(tensor).__name__}, expected a torch.Tensor."
                )
            fields.setdefault(path, {})[name] = tensor
        states: dict[str, State] = {}
        for path, values in fields.items():
            module = by_path.get(path.partition("#")[0])
            kind = getattr(module, "State", None)
            if kind is None or set(values) != set(kind._fields):
                raise StateShapeError(
                    f"stream: saved state {quote(path)} with fields {sorted(values)} does not belong to this "
                    "network. Load it into a session of the network that saved it."
                )
            states[path] = kind(**{name: value.clone() for name, value in values.items()})
        self._states, self._loaded = states, bool(states)

    def __enter__(self) -> StreamSession:
        return self

    def __exit__(self, *exc: object) -> None:
        self._closed = True
        self._states = {}


_active: ContextVar[StreamSession | None] = ContextVar("snnkit_stream", default=None)


def stream(net: nn.Module, *, detach: bool = True) -> StreamSession:
    """Open a session that feeds a network chunk by chunk; see :class:`StreamSession`.

    Example:
        >>> net = torch.nn.Sequential(torch.nn.Linear(3, 4), snnkit.LIF()).eval()
        >>> x = torch.rand(6, 2, 3)
        >>> with snnkit.stream(net) as session:
        ...     chunks = torch.cat([session(x[:1]), session(x[1:])])
        >>> chunks.shape
        torch.Size([6, 2, 4])
    """
    return StreamSession(net, detach=detach)
