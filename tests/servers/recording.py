"""What a test server saw."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Seen:
    """One HTTP request: header names in lower case, the body as JSON where it is any."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any = None

    @property
    def rpc_method(self) -> str:
        """Its JSON-RPC method; empty where it is none."""
        return self.body.get("method", "") if isinstance(self.body, dict) else ""
