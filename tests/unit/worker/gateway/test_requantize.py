"""Requantizing a GGUF file, made here from the description of the format."""

import struct
from pathlib import Path

import numpy as np
import pytest

from shared.errors import ModelUnavailable
from worker.gateway.requantize import requantize

F32, Q4_1, Q6_K, Q8_0 = 0, 3, 14, 8
ALIGNMENT = 64
Tensors = dict[str, tuple[int, tuple[int, ...], bytes]]
"""Name to type, dimensions and bytes."""


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def key_values() -> list[bytes]:
    """One of each shape a value can have."""
    words = b"".join(map(text, ("a", "bc", "déf")))
    nested = struct.pack("<IQIQ3B", 9, 1, 0, 3, 1, 2, 3)
    return [
        text("general.architecture") + struct.pack("<I", 8) + text("llama"),
        text("general.alignment") + struct.pack("<II", 4, ALIGNMENT),
        text("general.file_type") + struct.pack("<II", 4, 3),
        text("words") + struct.pack("<IIQ", 9, 8, 3) + words,
        text("numbers") + struct.pack("<IIQ3f", 9, 6, 3, 1.0, 2.0, 3.0),
        text("nested") + struct.pack("<I", 9) + nested,
        text("yes") + struct.pack("<IB", 7, 1),
        text("big") + struct.pack("<Iq", 11, -(2**40)),
    ]


def padding(length: int) -> bytes:
    return bytes(-length % ALIGNMENT)


def gguf(tensors: Tensors, values: list[bytes] | None = None, version: int = 3) -> bytes:
    values = key_values() if values is None else values
    header = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(values)) + b"".join(values)
    data = b""
    for name, (kind, dimensions, raw) in tensors.items():
        data += padding(len(data))
        shape = struct.pack(f"<I{len(dimensions)}Q", len(dimensions), *dimensions)
        header += text(name) + shape + struct.pack("<IQ", kind, len(data))
        data += raw
    return header + padding(len(header)) + data


def q4_1(blocks: int, seed: int = 0) -> tuple[bytes, np.ndarray]:
    """Blocks of Q4_1, and the numbers they stand for, worked out one by one."""
    source = np.random.default_rng(seed)
    raw, numbers = b"", []
    for _ in range(blocks):
        scale, minimum = np.float16(source.uniform(0.001, 0.1)), np.float16(source.uniform(-1, 0.2))
        packed = source.integers(0, 256, 16, dtype=np.uint8)
        raw += scale.tobytes() + minimum.tobytes() + packed.tobytes()
        fours = [int(byte) & 15 for byte in packed] + [int(byte) >> 4 for byte in packed]
        numbers.append([float(scale) * four + float(minimum) for four in fours])
    return raw, np.array(numbers)


def convert(data: bytes, folder: Path) -> bytes:
    (folder / "source.gguf").write_bytes(data)
    requantize(folder / "source.gguf", folder / "target.gguf")
    return (folder / "target.gguf").read_bytes()


@pytest.mark.parametrize("version", [2, 3])
def test_q4_1_becomes_q8_0_and_nothing_else_changes(tmp_path: Path, version: int) -> None:
    matrix, numbers = q4_1(2 * 3)
    norm, other = np.arange(7, dtype="<f4").tobytes(), bytes(range(34))
    source = gguf({"norm": (F32, (7,), norm), "matrix": (Q4_1, (64, 3), matrix), "other": (Q8_0, (32,), other)})
    result = convert(source.replace(b"GGUF\x03", b"GGUF" + bytes([version])), tmp_path)
    at = result.rindex(norm) + ALIGNMENT
    written = result[at : at + 6 * 34]
    values = [value.replace(struct.pack("<II", 4, 3), struct.pack("<II", 4, 7)) for value in key_values()]
    tensors: Tensors = {
        "norm": (F32, (7,), norm),
        "matrix": (Q8_0, (64, 3), written),
        "other": (Q8_0, (32,), other),
    }
    assert result == gguf(tensors, values, version)
    blocks = np.frombuffer(written, np.dtype([("scale", "<f2"), ("eights", "i1", 32)]))
    restored = blocks["scale"].astype(float)[:, None] * blocks["eights"]
    largest = np.abs(numbers).max(axis=1, keepdims=True)
    # Half a step, and what the scale loses as a float16.
    assert (np.abs(restored - numbers) <= largest * (0.5 / 127 + 2**-11)).all()
    assert (np.abs(blocks["eights"].astype(int)).max(axis=1) == 127).all()


def test_more_blocks_than_are_worked_on_at_a_time(tmp_path: Path) -> None:
    raw, _ = q4_1(1)
    blocks = 8192 + 3
    result = convert(gguf({"matrix": (Q4_1, (32, blocks), raw * blocks)}), tmp_path)
    assert result.endswith(result[-34:] * blocks) and struct.pack("<II", 4, 7) in result


@pytest.mark.filterwarnings("error")  # what 0 divided by 0 becomes as an integer differs between processors
def test_a_block_of_zeros_stays_one(tmp_path: Path) -> None:
    assert convert(gguf({"matrix": (Q4_1, (32,), bytes(20))}), tmp_path).endswith(bytes(34))


def test_a_file_without_the_usual_keys(tmp_path: Path) -> None:
    source = gguf({"empty": (F32, (0,), b"")}, [])
    assert convert(source, tmp_path) == source


def test_every_cut_is_a_sentence(tmp_path: Path) -> None:
    whole = gguf({"norm": (F32, (7,), bytes(28)), "matrix": (Q4_1, (32,), bytes(range(20)))})
    for length in range(4, len(whole)):
        with pytest.raises(ModelUnavailable, match=r"^The weights in .*source\.gguf cannot be read: it is cut short; "):
            convert(whole[:length], tmp_path)
    assert not (tmp_path / "target.gguf").exists()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "cannot mmap an empty file"),
        (b"GG", "it is cut short"),
        (b"PK\x03\x04" + bytes(40), "it is no GGUF file"),
        (gguf({}, version=1), "it is GGUF of version 1, not 2 or 3"),
        (gguf({"matrix": (Q6_K, (256,), bytes(210))}), r"its tensor matrix is of a type not known here \(14\)"),
        (gguf({}, [text("key") + struct.pack("<II", 13, 0)]), r"it holds a value of a type not known here \(13\)"),
    ],
)
def test_what_cannot_be_converted(tmp_path: Path, data: bytes, reason: str) -> None:
    with pytest.raises(ModelUnavailable, match=f"cannot be read: {reason}; "):
        convert(data, tmp_path)
