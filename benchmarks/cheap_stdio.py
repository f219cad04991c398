"""An MCP server on standard streams that costs next to nothing: it answers one tool."""

import json
import sys
from typing import Any

from .tools import ANSWER

VERSION = "2026-07-28"
_COMPLETE = {"resultType": "complete"}
_RESULTS: dict[str, dict[str, Any]] = {
    "server/discover": {
        "supportedVersions": [VERSION],
        "capabilities": {"tools": {}},
        "ttlMs": 0,
        "cacheScope": "private",
        **_COMPLETE,
    },
    "tools/list": {"tools": [], "ttlMs": 0, "cacheScope": "private", **_COMPLETE},
    "tools/call": {
        "content": [{"type": "text", "text": ANSWER}],
        "isError": False,
        **_COMPLETE,
    },
}


def main() -> None:
    """Answer each line until there is none."""
    answers = {method: json.dumps(result) for method, result in _RESULTS.items()}
    for line in sys.stdin:
        message = json.loads(line)
        if "id" in message:
            result = answers[message["method"]]
            sys.stdout.write(
                f'{{"jsonrpc":"2.0","id":{json.dumps(message["id"])},"result":{result}}}\n'
            )
            sys.stdout.flush()


if __name__ == "__main__":
    main()
