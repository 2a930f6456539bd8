"""What a tool is asked for, checked at the edge, and how a refusal is said: as a problem document (RFC 9457)."""

from __future__ import annotations

import json
import re
from typing import Any, Dict, List, Optional

from .definition import OPTIONAL_MARK, Tool
from .schema import check

_ARTIFACT_NAME = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
TITLES = {
    "INPUT_INVALID": "The input does not match its schema",
    "DOCUMENT_SYNTAX": "The document is not valid JSON or YAML",
    "PAYLOAD_TOO_LARGE": "The payload is larger than the limit",
    "UNSUPPORTED_MEDIA": "The media type is not supported",
    "NOT_FOUND": "No such resource",
    "CONFLICT": "The resource is in a state that forbids this",
    "UNAUTHENTICATED": "No valid credential was presented",
    "INTERNAL": "Something that should not happen has happened",
}



class ApiError(Exception):
    """Answered as a problem document."""

    def __init__(self, status: int, code: str, detail: str, issues: Optional[List[Dict[str, str]]] = None, hint: Optional[str] = None) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.issues, self.hint = status, code, detail, issues, hint

    def document(self) -> Dict[str, Any]:
        extra = {"issues": self.issues, "hint": self.hint}
        return {
            "type": f"https://selvedge.dev/errors/{self.code}",
            "title": TITLES[self.code],
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "kind": "bug" if self.code == "INTERNAL" else "user",
            "retryable": False,
            **{key: value for key, value in extra.items() if value is not None},
        }


def invalid(issues: List[Dict[str, str]]) -> ApiError:
    text = "; ".join(f"{issue['path']}: {issue['message']}" for issue in issues)
    return ApiError(400, "INPUT_INVALID", f"The request cannot be accepted: {text}.", issues, "GET / describes the parameters and inputs of this tool.")


def check_request(tool: Tool, body: Any, uploads: List[Dict[str, Any]]) -> Dict[str, Any]:
    """A request that the tool takes. :raises ApiError: with every fault."""
    if not isinstance(body, dict):
        raise invalid([{"path": "", "message": "must be an object"}])
    issues = [{"path": key, "message": "unknown field"} for key in body if key not in ("name", "parameters", "inputs")]
    name, parameters, inputs = body.get("name"), body.get("parameters"), body.get("inputs", {})
    if not isinstance(name, str) or len(name) > 128 or not _ARTIFACT_NAME.match(name):
        issues.append({"path": "name", "message": 'must be lower-case letters, digits, "-" and ".", and begin and end with a letter or digit'})
    issues += check(tool.parameters, parameters, "parameters")
    if not isinstance(inputs, dict):
        issues.append({"path": "inputs", "message": "must be an object"})
        inputs = {}
    for input_name, source in inputs.items():
        if not isinstance(source, dict) or set(source) - {"url", "sha256"} or not re.match(r"https?://", str(source.get("url")), re.I):
            issues.append({"path": f"inputs.{input_name}.url", "message": "must be an http or https URL"})
    given = [*inputs, *(upload["input"] for upload in uploads)]
    for input_name in given:
        if input_name not in tool.inputs:
            issues.append({"path": f"inputs.{input_name}", "message": "unknown input"})
        elif given.count(input_name) > 1:
            issues.append({"path": f"inputs.{input_name}", "message": "is given twice"})
    for input_name, what in tool.inputs.items():
        if input_name not in given and not what.startswith(OPTIONAL_MARK):
            issues.append({"path": f"inputs.{input_name}", "message": "is missing"})
    if issues:
        raise invalid(issues)
    return {"name": name, "parameters": parameters, **({"inputs": inputs} if inputs else {})}


def parse_json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ApiError(400, "DOCUMENT_SYNTAX", "The request is not JSON.") from error
