"""Weights in a form that processors multiply fast: a GGUF file with its Q4_1 tensors written as Q8_0.

llama.cpp has fast kernels for matrices of Q8_0 and none for Q4_1. The file grows by half; what changes in the numbers
is far less than Q4_1 has lost already.

A GGUF file is a header (magic, version, counts, key-values, one description of each tensor) and the tensors' bytes,
each at a multiple of the alignment. The format is described in ``docs/gguf.md`` of the ggml project, and the blocks of
32 numbers in its ``src/ggml-common.h``: Q4_1 is a scale d, a minimum m and 4-bit q with x = d * q + m, where the first
16 numbers are the low halves of the bytes; Q8_0 is a scale d and 8-bit signed q with x = d * q.
"""

import math
import mmap
import os
import struct
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.errors import ModelUnavailable

_F32, _F16, _Q4_1, _Q8_0 = 0, 1, 3, 8
_BLOCKS: dict[int, tuple[int, np.dtype[Any]]] = {  # a tensor type's numbers in a block, and the block
    _F32: (1, np.dtype("<f4")),
    _F16: (1, np.dtype("<f2")),
    _Q4_1: (32, np.dtype([("d", "<f2"), ("m", "<f2"), ("q", "u1", 16)])),
    _Q8_0: (32, np.dtype([("d", "<f2"), ("q", "i1", 32)])),
}
# Types of values.
_STRING, _ARRAY = 8, 9
_SCALAR_BYTES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_FILE_IS_Q8_0 = 7
_CHUNK = 8192
"""Blocks worked on at a time: what they take stays in the processor's cache."""


class _Tensor(NamedTuple):
    description: bytes
    """Name and dimensions as the file has them."""
    kind: int
    blocks: int
    start: int
    """Where its bytes begin, counted from the first tensor's."""

    def size(self, kind: int) -> int:
        return self.blocks * _BLOCKS[kind][1].itemsize


def requantize(source: Path, target: Path) -> None:
    """Write the GGUF file ``source`` to ``target``, its Q4_1 tensors as Q8_0 and everything else as it is.

    The same ``source`` gives the same bytes on every machine: each step is one operation of IEEE float32, which has one
    right result. Raises ModelUnavailable where ``source`` is no GGUF file, is cut short, or holds other tensor types.
    """
    try:
        with source.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            header = _Header(data)
            tensors = header.tensors()
            begin = _aligned(header.position, header.alignment)
            if any(begin + tensor.start + tensor.size(tensor.kind) > len(data) for tensor in tensors):
                raise ValueError("it is cut short")
            with target.open("wb") as output:
                output.write(_new_header(data, header, tensors))
                for tensor in tensors:
                    _pad(output, header.alignment)
                    _write_tensor(output, tensor, data, begin + tensor.start)
                output.flush()
                os.fsync(output.fileno())
    except ValueError as error:
        raise ModelUnavailable(f"The weights in {source} cannot be read: {error}; remove the file.") from None


class _Header:
    """Reads a file's header from front to back."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self.position, self.alignment = 0, 32
        if self._take(4) != b"GGUF":
            raise ValueError("it is no GGUF file")
        version, self._tensor_count, keys = self._numbers("<IQQ")
        if version not in (2, 3):
            raise ValueError(f"it is GGUF of version {version}, not 2 or 3")
        self.file_type_at: int | None = None
        for _ in range(keys):
            self._key_value()
        self.tensors_at = self.position

    def tensors(self) -> list[_Tensor]:
        return [self._tensor() for _ in range(self._tensor_count)]

    def _tensor(self) -> _Tensor:
        begin = self.position
        name = self._string()
        (rank,) = self._numbers("<I")
        dimensions = np.frombuffer(self._take(8 * rank), "<u8")
        description = self._data[begin : self.position]
        kind, start = self._numbers("<IQ")
        if kind not in _BLOCKS:
            raise ValueError(f"its tensor {name.decode(errors='replace')} is of a type not known here ({kind})")
        return _Tensor(description, kind, math.prod(map(int, dimensions)) // _BLOCKS[kind][0], start)

    def _key_value(self) -> None:
        key = self._string()
        (kind,) = self._numbers("<I")
        if key == b"general.file_type":
            self.file_type_at = self.position
        value = self._value(kind)
        if key == b"general.alignment":
            self.alignment = int.from_bytes(value, "little")

    def _value(self, kind: int) -> bytes:
        if kind == _STRING:
            return self._string()
        if kind != _ARRAY:
            return self._take(_scalar_bytes(kind))
        item, count = self._numbers("<IQ")
        if item in (_STRING, _ARRAY):
            return b"".join(self._value(item) for _ in range(count))
        return self._take(count * _scalar_bytes(item))

    def _string(self) -> bytes:
        return self._take(*self._numbers("<Q"))

    def _numbers(self, layout: str) -> tuple[int, ...]:
        return struct.unpack(layout, self._take(struct.calcsize(layout)))

    def _take(self, size: int) -> bytes:
        if self.position + size > len(self._data):
            raise ValueError("it is cut short")
        self.position += size
        return self._data[self.position - size : self.position]


def _scalar_bytes(kind: int) -> int:
    if kind not in _SCALAR_BYTES:
        raise ValueError(f"it holds a value of a type not known here ({kind})")
    return _SCALAR_BYTES[kind]


def _new_header(data: mmap.mmap, header: _Header, tensors: list[_Tensor]) -> bytes:
    result = bytearray(data[: header.tensors_at])
    if header.file_type_at is not None:
        struct.pack_into("<I", result, header.file_type_at, _FILE_IS_Q8_0)
    start = 0
    for tensor in tensors:
        kind = _new_kind(tensor)
        result += tensor.description + struct.pack("<IQ", kind, start)
        start = _aligned(start + tensor.size(kind), header.alignment)
    return bytes(result)


def _new_kind(tensor: _Tensor) -> int:
    return _Q8_0 if tensor.kind == _Q4_1 else tensor.kind


def _write_tensor(output: IO[bytes], tensor: _Tensor, data: mmap.mmap, begin: int) -> None:
    _, block = _BLOCKS[tensor.kind]
    for first in range(0, tensor.blocks, _CHUNK):
        at = begin + first * block.itemsize
        raw = data[at : at + min(_CHUNK, tensor.blocks - first) * block.itemsize]
        output.write(_to_q8_0(np.frombuffer(raw, block)).tobytes() if tensor.kind == _Q4_1 else raw)


def _to_q8_0(blocks: NDArray[np.void]) -> NDArray[np.void]:
    numbers = np.empty((len(blocks), 32), np.float32)
    numbers[:, :16] = blocks["q"] & 15
    numbers[:, 16:] = blocks["q"] >> 4
    numbers *= blocks["d"].astype(np.float32)[:, None]
    numbers += blocks["m"].astype(np.float32)[:, None]
    scale = np.abs(numbers).max(axis=1) / np.float32(127)
    numbers /= np.where(scale, scale, np.float32(1))[:, None]
    result: NDArray[np.void] = np.empty(len(blocks), _BLOCKS[_Q8_0][1])
    result["d"] = scale
    result["q"] = np.rint(numbers)
    return result


def _aligned(position: int, alignment: int) -> int:
    return -(-position // alignment) * alignment


def _pad(output: IO[bytes], alignment: int) -> None:
    output.write(bytes(_aligned(output.tell(), alignment) - output.tell()))
