"""Reads multipart/form-data as a stream: files go to disk while they come in."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any, BinaryIO, Callable, Dict, List, Tuple

from .fetch import safe_file_name

MAX_FIELD_BYTES = 1024 * 1024
MAX_PARTS = 36
_NAME = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")


class MalformedBody(Exception):
    """The body is not what its content type says."""


class _Reader:
    """Bytes up to a marker, in pieces, with a bounded buffer."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._buffer = b""
        self._ended = False

    def until(self, marker: bytes, write: Callable[[bytes], Any]) -> None:
        while True:
            at = self._buffer.find(marker)
            if at >= 0:
                write(self._buffer[:at])
                self._buffer = self._buffer[at + len(marker) :]
                return
            keep = len(marker) - 1
            if len(self._buffer) > keep:
                write(self._buffer[: len(self._buffer) - keep])
                self._buffer = self._buffer[len(self._buffer) - keep :]
            if not self._fill():
                raise MalformedBody("the body ends in the middle of a part")

    def take(self, count: int) -> bytes:
        while len(self._buffer) < count and self._fill():
            pass
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    def _fill(self) -> bool:
        chunk = self._read(1 << 16)
        self._buffer += chunk
        return bool(chunk)


def _collect(limit: int) -> Tuple[bytearray, Callable[[bytes], None]]:
    kept = bytearray()

    def write(data: bytes) -> None:
        kept.extend(data)
        if len(kept) > limit:
            raise MalformedBody(f"a part is larger than {limit} bytes")

    return kept, write


def read_multipart(content_type: str, read: Callable[[int], bytes], folder: Path) -> Tuple[Dict[str, str], List[Dict[str, Any]]]:
    """Fields, and the uploads that are below ``folder/<input>/<file>`` afterwards. :raises MalformedBody:"""
    match = re.search(r'boundary="?([^";]{1,70})"?', content_type)
    if match is None:
        raise MalformedBody("the content type names no boundary")
    delimiter = b"\r\n--" + match.group(1).encode()
    reader = _Reader(_prefixed(read))
    reader.until(delimiter, lambda _data: None)
    fields: Dict[str, str] = {}
    uploads: List[Dict[str, Any]] = []
    for _ in range(MAX_PARTS):
        if reader.take(2) == b"--":
            return fields, uploads
        head, write = _collect(16_384)
        reader.until(b"\r\n\r\n", write)
        text = head.decode("utf-8", "replace")
        name = re.search(r'[; ]name="([^"]*)"', text)
        file = re.search(r'filename="([^"]*)"', text)
        if name is None:
            raise MalformedBody("a part has no name")
        if file is None:
            value, write = _collect(MAX_FIELD_BYTES)
            reader.until(delimiter, write)
            fields[name.group(1)] = value.decode("utf-8", "replace")
        else:
            uploads.append(_receive(reader, delimiter, name.group(1), safe_file_name(file.group(1)), folder))
    raise MalformedBody(f"there are more than {MAX_PARTS} parts")


def _receive(reader: _Reader, delimiter: bytes, name: str, file_name: str, folder: Path) -> Dict[str, Any]:
    if not _NAME.match(name):
        raise MalformedBody(f"{name[:64]!r} is not the name of an input")
    if (folder / name).exists():
        raise MalformedBody(f"the input {name} is given twice")
    (folder / name).mkdir()
    digest, size = hashlib.sha256(), 0
    with (folder / name / file_name).open("xb") as file:

        def write(data: bytes, file: BinaryIO = file) -> None:
            nonlocal size
            digest.update(data)
            size += len(data)
            file.write(data)

        reader.until(delimiter, write)
    return {"input": name, "file": file_name, "sha256": digest.hexdigest(), "sizeBytes": size}


def _prefixed(read: Callable[[int], bytes]) -> Callable[[int], bytes]:
    """The first delimiter has no line break before it; with one, all are found alike."""
    first = [b"\r\n"]

    def next_chunk(count: int) -> bytes:
        return first.pop() if first else read(count)

    return next_chunk
