"""What a key layout is: where the tensors of a published code stand here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from ..backbone import Backbone

__all__ = ["LAYOUTS", "KeyLayout", "block_paths", "register_layout"]


@dataclass
class KeyLayout:
    """Paths of modules and tensors here, and those of the published code.

    Attributes:
        paths: path here -> path there, of modules (their tensors have the same names) or of single tensors.
        dead: regular expressions for keys of the published code that take no part in its computation.
    """

    paths: dict[str, str] = field(default_factory=dict)
    dead: Sequence[str] = ()

    def conv(self, here: str, conv: str, norm: str) -> None:
        """The :class:`snnkit.layers.SpikingConv` ``here`` is this convolution and this norm."""
        self.paths |= {f"{here}.affine.0": conv, f"{here}.affine.1": norm}

    def convs(self, here: str, conv: str, norm: str, names: Sequence[str] | Mapping[str, str]) -> None:
        """Several in the module ``here``: their ``names`` stand for ``{}`` in both patterns."""
        pairs = names.items() if isinstance(names, Mapping) else zip(names, names, strict=True)
        for name, there in pairs:
            self.conv(f"{here}.{name}", conv.format(there), norm.format(there))

    def behind(self, here: str) -> list[str]:
        """Published paths of everything inside of our module ``here``."""
        return [there for path, there in self.paths.items() if path.startswith(f"{here}.")]

    def there(self, key: str) -> str | None:
        """The published name of a tensor of ours, None if it has none."""
        module, _, leaf = key.rpartition(".")
        return self.paths.get(key) or (f"{self.paths[module]}.{leaf}" if module in self.paths else None)


# the function that builds a family -> its layout, given a network and the keys that are to be read
LAYOUTS: dict[Callable[..., nn.Module], Callable[[Backbone, Set[str]], KeyLayout]] = {}


def register_layout(family: Callable[..., nn.Module]) -> Callable[[Any], Any]:
    """File a function as the layout of a family."""

    def keep(function: Any) -> Any:
        LAYOUTS[family] = function
        return function

    return keep


def block_paths(net: Backbone, stage: int) -> Iterator[list[str]]:
    """Paths of the branches of every block in a stage: [local mixer,] token mixer, channel mixer."""
    members = list(net.blocks[stage].named_children())
    size = len(members) // net.stages[stage].depth
    paths = [
        f"blocks.{stage}.{name}" + (".branch" if hasattr(module, "branch") else "")
        for name, module in members
    ]
    for start in range(0, len(paths), size):
        yield paths[start : start + size]
