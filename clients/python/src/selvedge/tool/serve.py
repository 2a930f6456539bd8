"""Runs a tool until it is told to end."""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import List, Optional, Sequence, Tuple

from .api import ToolServer
from .attempt import EVENTS_FD_ENV, run_attempt
from .definition import Tool
from .runner import Runner
from .store import ArtifactStore

MIN_TOKEN_LENGTH = 16


def run_main(tool: Tool, argv: Optional[Sequence[str]] = None) -> None:
    """Serves the tool, or makes one artifact where the tool has started this process for that."""
    if EVENTS_FD_ENV in os.environ:
        sys.stdout.flush()
        sys.exit(run_attempt(tool))
    parser = argparse.ArgumentParser(description=tool.description)
    parser.add_argument("--data", required=True, type=Path, help="folder of this tool alone")
    parser.add_argument("--port", type=int, default=0, help="0 takes any free port")
    parser.add_argument("--host", default="127.0.0.1")
    options = parser.parse_args(argv)
    try:
        token = _take_token()
    except OSError as error:
        parser.error(f"SELVEDGE_TOOL_TOKEN_FILE could not be read: {error}")
    if len(token) < MIN_TOKEN_LENGTH:
        parser.error(f"SELVEDGE_TOOL_TOKEN, or the file of SELVEDGE_TOOL_TOKEN_FILE, must have at least {MIN_TOKEN_LENGTH} characters")
    origins = [origin for origin in os.environ.get("SELVEDGE_TRUSTED_ORIGINS", "").split(",") if origin]
    serve(tool, options.data, options.host, options.port, token, origins)


def _take_token() -> str:
    """From the environment, where the work of the tool does not see it then, or from a file."""
    token = os.environ.pop("SELVEDGE_TOOL_TOKEN", "")
    file = os.environ.get("SELVEDGE_TOOL_TOKEN_FILE", "")
    return Path(file).read_text(encoding="utf-8").strip() if token == "" and file != "" else token


def serve(tool: Tool, data_dir: Path, host: str, port: int, token: str, origins: List[str]) -> None:
    """Blocks until SIGTERM, SIGINT or the end of the parent; what is under way then goes back to the queue."""
    data_dir.mkdir(parents=True, exist_ok=True)
    lock = (data_dir / "tool.lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)  # a predecessor that is about to end gives it free
    store = ArtifactStore(data_dir.resolve())
    store.load()
    trusted = set(origins)
    runner = Runner(tool, store, token=token, origins=trusted, cache_dir=data_dir.resolve() / "cache")
    server = ToolServer((host, port), tool, store, runner, token)
    # An artifact may be made from another one of the same tool: whoever listens there is this process.
    trusted.add(f"http://{host}:{server.server_port}")
    ended, end = _end_signals()
    if os.environ.get("SELVEDGE_EXIT_WITH_PARENT") == "1":
        threading.Thread(target=_wait_for_end_of_stdin, args=(end,), daemon=True).start()
    runner.start()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(json.dumps({"event": "listening", "port": server.server_port}), flush=True)
    os.read(ended, 1)
    runner.stop()
    server.shutdown()
    server.server_close()
    lock.close()


def _end_signals() -> Tuple[int, int]:
    """A pipe that SIGTERM and SIGINT write to, whichever thread the kernel gives them to.

    A ``threading.Event`` set in a handler would not do: the handler only runs once the main thread wakes, and a signal
    that another thread has taken does not wake it.
    """
    ended, end = os.pipe()
    os.set_blocking(end, False)
    signal.set_wakeup_fd(end)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    return ended, end


def _wait_for_end_of_stdin(end: int) -> None:
    while os.read(0, 4096):
        pass
    os.write(end, b"\0")
