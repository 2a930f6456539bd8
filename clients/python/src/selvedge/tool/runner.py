"""The queue: one artifact after the other, each in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, Collection, Dict, Optional

from .attempt import EVENTS_FD_ENV
from .definition import Tool
from .store import Artifact, ArtifactStore, now


class Runner:
    """At most one artifact is under way; after ``stop`` none is, and none begins."""

    def __init__(self, tool: Tool, store: ArtifactStore, *, token: str, origins: Collection[str], cache_dir: Path) -> None:
        self._tool = tool
        self._store = store
        self._token = token
        self._origins = origins
        self._cache_dir = cache_dir
        self._current: Optional[Artifact] = None
        self._child: Optional[subprocess.Popen[bytes]] = None
        self._ending: Optional[str] = None  # "cancel" or "stop": why the child is being ended
        self._idle = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def busy_with(self) -> Optional[str]:
        artifact = self._current
        return None if artifact is None or artifact.finished else artifact.name

    def stop(self) -> None:
        """Interrupts what is under way, which goes back to the queue, and waits for it."""
        with self._idle:
            self._stopped = True
            self._end_child("stop")
        with self._store.added:
            self._store.added.notify_all()
        self._thread.join()

    def cancel(self, artifact: Artifact) -> None:
        """Returns when nothing touches the artifact any more. A finished one stays as it is."""
        with self._idle:
            if self._current is artifact:
                self._end_child("cancel")
                while self._current is artifact:
                    self._idle.wait()
                return
            if not artifact.finished:
                artifact.update(status="cancelled", message="Cancelled.", finishedAt=now())

    def _end_child(self, why: str) -> None:
        self._ending = why
        if self._child is not None and self._child.poll() is None:
            # The child leads a group of its own: whatever it has started ends with it.
            os.killpg(self._child.pid, signal.SIGKILL)

    def _run(self) -> None:
        while True:
            with self._idle:
                artifact = None if self._stopped else self._store.next_queued()
                if artifact is not None:
                    self._current, self._ending = artifact, None
            if artifact is None:
                if self._stopped:
                    return
                self._store.wait_for_queued(lambda: self._stopped)
                continue
            try:
                self._make(artifact)
            except OSError as error:  # a full disk: the queue goes on
                print(f"could not record how {artifact.name} ended: {error}", file=sys.stderr)
                artifact.status = {**artifact.status, "status": "failed", "message": str(error)}
            with self._idle:
                self._current = None
                self._idle.notify_all()

    def _make(self, artifact: Artifact) -> None:
        checkpoint = artifact.root / "checkpoint"
        resumed = checkpoint.is_dir() and any(checkpoint.iterdir())
        artifact.clear_for_attempt()
        attempt = artifact.status["attempt"] + 1
        artifact.update(
            status="in-progress", progress=0, message="Started", attempt=attempt, startedAt=now(), finishedAt=None, error=None
        )
        artifact.log(f"{self._tool.name}: attempt {attempt}{', going on from a checkpoint' if resumed else ''}")
        error = self._run_child(artifact, attempt)
        if error is None:
            artifact.clear_after_attempt(keep_checkpoint=False, keep_data=True)
            artifact.log("completed")
            artifact.update(status="completed", progress=1, message="Completed", finishedAt=now())
            return
        interrupted = self._ending == "stop"
        artifact.clear_after_attempt(keep_checkpoint=interrupted, keep_data=False)
        if interrupted:
            artifact.log("interrupted: the tool is shutting down")
            artifact.update(status="queued", message="Waiting for the tool to start again")
        elif self._ending == "cancel":
            artifact.log("CANCELLED: Cancelled.")
            artifact.update(status="cancelled", message="Cancelled.", finishedAt=now(), error=None)
        else:
            artifact.log(f"{error['code']}: {error['message']}")
            artifact.update(status="failed", message=error["message"], finishedAt=now(), error=error)

    def _run_child(self, artifact: Artifact, attempt: int) -> Optional[Dict[str, Any]]:
        """:returns: what went wrong; None when the files are there."""
        read_fd, write_fd = os.pipe()
        env = {key: value for key, value in os.environ.items() if key != "SELVEDGE_TOOL_TOKEN"}
        with self._idle:
            if self._ending is not None:
                os.close(read_fd)
                os.close(write_fd)
                return {"code": "CANCELLED", "message": "Cancelled."}
            self._child = child = subprocess.Popen(
                [sys.executable, str(self._tool.source)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={**env, EVENTS_FD_ENV: str(write_fd), "PYTHONUNBUFFERED": "1", "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
                pass_fds=[write_fd],
                start_new_session=True,
            )
        os.close(write_fd)
        printing = threading.Thread(target=_log_lines, args=(child, artifact), daemon=True)
        printing.start()
        try:
            assert child.stdin is not None
            child.stdin.write(json.dumps(self._job(artifact, attempt)).encode() + b"\n")
            child.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended; its exit code tells
        error = _read_events(read_fd, artifact)
        code = child.wait()
        printing.join()
        with suppress(BrokenPipeError):  # killed before it has read its job: closing would write that once more
            child.stdin.close()
        self._child = None
        if self._ending is not None and code != 0:
            return {"code": "CANCELLED", "message": "Cancelled."}
        if error is None and code != 0:
            how = f"by signal {-code}" if code < 0 else f"with code {code}"
            return {"code": "STEP_FAILED", "message": f"The process that made it ended {how}."}
        return error

    def _job(self, artifact: Artifact, attempt: int) -> Dict[str, Any]:
        self._cache_dir.mkdir(exist_ok=True)
        root = artifact.root
        return {
            "parameters": artifact.parameters,
            "sources": artifact.record["inputs"],
            "uploads": artifact.record["uploads"],
            "input_files_dir": str(root / "input-files"),
            "data_dir": str(root / "data"),
            "work_dir": str(root / "work"),
            "checkpoint_dir": str(root / "checkpoint"),
            "cache_dir": str(self._cache_dir),
            "attempt": attempt,
            "token": self._token,
            "origins": sorted(self._origins),
        }


def _log_lines(child: "subprocess.Popen[bytes]", artifact: Artifact) -> None:
    assert child.stdout is not None
    for line in iter(lambda: child.stdout.readline(1 << 16), b""):  # type: ignore[union-attr]
        artifact.log(line.decode("utf-8", "replace"))
    child.stdout.close()


def _read_events(read_fd: int, artifact: Artifact) -> Optional[Dict[str, Any]]:
    error = None
    with os.fdopen(read_fd, "r", errors="replace") as events:
        for line in events:
            try:
                event = json.loads(line)
                if "log" in event:
                    artifact.log(event["log"])
                if "progress" in event:
                    artifact.show_progress(event["progress"], event.get("message"))
                if "metric" in event:
                    artifact.metrics.append(event["metric"], event["step"], event["value"], now())
                error = event.get("error", error)
            except ValueError as fault:  # a line cut short by a kill, or a metric's name that is none
                artifact.log(str(fault))
    return error
