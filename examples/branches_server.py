"""The branches of a shop over the simple HTTP dialect, with nothing but the standard library.

The dialect is two requests: `GET {endpoint}/tools` lists the tools, `POST {endpoint}/execute` with
`{"tool": …, "arguments": {…}}` runs one and answers `{"result": …}`.

Run it by itself: `BRANCHES_KEY=secret python examples/branches_server.py --port 8766`.
"""

import argparse
import contextlib
import hmac
import json
import os
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ENDPOINT = "/api"
MAX_BODY_BYTES = 1_000_000
DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]

BRANCHES: dict[str, dict[str, Any]] = {
    "harbour": {
        "branch": "Harbour",
        "city": "Hamburg",
        "street": "Kaistrasse 12",
        "phone": "+49 40 5550 112",
        "services": ["gift wrapping", "click and collect"],
        "hours": {"weekday": "09:00-19:00", "saturday": "10:00-18:00", "sunday": "closed"},
    },
    "old-town": {
        "branch": "Old Town",
        "city": "Hamburg",
        "street": "Marktgasse 3",
        "phone": "+49 40 5550 118",
        "services": ["repairs", "gift wrapping"],
        "hours": {"weekday": "10:00-18:30", "saturday": "10:00-16:00", "sunday": "closed"},
    },
    "station": {
        "branch": "Main Station",
        "city": "Berlin",
        "street": "Europaplatz 1",
        "phone": "+49 30 5550 204",
        "services": ["click and collect"],
        "hours": {"weekday": "07:00-21:00", "saturday": "08:00-21:00", "sunday": "10:00-18:00"},
    },
    "garden": {
        "branch": "Garden Quarter",
        "city": "Vienna",
        "street": "Lindengasse 27",
        "phone": "+43 1 5550 330",
        "services": ["repairs", "courses"],
        "hours": {"weekday": "09:30-18:00", "saturday": "09:30-17:00", "sunday": "closed"},
    },
}

TOOLS: list[dict[str, Any]] = [
    {
        "name": "find_branches",
        "description": "Find branches of the shop by city or by a service that they offer.",
        "annotations": {"readOnlyHint": True},
        "inputSchema": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "Such as Hamburg.", "maxLength": 100},
                "service": {
                    "type": "string",
                    "enum": ["gift wrapping", "click and collect", "repairs", "courses"],
                    "description": "A service that the branch must offer.",
                },
            },
            "additionalProperties": False,
        },
    },
    {
        "name": "opening_hours",
        "description": "Say when a branch is open, on one day of the week or on all of them.",
        "annotations": {"readOnlyHint": True},
        "inputSchema": {
            "type": "object",
            "properties": {
                "branch": {
                    "type": "string",
                    "enum": list(BRANCHES),
                    "description": "Which branch.",
                },
                "day": {"type": "string", "enum": DAYS, "description": "A day of the week."},
            },
            "required": ["branch"],
            "additionalProperties": False,
        },
    },
]


class Refused(Exception):
    """A request that is answered with an HTTP error and a sentence."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def find_branches(city: str = "", service: str = "") -> list[dict[str, Any]]:
    return [
        {
            "id": key,
            **{name: value for name, value in branch.items() if name != "hours"},
        }
        for key, branch in BRANCHES.items()
        if city.strip().lower() in ("", branch["city"].lower())
        and (not service or service in branch["services"])
    ]


def opening_hours(branch: str, day: str = "") -> dict[str, Any]:
    if branch not in BRANCHES:
        raise Refused(422, f"There is no branch {branch!r}. Known are: {', '.join(BRANCHES)}.")
    if day and day not in DAYS:
        raise Refused(422, f"{day!r} is no day of the week.")
    found = BRANCHES[branch]
    hours = {each: found["hours"].get(each, found["hours"]["weekday"]) for each in DAYS}
    return {"branch": found["branch"], "hours": {day: hours[day]} if day else hours}


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "find_branches": find_branches,
    "opening_hours": opening_hours,
}


def execute(request: Any) -> Any:
    """The result of the tool that `{"tool": …, "arguments": {…}}` names."""
    if not isinstance(request, dict) or not isinstance(request.get("tool"), str):
        raise Refused(400, 'Send a JSON object: {"tool": "…", "arguments": {…}}.')
    arguments = request.get("arguments") or {}
    schema = {tool["name"]: tool["inputSchema"] for tool in TOOLS}.get(request["tool"])
    if schema is None:
        raise Refused(404, f"There is no tool {request['tool']!r}.")
    if not isinstance(arguments, dict) or not all(isinstance(v, str) for v in arguments.values()):
        raise Refused(422, "Arguments must be a JSON object of texts.")
    if unknown := set(arguments) - set(schema["properties"]):
        raise Refused(422, f"Unknown arguments: {', '.join(sorted(unknown))}.")
    if missing := set(schema.get("required", [])) - set(arguments):
        raise Refused(422, f"Missing arguments: {', '.join(sorted(missing))}.")
    return FUNCTIONS[request["tool"]](**arguments)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # An answer's head and body would otherwise wait for each other's acknowledgement.
    disable_nagle_algorithm = True
    key = ""

    def do_GET(self) -> None:
        self._answer("/tools", lambda body: {"tools": TOOLS})

    def do_POST(self) -> None:
        self._answer("/execute", lambda body: {"result": execute(self._json(body))})

    def log_message(self, format: str, *args: Any) -> None:
        return

    def _answer(self, path: str, work: Callable[[bytes], dict[str, Any]]) -> None:
        try:
            body = self._body()
            if not hmac.compare_digest(
                self.headers.get("X-API-Key", "").encode(), self.key.encode()
            ):
                raise Refused(401, "Send the API key in the header X-API-Key.")
            if self.path != ENDPOINT + path:
                raise Refused(404, f"There is nothing at {self.path!r}.")
            self._send(200, work(body))
        except Refused as refusal:
            self._send(refusal.status, {"error": str(refusal)})

    def _body(self) -> bytes:
        """The request's body, always read, so that the connection can serve the next request."""
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
            self.close_connection = True
            raise Refused(413, f"Send a Content-Length of at most {MAX_BODY_BYTES} bytes.")
        return self.rfile.read(int(length))

    def _json(self, body: bytes) -> Any:
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise Refused(400, "The body is no JSON.") from None

    def _send(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    daemon_threads = True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8766, help="0 takes a free one")
    parser.add_argument(
        "--exit-with-parent", action="store_true", help="end when standard input is closed"
    )
    options = parser.parse_args()
    Handler.key = os.environ.get("BRANCHES_KEY", "")
    if not Handler.key:
        parser.error("set the environment variable BRANCHES_KEY to the key that clients must send")

    with Server(("127.0.0.1", options.port), Handler) as server:
        if options.exit_with_parent:

            def follow_parent() -> None:
                while os.read(sys.stdin.fileno(), 4096):
                    pass
                server.shutdown()

            threading.Thread(target=follow_parent, daemon=True).start()
        print(f"READY http://127.0.0.1:{server.server_port}{ENDPOINT}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


if __name__ == "__main__":
    main()
