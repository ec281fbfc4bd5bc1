"""Integer networks on disk: one safetensors file with packed codes, integer tables and a program in JSON.

No class of a network is named and no pickle read. A file is checked before anything of the size it claims is
allocated: types and ranges of all settings, sizes of tensors, one hash over everything, and that describing
the program again gives the same text and tensors. At last the program runs once on an empty sample.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import math
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import CheckpointError, FormatError, SnnkitError, quote
from ..files import write_atomically
from ..readout import READOUTS
from .ops_integer import IntegerOps
from .packing import code_width, is_odd, pack_codes, packed_bytes, unpack_codes
from .program import Instruction, IntegerModel, Program

__all__ = ["load_integer", "save_integer"]

_FORMAT, _VERSION = "snnkit-integer", 1
_FAULTS = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError, SnnkitError)
_SAMPLE = 2**26  # values of one sample at one step
_SIGNED = ("v_rest", "v_reset")  # settings that may be negative
_SHIFTS = 62  # bits by which an int64 may be shifted
_CONV = {"stride", "padding", "dilation", "groups"}
_HEAD = ("input_shape", "input_scale", "input_high", "output", "output_scale", "readout")


def save_integer(model: IntegerModel, path: str | os.PathLike[str]) -> None:
    """Write an integer network, atomically.

    Raises:
        CheckpointError: the file cannot be written; an older one is untouched.
    """
    try:
        write_atomically(path, serialised(model.program))
    except OSError as error:
        raise CheckpointError(
            f"{quote(str(path))}: the integer model could not be written: {error}. Free space or choose "
            "another path; an earlier file is untouched."
        ) from error


def load_integer(path: str | os.PathLike[str]) -> IntegerModel:
    """Read what :func:`save_integer` wrote; outputs are equal to the bit.

    Raises:
        FormatError: missing, malformed or altered.
    """
    from safetensors import SafetensorError

    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise FormatError(path, f"cannot be read: {error}.", hint="Give a file of save_integer.") from error
    try:
        program = _parse(data)
        model = IntegerModel(program)
        model(torch.zeros(1, 1, *program.input_shape))
    except (*_FAULTS, SafetensorError) as error:
        reason = f"no integer network ({type(error).__name__}: {' '.join(str(error).split())[:300]})."
        raise FormatError(path, reason, hint="Write it again with save_integer.") from error
    return model


def serialised(program: Program) -> bytes:
    """The bytes of the file of a program."""
    from safetensors.torch import save

    text, tensors = _described(program)
    data = save(tensors, {"program": text, "sha256": _digest(text, tensors)})
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])  # whose metadata come in any order
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    ordered = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    return data[:8] + ordered.ljust(end - 8) + data[end:]


def _described(program: Program) -> tuple[str, dict[str, Tensor]]:
    """The program as JSON, and its tensors as they are stored."""
    tensors: dict[str, Tensor] = {}
    code = []
    for i, instruction in enumerate(program.instructions):
        described = {}
        for name, tensor in sorted(instruction.tensors.items()):
            stored, described[name] = _stored(name, tensor)
            tensors[f"{i}.{name}"] = stored
        code.append([instruction.op, list(instruction.inputs), instruction.args, described, instruction.path])
    head = {name: getattr(program, name) for name in _HEAD} | {"input_shape": list(program.input_shape)}
    return json.dumps({"format": _FORMAT, "version": _VERSION, **head, "code": code}, sort_keys=True), tensors


def _digest(text: str, tensors: dict[str, Tensor]) -> str:
    total = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        total.update(name.encode())
        total.update(tensors[name].contiguous().numpy().tobytes())
    return total.hexdigest()


def _stored(name: str, tensor: Tensor) -> tuple[Tensor, dict[str, Any]]:
    """A tensor as it lies in the file, and what is needed to read it."""
    if name == "codes":
        width = code_width(tensor)
        described = {"shape": list(tensor.shape), "bits": width, "odd": is_odd(tensor)}
        return pack_codes(tensor, width), described
    narrow = not tensor.numel() or int(tensor.abs().max()) < 2**31
    stored = tensor.to(torch.int32 if narrow else torch.int64).contiguous()
    return stored, {"shape": list(tensor.shape), "bits": 32 if narrow else 64, "odd": False}


def _parse(data: bytes) -> Program:
    from safetensors.torch import load

    length = int.from_bytes(data[:8], "little")
    if not 2 <= length <= len(data) - 8:
        raise FormatError(f"a header of {length} bytes in a file of {len(data)}")
    header = data[8 : 8 + length].rstrip(b" ")
    described = json.loads(header)
    if json.dumps(described, separators=(",", ":"), ensure_ascii=False).encode() != header:
        raise FormatError("its header is not in the form in which it is written")
    metadata, tensors = described["__metadata__"], load(data)
    if set(metadata) != {"program", "sha256"} or metadata["sha256"] != _digest(metadata["program"], tensors):
        raise FormatError("its hash differs")
    tree = json.loads(metadata["program"])
    if (tree["format"], tree["version"]) != (_FORMAT, _VERSION):
        raise FormatError(f"format {quote(tree['format'])}, version {quote(tree['version'])}")
    shape = tuple(_whole(s, 1, _SAMPLE) for s in tree["input_shape"])
    if not 1 <= len(shape) <= 4 or math.prod(shape) > _SAMPLE:
        raise FormatError(f"a sample of shape {shape}")
    if tree["readout"] is not None and tree["readout"] not in READOUTS:
        raise FormatError(f"read-out {quote(tree['readout'])}")
    scales = [float(tree[name]) for name in ("input_scale", "output_scale")]
    if not all(math.isfinite(s) and s > 0 for s in scales):
        raise FormatError(f"scales {scales}")
    code = tuple(_instruction(i, entry, tensors) for i, entry in enumerate(tree["code"]))
    high, output = _whole(tree["input_high"], 1, 65_535), _whole(tree["output"], 0, len(code))
    program = Program(code, shape, scales[0], high, output, scales[1], tree["readout"])
    text, again = _described(program)
    same = again.keys() == tensors.keys() and all(torch.equal(again[name], tensors[name]) for name in again)
    if text != metadata["program"] or not same:
        raise FormatError("it is not in the form in which it is written")
    return program


def _instruction(i: int, entry: Any, tensors: dict[str, Tensor]) -> Instruction:
    op, inputs, args, described, path = entry
    known = [name for name in dir(IntegerOps) if name[0] != "_" and name != "start"]
    if op not in known or not isinstance(path, str):
        raise FormatError(f"instruction {i}: {quote(op)}")
    parameters = inspect.signature(getattr(IntegerOps, op)).parameters.values()
    keywords = {p.name for p in parameters if p.kind is p.KEYWORD_ONLY} - (
        {"sizes"} if op == "unfold" else set()
    )
    if set(args) != keywords:
        raise FormatError(f"instruction {i}: settings {quote(sorted(args))}, expected {sorted(keywords)}")
    if len(inputs) + len(described) != sum(p.kind is not p.KEYWORD_ONLY for p in parameters):
        raise FormatError(f"instruction {i}: {len(inputs)} values and {len(described)} tensors")
    for name, setting in args.items():
        low = -(2**53) if name in _SIGNED else 0
        high = _SHIFTS if name in ("shift", "bits", "grid") else 2**53
        for value in _leaves(setting):
            if not isinstance(value, int | str | None) or (
                isinstance(value, int) and not low <= value <= high
            ):
                raise FormatError(f"instruction {i}: setting {name} {quote(value)}")
    if args.get("conv") is not None and set(args["conv"]) != _CONV:
        raise FormatError(f"instruction {i}: conv {quote(args['conv'])}")
    found = {name: _unpacked(tensors[f"{i}.{name}"], name, d) for name, d in described.items()}
    return Instruction(op, tuple(_whole(s, 0, i) for s in inputs), args, found, path)


def _unpacked(stored: Tensor, name: str, described: dict[str, Any]) -> Tensor:
    shape = tuple(_whole(s, 0, 2**31) for s in described["shape"])
    bits = _whole(described["bits"], 1, 64)
    if name != "codes":
        if tuple(stored.shape) != shape or stored.dtype != {32: torch.int32, 64: torch.int64}.get(bits):
            raise FormatError(f"tensor {name} is {tuple(stored.shape)} {stored.dtype}")
        return stored.long()
    size = packed_bytes(shape[0], math.prod(shape[1:]), bits)
    if not 2 <= len(shape) <= 4 or bits > 16 or stored.dtype != torch.uint8 or stored.numel() != size:
        raise FormatError(f"{stored.numel()} bytes of codes for {shape} of {bits} bits")
    return unpack_codes(stored.reshape(shape[0], -1), shape, bits, bool(described["odd"]))


def _whole(value: Any, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise FormatError(f"{quote(value)} where an int in [{low}, {high}] belongs")
    return value


def _leaves(tree: Any) -> list[Any]:
    if isinstance(tree, dict):
        return [leaf for branch in tree.values() for leaf in _leaves(branch)]
    return [leaf for branch in tree for leaf in _leaves(branch)] if isinstance(tree, list) else [tree]
