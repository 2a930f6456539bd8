"""Requests to the server: credentials, retries of what is safe to repeat, problem documents as exceptions."""

from __future__ import annotations

import http.client
import json
import os
import time
import urllib.parse
from pathlib import Path
from typing import Any, BinaryIO, Dict, Iterator, Mapping, Optional, Union

from .errors import SelvedgeError, from_problem
from .operations import OPERATIONS, Operation

DEFAULT_URL = "http://127.0.0.1:7070"
ATTEMPTS = 4
_TRANSIENT = (429, 502, 503, 504)
Body = Union[bytes, BinaryIO]


class Answer:
    """A streamed answer; to be used in a ``with`` block."""

    def __init__(self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> None:
        self._connection = connection
        self._response = response
        self.status = response.status
        self.headers = response.headers

    def __enter__(self) -> "Answer":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def read(self) -> bytes:
        with self:
            return self._response.read()

    def chunks(self, size: int = 1 << 16) -> Iterator[bytes]:
        """What has come in, as it comes in."""
        while True:
            chunk = self._response.read1(size)
            if not chunk:
                return
            yield chunk

    def lines(self) -> Iterator[str]:
        for line in self._response:
            yield line.decode("utf-8", "replace").rstrip("\n")

    def save(self, path: Union[str, Path]) -> Path:
        """Writes it to a file, which is there only when it is whole."""
        target = Path(path)
        part = target.with_name(f"{target.name}.part")
        with self, part.open("wb") as file:
            for chunk in iter(lambda: self._response.read(1 << 20), b""):
                file.write(chunk)
        part.replace(target)
        return target


class Transport:
    """Where the server is and who asks, from arguments, then environment, then the data folder, as the CLI does it."""

    def __init__(
        self,
        url: Optional[str] = None,
        token: Optional[str] = None,
        *,
        data_dir: Union[str, Path, None] = None,
        timeout_s: float = 60.0,
    ) -> None:
        folder = Path(data_dir or os.environ.get("SELVEDGE_DATA") or ".selvedge")
        local = _local_url(folder)
        self.url = (url or os.environ.get("SELVEDGE_SERVER") or local or DEFAULT_URL).rstrip("/")
        parts = urllib.parse.urlsplit(self.url)
        if parts.scheme not in ("http", "https") or parts.hostname is None:
            raise SelvedgeError("USAGE", f"Not an http(s) URL: {self.url}")
        self._parts = parts
        given = token or os.environ.get("SELVEDGE_TOKEN")
        # The folder's token goes to that folder's server or to this machine, and to nobody else.
        is_ours = self.url == local or parts.hostname in ("localhost", "::1") or parts.hostname.startswith("127.")
        self._token = given or (_read_text(folder / "admin-token") if is_ours else None)
        self._timeout_s = timeout_s

    def call(
        self,
        operation: str,
        *,
        query: Optional[Mapping[str, Any]] = None,
        body: Any = None,
        upload: Optional[Body] = None,
        content_type: Optional[str] = None,
        **params: Any,
    ) -> Any:
        """Calls an operation of docs/reference/openapi.json by its id; returns its JSON, or None.

        :param params: the parts of its path, like ``name="digits"``.
        :raises SelvedgeError: with the server's code; SERVER_UNREACHABLE when there is no answer.
        """
        answer = self.stream(operation, query=query, body=body, upload=upload, content_type=content_type, **params)
        data = answer.read()
        return json.loads(data) if data and "json" in (answer.headers.get("content-type") or "") else None

    def stream(
        self,
        operation: str,
        *,
        query: Optional[Mapping[str, Any]] = None,
        body: Any = None,
        upload: Optional[Body] = None,
        content_type: Optional[str] = None,
        **params: Any,
    ) -> Answer:
        """As ``call``, with the answer still to be read."""
        found = OPERATIONS.get(operation)
        if found is None:
            raise SelvedgeError("USAGE", f"There is no operation {operation!r}.", hint="OPERATIONS lists all of them.")
        headers: Dict[str, str] = {}
        data: Optional[Body] = upload
        if upload is not None:
            headers["content-type"] = content_type or found.request or "application/octet-stream"
        elif found.request == "application/json":
            headers["content-type"] = "application/json"
            data = json.dumps({} if body is None else body).encode()
        return self.request(found.method, _path_of(found, params, query), headers, data)

    def request(self, method: str, path: str, headers: Optional[Mapping[str, str]] = None, body: Optional[Body] = None) -> Answer:
        """One request to any path of the server; GET and HEAD are tried again."""
        attempts = ATTEMPTS if method in ("GET", "HEAD") else 1
        for attempt in range(1, attempts + 1):
            try:
                answer = self._send(method, path, headers or {}, body)
            except (OSError, http.client.HTTPException) as cause:
                error = SelvedgeError(
                    "SERVER_UNREACHABLE", f"No answer from {self.url}: {cause}", hint='Is the server up? "selvedge up" starts one.', retryable=True
                )
                if attempt == attempts:
                    raise error from cause
            else:
                if answer.status < 400:
                    return answer
                if answer.status not in _TRANSIENT or attempt == attempts:
                    raise _error_of(answer)
                answer.read()
            time.sleep(0.2 * 2**attempt)
        raise AssertionError("unreachable")

    def _send(self, method: str, path: str, headers: Mapping[str, str], body: Optional[Body]) -> Answer:
        secure = self._parts.scheme == "https"
        connect = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = connect(self._parts.hostname or "", self._parts.port, timeout=self._timeout_s)
        authorization = {"authorization": f"Bearer {self._token}"} if self._token else {}
        try:
            try:
                connection.request(method, self._parts.path + path, body, {**authorization, **_length_of(body), **headers})
            except (BrokenPipeError, ConnectionResetError):
                pass  # a server that refuses an upload answers before it has read all of it
            return Answer(connection, connection.getresponse())
        except BaseException:
            connection.close()
            raise


def _length_of(body: Optional[Body]) -> Dict[str, str]:
    """The size of a file that is sent, so that the server knows it; that of bytes is sent anyway."""
    if body is None or isinstance(body, bytes):
        return {}
    at = body.tell()
    end = body.seek(0, os.SEEK_END)
    body.seek(at)
    return {"content-length": str(end - at)}


def _error_of(answer: Answer) -> SelvedgeError:
    data = answer.read()
    try:
        document = json.loads(data)
    except ValueError:
        document = None  # not ours: something in between has answered
    return from_problem(answer.status, document)


def _path_of(operation: Operation, params: Mapping[str, Any], query: Optional[Mapping[str, Any]]) -> str:
    path = operation.path
    for key, value in params.items():
        if f"{{{key}}}" not in path:
            raise SelvedgeError("USAGE", f"{operation.path} has no part {key!r}.")
        path = path.replace(f"{{{key}}}", urllib.parse.quote(str(value), safe=""))
    if "{" in path:
        raise SelvedgeError("USAGE", f"A part of {operation.path} is missing.")
    given = {key: _text(value) for key, value in (query or {}).items() if value is not None}
    return f"{path}?{urllib.parse.urlencode(given)}" if given else path


def _text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _local_url(folder: Path) -> Optional[str]:
    text = _read_text(folder / "server.json")
    return None if text is None else str(json.loads(text)["url"]).rstrip("/")


def _read_text(path: Path) -> Optional[str]:
    try:
        return path.read_text().strip() or None
    except (FileNotFoundError, NotADirectoryError):
        return None
