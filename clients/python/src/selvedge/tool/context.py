"""What the kit gives to an author's function."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Callable, Dict, Mapping, Optional


class ToolError(Exception):
    """Makes the artifact fail with a code, a message and a hint that reach the user."""

    def __init__(self, code: str, message: str, hint: Optional[str] = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint


class ToolContext:
    """One attempt at one artifact.

    ``inputs`` holds a folder for each input: the unpacked zip, or the one file under its own name. Files written below
    ``data_dir`` become the artifact. ``checkpoint_dir`` survives a restart in the middle of the work, ``cache_dir`` is
    shared by all artifacts. Cancelling ends the process: there is nothing to look at meanwhile.
    """

    def __init__(self, job: Mapping[str, Any], emit: Callable[[Dict[str, Any]], None]) -> None:
        self._emit = emit
        self.parameters: Dict[str, Any] = dict(job["parameters"])
        self.inputs: Dict[str, Path] = {name: Path(folder) for name, folder in job["inputs"].items()}
        self.data_dir = Path(job["data_dir"])
        self.checkpoint_dir = Path(job["checkpoint_dir"])
        self.cache_dir = Path(job["cache_dir"])
        self.attempt = int(job["attempt"])

    def log(self, text: str) -> None:
        """Adds lines to the artifact's log. What is printed gets there as well."""
        self._emit({"log": str(text)})

    def progress(self, fraction: float, message: Optional[str] = None) -> None:
        """:param fraction: 0 to 1."""
        self._emit({"progress": min(1.0, max(0.0, float(fraction))), "message": message})

    def metric(self, name: str, step: float, value: float) -> None:
        """Adds one point to a metric's curve.

        :param name: lower-case letters, digits, "-", "_", parts joined by "/": ``train/loss``.
        """
        if math.isfinite(value):
            self._emit({"metric": name, "step": step, "value": float(value)})
        else:
            self.log(f"{name} is not a finite number at step {step}")
