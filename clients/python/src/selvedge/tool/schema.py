"""The part of JSON Schema that parameters are described with."""

from __future__ import annotations

import copy
import re
from typing import Any, Dict, List, Mapping

Issue = Dict[str, str]

_TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "null": type(None),
}
_KNOWN = {
    "type", "properties", "required", "additionalProperties", "enum", "const", "minimum", "maximum", "exclusiveMinimum",
    "exclusiveMaximum", "minLength", "maxLength", "pattern", "items", "minItems", "maxItems", "default", "anyOf",
    "description", "title", "examples", "$schema", "format",
}  # fmt: skip


def refuse_unknown_keywords(schema: Mapping[str, Any], where: str = "parameters") -> None:
    """:raises ValueError: for a keyword that would not be checked: silence would look like a check."""
    unknown = set(schema) - _KNOWN
    if unknown:
        raise ValueError(f"{where}: the schema's {', '.join(sorted(unknown))} cannot be checked here")
    for name, inner in schema.get("properties", {}).items():
        refuse_unknown_keywords(inner, f"{where}.{name}")
    for name in ("items", "additionalProperties"):
        if isinstance(schema.get(name), dict):
            refuse_unknown_keywords(schema[name], f"{where}.{name}")
    for inner in schema.get("anyOf", []):
        refuse_unknown_keywords(inner, where)


def with_defaults(schema: Mapping[str, Any], value: Any) -> Any:
    """The value with the defaults of properties that are not there."""
    if not isinstance(value, dict):
        return value
    filled = dict(value)
    for name, inner in schema.get("properties", {}).items():
        if name in filled:
            filled[name] = with_defaults(inner, filled[name])
        elif "default" in inner:
            filled[name] = copy.deepcopy(inner["default"])
    return filled


def check(schema: Mapping[str, Any], value: Any, path: str) -> List[Issue]:
    """All faults of a value, each with its path."""
    wanted = schema.get("type")
    types = wanted if isinstance(wanted, list) else [wanted] if wanted else []
    if types and not any(_is_type(value, name) for name in types):
        return [_issue(path, f"must be {' or '.join(types)}")]
    if "anyOf" in schema and all(check(inner, value, path) for inner in schema["anyOf"]):
        return [_issue(path, "fits none of the forms")]
    issues = [_issue(path, text) for text in _value_faults(schema, value)]
    if isinstance(value, dict):
        issues += _check_object(schema, value, path)
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        for index, item in enumerate(value):
            issues += check(schema["items"], item, f"{path}[{index}]")
    return issues


def _check_object(schema: Mapping[str, Any], value: Dict[str, Any], path: str) -> List[Issue]:
    properties = schema.get("properties", {})
    issues = [_issue(f"{path}.{name}", "is missing") for name in schema.get("required", []) if name not in value]
    others = schema.get("additionalProperties", True)
    for name, inner in value.items():
        if name in properties:
            issues += check(properties[name], inner, f"{path}.{name}")
        elif others is False:
            issues.append(_issue(f"{path}.{name}", "unknown field"))
        elif isinstance(others, dict):
            issues += check(others, inner, f"{path}.{name}")
    return issues


def _value_faults(schema: Mapping[str, Any], value: Any) -> List[str]:
    faults: List[str] = []
    if "const" in schema and value != schema["const"]:
        faults.append(f"must be {schema['const']!r}")
    if "enum" in schema and value not in schema["enum"]:
        faults.append(f"must be one of {', '.join(map(repr, schema['enum']))}")
    if _is_type(value, "number"):
        bounds = (
            ("minimum", lambda bound: value >= bound, "must be at least"),
            ("maximum", lambda bound: value <= bound, "must be at most"),
            ("exclusiveMinimum", lambda bound: value > bound, "must be more than"),
            ("exclusiveMaximum", lambda bound: value < bound, "must be less than"),
        )
        faults += [f"{text} {schema[name]}" for name, holds, text in bounds if name in schema and not holds(schema[name])]
    size = len(value) if isinstance(value, (str, list)) else None
    if size is not None:
        low, high = ("minLength", "maxLength") if isinstance(value, str) else ("minItems", "maxItems")
        if size < schema.get(low, 0):
            faults.append(f"must have {schema[low]} or more")
        if high in schema and size > schema[high]:
            faults.append(f"must have at most {schema[high]}")
    if isinstance(value, str) and "pattern" in schema and not re.search(schema["pattern"], value):
        faults.append(f"must match {schema['pattern']}")
    return faults


def _is_type(value: Any, name: str) -> bool:
    if name == "number":
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if name == "integer":
        return _is_type(value, "number") and float(value).is_integer()
    return isinstance(value, _TYPES.get(name, ()))


def _issue(path: str, message: str) -> Issue:
    return {"path": path, "message": message}
