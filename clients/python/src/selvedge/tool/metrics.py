"""Metric curves on disk, one file of JSON lines each, and their views."""

from __future__ import annotations

import json
import re
import threading
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from .event_file import scalar_file

Point = Dict[str, Any]

VIEWS = ("points", "latest", "csv", "series", "summary", "tensorboard")
_NAME = re.compile(r"^[a-z0-9][a-z0-9_-]*(/[a-z0-9][a-z0-9_-]*)*$")
# Last parts of names of what is better when it is smaller.
_SMALLER = re.compile(
    r"(^|[/_-])(loss|error|err|mae|mse|rmse|ece|nll|perplexity|latency|seconds|time|distance)(-?(ms|s|p\d+))?$"
)


class MetricFiles:
    """The curves of one artifact, steps ascending within each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._last: Dict[str, float] = {}
        self._lock = threading.Lock()

    def append(self, metric: str, step: float, value: float, at: str) -> None:
        """A step that is already there replaces it and what follows it."""
        if len(metric) > 128 or not _NAME.match(metric):
            raise ValueError(f"not the name of a metric: {metric!r}")
        path = self._path(metric)
        with self._lock:
            self._folder.mkdir(exist_ok=True)
            if metric not in self._last or step <= self._last[metric]:
                kept = [point for point in _parse(path) if point["step"] < step]
                path.write_text("".join(map(_line, kept)))
            with path.open("a") as file:
                file.write(_line({"metric": metric, "step": step, "value": value, "at": at}))
            self._last[metric] = step

    def names(self) -> List[str]:
        return sorted(path.stem.replace(".", "/") for path in self._folder.glob("*.jsonl"))

    def points(self, metric: str) -> Optional[List[Point]]:
        path = self._path(metric)
        return _parse(path) if _NAME.match(metric) and path.exists() else None

    def _path(self, metric: str) -> Path:
        return self._folder / f"{metric.replace('/', '.')}.jsonl"


def _line(point: Point) -> str:
    return json.dumps(point, separators=(",", ":")) + "\n"


def _parse(path: Path) -> List[Point]:
    """The complete lines; one that a crash cut short is left out."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines() if line]


def render(view: str, points: List[Point], query: Dict[str, str]) -> Tuple[str, bytes]:
    """Content type and body of a view. :raises ValueError: for a query that is not valid; names the parameter."""
    after = _whole(query, "after", 0, 0)
    if view == "points":
        return "application/jsonl", "".join(map(_line, points[after:])).encode()
    if view == "csv":
        rows = [f"{p['step']},{p['value']},{p['at']}\n" for p in points[after:]]
        return "text/csv; charset=utf-8", ("step,value,at\n" + "".join(rows)).encode()
    if view == "tensorboard":
        return "application/octet-stream", scalar_file(points)
    if view == "latest":
        value: Any = points[-1] if points else None
    elif view == "series":
        value = _series(points, _whole(query, "max", len(points), 3))
    else:
        value = _summary(points, query.get("best"))
    return "application/json", json.dumps(value).encode()


def _whole(query: Dict[str, str], name: str, default: int, least: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not text.isdigit() or int(text) < least:
        raise ValueError(f"{name}: must be a whole number, {least} or more")
    return int(text)


def _series(points: List[Point], most: int) -> Dict[str, Any]:
    shown = points if len(points) <= most else downsample(points, most)
    return {
        "metric": points[0]["metric"],
        "steps": [point["step"] for point in shown],
        "values": [point["value"] for point in shown],
        "times": [point["at"] for point in shown],
    }


def _summary(points: List[Point], best: Optional[str]) -> Dict[str, Any]:
    if best not in (None, "min", "max"):
        raise ValueError("best: must be min or max")

    def short(point: Point) -> Dict[str, float]:
        return {"step": point["step"], "value": point["value"]}

    smallest = short(min(points, key=lambda point: point["value"]))
    largest = short(max(points, key=lambda point: point["value"]))
    metric = points[0]["metric"]
    direction = best or ("min" if _SMALLER.search(metric) else "max")
    return {
        "metric": metric,
        "count": len(points),
        "min": smallest,
        "max": largest,
        "mean": sum(point["value"] / len(points) for point in points),
        "last": short(points[-1]),
        "best": {**(smallest if direction == "min" else largest), "is": direction},
    }


def downsample(points: List[Point], most: int) -> List[Point]:
    """At most ``most`` (3 or more) of the points, chosen by largest triangle three buckets (Steinarsson, 2013)."""
    width = (len(points) - 2) / (most - 2)
    chosen = [points[0]]
    for bucket in range(most - 2):
        begin, end = int(bucket * width) + 1, int((bucket + 1) * width) + 1
        after = points[end : int((bucket + 2) * width) + 1] if bucket < most - 3 else points[-1:]
        mean_step = sum(point["step"] for point in after) / len(after)
        mean_value = sum(point["value"] for point in after) / len(after)
        last = chosen[-1]

        def area(point: Point) -> float:
            return abs(
                (last["step"] - mean_step) * (point["value"] - last["value"])
                - (last["step"] - point["step"]) * (mean_value - last["value"])
            )

        chosen.append(max(points[begin:end], key=area))
    return [*chosen, points[-1]]
