"""The nouns of the API: datasets, pipelines, runs, models, devices, artifacts, inference."""

from __future__ import annotations

import contextlib
import json
import tarfile
import tempfile
import time
import urllib.parse
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Union

from .errors import SelvedgeError
from .transport import Answer, Transport

Resource = Dict[str, Any]
Progress = Callable[[Dict[str, Any]], None]
PathLike = Union[str, Path]

POLL_S = 0.5
_RUN_ENDS = ("Succeeded", "Failed", "Cancelled")
_ARTIFACT_ENDS = ("completed", "failed", "cancelled")


class Client:
    """A client of one server.

    >>> client = Client()
    >>> run = client.pipelines.run("digits")
    >>> client.runs.wait(run["metadata"]["name"], progress=print)

    Every operation of docs/reference/openapi.json can be called by ``client.call(id, ...)``, or ``client.stream`` where
    the answer is a file; the nouns below are for what is done most.
    """

    def __init__(
        self, url: Optional[str] = None, token: Optional[str] = None, *, data_dir: Optional[PathLike] = None, timeout_s: float = 60.0
    ) -> None:
        self.transport = Transport(url, token, data_dir=data_dir, timeout_s=timeout_s)
        self.call = self.transport.call
        self.stream = self.transport.stream
        self.datasets = Datasets(self)
        self.pipelines = Pipelines(self)
        self.runs = Runs(self)
        self.models = Models(self)
        self.devices = Devices(self)
        self.inference = Inference(self)

    def health(self) -> Dict[str, Any]:
        return dict(self.call("getHealth"))

    def apply(self, *documents: Mapping[str, Any]) -> List[Dict[str, Any]]:
        """Creates or changes resources."""
        return list(self.call("apply", body={"documents": list(documents)})["results"])

    def list(self, plural: str, selector: Optional[str] = None) -> List[Resource]:
        """All resources of a kind, page by page."""
        found: List[Resource] = []
        after: Optional[str] = None
        while True:
            page = self.call("listResources", plural=plural, query={"selector": selector, "after": after})
            found += page["items"]
            after = page.get("next")
            if not after:
                return found

    def get(self, plural: str, name: str) -> Resource:
        return dict(self.call("getResource", plural=plural, name=name))

    def delete(self, plural: str, name: str) -> None:
        self.call("deleteResource", plural=plural, name=name)

    def artifacts(self, tool: str) -> "Artifacts":
        """The artifacts of one tool, behind the server's gateway."""
        return Artifacts(self.transport, f"/containers/{urllib.parse.quote(tool, safe='')}")


def wait_for(
    read: Callable[[], Dict[str, Any]],
    is_done: Callable[[Dict[str, Any]], bool],
    *,
    progress: Optional[Progress] = None,
    timeout_s: Optional[float] = None,
) -> Dict[str, Any]:
    """Reads until it is done; ``progress`` gets each state that differs from the one before. :raises SelvedgeError: TIMEOUT"""
    end = None if timeout_s is None else time.monotonic() + timeout_s
    before: Optional[Dict[str, Any]] = None
    while True:
        state = read()
        if progress is not None and state != before:
            progress(state)
        if is_done(state):
            return state
        if end is not None and time.monotonic() >= end:
            raise SelvedgeError("TIMEOUT", f"It was not done after {timeout_s} s.", retryable=True, data={"last": state})
        before = state
        time.sleep(POLL_S)


class _Noun:
    def __init__(self, client: Client) -> None:
        self._client = client


