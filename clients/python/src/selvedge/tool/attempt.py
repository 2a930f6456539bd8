"""The process that makes one artifact: a child of the tool, so that cancelling ends it whatever it does.

It gets its job as a line of JSON on stdin, which then stays open: when the tool is gone, the child and its own children
end. Events go back on a file descriptor of their own; what the author prints goes to the log.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import Any, Dict

from .context import ToolContext, ToolError
from .definition import Tool
from .fetch import fetch, safe_file_name, unpack_zip
from .schema import with_defaults
from .store import list_files

EVENTS_FD_ENV = "SELVEDGE_TOOL_EVENTS_FD"


def run_attempt(tool: Tool) -> int:
    """:returns: the exit code: 0 when the artifact's files are there."""
    events = os.fdopen(int(os.environ.pop(EVENTS_FD_ENV)), "w", buffering=1)
    lock = threading.Lock()

    def emit(event: Dict[str, Any]) -> None:
        with lock:
            events.write(json.dumps(event) + "\n")

    job = json.loads(_read_job())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        job["parameters"] = with_defaults(tool.parameters, job["parameters"])
        job["inputs"] = _inputs(job, emit)
        tool.create(ToolContext(job, emit))
        if not list_files(Path(job["data_dir"])):
            raise ToolError("INTERNAL", "The tool ended without leaving a file.")
        return 0
    except ToolError as error:
        emit({"error": {"code": error.code, "message": error.message, **({"hint": error.hint} if error.hint else {})}})
    except OSError as error:
        code = "DISK_FULL" if error.errno == 28 else "INTERNAL"
        emit({"error": {"code": code, "message": str(error)}, "log": traceback.format_exc()})
    except Exception as error:  # the author's: reported with its stack
        emit({"error": {"code": "INTERNAL", "message": f"{type(error).__name__}: {error}"}, "log": traceback.format_exc()})
    return 1


def _inputs(job: Dict[str, Any], emit: Any) -> Dict[str, str]:
    """Folder of each input, uploaded or fetched."""
    work, folders = Path(job["work_dir"]), {}
    for upload in job["uploads"]:
        folder = Path(job["input_files_dir"]) / upload["input"]
        if upload["file"].lower().endswith(".zip"):
            unpacked = work / f"input-{upload['input']}"
            unpacked.mkdir()
            unpack_zip(folder / upload["file"], unpacked)
            folder = unpacked
        folders[upload["input"]] = str(folder)
    for name, source in job["sources"].items():
        emit({"progress": 0, "message": f"Fetching {name}", "log": f"fetching {name} from {source['url'].split('?')[0]}"})
        folder = work / safe_file_name(f"input-{name}")
        fetch(source, folder, token=job["token"], origins=job["origins"], log=lambda text: emit({"log": text}))
        folders[name] = str(folder)
    del job["token"]
    return folders


def _read_job() -> bytes:
    """The one line on stdin, past Python's own buffer: a thread that waits in that one would abort the exit."""
    line = b""
    while not line.endswith(b"\n"):
        chunk = os.read(0, 1 << 16)
        if not chunk:
            sys.exit(1)  # the tool is gone
        line += chunk
    return line


def _end_with_parent() -> None:
    while os.read(0, 4096):
        pass
    os.killpg(os.getpgid(0), signal.SIGKILL)
