"""Processes of the site that each make one call: `python -m … DATABASE SERVER USER HOW_MANY`.

It says "ready", waits for a line, lets all call at once, and prints what came of each.
"""

import os
import sys
from importlib import import_module

import django
from django.conf import settings

WANTED = (
    "automate.models",
    "automate_llm.mcp_client",
    "cryptography.fernet",
    "django.contrib.auth.models",
)


def main(database: str, server_id: str, user_id: str, processes: str) -> None:
    """Make the calls with this user's account, each in a fork of this process."""
    settings.DATABASES["default"]["NAME"] = database
    django.setup()
    for each in WANTED:
        import_module(each)  # once, and not in each fork
    gate, opening = os.pipe()
    children = []
    for _ in range(int(processes)):
        child = os.fork()
        if not child:
            os.close(opening)
            os.read(gate, 1)  # ends when nobody holds the other end any more
            os.write(sys.stdout.fileno(), f"{outcome(server_id, user_id)}\n".encode())
            os._exit(0)
        children.append(child)
    print("ready", flush=True)
    sys.stdin.readline()
    os.close(opening)
    for child in children:
        os.waitpid(child, 0)


def outcome(server_id: str, user_id: str) -> str:
    """What one call says."""
    from django.contrib.auth.models import User

    from automate.models import MCPServer
    from automate_llm.exceptions import MCPClientError
    from automate_llm.mcp_client import MCPClient

    server = MCPServer.objects.get(pk=server_id)
    client = MCPClient(server.for_user(User.objects.get(pk=user_id)))
    try:
        return str(client.execute_tool("search", {}))
    except MCPClientError as exc:
        return f"{type(exc).__name__}: {exc}"


if __name__ == "__main__":
    main(*sys.argv[1:])
