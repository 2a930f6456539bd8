"""Client of Selvedge's REST API, and in ``selvedge.tool`` the kit for tools of its pipelines."""

from .client import Client
from .errors import SelvedgeError

__all__ = ["Client", "SelvedgeError"]
