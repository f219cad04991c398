"""Any GGUF file as an OpenAI-compatible model server on loopback, with tool calls.

    python examples/gguf_model.py --gguf FILE

prints `READY http://127.0.0.1:PORT/v1` when the model is loaded. The engine is llama.cpp in
the package `xllamacpp`; tools go by `localmodel` and not by llama.cpp's own `tools`.
One request is answered at a time, the others wait; a client that leaves stops the engine.
"""

import argparse
import os
import signal
import sys
import threading
import time
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any, NoReturn

from localmodel.engine import Engine
from localmodel.service import LocalModel, log
from localmodel.wire import WireHandler

CONTEXT = 8192


def fail(line: str) -> NoReturn:
    log(line)
    sys.exit(2)


def load(gguf: Path, *, threads: int, context: int) -> Engine:
    """The engine with the model of `gguf`, or exit status 2 with one line that says why not."""
    try:
        with gguf.open("rb") as file:
            magic = file.read(4)
    except OSError as exc:
        fail(f"cannot read {str(gguf)!r}: {exc.strerror}")
    if magic != b"GGUF":
        fail(f"{str(gguf)!r} is not a GGUF file: it does not start with the bytes 'GGUF'")
    try:
        import xllamacpp
    except ImportError as exc:
        fail(f'the engine is missing ({exc}); run: pip install "django-automate[local]"')
    try:
        return Engine(xllamacpp, gguf, threads=threads, context=context)
    except RuntimeError:
        fail(
            f"the engine cannot load {str(gguf)!r}: the file is damaged, of a kind that this "
            "llama.cpp does not know, or too large for the memory"
        )


def usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def leave(*_: Any) -> NoReturn:
    """End at once: the engine's own threads would hold a normal exit until they are done."""
    os._exit(0)


def leave_with_parent() -> None:
    # Below the buffer, whose lock would break an exit while this thread waits.
    while os.read(sys.stdin.fileno(), 4096):
        pass
    leave()


def main() -> None:
    """Load, listen, say READY, serve until a signal or the parent's end."""
    parser = argparse.ArgumentParser(description="Serve a GGUF file by the OpenAI wire format.")
    parser.add_argument("--gguf", type=Path, required=True, help="the model's file")
    parser.add_argument("--port", type=int, default=0, help="0 (the default) takes a free one")
    parser.add_argument("--api-key", default="", help="refuse requests without this bearer key")
    parser.add_argument("--threads", type=int, default=max(1, usable_cores() - 1))
    parser.add_argument("--context", type=int, default=CONTEXT, help="tokens (default %(default)s)")
    parser.add_argument("--exit-with-parent", action="store_true", help="end when stdin ends")
    options = parser.parse_args()
    if options.exit_with_parent:
        threading.Thread(target=leave_with_parent, daemon=True).start()
    try:
        server = ThreadingHTTPServer(("127.0.0.1", options.port), WireHandler)
    except OSError as exc:
        fail(f"cannot listen on port {options.port}: {exc.strerror}")
    started = time.monotonic()
    engine = load(options.gguf, threads=max(1, options.threads), context=options.context)
    # The engine put its own handlers here while it loaded.
    signal.signal(signal.SIGINT, leave)
    signal.signal(signal.SIGTERM, leave)
    WireHandler.model = LocalModel(engine, options.gguf.stem)
    WireHandler.api_key = options.api_key
    log(f"{options.gguf.name} loaded in {time.monotonic() - started:.1f} s")
    print(f"READY http://127.0.0.1:{server.server_port}/v1", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
