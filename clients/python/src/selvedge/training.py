"""The kit of training scripts: what is trained, metrics while it goes on, and a model at the end.

    from selvedge import training

    job = training.load()
    for epoch in range(1, job.hyperparams["epochs"] + 1):
        ...
        training.report(epoch=epoch, train_loss=loss, validation_accuracy=accuracy)
        if training.cancelled():
            break
    model = training.OnnxModel(input_shape=[None, *job.sample_shape])
    ...
    model.save(job.model_path)

Standard library only. docs/guides/python-training.md has the contract, for scripts that do without this.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple

from .npy import NpyFile
from .onnx_model import OnnxModel

__all__ = ["NpyFile", "OnnxModel", "Split", "Training", "cancelled", "load", "report"]

_POSITION = ("epoch", "step", "progress", "message", "kept")
_PREFIXES = ("train_", "validation_")
_cancelled = False
_watching = False


class Split:
    """A part of the training set."""

    def __init__(self, name: str, fields: Mapping[str, Any]) -> None:
        self.name = name
        self.count: int = fields["count"]
        # float32, [count, *sample_shape].
        self.x = NpyFile(fields["x"])
        # int64, [count]: the class, or how many boxes a sample has.
        self.y = NpyFile(fields["y"])
        # float32, [boxes of all samples, 5]: class, x1, y1, x2, y2 in pixels.
        self.boxes: Optional[NpyFile] = NpyFile(fields["boxes"]) if "boxes" in fields else None
        # int64, [count]: what belongs together.
        self.groups: Optional[NpyFile] = NpyFile(fields["groups"]) if "groups" in fields else None


class Training:
    """What the pipeline asks for."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        if document.get("formatVersion") != 1:
            raise ValueError(f"the description of the training has the version {document.get('formatVersion')!r}; this kit reads 1")
        self.learns: str = document["learns"]
        self.hyperparams: Dict[str, Any] = document["hyperparams"]
        self.args: Dict[str, Any] = document["args"]
        self.labels: List[str] = document["labels"]
        self.layout: str = document["layout"]
        self.sample_shape: Tuple[int, ...] = tuple(document["sampleShape"])
        # What black and white pictures are in the tensors: {"black": [...], "white": [...]}; None for tables.
        self.range: Optional[Dict[str, List[float]]] = document["range"]
        self.preproc: Optional[Dict[str, Any]] = document["preproc"]
        self.splits = {name: Split(name, fields) for name, fields in document["splits"].items()}
        self.model_path = Path(document["model"]["path"])
        # The ONNX file of the model that train.from names.
        self.base: Optional[Path] = None if document["base"] is None else Path(document["base"])
        # Survives a restart of the tool: what is found here at the start is of an earlier attempt.
        self.checkpoint_dir = Path(document["checkpointDir"])
        self.threads: int = document["threads"]
        self.attempt: int = document["attempt"]

    @property
    def classes(self) -> int:
        return len(self.labels)

    @property
    def train(self) -> Split:
        return self.splits["train"]

    @property
    def validation(self) -> Split:
        """Has no samples where split.validation is 0."""
        return self.splits["validation"]


def load() -> Training:
    """What is to be trained. :raises RuntimeError: outside of a run."""
    path = os.environ.get("SELVEDGE_TRAINING")
    if not path:
        raise RuntimeError('SELVEDGE_TRAINING is not set: this script is run by a pipeline with train.engine "python"')
    return Training(json.loads(Path(path).read_text("utf-8")))


def report(
    *,
    epoch: Optional[int] = None,
    step: Optional[int] = None,
    progress: Optional[float] = None,
    message: Optional[str] = None,
    kept: Optional[bool] = None,
    metrics: Optional[Mapping[str, Any]] = None,
    **values: Any,
) -> None:
    """Adds a point to the curve of each metric.

    ``train_loss=...`` is the metric ``train/loss``, ``validation_accuracy=...`` is ``validation/accuracy``; other names stay as
    they are, and ``metrics`` takes any. With ``step``, the points are at that step; else at the epoch. ``kept`` says that the
    model has the weights of this epoch. A value that is not finite ends the run.
    """
    line: Dict[str, Any] = {"epoch": epoch, "step": step, "progress": progress, "message": message, "kept": kept}
    line = {key: value for key, value in line.items() if value is not None}
    for name, value in {**values, **(metrics or {})}.items():
        prefix = next((one for one in _PREFIXES if name.startswith(one)), None)
        metric = name if prefix is None else f"{prefix[:-1]}/{name[len(prefix):]}"
        if metric in _POSITION:
            raise ValueError(f"a metric cannot be called {metric!r}")
        line[metric] = float(value)
    text = json.dumps(line) + "\n"
    path = os.environ.get("SELVEDGE_METRICS")
    if not path:
        sys.stdout.write(text)
        return
    # One write per line: several processes may report.
    file = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        os.write(file, text.encode())
    finally:
        os.close(file)


def cancelled() -> bool:
    """Whether the run was cancelled, or the tool is about to end. The first call makes the script go on until it asks, for some
    seconds: save what a later attempt needs to ``checkpoint_dir``, and end."""
    global _watching
    if not _watching:
        _watching = True
        signal.signal(signal.SIGTERM, _note_cancel)
    return _cancelled


def _note_cancel(_number: int, _frame: Any) -> None:
    global _cancelled
    _cancelled = True
