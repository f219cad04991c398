"""The demo's web process: `python -m config.demo.serve` fills the database and serves the site.

It is told of the other processes by options and environment. Before `READY <address>` it prints
a line `SYNCED …` or `NOT SYNCED …` for each server, and `PASSWORD …` where it made the account.
"""

import argparse
import os
import socket
import sys
import threading
import time
from contextlib import suppress

import uvicorn
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.management import call_command

# Sets Django up, so it comes before everything that has models.
from config.asgi import application

from .rows import PASSWORD, make_account, register_servers, sync

PORTS_TRIED = 100
GRACE_SECONDS = 3.0


def free_listener(port: int) -> socket.socket:
    """A listening socket on the first free loopback port from this one; 0 takes any.

    Raises:
        OSError: a hundred ports in a row are taken.
    """
    for candidate in range(port, port + PORTS_TRIED):
        with suppress(OSError):
            listener = socket.create_server(("127.0.0.1", candidate))
            # Accepted sockets inherit it; asyncio leaves it off where a listener is handed over,
            # and small answers would then wait 40 ms for an acknowledgement.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return listener
    raise OSError(f"No port from {port} to {port + PORTS_TRIED - 1} is free.")


def follow_parent(server: uvicorn.Server) -> None:
    """Stop when standard input closes; a turn that is under way gets a moment to end."""
    while os.read(sys.stdin.fileno(), 4096):
        pass
    server.should_exit = True
    time.sleep(GRACE_SECONDS)
    os._exit(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shop", required=True, help="address of the shop's MCP endpoint")
    parser.add_argument("--branches", required=True, help="address of the branches' endpoint")
    parser.add_argument("--port", type=int, required=True, help="first port to try")
    options = parser.parse_args()

    call_command("migrate", interactive=False, verbosity=0)
    register_servers(options.shop, options.branches)
    for line in sync():
        print(line)
    if password := make_account():
        print(PASSWORD + password)

    # DEBUG is off, as on a real site, so this handler brings the pages' own files.
    site = ASGIStaticFilesHandler(application)
    server = uvicorn.Server(
        uvicorn.Config(site, log_level="warning", lifespan="off", timeout_graceful_shutdown=1)
    )
    listener = free_listener(options.port)
    threading.Thread(target=follow_parent, args=(server,), daemon=True).start()
    print(f"READY http://127.0.0.1:{listener.getsockname()[1]}/", flush=True)
    server.run(sockets=[listener])


if __name__ == "__main__":
    main()
