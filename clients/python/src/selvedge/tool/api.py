"""The HTTP face of a tool; what each route means: packages/contract/src/tool-api.ts."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import shutil
import stat
import threading
import urllib.parse
import uuid
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from .answer import MEDIA_TYPES, ChunkedWriter, byte_range
from .body import RequestBody, close_lingering
from .definition import Tool
from .metrics import VIEWS, render
from .multipart import MalformedBody, read_multipart
from .request import TITLES, ApiError, check_request, invalid, parse_json
from .runner import Runner
from .store import Artifact, ArtifactStore, Conflict, list_files

MAX_REQUEST_BYTES = 1024 * 1024
# Requests at a time; further connections wait.
MAX_CONNECTIONS = 64
# A client that sends nothing for so long is let go.
IDLE_S = 60


class ToolServer(ThreadingHTTPServer):
    """One thread per connection, a bounded number of them."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: Tuple[str, int], tool: Tool, store: ArtifactStore, runner: Runner, token: str) -> None:
        super().__init__(address, ToolHandler)
        self.tool, self.store, self.runner = tool, store, runner
        self.token_digest = hashlib.sha256(token.encode()).digest()
        self.description = tool.describe()
        self._slots = threading.BoundedSemaphore(MAX_CONNECTIONS)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._slots.acquire()
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is nothing to report; what else goes wrong is answered in the handler."""


class ToolHandler(BaseHTTPRequestHandler):
    server: ToolServer
    protocol_version = "HTTP/1.1"
    timeout = IDLE_S

    def do_GET(self) -> None:
        self._answer()

    do_HEAD = do_POST = do_DELETE = do_PUT = do_GET

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Requests are not logged: the server in front of the tool sees them."""

    def _answer(self) -> None:
        # None: where it ends is not known.
        self._body: Optional[RequestBody] = None
        try:
            self._body = RequestBody(self.headers, self.rfile)
            self._authenticate()
            self._route()
        except ApiError as error:
            self._problem(error)
        except (BrokenPipeError, ConnectionError, TimeoutError):
            self.close_connection = True
        except Exception as error:  # answered, and written to stderr for who runs the tool
            self.log_error_line(error)
            self._problem(ApiError(500, "INTERNAL", TITLES["INTERNAL"]))
        if not self._body_ended:
            self.close_connection = True  # what was not read of the body would be taken for the next request
            close_lingering(self.connection)

    @property
    def _body_ended(self) -> bool:
        return self._body is not None and self._body.ended

    def log_error_line(self, error: Exception) -> None:
        import sys
        import traceback

        print("".join(traceback.format_exception(type(error), error, error.__traceback__)), file=sys.stderr)

    def _authenticate(self) -> None:
        match = re.match(r"^Bearer +(\S+)$", self.headers.get("authorization", ""), re.IGNORECASE)
        given = hashlib.sha256((match.group(1) if match else "").encode()).digest()
        if not hmac.compare_digest(given, self.server.token_digest):
            raise ApiError(401, "UNAUTHENTICATED", "The request carries no valid bearer token.")

    # Routes

    def _route(self) -> None:
        path, _, query = self.path.partition("?")
        parts = [urllib.parse.unquote(part) for part in path.split("/")[1:]]
        method = "GET" if self.command == "HEAD" else self.command
        store, runner = self.server.store, self.server.runner
        if parts == [""] and method == "GET":
            self._json(200, self.server.description)
        elif parts == ["health"] and method == "GET":
            queued = sum(artifact.status["status"] == "queued" for artifact in store.list())
            self._json(200, {"status": "ok", "busyWith": runner.busy_with, "queued": queued})
        elif parts in (["artifacts"], ["artifacts", ""]) and method == "GET":
            self._json(200, {"items": [self._summary(artifact) for artifact in store.list()]})
        elif parts in (["artifacts"], ["artifacts", ""]) and method == "POST":
            self._create()
        elif len(parts) >= 2 and parts[0] == "artifacts":
            artifact = store.get(parts[1])
            if artifact is None:
                raise ApiError(404, "NOT_FOUND", f"There is no artifact {parts[1][:128]!r} here.")
            self._artifact_route(method, artifact, parts[2:] or [""], dict(urllib.parse.parse_qsl(query)))
        else:
            raise ApiError(404, "NOT_FOUND", "There is no such route here.", hint="GET / describes this tool.")

    def _artifact_route(self, method: str, artifact: Artifact, parts: List[str], query: Dict[str, str]) -> None:
        what, rest = parts[0], parts[1:]
        if method == "DELETE" and what == "":
            self.server.runner.cancel(artifact)
            self.server.store.remove(artifact)
            self._send(204, b"", {})
        elif method == "POST" and what == "cancel":
            self.server.runner.cancel(artifact)
            self._json(202, self._summary(artifact))
        elif method != "GET":
            raise ApiError(404, "NOT_FOUND", "There is no such route here.")
        elif what == "" and not rest:
            self._json(200, self._summary(artifact))
        elif what == "status" and not rest:
            self._json(200, artifact.status)
        elif what == "input-parameters" and not rest:
            self._json(200, artifact.parameters)
        elif what == "log" and not rest:
            self._log(artifact, query.get("follow") in ("1", "true"))
        elif what in ("data", "files"):
            self._data(artifact, what, rest)
        elif what == "input-files":
            folder = artifact.root / "input-files"
            if rest and rest != [""]:
                self._file(folder, rest)
            else:
                self._json(200, {"items": [{"name": path, "sizeBytes": size} for path, size in list_files(folder)]})
        elif what == "metrics":
            self._metrics(artifact, rest, query)
        else:
            raise ApiError(404, "NOT_FOUND", "There is no such route here.")

    def _summary(self, artifact: Artifact) -> Dict[str, Any]:
        tool = self.server.tool
        return {"name": artifact.name, "type": tool.makes, "tool": tool.name, "url": f"/artifacts/{artifact.name}/", "state": artifact.status}

    def _create(self) -> None:
        content_type = self.headers.get("content-type", "")
        store, uploads, folder = self.server.store, [], None
        if content_type.startswith("multipart/form-data"):
            folder = store.staging_folder()
        elif not content_type.startswith("application/json"):
            raise ApiError(415, "UNSUPPORTED_MEDIA", "Send application/json or multipart/form-data.")
        try:
            if folder is None:
                body = self._read_json_body()
            else:
                fields, uploads = read_multipart(content_type, self._read_body, folder)
                if "request" not in fields:
                    raise invalid([{"path": "request", "message": 'a multipart body needs the field "request" with the JSON of the request'}])
                body = parse_json(fields["request"])
            artifact, status, created = store.create(check_request(self.server.tool, body, uploads), uploads, folder)
        except MalformedBody as error:
            raise ApiError(400, "INPUT_INVALID", f"The body is not valid: {error}.") from error
        except Conflict as error:
            text = f'There is an artifact "{error}" here that was made from other parameters or inputs.'
            raise ApiError(409, "CONFLICT", text, hint="Choose another name, or delete the artifact first.") from error
        finally:
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)
        summary = {**self._summary(artifact), "state": status}
        self._json(202 if created else 200, summary, {"location": f"/artifacts/{artifact.name}/"})

    def _log(self, artifact: Artifact, follow: bool) -> None:
        headers = {"content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff"}
        if not follow:
            with (artifact.root / "log").open("rb") as file:
                self._send(200, file.read(artifact.log_bytes), headers)
            return
        self._head(200, {**headers, "transfer-encoding": "chunked"})
        gone = threading.Event()
        for chunk in artifact.follow_log(gone):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        self.wfile.write(b"0\r\n\r\n")

    def _data(self, artifact: Artifact, what: str, rest: List[str]) -> None:
        status = artifact.status["status"]
        if status != "completed":
            raise ApiError(409, "CONFLICT", f'Artifact "{artifact.name}" is {status}; only a completed one has data.')
        folder = artifact.root / "data"
        files = list_files(folder)
        if what == "files":
            self._json(200, {"items": [{"path": path, "sizeBytes": size} for path, size in files]})
        elif rest and rest != [""]:
            self._file(folder, rest)
        elif len(files) == 1:
            self._file(folder, files[0][0].split("/"))
        else:
            self._zip(artifact, folder, [path for path, _ in files])

    def _zip(self, artifact: Artifact, folder: Path, paths: List[str]) -> None:
        """Stored, with a fixed time: the same files always give the same zip."""
        self._head(200, {"content-type": "application/zip", "content-disposition": f'attachment; filename="{artifact.name}.zip"', "transfer-encoding": "chunked"})
        with zipfile.ZipFile(ChunkedWriter(self.wfile), "w") as archive:  # type: ignore[arg-type]
            for path in paths:
                info = zipfile.ZipInfo(path, (2000, 1, 1, 0, 0, 0))
                info.external_attr = 0o100644 << 16
                with archive.open(info, "w", force_zip64=(folder / path).stat().st_size > 1 << 31) as out, (folder / path).open("rb") as file:
                    shutil.copyfileobj(file, out, 1 << 20)
        self.wfile.write(b"0\r\n\r\n")

    def _metrics(self, artifact: Artifact, rest: List[str], query: Dict[str, str]) -> None:
        if not rest or rest == [""]:
            self._json(200, {"items": artifact.metrics.names()})
            return
        points = artifact.metrics.points(rest[0].replace(".", "/")) if len(rest) == 2 else None
        if not points or rest[1] not in VIEWS:
            raise ApiError(404, "NOT_FOUND", "There is no such metric or view.", hint=f"Views: {', '.join(VIEWS)}.")
        try:
            content_type, body = render(rest[1], points, query)
        except ValueError as error:
            path, _, message = str(error).partition(": ")
            raise ApiError(400, "INPUT_INVALID", f"The query is not valid: {error}.", [{"path": path, "message": message}]) from error
        self._send(200, body, {"content-type": content_type})

    # Bodies of requests

    def _read_body(self, count: int) -> bytes:
        return b"" if self._body is None else self._body.read(count)

    def _read_json_body(self) -> Any:
        body = b""
        while True:
            chunk = self._read_body(MAX_REQUEST_BYTES)
            body += chunk
            if len(body) > MAX_REQUEST_BYTES:
                raise ApiError(413, "PAYLOAD_TOO_LARGE", "The request body is too large.")
            if not chunk:
                return parse_json(body.decode("utf-8", "replace"))

    # Answers

    def _file(self, root: Path, parts: List[str]) -> None:
        """One regular file below ``root``, or the range that is asked for; a link, or a path that leaves the folder, is not there."""
        missing = ApiError(404, "NOT_FOUND", f"There is no file {'/'.join(parts)[:200]!r} here.")
        if any(part in ("", ".", "..") or "/" in part or "\\" in part or "\0" in part for part in parts):
            raise missing
        path = root.joinpath(*parts)
        try:
            entry = path.lstat()
            if not stat.S_ISREG(entry.st_mode) or path.resolve() != root.resolve().joinpath(*parts):
                raise missing
        except OSError as error:
            raise missing from error
        size = entry.st_size
        name = re.sub(r'[^\x20-\x7e]|["\\]', "_", path.name)
        headers = {
            "accept-ranges": "bytes",
            "content-type": MEDIA_TYPES.get(path.suffix.lower(), "application/octet-stream"),
            "content-disposition": f'attachment; filename="{name}"',
            "x-content-type-options": "nosniff",
        }
        wanted = byte_range(self.headers.get("range"), size)
        if wanted is None:
            self._send(416, b"", {**headers, "content-range": f"bytes */{size}"})
            return
        start, end, partial = wanted
        if partial:
            headers["content-range"] = f"bytes {start}-{end - 1}/{size}"
        self._head(206 if partial else 200, {**headers, "content-length": str(end - start)})
        if self.command == "HEAD":
            return
        with path.open("rb") as file:
            file.seek(start)
            left = end - start
            while left > 0:
                chunk = file.read(min(left, 1 << 20))
                if not chunk:
                    break
                left -= len(chunk)
                self.wfile.write(chunk)

    def _json(self, status: int, value: Any, headers: Optional[Dict[str, str]] = None) -> None:
        self._send(status, json.dumps(value).encode(), {"content-type": "application/json; charset=utf-8", **(headers or {})})

    def _problem(self, error: ApiError) -> None:
        document = {**error.document(), "requestId": uuid.uuid4().hex}
        self._send(error.status, json.dumps(document).encode(), {"content-type": "application/problem+json; charset=utf-8"})

    def _send(self, status: int, body: bytes, headers: Dict[str, str]) -> None:
        length = {} if status == 204 else {"content-length": str(len(body))}
        self._head(status, {**headers, **length})
        if self.command != "HEAD":
            self.wfile.write(body)

    def _head(self, status: int, headers: Dict[str, str]) -> None:
        self.send_response_only(status)
        for key, value in headers.items():
            self.send_header(key, value)
        if not self._body_ended:
            self.send_header("connection", "close")
        self.end_headers()
