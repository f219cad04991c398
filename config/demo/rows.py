"""What the demo writes into its database: the two servers, their tools, one account."""

import secrets

from django.contrib.auth import get_user_model

from automate.models import MCPServer
from automate.sync import sync_servers

USERNAME = "admin"

# How the lines begin by which the web process tells what it wrote.
SYNCED = "SYNCED "
NOT_SYNCED = "NOT SYNCED "
PASSWORD = "PASSWORD "  # noqa: S105  how a line begins


def register_servers(shop_url: str, branches_url: str) -> None:
    """The two demo servers stand at their present addresses; all else in their rows stays."""
    MCPServer.objects.update_or_create(
        slug="shop",
        defaults={"endpoint_url": shop_url},
        create_defaults={
            "endpoint_url": shop_url,
            "name": "Corner shop",
            "auth_type": MCPServer.AuthType.BEARER,
            "auth_secret_ref": "env:SHOP_TOKEN",
        },
    )
    MCPServer.objects.update_or_create(
        slug="branches",
        defaults={"endpoint_url": branches_url},
        create_defaults={
            "endpoint_url": branches_url,
            "name": "Branches",
            "auth_type": MCPServer.AuthType.API_KEY,
            "auth_secret_ref": "env:BRANCHES_KEY",
        },
    )


def sync() -> list[str]:
    """A line for each enabled server: what its sync brought, or why it brought nothing."""
    errors = {each.slug: each.error for each in sync_servers(MCPServer.objects.enabled())}
    servers = MCPServer.objects.enabled().with_tool_counts().order_by("pk")
    return [
        f"{NOT_SYNCED}{server.name}: {error}"
        if (error := errors[server.slug])
        else f"{SYNCED}{server.name}: {server.usable_count} tools"
        for server in servers
    ]


def make_account() -> str:
    """The password of the account `admin`, made now; empty where there is one already."""
    accounts = get_user_model()._default_manager
    if accounts.filter(username=USERNAME).exists():
        return ""
    password = secrets.token_urlsafe(9)
    accounts.create_superuser(USERNAME, password=password)
    return password
