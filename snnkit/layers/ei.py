r"""Excitatory and inhibitory (E-I) layers: trained without normalisation, divided by lateral inhibition.

For one sample x >= 0, all weights and gains >= 0, nI inhibitory for nE excitatory neurons, o elementwise::

    I_EE = W_EE x        I_I = W_IE x                      linear or convolution, d inputs to a neuron
    I_sub = W_EI I_I     I_div = W_EI (g_I o I_I)
    I = g_E o (I_EE - I_sub) / I_div + b_E                 or I_EE - I_sub, as output layer

*E-I Init*, from the first batch, with the mean E, the mean of squares E2, and Var, the mean over features of
the variance over samples::

    W_EE, W_IE ~ Exponential(mean sqrt(Var / (d (E2 + Var))))      W_EI = 1/nI
    g_I = sqrt(E2 + Var) / (E sqrt(d))                             g_E = 1, b_E = 0

*E-I Prop*: zeros of I_div become the smallest other value of their sample, straight through for the gradient;
the gradient of W_EI is divided by d; what falls below 0 in a step of the optimiser is set to 0.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F

from ..checks import flag, integer
from ..errors import ConfigError, NumericsError, ShapeError, require
from ..sequence import as_sequence, fold, in_transform, per_step, state_dtype

__all__ = ["EIConv2d", "EILinear"]


class _AtLeastZero(torch.autograd.Function):
    """Clamp to >= 0 and divide the gradient, which also passes below 0: the projection of a weight."""

    generate_vmap_rule = True

    @staticmethod
    def forward(w: Tensor, divisor: float) -> Tensor:
        return w.clamp(min=0)

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
        ctx.divisor = inputs[1]

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        return grad / ctx.divisor, None


class _ZerosToSmallest(torch.autograd.Function):
    """Per row, zeros to the smallest other value (inf if there is none); the gradient passes unchanged."""

    generate_vmap_rule = True

    @staticmethod
    def forward(divisor: Tensor) -> Tensor:
        zero = divisor == 0
        rest = divisor.masked_fill(zero, math.inf)
        return torch.where(zero, rest.amin(tuple(range(1, divisor.ndim)), keepdim=True), divisor)

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
        pass

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        return grad


class _EI(nn.Module):
    """What both layers share."""

    initialised: Tensor

    def __init__(
        self, inputs: tuple[int, ...], neurons: int, inhibitory: int | None, output: bool, map_axes: int
    ) -> None:
        super().__init__()
        name = type(self).__name__
        integer(f"{name}: size of the output", neurons)
        inhibitory = max(neurons // 4, 1) if inhibitory is None else inhibitory
        integer(f"{name}.inhibitory", inhibitory)
        flag(f"{name}.output", output)
        self.inhibitory, self.output, self.fan_in = inhibitory, output, math.prod(inputs)
        self._ones = (1,) * map_axes  # a value per neuron meets a map of values
        self.W_EE = nn.Parameter(torch.zeros(neurons, *inputs))
        self.W_IE = nn.Parameter(torch.zeros(inhibitory, *inputs))
        self.W_EI = nn.Parameter(torch.full((neurons, inhibitory), 1 / inhibitory))
        if not output:
            self.g_I = nn.Parameter(torch.ones(inhibitory))
            self.g_E = nn.Parameter(torch.ones(neurons))
            self.b_E = nn.Parameter(torch.zeros(neurons))
        self.register_buffer("initialised", torch.zeros((), dtype=torch.bool))
        self._ready = False  # known to be initialised: to read the buffer waits for an accelerator

    def _feed(self, x: Tensor, w: Tensor) -> Tensor:
        return F.linear(x, w)

    def _spread(self, x: Tensor, w: Tensor) -> Tensor:
        """From inhibitory to excitatory neurons of the same place."""
        return F.linear(x, w)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        x = as_sequence(x, type(self).__name__)
        self._check_shape(x)
        if not self._ready and x.numel():
            self._get_ready(x)
        if self.training and not (torch.compiler.is_compiling() or in_transform()):
            self.clamp_()
        return per_step(self._rows, x, training=self.training)

    def _check_shape(self, x: Tensor) -> None:
        """Other ranks would broadcast into results without meaning."""
        channels = self.W_EE.shape[1]
        if x.ndim != 3 + len(self._ones) or x.shape[2] != channels:
            wanted = f"[T, B, {channels}{', H, W' if self._ones else ''}]"
            raise ShapeError(f"{type(self).__name__}: got shape {tuple(x.shape)}, expected {wanted}.")

    def _rows(self, x: Tensor) -> Tensor:
        """``[rows, ...] -> [rows, ...]``, each row by itself."""
        w_ei = _AtLeastZero.apply(self.W_EI, float(self.fan_in))
        excited = self._feed(x, _AtLeastZero.apply(self.W_EE, 1.0))
        inhibited = self._feed(x, _AtLeastZero.apply(self.W_IE, 1.0))
        balanced = excited - self._spread(inhibited, w_ei)
        if self.output:
            return balanced
        g_i, g_e = (_AtLeastZero.apply(g, 1.0).view(-1, *self._ones) for g in (self.g_I, self.g_E))
        divisor = self._spread(g_i * inhibited, w_ei)
        if divisor.numel():
            divisor = _ZerosToSmallest.apply(divisor)
        return g_e * balanced / divisor + self.b_E.view(-1, *self._ones)

    def clamp_(self) -> None:
        """Set negative weights and gains to 0, as every forward in training does; see E-I Prop.

        Through ``.data``: after the step of an optimiser nothing waits for a backward pass, and without
        one no value changes.
        """
        for name, p in self.named_parameters():
            if name != "b_E" and isinstance(p, nn.Parameter):  # tensors of a functional_call are not ours
                p.data.clamp_(min=0)

    @torch.no_grad()
    def initialise(self, x: Tensor) -> None:
        """E-I Init from ``x [T, B, ...]``, as the first forward in training does; overwrites all parameters.

        Raises:
            NumericsError: the batch is silent, constant over samples, or not finite.
        """
        name = type(self).__name__
        x = as_sequence(x, name)
        self._check_shape(x)
        rows = fold(x).to(state_dtype(x.dtype))
        mean = float(rows.mean()) if rows.numel() else 0.0
        var = float(rows.var(0).mean()) if len(rows) > 1 else 0.0
        square = float(rows.square().mean())
        if not (0 < mean < math.inf and 0 < var < math.inf):
            raise NumericsError(
                f"{name}: first batch of shape {tuple(x.shape)} has mean {mean:g} and variance {var:g} over "
                "samples, expected both finite and > 0. Give initialise(x) a batch of several samples that "
                "spike; inputs below 0 have no meaning here."
            )
        scale = math.sqrt(var / (self.fan_in * (square + var)))
        for w in (self.W_EE, self.W_IE):
            w.exponential_(1 / scale)
        self.W_EI.fill_(1 / self.inhibitory)
        if not self.output:
            self.g_I.fill_(math.sqrt(square + var) / (mean * math.sqrt(self.fan_in)))
            self.g_E.fill_(1.0)
            self.b_E.zero_()
        self.initialised.fill_(True)
        self._ready = True

    def _get_ready(self, x: Tensor) -> None:
        """Initialise if that is due; where it cannot be done, say so."""
        blind = torch.compiler.is_compiling() or in_transform()
        if not blind and self.initialised:
            return
        if blind or not self.training:
            where = "a compiled graph or transform" if blind else "evaluation"
            raise ConfigError(
                f"{type(self).__name__}: got input in {where}, expected to be initialised before. Load "
                "weights, call initialise(x), or show the network one batch in training."
            )
        self.initialise(x)
        if dist.is_available() and dist.is_initialized():  # every process saw data of its own
            for tensor in (*self.parameters(), *self.buffers()):
                dist.broadcast(tensor.data, 0)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._ready = not self.initialised.is_meta and bool(self.initialised)


class EILinear(_EI):
    """E-I layer in place of ``Linear`` and a norm.

    Args:
        in_features, out_features: sizes; d = in_features, nE = out_features.
        inhibitory: nI, default nE // 4, at least 1.
        output: output layer, ``I_EE - I_sub``: no division, gains or bias.

    Attributes:
        initialised: buffer in the ``state_dict``. The first forward in training initialises (in several
            processes, all from the first one's data), a loaded checkpoint is left alone, and evaluation
            before either raises (Lightning: ``num_sanity_val_steps=0``).

    Shape:
        ``x [T, B, in_features]``, spikes or other values >= 0 -> currents ``[T, B, out_features]``. A silent
        sample gives ``b_E``.
    Raises:
        ConfigError: a setting out of range; not initialised, and in evaluation, a compiled graph or a
            transform. NumericsError: the first batch is silent or constant. ShapeError: other sizes.
    Reference:
        Liu et al. 2025, arXiv 2509.23253, and its public code (DeepEISNN), which initialises again after a
        checkpoint was loaded. Published neuron behind it: ``LIF(tau=2, decay_input=False, reset="soft",
        detach_reset=True, surrogate="sigmoid")``.
    """

    def __init__(
        self, in_features: int, out_features: int, *, inhibitory: int | None = None, output: bool = False
    ) -> None:
        integer("EILinear.in_features", in_features)
        super().__init__((in_features,), out_features, inhibitory, output, map_axes=0)

    def extra_repr(self) -> str:
        """Every setting."""
        sizes = f"{self.fan_in}, {len(self.W_EE)}, inhibitory={self.inhibitory}"
        return f"{sizes}, output={self.output}"


class EIConv2d(_EI):
    """E-I layer in place of a convolution and a norm; arguments, errors and reference as :class:`EILinear`.

    Args:
        cin, cout: channels in and out; d = cin * kernel^2, nE = cout.
        kernel: odd kernel size; at stride 1, padding keeps the map size.
        stride: >= 1.
        inhibitory, output: as :class:`EILinear`.

    Shape:
        ``x [T, B, cin, H, W]``, values >= 0 -> currents ``[T, B, cout, H', W']``. Zeros of I_div are replaced
        by the smallest other value over all channels and places of their sample and step.
    """

    def __init__(
        self,
        cin: int,
        cout: int,
        kernel: int = 3,
        *,
        stride: int = 1,
        inhibitory: int | None = None,
        output: bool = False,
    ) -> None:
        for name, value in (("cin", cin), ("kernel", kernel), ("stride", stride)):
            integer(f"EIConv2d.{name}", value)
        require(kernel % 2 == 1, "EIConv2d.kernel", kernel, "an odd int")
        super().__init__((cin, kernel, kernel), cout, inhibitory, output, map_axes=2)
        self.stride = stride

    def _feed(self, x: Tensor, w: Tensor) -> Tensor:
        return F.conv2d(x, w, stride=self.stride, padding=w.shape[-1] // 2)

    def _spread(self, x: Tensor, w: Tensor) -> Tensor:
        return F.conv2d(x, w[:, :, None, None])

    def extra_repr(self) -> str:
        """Every setting."""
        cout, cin, kernel, _ = self.W_EE.shape
        sizes = f"{cin}, {cout}, kernel={kernel}, stride={self.stride}, inhibitory={self.inhibitory}"
        return f"{sizes}, output={self.output}"
