"""How a tool is declared."""

from __future__ import annotations

import hashlib
import inspect
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Dict, Mapping, Optional, Sequence

from .context import ToolContext
from .schema import refuse_unknown_keywords

OPTIONAL_MARK = "(optional)"
_ANY_OBJECT: Mapping[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}


@dataclass(frozen=True)
class Tool:
    """A declared tool; ``main()`` serves it."""

    name: str
    makes: str
    create: Callable[[ToolContext], None]
    description: str
    parameters: Mapping[str, Any]
    inputs: Mapping[str, str]
    tool_class: str
    version: str
    example: Optional[Mapping[str, Any]]
    source: Path = field(repr=False)

    def describe(self) -> Dict[str, Any]:
        """What ``GET /`` answers."""
        example = {} if self.example is None else {"example": dict(self.example)}
        return {
            "name": self.name,
            "description": self.description,
            "version": self.version,
            "codeDigest": self.code_digest(),
            "makes": self.makes,
            "class": self.tool_class,
            "parameters": dict(self.parameters),
            "inputs": dict(self.inputs),
            **example,
        }

    def code_digest(self) -> str:
        """sha256 over the Python files in the folder of the tool's source, tests left out."""
        digest = hashlib.sha256()
        for path in sorted(self.source.parent.rglob("*.py")):
            if not path.name.startswith("test_"):
                digest.update(str(path.relative_to(self.source.parent)).encode() + b"\0" + path.read_bytes())
        return digest.hexdigest()

    def main(self, argv: Optional[Sequence[str]] = None) -> None:
        """Runs the tool: ``--data DIR [--port 0] [--host 127.0.0.1]``, the token in SELVEDGE_TOOL_TOKEN or a file."""
        from .serve import run_main

        run_main(self, argv)


def tool(
    *,
    name: str,
    makes: str,
    parameters: Optional[Mapping[str, Any]] = None,
    inputs: Optional[Mapping[str, str]] = None,
    description: str = "",
    tool_class: str = "data",
    version: str = "0.1.0",
    example: Optional[Mapping[str, Any]] = None,
) -> Callable[[Callable[[ToolContext], None]], Tool]:
    """Declares a tool.

    :param makes: type of the artifact.
    :param parameters: JSON Schema of an object; none: no parameters.
    :param inputs: name to what it holds; a text that begins with "(optional)" may be left out.
    :param tool_class: group in the pipeline's list of containers: ``data`` or ``models``.
    :param example: ``{"parameters": ..., "inputs": {name: {"file": ..., "text": ...}}}``, for ``selvedge tool verify``.
    :raises ValueError: for a schema that cannot be checked, or another class.
    """
    schema = parameters or _ANY_OBJECT
    refuse_unknown_keywords(schema)
    if schema.get("type") != "object":
        raise ValueError('parameters: the schema must have "type": "object"')
    if tool_class not in ("data", "models"):
        raise ValueError('tool_class must be "data" or "models"')

    def declare(create: Callable[[ToolContext], None]) -> Tool:
        text = description or (inspect.getdoc(create) or name).split("\n")[0]
        source = Path(inspect.getsourcefile(create) or ".").resolve()
        return Tool(name, makes, create, text, schema, dict(inputs or {}), tool_class, version, example, source)

    return declare
