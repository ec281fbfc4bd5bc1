"""Leaves no trace of a trace: states, random numbers, training flags and back-end switches.

Every batch starts from the state in which the model was handed in (its reset policy is the caller's),
and the model is given back in that state, also if it raises.
"""

from __future__ import annotations

import random
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

__all__ = ["Snapshot", "decomposed_recurrence", "same_random_numbers", "unfused"]

_OWN = ("_parameters", "_modules", "_buffers")  # registered members; buffers are saved with their values
_MUTABLE = (list, dict, set, deque)


class Snapshot:
    """Attributes, buffers and state tensors of all modules, to be put back by :meth:`restore`.

    Covers rebound attributes, tensors changed in place (buffers, attributes, items of nested lists, tuples,
    sets, deques and dicts) and changed containers. Parameters are not copied:
    :meth:`changed_parameters` tells which changed. Buffers of scripted modules are put back by value.
    """

    def __init__(self, model: nn.Module) -> None:
        self._values: list[tuple[Tensor, Tensor]] = []
        self._modules: list[nn.Module] = []
        scripted: list[nn.Module] = []  # keep their members in C++: neither listed nor replaced
        for module in model.modules():
            (scripted if isinstance(module, torch.jit.ScriptModule) else self._modules).append(module)
        self._saved = [self._save(m) for m in self._modules]
        for module in scripted:
            for buffer in module.buffers(recurse=False):
                self._keep(buffer)
        self._parameters = [(n, p, _version(p)) for n, p in model.named_parameters()]

    def _save(self, module: nn.Module) -> tuple[dict[str, Any], dict[str, Any], list[tuple[Any, Any]]]:
        attributes = {k: v for k, v in vars(module).items() if k not in _OWN and not _is_hook(k)}
        buffers = dict(module._buffers)
        containers: dict[int, tuple[Any, Any]] = {}
        for value in [*attributes.values(), *buffers.values()]:
            self._save_value(value, containers)
        return attributes, buffers, list(containers.values())

    def _save_value(self, value: Any, containers: dict[int, tuple[Any, Any]]) -> None:
        """Tensors by value, containers by their items, all the way down."""
        if isinstance(value, Tensor):
            self._keep(value)
        elif isinstance(value, (*_MUTABLE, tuple)) and id(value) not in containers:
            if isinstance(value, _MUTABLE):
                containers[id(value)] = (value, value.copy())
            for item in value.values() if isinstance(value, dict) else value:
                self._save_value(item, containers)

    def _keep(self, tensor: Tensor) -> None:
        if not isinstance(tensor, nn.Parameter) and tensor.layout == torch.strided:
            self._values.append((tensor, tensor.detach().clone()))

    def restore(self) -> None:
        """Put everything back."""
        for module, (attributes, buffers, containers) in zip(self._modules, self._saved, strict=True):
            own = vars(module)
            for name in [k for k in own if k not in _OWN and not _is_hook(k) and k not in attributes]:
                del own[name]
            own.update(attributes)
            module._buffers.clear()
            module._buffers.update(buffers)
            for container, copy in containers:
                container.clear()
                container.extend(copy) if isinstance(container, (list, deque)) else container.update(copy)
        with torch.no_grad():
            for tensor, value in self._values:
                # not by version: batch norm updates its statistics without counting a version
                fixed = tensor.is_inference() and not torch.is_inference_mode_enabled()
                if not fixed and tensor.shape == value.shape and not torch.equal(tensor, value):
                    tensor.copy_(value)

    def changed_parameters(self) -> list[str]:
        """Names of parameters that the model changed in place."""
        return [name for name, p, version in self._parameters if _version(p) != version]


def _is_hook(name: str) -> bool:
    return name.startswith(
        ("_forward_", "_backward_", "_state_dict_", "_load_state_dict_", "_non_persistent")
    )


def _version(tensor: Tensor) -> int:
    return -1 if tensor.is_inference() else tensor._version


@contextmanager
def same_random_numbers() -> Iterator[None]:
    """Give torch's, Python's and numpy's generators back as they were."""
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - models may use it
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002


@contextmanager
def unfused() -> Iterator[None]:
    """Attention runs as matrix products and softmax; compiled functions run as written."""
    fast = torch.backends.mha.get_fastpath_enabled()
    with ExitStack() as stack:
        stack.callback(torch.backends.mha.set_fastpath_enabled, fast)
        torch.backends.mha.set_fastpath_enabled(False)
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        if "torch._dynamo" in sys.modules:
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        yield


@contextmanager
def decomposed_recurrence() -> Iterator[None]:
    """LSTM, GRU and RNN run as matrix products and gates instead of one fused kernel.

    The setters below are the ones behind ``torch.backends.*.flags``; that context manager also
    rewrites unrelated precision settings, and warns about them.
    """
    mkldnn, cudnn = torch._C._get_mkldnn_enabled(), torch._C._get_cudnn_enabled()
    torch._C._set_mkldnn_enabled(False)
    torch._C._set_cudnn_enabled(False)
    try:
        yield
    finally:
        torch._C._set_mkldnn_enabled(mkldnn)
        torch._C._set_cudnn_enabled(cudnn)
