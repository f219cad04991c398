"""An MCP server on standard streams that keeps or breaks every rule: run as a child process.

`python -S stdio_raw.py [START]`, where `START` says how it meets the first requests, and the names
of its tools say what they do. It speaks 2025-06-18 unless it starts as `modern`.
"""

import json
import os
import signal
import subprocess
import sys
import time
from typing import Any

start = sys.argv[1] if len(sys.argv) > 1 else "legacy"
heard: list[dict[str, Any]] = []
SILENCE = object()


def read() -> dict[str, Any]:
    line = sys.stdin.readline()
    if not line:
        sys.exit()
    heard.append(json.loads(line))
    return heard[-1]


def write(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def send(**parts: Any) -> None:
    write(json.dumps({"jsonrpc": "2.0", **parts}))


def refuse(request: dict[str, Any], code: int, data: Any = None) -> None:
    send(id=request["id"], error={"code": code, "message": "no", "data": data})


def complain(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


def call(request: dict[str, Any], name: str, arguments: dict[str, Any]) -> Any:
    """What the tool of this name does, and its structured content."""
    match name:
        case "pid":
            return os.getpid()
        case "heard":
            return heard
        case "token":
            return os.environ["TOKEN"]
        case "silent":
            return SILENCE
        case "close output":
            os.close(1)
            time.sleep(600)
        case "close input":
            os.close(0)
            answer(request, "fine")
            time.sleep(600)
        case "exit":
            complain("\x1b[31mlast words\x00 of " + os.environ.get("TOKEN", "nobody"))
            os._exit(3)
        case "answer the silent ones":
            for each in heard:
                if each.get("params", {}).get("name") == "silent":
                    answer(each, "late")
        case "deaf":
            time.sleep(600)
        case "rubbish":
            for _ in range(arguments["lines"]):
                write("INFO a line that is no message")
            write(json.dumps({"level": "info"}))
        case "flood":
            complain("x" * 1_000_000 + "the end")
        case "long":
            write("x" * (4 * 1024 * 1024 + 100_000))
        case "deep":
            write('{"jsonrpc": "2.0", "id": 0, "result": ' + "[" * 80 + "]" * 80 + "}")
            return SILENCE
        case "unasked":
            for number in range(10_001):
                send(method="notifications/message", params={"number": number})
            return SILENCE
        case "announce":
            send(method="notifications/tools/list_changed")
        case "confused":
            send(id=-1, result={"structuredContent": "wrong"})
            send(id=str(request["id"]), result={"structuredContent": "wrong"})
            send(id=request["id"], result={"structuredContent": "first"})
            return "second"
        case "nameless":
            send(id=None, error={"code": -32700, "message": "?"})
            return SILENCE
        case "asks":
            send(id="a", method="sampling/createMessage", params={})
            send(id="b", method="ping")
            if arguments.get("wait", True):
                return [read(), read()]
        case "grandchild":
            with open(arguments["fifo"], "w") as fifo:
                return subprocess.Popen(["sleep", "600"], stdout=fifo).pid
        case "stubborn":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            answer(request, "fine")
            while True:
                time.sleep(600)
    return "fine"


def answer(request: dict[str, Any], value: Any) -> None:
    send(id=request["id"], result={"content": [], "structuredContent": value})


def handle(request: dict[str, Any]) -> None:
    params = request.get("params", {})
    match request["method"]:
        case "server/discover" if start == "modern":
            send(id=request["id"], result={"supportedVersions": ["2026-07-28"]})
        case "server/discover" if start == "late":
            while (other := read())["method"] != "initialize":
                pass
            send(id=request["id"], result={"supportedVersions": ["2026-07-28"]})
            refuse(other, -32601)
        case "server/discover" if start == "older":
            refuse(request, -32022, {"supported": ["2025-11-25"]})
        case "server/discover" if start == "stranger":
            refuse(request, -32022, {"supported": ["2030-01-01"]})
        case "server/discover" if start == "mute":
            return
        case "server/discover" if start == "fragile":
            sys.exit(1)
        case "initialize" if start in ("modern", "refusing"):
            refuse(request, -32600)
        case "initialize":
            version = "1999-01-01" if start == "ancient" else "2025-06-18"
            about = {"serverInfo": {"name": "Raw", "version": "1"}, "instructions": "Ask."}
            send(id=request["id"], result={"protocolVersion": version, **about})
        case "tools/list":
            tool = {"name": "pid", "inputSchema": {"type": "object"}}
            send(id=request["id"], result={"tools": [tool]})
        case "tools/call":
            value = call(request, params["name"], params.get("arguments", {}))
            if value is not SILENCE:
                answer(request, value)
        case method if "id" in request:
            refuse(request, -32601 if "/" in method else -32600)


if start == "dying":
    complain("cannot find my settings")
    sys.exit(1)
if start == "endless":
    while True:
        write("rubbish")
if start == "absent":
    time.sleep(600)
while True:
    handle(read())
