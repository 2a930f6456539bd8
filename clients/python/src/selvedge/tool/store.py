"""The artifacts of a tool on disk, in the same folders as the TypeScript kit's (packages/tools/README.md)."""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
import uuid
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

from .metrics import MetricFiles

FINISHED = ("completed", "failed", "cancelled")
# An artifact that was under way this often when the process died is given up: it is what kills the process.
MAX_ATTEMPTS_ENDED_BY_CRASH = 5
# A log beyond this is cut with a notice: a tool that logs in a loop must not fill the disk.
MAX_LOG_BYTES = 32 * 1024 * 1024


def now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def write_json(path: Path, value: Any) -> None:
    """Whole or not at all, and on the disk."""
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
    with part.open("w") as file:
        file.write(json.dumps(value, indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def list_files(root: Path) -> List[Tuple[str, int]]:
    """Relative path and size of all regular files, sorted; links are left out."""
    found = []
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            if path.is_file() and not path.is_symlink():
                found.append((path.relative_to(root).as_posix(), path.stat().st_size))
    return sorted(found)


class Artifact:
    """One artifact: its folder, and its status in memory. ``changed`` wakes whoever follows the log."""

    def __init__(self, root: Path, record: Dict[str, Any], parameters: Dict[str, Any], status: Dict[str, Any]) -> None:
        self.root = root
        self.record = record
        self.parameters = parameters
        self.status = status
        self.changed = threading.Condition()
        self.metrics = MetricFiles(root / "metrics")
        self.log_bytes = (root / "log").stat().st_size if (root / "log").exists() else 0

    @property
    def name(self) -> str:
        return str(self.record["name"])

    @property
    def finished(self) -> bool:
        return self.status["status"] in FINISHED

    def update(self, **change: Any) -> None:
        """First on disk, then in memory: nobody is told of an end that a crash could undo."""
        with self.changed:
            following = {**self.status, **change}
            write_json(self.root / "status", following)
            self.status = following
            self.changed.notify_all()

    def show_progress(self, progress: float, message: Optional[str]) -> None:
        with self.changed:
            self.status = {**self.status, "progress": progress, "message": message or self.status["message"]}
            self.changed.notify_all()

    def log(self, text: str) -> None:
        with self.changed:
            if self.log_bytes >= MAX_LOG_BYTES:
                return
            at = now()
            chunk = "".join(f"{at} {line}\n" for line in text.rstrip("\n").split("\n")).encode()
            if self.log_bytes + len(chunk) >= MAX_LOG_BYTES:
                chunk = f"{at} the log is full; what follows is not kept\n".encode()
                self.log_bytes = MAX_LOG_BYTES
            else:
                self.log_bytes += len(chunk)
            with (self.root / "log").open("ab") as file:
                file.write(chunk)
            self.changed.notify_all()

    def follow_log(self, gone: threading.Event) -> Iterator[bytes]:
        """The log from its beginning, then what is added, until the artifact is finished or removed, or the reader gone."""
        position = 0
        while not gone.is_set():
            with self.changed:
                finished, end = self.finished, self.log_bytes
                if end <= position and not finished:
                    self.changed.wait(1.0)
                    continue
            if end <= position or not (self.root / "log").exists():
                return
            with (self.root / "log").open("rb") as file:
                file.seek(position)
                chunk = file.read(min(end - position, 1 << 16))
            if not chunk:
                return
            position += len(chunk)
            yield chunk

    def clear_for_attempt(self) -> None:
        checkpoint = self.root / "checkpoint"
        if not (checkpoint.is_dir() and any(checkpoint.iterdir())):
            shutil.rmtree(self.root / "metrics", ignore_errors=True)
            self.metrics = MetricFiles(self.root / "metrics")
        for name in ("data", "work"):
            shutil.rmtree(self.root / name, ignore_errors=True)
        for name in ("data", "work", "checkpoint"):
            (self.root / name).mkdir(exist_ok=True)

    def clear_after_attempt(self, *, keep_checkpoint: bool, keep_data: bool) -> None:
        shutil.rmtree(self.root / "work", ignore_errors=True)
        if not keep_checkpoint:
            shutil.rmtree(self.root / "checkpoint", ignore_errors=True)
        if not keep_data:
            shutil.rmtree(self.root / "data", ignore_errors=True)


class Conflict(Exception):
    """The name is taken by another request."""


class ArtifactStore:
    """A folder appears below ``artifacts/`` complete and disappears in one rename; what is below ``tmp/`` is left over."""

    def __init__(self, data_dir: Path) -> None:
        self._artifacts_dir = data_dir / "artifacts"
        self._tmp = data_dir / "tmp"
        self._by_name: Dict[str, Artifact] = {}
        self._lock = threading.Lock()
        self.added = threading.Condition(self._lock)
        self._sequence = 0

    def load(self) -> None:
        """Reads what is on disk; what was in progress is queued again. A folder that cannot be read is reported and left."""
        shutil.rmtree(self._tmp, ignore_errors=True)
        self._tmp.mkdir(parents=True)
        self._artifacts_dir.mkdir(exist_ok=True)
        for root in sorted(self._artifacts_dir.iterdir()):
            try:
                parts = [json.loads((root / name).read_text()) for name in ("inputs.json", "input-parameters", "status")]
            except (OSError, ValueError) as error:
                print(f"artifact folder {root} is not readable; left as it is: {error}", file=sys.stderr)
                continue
            artifact = Artifact(root, *parts)
            self._by_name[artifact.name] = artifact
            self._sequence = max(self._sequence, int(artifact.record["sequence"]))
            self._take_up_again(artifact)

    def list(self) -> List[Artifact]:
        with self._lock:
            return sorted(self._by_name.values(), key=lambda artifact: artifact.record["sequence"])

    def get(self, name: str) -> Optional[Artifact]:
        return self._by_name.get(name)

    def next_queued(self) -> Optional[Artifact]:
        return next((artifact for artifact in self.list() if artifact.status["status"] == "queued"), None)

    def wait_for_queued(self, stopped: Callable[[], bool]) -> None:
        """Returns when something waits in the queue, or nothing is waited for any more."""
        with self.added:
            while not stopped() and all(artifact.status["status"] != "queued" for artifact in self._by_name.values()):
                self.added.wait()

    def staging_folder(self) -> Path:
        folder = self._tmp / uuid.uuid4().hex
        folder.mkdir()
        return folder

    def create(
        self, request: Dict[str, Any], uploads: List[Dict[str, Any]], upload_dir: Optional[Path]
    ) -> Tuple[Artifact, Dict[str, Any], bool]:
        """Puts a request into the queue; the same one again is answered with what there is. :raises Conflict:

        :returns: the artifact, its status at this moment, and whether it is new.
        """
        with self._lock:
            existing = self._by_name.get(request["name"])
            if existing is not None:
                if _same(existing, request, uploads):
                    return existing, existing.status, False
                raise Conflict(request["name"])
            artifact = self._write(request, uploads, upload_dir)
            self._by_name[artifact.name] = artifact
            self.added.notify_all()
            return artifact, artifact.status, True

    def remove(self, artifact: Artifact) -> None:
        with self._lock:
            if self._by_name.get(artifact.name) is not artifact:
                return
            trash = self._tmp / uuid.uuid4().hex
            artifact.root.rename(trash)
            del self._by_name[artifact.name]
        shutil.rmtree(trash, ignore_errors=True)

    def _write(self, request: Dict[str, Any], uploads: List[Dict[str, Any]], upload_dir: Optional[Path]) -> Artifact:
        record = {
            "name": request["name"],
            "sequence": self._sequence + 1,
            "inputs": request.get("inputs", {}),
            "uploads": uploads,
        }
        status = {
            "status": "queued",
            "progress": 0,
            "message": "Waiting in the queue",
            "attempt": 0,
            "createdAt": now(),
            "startedAt": None,
            "finishedAt": None,
            "error": None,
        }
        staging = self.staging_folder()
        (staging / "data").mkdir()
        if upload_dir is None:
            (staging / "input-files").mkdir()
        else:
            upload_dir.rename(staging / "input-files")
        (staging / "log").touch()
        write_json(staging / "input-parameters", request["parameters"])
        write_json(staging / "inputs.json", record)
        write_json(staging / "status", status)
        root = self._artifacts_dir / request["name"]
        staging.rename(root)
        self._sequence += 1
        return Artifact(root, record, request["parameters"], status)

    def _take_up_again(self, artifact: Artifact) -> None:
        if artifact.finished:
            artifact.clear_after_attempt(keep_checkpoint=False, keep_data=True)
        elif (artifact.root / "cancel").exists():
            artifact.log("cancelled: the process was ended because it did not end the work")
            artifact.clear_after_attempt(keep_checkpoint=False, keep_data=False)
            artifact.update(status="cancelled", message="Cancelled.", finishedAt=now())
        elif artifact.status["status"] == "in-progress":
            attempt = artifact.status["attempt"]
            if attempt < MAX_ATTEMPTS_ENDED_BY_CRASH:
                artifact.update(status="queued", message="Taken up again after a restart")
                return
            message = f"The tool's process ended {attempt} times while it made this artifact."
            artifact.log(message)
            artifact.clear_after_attempt(keep_checkpoint=False, keep_data=False)
            artifact.update(status="failed", message=message, finishedAt=now(), error={"code": "STEP_FAILED", "message": message})


def _same(existing: Artifact, request: Dict[str, Any], uploads: List[Dict[str, Any]]) -> bool:
    def key(upload: Dict[str, Any]) -> str:
        return str(upload["input"])

    return (
        existing.parameters == request["parameters"]
        and existing.record["inputs"] == request.get("inputs", {})
        and sorted(existing.record["uploads"], key=key) == sorted(uploads, key=key)
    )
