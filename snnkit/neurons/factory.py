"""From a description of neurons to neurons: how any registered neuron gets into any model.

A model never names a neuron class. It asks a factory for a neuron by *role*, and the user decides
what the factory makes::

    neuron="lif"                                            # a registered name, published settings
    neuron=dict(name="lif", tau=1.5)                        # name and arguments, instead of the published
    neuron=snnkit.IF                                        # a class
    neuron=dict(default="lif", attn=dict(name="lif", threshold=0.3))   # overrides by role
    neuron=lambda role, channels: MyNeuron(channels)        # a function

What a role needs in a model family (spiking self-attention fires at 0.5) is added to a name, dict or class
that does not say otherwise. ``channels="auto"`` in a dict becomes the number of channels at that place; a
neuron that cannot do without ``channels`` gets that number unasked.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

from torch import nn

from ..errors import ConfigError, InputTypeError, quote
from ..registry import closest
from .base import NEURONS, Neuron

__all__ = ["NeuronFactory", "NeuronSpec", "Role", "make_neuron"]

Role = Literal["stem", "embed", "q", "k", "v", "attn", "proj", "in", "mlp1", "mlp2", "head"]
NeuronSpec = str | Mapping[str, Any] | type[Neuron] | Callable[[str, int], nn.Module]
Settings = Mapping[str, Any]


def make_neuron(name: str, **kwargs: Any) -> Neuron:
    """The registered neuron ``name`` built with ``kwargs``.

    Raises:
        UnknownNameError: no such neuron. ConfigError: an argument that the neuron does not have, or one
            that it needs.
    """
    neuron: Neuron = NEURONS.make(name, **kwargs)
    return neuron


class NeuronFactory:
    """Makes a neuron for a role and a channel count: ``factory(role, channels) -> module``.

    Args:
        spec: see the module docstring.
        published: settings that a plain name stands for in this model family, by neuron name.
        roles: settings that a role adds in this model family (spiking self-attention fires at 0.5),
            for neurons that have such an argument and a spec that does not give it.

    Raises:
        InputTypeError: the spec is none of the accepted forms.
        UnknownNameError, ConfigError: unknown neuron, role or argument.
    """

    def __init__(
        self,
        spec: NeuronSpec,
        published: Mapping[str, Settings] | None = None,
        roles: Mapping[str, Settings] | None = None,
    ) -> None:
        self.spec, self._published, self._roles = spec, published or {}, roles or {}
        self._overrides: dict[str, Any] = {}
        if isinstance(spec, Mapping) and "name" not in spec:
            known = ("default", *get_args(Role))
            for role in spec:
                if role not in known:
                    raise ConfigError(
                        f"neuron: unknown role {quote(role)}{closest(role, known)} "
                        f"Roles: {', '.join(known)}. "
                        'Settings of one neuron need its name: dict(name="lif", tau=2.0).'
                    )
            self._overrides = {role: s for role, s in spec.items() if role != "default"}
            self.spec = spec.get("default", "lif")
        for one in (self.spec, *self._overrides.values()):
            if isinstance(one, str):
                NEURONS.get(one)
            elif isinstance(one, Mapping):
                NEURONS.get(one.get("name", ""))
            elif not callable(one) or isinstance(one, nn.Module):
                raise InputTypeError(
                    f"neuron: got {quote(one)}, expected a registered name, a dict with a name, a Neuron "
                    "class or a function (role, channels) -> module."
                )

    def __call__(self, role: Role, channels: int) -> nn.Module:
        """A new neuron for ``role`` in front of which the tensor has ``channels`` channels."""
        spec = self._overrides.get(role, self.spec)
        if isinstance(spec, type) and issubclass(spec, Neuron):
            return spec(**self._fitting(spec, {}, role, channels))
        if callable(spec):
            made = spec(role, channels)
            if not isinstance(made, nn.Module):
                raise InputTypeError(
                    f"neuron: the function gave {quote(made)} for role {role!r}, expected a torch module."
                )
            return made
        if isinstance(spec, str):
            name, given = spec, dict(self._published.get(spec, {}))
        else:
            name, given = spec["name"], {k: v for k, v in spec.items() if k != "name"}
        return make_neuron(name, **self._fitting(NEURONS.get(name), given, role, channels))

    def _fitting(
        self, cls: Callable[..., Any], given: dict[str, Any], role: str, channels: int
    ) -> dict[str, Any]:
        known = inspect.signature(cls).parameters
        extra = {k: v for k, v in self._roles.get(role, {}).items() if k in known and k not in given}
        needed = "channels" in known and known["channels"].default is inspect.Parameter.empty
        if given.get("channels", "auto" if needed else None) == "auto":
            given = given | {"channels": channels}
        return given | extra
