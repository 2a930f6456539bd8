"""For an author's tests: runs a tool once, without HTTP and without a process of its own."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from .context import ToolContext, ToolError
from .definition import Tool
from .schema import check, with_defaults
from .store import list_files


class ToolResult(NamedTuple):
    """``files``: bytes of each file that was made, by its path; ``metrics``: (step, value) by name."""

    files: Dict[str, bytes]
    log: List[str]
    metrics: Dict[str, List[Tuple[float, float]]]


def run_tool(
    tool: Tool, parameters: Optional[Mapping[str, Any]] = None, inputs: Optional[Mapping[str, Mapping[str, str]]] = None
) -> ToolResult:
    """:param inputs: files of each input: path to text. :raises ToolError: INPUT_INVALID for parameters that do not fit."""
    given = dict(parameters or {})
    issues = check(tool.parameters, given, "parameters")
    if issues:
        raise ToolError("INPUT_INVALID", "; ".join(f"{issue['path']}: {issue['message']}" for issue in issues))
    log: List[str] = []
    metrics: Dict[str, List[Tuple[float, float]]] = {}

    def emit(event: Dict[str, Any]) -> None:
        if "log" in event:
            log.append(event["log"])
        if "metric" in event:
            metrics.setdefault(event["metric"], []).append((event["step"], event["value"]))

    with tempfile.TemporaryDirectory(prefix="selvedge-run-tool-") as root:
        folders = {name: Path(root, name) for name in ("data", "checkpoint", "cache")}
        sources = {name: Path(root, "inputs", name) for name in inputs or {}}
        for folder in [*folders.values(), *sources.values()]:
            folder.mkdir(parents=True)
        for name, files in (inputs or {}).items():
            for path, text in files.items():
                target = sources[name] / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text)
        job = {f"{name}_dir": str(folder) for name, folder in folders.items()}
        tool.create(ToolContext({**job, "parameters": with_defaults(tool.parameters, given), "inputs": sources, "attempt": 1}, emit))
        made = {path: (folders["data"] / path).read_bytes() for path, _ in list_files(folders["data"])}
    return ToolResult(made, log, metrics)