class Datasets(_Noun):
    def list(self) -> List[Resource]:
        return self._client.list("datasets")

    def versions(self, name: str) -> List[Resource]:
        return [item for item in self._client.list("datasetversions") if item["spec"].get("dataset") == name]

    def add(self, name: str, source: PathLike, *, wait: bool = True, progress: Optional[Progress] = None, **options: Any) -> Resource:
        """Adds a version from a folder, an archive or a URL.

        :param options: of the upload (``testShare``, ``format``, ``skipBroken``, ...), or of the import of a URL.
        """
        if isinstance(source, str) and source.startswith(("http://", "https://")):
            version = self._client.call("importDataset", name=name, body={"url": source, **options})
        else:
            with _as_upload(Path(source)) as (file, file_name):
                version = self._client.call("uploadDataset", name=name, query={"fileName": file_name, **options}, upload=file)
        return self.wait(version["metadata"]["name"], progress=progress) if wait else dict(version)

    def wait(self, version: str, *, progress: Optional[Progress] = None, timeout_s: Optional[float] = None) -> Resource:
        """:param version: name of the DatasetVersion. :raises SelvedgeError: when it could not be imported."""
        found = wait_for(
            lambda: self._client.get("datasetversions", version),
            lambda one: one["status"]["phase"] != "Importing",
            progress=progress,
            timeout_s=timeout_s,
        )
        if found["status"]["phase"] == "Failed":
            raise _failure(found["status"], f"{version} could not be imported.")
        return found

    def show(self, name: str, version: int) -> Dict[str, Any]:
        return dict(self._client.call("getDatasetVersion", name=name, version=version))

    def split(self, name: str, version: int, shares: Mapping[str, float], seed: int = 0) -> Resource:
        return dict(self._client.call("splitDataset", name=name, version=version, body={"shares": dict(shares), "seed": seed}))

    def diff(self, before: str, after: str) -> Dict[str, Any]:
        """:param before: ``name@1``. :param after: ``name@2``."""
        return dict(self._client.call("diffDatasets", query={"from": before, "to": after}))

    def verify(self, name: str, version: int) -> Dict[str, Any]:
        return dict(self._client.call("verifyDataset", name=name, version=version))

    def export(self, name: str, version: int, path: PathLike) -> Path:
        """Writes the version as a tar."""
        return self._client.stream("exportDataset", name=name, version=version).save(path)

    def remove(self, name: str, **query: Any) -> Dict[str, Any]:
        return dict(self._client.call("removeDataset", name=name, query=query))


class Pipelines(_Noun):
    def list(self) -> List[Resource]:
        return self._client.list("pipelines")

    def apply(self, name: str, spec: Mapping[str, Any]) -> Dict[str, Any]:
        """:param spec: the content of a pipeline file."""
        document = {"apiVersion": "selvedge.dev/v1alpha1", "kind": "Pipeline", "metadata": {"name": name}, "spec": dict(spec)}
        return self._client.apply(document)[0]

    def run(self, name: str, **options: Any) -> Resource:
        """Starts a run. :param options: ``datasetVersion``, ``cache``, ``sweep``."""
        return dict(self._client.call("startRun", name=name, body=options))


class Runs(_Noun):
    def list(self) -> List[Resource]:
        return self._client.list("runs")

    def get(self, name: str) -> Resource:
        return self._client.get("runs", name)

    def wait(self, name: str, *, progress: Optional[Progress] = None, timeout_s: Optional[float] = None) -> Resource:
        """Waits for the end. :raises SelvedgeError: when the run failed or was cancelled."""
        run = wait_for(
            lambda: self.get(name), lambda one: one["status"]["phase"] in _RUN_ENDS, progress=progress, timeout_s=timeout_s
        )
        if run["status"]["phase"] != "Succeeded":
            raise _failure(run["status"], f"Run {name} has {run['status']['phase'].lower()}.")
        return run

    def cancel(self, name: str) -> None:
        self._client.call("cancelRun", name=name)

    def rerun(self, name: str, step: Optional[str] = None) -> Resource:
        return dict(self._client.call("rerunRun", name=name, body={} if step is None else {"from": step}))

    def metrics(self, name: str) -> List[Dict[str, Any]]:
        return list(self._client.call("getRunMetrics", name=name)["points"])

    def log(self, name: str, *, step: Optional[str] = None, follow: bool = False) -> Iterator[str]:
        """The log's lines; with ``follow`` as they come, until the run is finished."""
        with self._client.stream("getRunLog", name=name, query={"step": step, "follow": "1" if follow else None}) as answer:
            yield from answer.lines()


class Models(_Noun):
    def list(self) -> List[Resource]:
        return self._client.list("models")

    def get(self, name: str) -> Dict[str, Any]:
        return dict(self._client.call("getModel", name=name))

    def download(self, name: str, version: Union[int, str], path: PathLike) -> Path:
        """Writes the ONNX file."""
        return self._client.stream("downloadModel", name=name, version=version).save(path)


class Devices(_Noun):
    def list(self, selector: Optional[str] = None) -> List[Resource]:
        return self._client.list("devices", selector)

    def get(self, name: str) -> Resource:
        return self._client.get("devices", name)

    def create_token(self, **options: Any) -> Dict[str, Any]:
        """A token to join with. :param options: ``ttlS``, ``uses``, ``labels``."""
        return dict(self._client.call("createDeviceToken", body=options))

    def telemetry(self, name: str, since: Optional[str] = None) -> Dict[str, Any]:
        return dict(self._client.call("getDeviceTelemetry", name=name, query={"since": since}))

    def remove(self, name: str) -> None:
        self._client.delete("devices", name)


