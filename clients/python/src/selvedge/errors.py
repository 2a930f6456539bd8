"""Errors of the API as exceptions."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional


class SelvedgeError(Exception):
    """What went wrong, as the problem documents of the API (RFC 9457) say it.

    ``code`` is never renamed or reused (docs/reference/errors.md); ``hint`` says what to do next.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        hint: Optional[str] = None,
        status: Optional[int] = None,
        retryable: bool = False,
        issues: Optional[List[Dict[str, Any]]] = None,
        data: Optional[Mapping[str, Any]] = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.status = status
        self.retryable = retryable
        self.issues = issues or []
        self.data = dict(data or {})

    def __str__(self) -> str:
        lines = [f"{self.code}: {self.message}"]
        lines += [f"  {issue.get('path') or '(whole)'}: {issue.get('message')}" for issue in self.issues]
        if self.hint:
            lines.append(f"hint: {self.hint}")
        return "\n".join(lines)


def from_problem(status: int, document: Any) -> SelvedgeError:
    """The exception of an answer; one that is no problem document keeps its status alone."""
    if not isinstance(document, dict) or "code" not in document:
        return SelvedgeError("SERVER_UNREACHABLE", f"The server answered with HTTP {status}.", status=status, retryable=status in (502, 503, 504))
    return SelvedgeError(
        str(document["code"]),
        str(document.get("detail") or document.get("title") or ""),
        hint=document.get("hint"),
        status=status,
        retryable=bool(document.get("retryable")),
        issues=document.get("issues"),
        data=document.get("data"),
    )
