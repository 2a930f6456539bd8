"""TensorBoard event files: TFRecord framing around protobuf events, as far as scalars need it."""

from __future__ import annotations

import struct
from datetime import datetime
from typing import Any, Dict, Iterable, List

from ..protobuf import bytes_field, double_field, float_field, integer_field, text_field


def _crc_table() -> List[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ 0x82F63B78 if value & 1 else value >> 1
        table.append(value)
    return table


_TABLE = _crc_table()


def masked_crc32c(data: bytes) -> int:
    """CRC-32C, rotated and shifted as the format has it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", masked_crc32c(length)) + data + struct.pack("<I", masked_crc32c(data))


def _event(wall_time: float, step: int, rest: bytes) -> bytes:
    return double_field(1, wall_time) + integer_field(2, step) + rest


def scalar_file(points: Iterable[Dict[str, Any]]) -> bytes:
    """A whole event file with every point as a scalar of 32 bits."""
    out: List[bytes] = []
    for point in points:
        wall_time = datetime.fromisoformat(point["at"].replace("Z", "+00:00")).timestamp()
        if not out:
            out.append(_record(_event(wall_time, 0, bytes_field(3, b"brain.Event:2"))))
        value = text_field(1, point["metric"]) + float_field(2, point["value"])
        out.append(_record(_event(wall_time, int(point["step"]), bytes_field(5, bytes_field(1, value)))))
    return b"".join(out)
