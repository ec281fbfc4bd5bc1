"""The published recipes of learned synaptic delays on SHD, SSC and GSC (arXiv 2306.17670, configurations).

Nothing is downloaded. A recipe builds the network and its optimisers; the user has the recordings. Two
protocols are told apart by name: ``test-selected`` takes the best epoch on the test set, as the published
code does where there is no validation set (SHD); ``val-split`` takes it on the published validation set (SSC,
GSC), or on training samples that are held out (SHD).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from ..checks import choice
from ..models import DelayMLP
from ..sequence import as_sequence
from .delays import DelayOptimizers

__all__ = ["DELAY_RECIPES", "DelayRecipe", "Protocol", "pool_units"]

Protocol = Literal["test-selected", "val-split"]


@dataclass(frozen=True)
class DelayRecipe:
    """One data set of the publication.

    Attributes:
        dataset: registered name.
        classes: number of classes. width, depth: of the hidden layers. max_delay, tau: in steps of ``dt_ms``.
        dropout, batch_size, epochs: of the training.
        protocols: how its accuracy can be measured.
    """

    dataset: str
    classes: int
    width: int
    depth: int
    max_delay: int
    tau: float
    dropout: float
    batch_size: int
    epochs: int
    protocols: tuple[Protocol, ...]
    inputs: int = 140
    dt_ms: float = 10.0

    def network(self, **settings: Any) -> DelayMLP:
        """The published network: one synapse per pair, Gaussian delays, sequences that grow.

        Args:
            settings: in place of the published ones, as ``interp="ste"``, ``synapses=2`` or ``pad="causal"``.
        """
        published: dict[str, Any] = {
            "width": self.width,
            "depth": self.depth,
            "max_delay": self.max_delay,
            "tau": self.tau,
            "dropout": self.dropout,
            "kind": "synaptic",
            "interp": "gauss",
            "pad": "extend",
        }
        return DelayMLP(self.inputs, self.classes, **{**published, **settings})

    def optimizers(self, net: DelayMLP, epochs: int | None = None) -> DelayOptimizers:
        """As published, for that many epochs; None: the published number."""
        return DelayOptimizers(net, self.epochs if epochs is None else epochs)

    def check_protocol(self, protocol: Protocol) -> Protocol:
        """``protocol``, if this data set can be measured so.

        Raises:
            ConfigError: it cannot.
        """
        choice("protocol", protocol, self.protocols)
        return protocol


DELAY_RECIPES: dict[str, DelayRecipe] = {
    "shd": DelayRecipe("shd", 20, 256, 2, 24, 1.005, 0.4, 256, 150, ("test-selected", "val-split")),
    "ssc": DelayRecipe("ssc", 35, 512, 3, 30, 1.5, 0.25, 128, 60, ("val-split",)),
    "gsc": DelayRecipe("gsc", 35, 512, 3, 30, 1.5, 0.25, 128, 100, ("val-split",)),
}


def pool_units(x: Tensor, group: int = 5) -> Tensor:
    """Sums of ``group`` neighbouring units: frames ``[T, B, 700, 1, 1]`` of SHD or SSC -> ``[T, B, 140]``."""
    x = as_sequence(x, "pool_units", 3, "[T, B, units, ...]").flatten(2)
    return x.unflatten(2, (-1, group)).sum(-1)