class Inference(_Noun):
    def infer(self, model: str, picture: Union[bytes, PathLike], *, device: Optional[str] = None, content_type: str = "image/png") -> Dict[str, Any]:
        """Sends one picture to a device that serves the model.

        :param model: name of the InferenceModel.
        """
        data = picture if isinstance(picture, bytes) else Path(picture).read_bytes()
        return dict(self._client.call("infer", name=model, query={"device": device}, upload=data, content_type=content_type))


class Artifacts:
    """The uniform artifact API of a tool."""

    def __init__(self, transport: Transport, prefix: str) -> None:
        self._transport = transport
        self._prefix = prefix

    def describe(self) -> Dict[str, Any]:
        return dict(self._json("GET", "/"))

    def list(self) -> List[Dict[str, Any]]:
        return list(self._json("GET", "/artifacts")["items"])

    def create(self, name: str, parameters: Mapping[str, Any], inputs: Optional[Mapping[str, str]] = None) -> Dict[str, Any]:
        """:param inputs: name to URL, for example ``artifacts("split").data_url("a")``."""
        sources = {key: {"url": url} for key, url in (inputs or {}).items()}
        request = {"name": name, "parameters": dict(parameters), **({"inputs": sources} if sources else {})}
        return dict(self._json("POST", "/artifacts", request))

    def wait(self, name: str, *, progress: Optional[Progress] = None, timeout_s: Optional[float] = None) -> Dict[str, Any]:
        """:raises SelvedgeError: when the artifact failed or was cancelled."""
        status = wait_for(
            lambda: self.status(name),
            lambda one: one["status"] in _ARTIFACT_ENDS,
            progress=progress,
            timeout_s=timeout_s,
        )
        if status["status"] != "completed":
            raise _failure(status, f"Artifact {name} is {status['status']}.")
        return status

    def status(self, name: str) -> Dict[str, Any]:
        return dict(self._json("GET", f"/artifacts/{name}/status"))

    def log(self, name: str, *, follow: bool = False) -> Iterator[str]:
        with self._send("GET", f"/artifacts/{name}/log{'?follow=1' if follow else ''}") as answer:
            yield from answer.lines()

    def files(self, name: str) -> List[Dict[str, Any]]:
        return list(self._json("GET", f"/artifacts/{name}/files")["items"])

    def data_url(self, name: str) -> str:
        return f"{self._transport.url}{self._prefix}/artifacts/{name}/data"

    def download(self, name: str, path: PathLike, file: Optional[str] = None) -> Path:
        """Writes one file, or what ``data`` gives: the only file, or a zip of all."""
        part = "" if file is None else f"/{urllib.parse.quote(file)}"
        return self._send("GET", f"/artifacts/{name}/data{part}").save(path)

    def metrics(self, name: str) -> List[str]:
        return list(self._json("GET", f"/artifacts/{name}/metrics")["items"])

    def metric(self, name: str, metric: str, view: str = "series") -> Any:
        """:param view: ``series``, ``summary`` or ``latest``."""
        return self._json("GET", f"/artifacts/{name}/metrics/{metric.replace('/', '.')}/{view}")

    def cancel(self, name: str) -> None:
        self._json("POST", f"/artifacts/{name}/cancel")

    def delete(self, name: str) -> None:
        self._send("DELETE", f"/artifacts/{name}/").read()

    def _send(self, method: str, path: str, body: Any = None) -> Answer:
        headers = {} if body is None else {"content-type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        return self._transport.request(method, self._prefix + path, headers, data)

    def _json(self, method: str, path: str, body: Any = None) -> Any:
        return json.loads(self._send(method, path, body).read())


def _failure(status: Mapping[str, Any], otherwise: str) -> SelvedgeError:
    """What a status says of its failure."""
    error = status.get("error") or {}
    return SelvedgeError(
        error.get("code", "STEP_FAILED"), error.get("message", otherwise), hint=error.get("hint"), issues=error.get("issues")
    )


@contextlib.contextmanager
def _as_upload(source: Path) -> Iterator[Sequence[Any]]:
    """A file or folder as a tar, made on the disk so that its size is known and memory stays flat."""
    if not source.exists():
        raise SelvedgeError("FILE_UNREADABLE", f"{source} does not exist.")
    with tempfile.TemporaryFile() as file:
        with tarfile.open(fileobj=file, mode="w") as archive:
            if source.is_dir():
                for path in sorted(source.rglob("*")):
                    archive.add(path, path.relative_to(source).as_posix(), recursive=False)
            else:
                archive.add(source, source.name)
        file.seek(0)
        yield file, f"{source.resolve().name}.tar"
