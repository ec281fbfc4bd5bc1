"""What a network computes, as a list of operations on ``[T, B, ...]``: recorded by running it once.

The network is run on one step of an example whose tensors remember where they come from. Layers, norms,
neurons, poolings and read-outs are leaves; between them every function of torch is recorded by its meaning.
Nothing is known about classes of networks, so this works on foreign ones too. An operation without a meaning
here leaves a tensor that knows its name, and only if it is needed does :func:`record` refuse. Writing in
place is such an operation: ``y = x.add_(1)`` goes on as ``y``, whatever else shares its memory is lost.

In evaluation every step is computed by itself (:func:`snnkit.sequence.per_step`), so with one step ``unbind``
is the folding of time into the batch and ``stack`` its undoing; recorded as such, they hold for any T and B.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import QuantConfigError, ShapeError
from ..neurons import Neuron
from ..readout import Readout
from .fold import NORMS
from .modes import evaluating
from .quantize import WEIGHT_LAYERS

__all__ = ["Graph", "Node", "record"]

_POOLS = (nn.MaxPool1d, nn.MaxPool2d)
_LEAVES = (*WEIGHT_LAYERS, *NORMS, *_POOLS, Neuron, Readout)
_SAME = frozenset(["to", "float", "double", "contiguous", "clone", "detach", "type_as"])
_ASKED = frozenset(
    ["is_floating_point", "is_complex", "dim", "size", "numel", "stride", "data_ptr", "__len__"]
)


@dataclass(frozen=True)
class Node:
    """One operation.

    Attributes:
        op: its name; "input", "layer", "norm", "neuron", "pool", "readout", "fold", "unfold", "flatten",
            "unflatten", "permute", "add", "mul", "scale", "matmul", "sum" or "mean".
        inputs: indices of nodes. args: settings, axes counted from the front.
        module, path: of a leaf. shape: of the result for the example.
    """

    op: str
    inputs: tuple[int, ...]
    shape: tuple[int, ...]
    args: dict[str, Any] = field(default_factory=dict)
    module: nn.Module | None = None
    path: str = ""


@dataclass
class Graph:
    """Nodes in the order of execution; ``output`` is the index of the last value."""

    nodes: list[Node] = field(default_factory=list)
    output: int = -1

    def add(self, node: Node) -> int:
        """Append a node; its index."""
        self.nodes.append(node)
        return len(self.nodes) - 1


class _Traced(Tensor):
    """A tensor that knows the node that made it, or why there is none."""

    graph: Graph
    node: int | None
    why: str
    version: int

    @staticmethod
    def wrap(value: Tensor, graph: Graph, node: int | None, why: str = "") -> _Traced:
        traced = value.detach().as_subclass(_Traced)
        traced.graph, traced.node, traced.why = graph, node, why
        with torch._C.DisableTorchFunctionSubclass():
            traced.version = traced._version
        return traced

    def lost(self) -> str | None:
        """Which function left it without a meaning, None if it has one."""
        with torch._C.DisableTorchFunctionSubclass():
            written = self._version != self.version  # views share the counter
        return self.why if self.node is None else "what was written into in place" if written else None

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func.__self__.__name__ if func.__name__ == "__get__" else func.__name__
        traced = [a for a in _flat((args, kwargs)) if isinstance(a, _Traced)]
        plain = _map(lambda a: a.as_subclass(Tensor) if isinstance(a, _Traced) else a, (args, kwargs))
        lost = next((t.lost() for t in traced if t.lost()), None)
        with torch._C.DisableTorchFunctionSubclass():
            out = func(*plain[0], **plain[1])
        if name in _ASKED or not any(isinstance(o, Tensor) for o in _flat(out)):
            return out
        graph = traced[0].graph
        node = None if lost else _meaning(name.strip("_"), args, kwargs, out, graph)
        why = lost or f"torch function {name!r}"
        return _map(lambda o: cls.wrap(o, graph, node, why) if isinstance(o, Tensor) else o, out)


def record(model: nn.Module, example: Tensor) -> Graph:
    """Run ``model`` on the first step of ``example [T, B, ...]`` and record what it does.

    Raises:
        ShapeError: no time axis. QuantConfigError: the output needs an operation that has no integer form, or
            does not depend on the input.
    """
    if example.ndim < 3 or not example.shape[0]:
        raise ShapeError(f"record: got shape {tuple(example.shape)}, expected [T, B, ...] with T >= 1.")
    graph = Graph()
    graph.add(Node("input", (), (1, *example.shape[1:])))
    with evaluating(model), torch.inference_mode(False), torch.no_grad(), _leaves(model, graph):
        out = model(_Traced.wrap(example[:1].clone(), graph, 0))
    graph.output = _index(out, "the output of the network")
    return graph


@contextmanager
def _leaves(model: nn.Module, graph: Graph) -> Iterator[None]:
    """Inside, leaves record themselves instead of running on what they are given."""
    with ExitStack() as stack:
        for path, module in model.named_modules():
            if isinstance(module, _LEAVES) and "forward" not in vars(module):
                module.forward = _recorder(path, module, module.forward, graph)  # type: ignore[method-assign]
                stack.callback(vars(module).pop, "forward")
        yield


def _recorder(path: str, module: nn.Module, forward: Callable[..., Tensor], graph: Graph) -> Any:
    def call(x: Tensor) -> Tensor:
        if not isinstance(x, _Traced):  # a constant, or inside of another leaf
            return forward(x)
        _refuse_another(path, module)
        out = forward(x.as_subclass(Tensor))
        source = _index(x, f"the input of {path} ({type(module).__name__})")
        kinds = {"layer": WEIGHT_LAYERS, "norm": NORMS, "neuron": Neuron, "readout": Readout}
        op = next((kind for kind, cls in kinds.items() if isinstance(module, cls)), "pool")  # type: ignore[arg-type]
        args = {}
        if op == "pool":
            pool: Any = module
            found = (pool.stride, pool.padding, pool.dilation, pool.ceil_mode)
            args = _pool_args(pool.kernel_size, *found, path)
            args["axes"] = 1 if isinstance(module, nn.MaxPool1d) else 2
        node = Node(op, (source,), tuple(out.shape), args, module, path)
        return _Traced.wrap(out, graph, graph.add(node))

    return call


def _refuse_another(path: str, module: nn.Module) -> None:
    """A layer, norm or pooling derived from that of torch is recorded as what torch computes."""
    base = next((cls for cls in (*WEIGHT_LAYERS, *NORMS, *_POOLS) if isinstance(module, cls)), None)
    if getattr(module, "return_indices", False):
        raise QuantConfigError(f"convert_to_integer: {path}: got return_indices, expected none in poolings.")
    for name in ("forward", "_conv_forward"):
        if base is not None and getattr(type(module), name, None) is not getattr(base, name, None):
            raise QuantConfigError(
                f"convert_to_integer: {path} is a {base.__name__} with a {name} of its own, which has no "
                f"integer form. Use nn.{base.__name__}, and write the rest as operations behind it."
            )


def _index(x: Any, what: str) -> int:
    if not isinstance(x, _Traced):
        raise QuantConfigError(f"convert_to_integer: {what} does not come from the input of the network.")
    lost = x.lost()
    if lost is not None or x.node is None:
        raise QuantConfigError(
            f"convert_to_integer: {what} needs {lost}, which has no integer form here. "
            "Write it with sums, products, max pooling, reshapes, layers and neurons."
        )
    return x.node


# -- functions ---------------------------------------------------------------------------------------------


def _meaning(name: str, args: Any, kwargs: Any, out: Any, graph: Graph) -> int | None:
    """File a function of torch under what it means; None if that is not known."""
    x = next(a for a in _flat(args) if isinstance(a, _Traced))
    assert x.node is not None
    ndim = x.ndim

    def node(op: str, *inputs: Any, **settings: Any) -> int:
        sources = tuple(i.node for i in inputs) or (x.node,)
        shape = next(tuple(o.shape) for o in _flat(out) if isinstance(o, Tensor))
        return graph.add(Node(op, sources, shape, settings))

    get = _Arguments(args, kwargs)
    if name in _SAME:
        return x.node if out.is_floating_point() else None  # integers lose a fraction
    match name:
        case "dropout" if not get(2, "training", True):
            return x.node
        case "unbind" if get(1, "dim", 0) % ndim == 0 and x.shape[0] == 1:
            return node("fold")
        case "stack" if len(args[0]) == 1 and get(1, "dim", 0) == 0:
            return node("unfold")
        case "flatten":
            start, end = get(1, "start_dim", 0) % ndim, get(2, "end_dim", -1) % ndim
            return node("fold") if (start, end) == (0, 1) else node("flatten", start=start, end=end)
        case "unflatten":
            dim = get(1, "dim", None) % ndim
            sizes = [int(s) for s in out.shape[dim : dim + out.ndim - ndim + 1]]
            if dim == 0:
                return node("unfold") if sizes == [1, graph.nodes[0].shape[1]] else None
            return node("unflatten", dim=dim, sizes=sizes)
        case "mT" | "transpose" | "swapaxes":
            a, b = (-2, -1) if name == "mT" else (get(1, "dim0", None), get(2, "dim1", None))
            order = list(range(ndim))
            order[a], order[b] = order[b], order[a]
            return node("permute", order=order) if order[0] == 0 else None  # time stays in front
        case "add" | "radd" | "iadd" | "mul" | "rmul" | "matmul" | "bmm" | "truediv" | "div":
            a, b = args[:2]
            op = {"radd": "add", "iadd": "add", "rmul": "mul", "bmm": "matmul"}.get(name, name)
            both = isinstance(a, _Traced) and isinstance(b, _Traced)
            if both and op in ("add", "mul", "matmul") and not kwargs:
                return node(op, a, b)
            number = b if a is x else a
            if (
                isinstance(number, int | float)
                and op in ("mul", "truediv", "div")
                and (op == "mul" or a is x)
            ):
                return node("scale", factor=float(number) if op == "mul" else 1.0 / number)
        case "sum" | "mean":
            dims = get(1, "dim", None)
            dims = [dims] if isinstance(dims, int) else list(dims or range(ndim))
            return node(name, dims=sorted(d % ndim for d in dims), keep=bool(get(2, "keepdim", False)))
        case "max_pool2d" | "max_pool1d":
            kernel = get(1, "kernel_size", None)
            stride, padding = get(2, "stride", None) or kernel, get(3, "padding", 0)
            found = (stride, padding, get(4, "dilation", 1), bool(get(5, "ceil_mode", False)))
            return node("pool", **_pool_args(kernel, *found, name), axes=int(name[-2]))
    return None


def _pool_args(
    kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool, where: str
) -> dict[str, Any]:
    if dilation not in (1, (1,), (1, 1)) or ceil_mode:
        raise QuantConfigError(
            f"convert_to_integer: {where}: got dilation {dilation}, ceil_mode {ceil_mode}, expected 1 and "
            "False in poolings."
        )
    as_list = [v if isinstance(v, int) else list(v) for v in (kernel, stride, padding)]
    return dict(zip(("kernel", "stride", "padding"), as_list, strict=True))


class _Arguments:
    """Reads an argument by position or name."""

    def __init__(self, args: Any, kwargs: Any) -> None:
        self.args, self.kwargs = args, kwargs

    def __call__(self, at: int, name: str, default: Any) -> Any:
        return self.args[at] if len(self.args) > at else self.kwargs.get(name, default)


def _flat(tree: Any) -> Iterator[Any]:
    if isinstance(tree, list | tuple):
        for branch in tree:
            yield from _flat(branch)
    elif isinstance(tree, dict):
        yield from _flat(list(tree.values()))
    else:
        yield tree


def _map(change: Callable[[Any], Any], tree: Any) -> Any:
    if isinstance(tree, list | tuple) and not isinstance(tree, torch.Size):
        return type(tree)(_map(change, branch) for branch in tree)
    if isinstance(tree, dict):
        return {key: _map(change, branch) for key, branch in tree.items()}
    return change(tree)
