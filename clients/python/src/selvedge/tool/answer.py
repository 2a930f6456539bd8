"""What the answers of a tool are made of: media types, byte ranges, chunks."""

from __future__ import annotations

import re
from typing import BinaryIO, Optional, Tuple

MEDIA_TYPES = {
    ".json": "application/json", ".jsonl": "application/jsonl", ".txt": "text/plain; charset=utf-8",
    ".csv": "text/csv; charset=utf-8", ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg",
    ".webp": "image/webp", ".zip": "application/zip",
}  # fmt: skip


class ChunkedWriter:
    """What zipfile writes to: a stream that cannot be rewound."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out

    def write(self, data: bytes) -> int:
        if data:
            self._out.write(b"%x\r\n%s\r\n" % (len(data), bytes(data)))
        return len(data)

    def flush(self) -> None:
        self._out.flush()


def byte_range(header: Optional[str], size: int) -> Optional[Tuple[int, int, bool]]:
    """Start, end, and whether it is a part; the whole for what is no range; None when there is nothing in it (RFC 9110, 14.1.2)."""
    match = re.match(r"^bytes=(\d*)-(\d*)$", header or "")
    if match is None or match.group(0) == "bytes=-":
        return 0, size, False
    first, last = match.groups()
    if first == "":
        length = min(int(last), size)
        return (size - length, size, True) if length > 0 else None
    if last and int(last) < int(first):
        return 0, size, False
    if int(first) >= size:
        return None
    return int(first), min(int(last) + 1, size) if last else size, True
