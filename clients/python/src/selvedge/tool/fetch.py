"""Inputs by URL, and archives."""

from __future__ import annotations

import hashlib
import re
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from pathlib import Path
from typing import Callable, Collection, Mapping, Optional

from .context import ToolError

ATTEMPTS = 6
IDLE_S = 60
MAX_REDIRECTS = 5
MAX_BYTES = 256 * 1024**3
# Against archives that unpack to far more than they are.
MAX_UNPACKED_BYTES = 1024**4
MAX_FILES = 1_000_000
_TRANSIENT = {408, 425, 429, 500, 502, 503, 504}


def safe_file_name(name: str) -> str:
    """A name that is only a name: no separators, no control characters, not hidden, at most 128 characters."""
    base = re.split(r"[\\/]", name)[-1]
    return re.sub(r"^\.+", "", re.sub(r"[^A-Za-z0-9._-]+", "_", base))[-128:] or "file"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Redirects are followed by hand: whether the token is sent is decided anew for each origin."""

    def redirect_request(self, *_args: object, **_kwargs: object) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirect)


def origin_of(url: str) -> str:
    parts = urllib.parse.urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _shown(url: str) -> str:
    return urllib.parse.urlunsplit(urllib.parse.urlsplit(url)._replace(query="", fragment=""))


def fetch(
    source: Mapping[str, str], folder: Path, *, token: str, origins: Collection[str], log: Callable[[str], None]
) -> None:
    """Fetches one input into ``folder``: a zip is unpacked, anything else becomes one file under its own name.

    :param origins: who is sent the token; nobody else is, also not after a redirect.
    :raises ToolError: with a code of the API.
    """
    url = source["url"]
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _download(url, source.get("sha256"), folder, token, origins)
            return
        except (urllib.error.HTTPError, urllib.error.URLError, OSError) as error:
            status = error.code if isinstance(error, urllib.error.HTTPError) else None
            if status in (401, 403):
                raise ToolError("FORBIDDEN", f"{_shown(url)} answered {status}.") from error
            if status in (404, 410):
                raise ToolError("REFERENCE_MISSING", f"{_shown(url)} answered {status}.") from error
            reason = f"answered {status}" if status else str(getattr(error, "reason", error))
            if (status and status not in _TRANSIENT) or attempt == ATTEMPTS:
                raise ToolError("DOWNLOAD_FAILED", f"{_shown(url)}: {reason} ({attempt} tries).") from error
            log(f"{_shown(url)}: {reason}; trying again")
            time.sleep(min(8.0, 0.25 * 2**attempt))


def _download(url: str, sha256: Optional[str], folder: Path, token: str, origins: Collection[str]) -> None:
    part = folder.with_name(f"{folder.name}.part")
    digest = hashlib.sha256()
    with _open(url, token, origins) as response, part.open("wb") as file:
        size = 0
        for chunk in iter(lambda: response.read(1 << 20), b""):
            size += len(chunk)
            if size > MAX_BYTES:
                raise ToolError("PAYLOAD_TOO_LARGE", f"{_shown(url)} is larger than {MAX_BYTES} bytes.")
            digest.update(chunk)
            file.write(chunk)
        match = re.search(r'filename="([^"]*)"', response.headers.get("content-disposition") or "")
        name = safe_file_name(match.group(1) if match else urllib.parse.urlsplit(url).path.split("/")[-1])
        length = response.headers.get("content-length")
        if length is not None and int(length) != size:
            raise OSError(f"the connection broke off after {size} of {length} bytes")
        is_zip = (response.headers.get("content-type") or "").startswith("application/zip") or name.lower().endswith(".zip")
    if sha256 is not None and digest.hexdigest() != sha256:
        raise ToolError("DIGEST_MISMATCH", f"{_shown(url)} has sha256 {digest.hexdigest()}, expected {sha256}.")
    folder.mkdir(parents=True, exist_ok=True)
    if is_zip:
        unpack_zip(part, folder)
        part.unlink()
    else:
        part.rename(folder / name)


def _open(url: str, token: str, origins: Collection[str]):  # type: ignore[no-untyped-def]
    for _ in range(MAX_REDIRECTS + 1):
        if not re.match(r"https?://", url, re.IGNORECASE):
            raise ToolError("INPUT_INVALID", "Inputs are fetched by http or https.")
        request = urllib.request.Request(url)
        if origin_of(url) in origins:
            request.add_unredirected_header("Authorization", f"Bearer {token}")
        try:
            return _OPENER.open(request, timeout=IDLE_S)
        except urllib.error.HTTPError as error:
            location = error.headers.get("location")
            if not (300 <= error.code < 400 and location):
                raise
            url = urllib.parse.urljoin(url, location)
    raise ToolError("DOWNLOAD_FAILED", f"{_shown(url)} redirects more than {MAX_REDIRECTS} times.")


def unpack_zip(path: Path, folder: Path) -> None:
    """:raises ToolError: ARCHIVE_UNSAFE for a path that leaves the folder, a link, or far too much; DATASET_FORMAT for no zip."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            if len(entries) > MAX_FILES or sum(entry.file_size for entry in entries) > MAX_UNPACKED_BYTES:
                raise ToolError("ARCHIVE_UNSAFE", "The zip holds more than is unpacked here.")
            for entry in entries:
                parts = entry.filename.split("/")
                if entry.filename.startswith("/") or "\\" in entry.filename or ".." in parts or (entry.external_attr >> 16) & 0o170000 == 0o120000:
                    raise ToolError("ARCHIVE_UNSAFE", f"The zip holds an entry that is not allowed: {entry.filename!r}.")
            archive.extractall(folder)
    except zipfile.BadZipFile as error:
        raise ToolError("DATASET_FORMAT", f"Not a zip: {error}.") from error
