"""The body of a request, by its length or in chunks (RFC 9112, 6 and 7)."""

from __future__ import annotations

import re
import socket
import time
from email.message import Message
from typing import BinaryIO

from .request import ApiError

MAX_UPLOAD_BYTES = 64 * 1024**3
_LENGTH = re.compile(r"[0-9]{1,18}")
_CHUNK_LENGTH = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(;[^\r\n]*)?\r?\n")
_MAX_CHUNK_LINE = 4096
_MAX_TRAILER_LINES = 64
# What a client goes on sending after its answer is taken for so long, and so much of it.
LINGER_S = 5.0
MAX_LINGER_BYTES = 64 * 1024**2


def malformed(what: str) -> ApiError:
    return ApiError(400, "INPUT_INVALID", f"The body of the request cannot be read: {what}.")


class RequestBody:
    """Reads a body to its end and not beyond it: what follows is the next request."""

    def __init__(self, headers: "Message[str, str]", stream: BinaryIO) -> None:
        """:raises ApiError: when the headers do not say where it ends."""
        self._stream = stream
        self._chunked = False
        # Of the body, or of the chunk that is being read.
        self._left = 0
        self._ended = False
        encodings, lengths = headers.get_all("transfer-encoding", []), headers.get_all("content-length", [])
        if encodings:
            if lengths:
                raise malformed("it has a transfer-encoding and a content-length")
            if [encoding.strip().lower() for encoding in encodings] != ["chunked"]:
                raise malformed('its transfer-encoding is not "chunked"')
            self._chunked = True
        elif lengths:
            if len(lengths) > 1 or _LENGTH.fullmatch(lengths[0].strip(" \t")) is None:
                raise malformed("its content-length is not a number")
            self._left = int(lengths[0])
            self._ended = self._left == 0
        else:
            self._ended = True

    @property
    def ended(self) -> bool:
        """Whether all of it has been read."""
        return self._ended

    def read(self, count: int) -> bytes:
        """Up to ``count`` bytes; none at the end. :raises ApiError: when it is malformed, cut short, or too large."""
        if self._ended:
            return b""
        if self._left > MAX_UPLOAD_BYTES:
            raise ApiError(413, "PAYLOAD_TOO_LARGE", "The request body is too large.")
        if self._chunked and self._left == 0:
            self._left = self._chunk_length()
            if self._left == 0:
                self._skip_trailers()
                self._ended = True
                return b""
        data = self._stream.read(min(count, self._left))
        if not data:
            raise malformed("it ends before its length")
        self._left -= len(data)
        if self._left == 0:
            if not self._chunked:
                self._ended = True
            elif self._stream.readline(3) not in (b"\r\n", b"\n"):
                raise malformed("a chunk is longer than it says")
        return data

    def _chunk_length(self) -> int:
        match = _CHUNK_LENGTH.fullmatch(self._stream.readline(_MAX_CHUNK_LINE))
        if match is None:
            raise malformed("the length of a chunk is not a hexadecimal number")
        return int(match.group(1), 16)

    def _skip_trailers(self) -> None:
        for _ in range(_MAX_TRAILER_LINES):
            line = self._stream.readline(_MAX_CHUNK_LINE)
            if line in (b"\r\n", b"\n"):
                return
            if not line.endswith(b"\n"):
                break
        raise malformed("it does not end after its last chunk")


def close_lingering(connection: socket.socket) -> None:
    """Ends our side, and reads what the client still sends until it ends its own.

    A socket that is closed with unread bytes resets the connection; the reset may overtake the answer, which the client then
    never sees (RFC 9112, 9.6).
    """
    end = time.monotonic() + LINGER_S
    left = MAX_LINGER_BYTES
    try:
        connection.shutdown(socket.SHUT_WR)
        while left > 0:
            seconds = end - time.monotonic()
            if seconds <= 0:
                return
            connection.settimeout(seconds)
            data = connection.recv(1 << 16)
            if not data:
                return
            left -= len(data)
    except OSError:
        return  # the client is gone, or silent: there is nobody to wait for
