"""Serves an ASGI application by uvicorn, in a child process: `… module:attribute`."""

import importlib
import socket
import sys

import uvicorn


def main() -> None:
    module, _, attribute = sys.argv[1].partition(":")
    application = getattr(importlib.import_module(module), attribute)
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        # Accepted sockets inherit it; asyncio itself sets it only where a socket names its
        # protocol, and without it every answer waits 40 ms for the client's acknowledgement.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        print(f"READY http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        config = uvicorn.Config(
            application, log_level="warning", timeout_keep_alive=600, timeout_graceful_shutdown=1
        )
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
