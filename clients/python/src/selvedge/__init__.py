"""Client of Selvedge's REST API, in ``selvedge.tool`` the kit for tools of its pipelines, in ``selvedge.training`` the one for
scripts that train."""

from .client import Client
from .errors import SelvedgeError

__all__ = ["Client", "SelvedgeError"]
