"""A process of the site that makes one call: `python -m … DATABASE SERVER USER`.

It says "ready", waits for a line, calls, and says what came of it.
"""

import sys

import django
from django.conf import settings


def main(database: str, server_id: str, user_id: str) -> None:
    """Make the call with this user's account."""
    settings.DATABASES["default"]["NAME"] = database
    django.setup()
    from django.contrib.auth.models import User

    from automate.models import MCPServer
    from automate_llm.exceptions import MCPClientError
    from automate_llm.mcp_client import MCPClient

    server = MCPServer.objects.get(pk=server_id)
    client = MCPClient(server.for_user(User.objects.get(pk=user_id)))
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        print(client.execute_tool("search", {}), flush=True)
    except MCPClientError as exc:
        print(f"{type(exc).__name__}: {exc}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
