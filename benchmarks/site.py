"""The runnable site in this process, on a database file of its own."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chat.models import Turn

FUNCTION_PREFIX = "shop__"


def set_up(directory: Path, database_url: str = "") -> None:
    """Configure Django with `config.settings`, on an empty SQLite file in WAL mode.

    Or else on the empty database at that address.

    The environment that does it is also what a site in a child process gets.
    """
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DATABASE_URL": database_url,
        "SQLITE_PATH": str(directory / "benchmarks.sqlite3"),
        "MEDIA_ROOT": str(directory / "media"),
        "SECRET_KEY": "only-for-benchmarks",
        "DEBUG": "",
        "LOG_LEVEL": "ERROR",
        "OPENAI_API_KEY": "none",
        "OPENAI_MODEL": "scripted",
    }
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", interactive=False, verbosity=0)


def person() -> Any:
    """The account that asks."""
    from django.contrib.auth import get_user_model

    return get_user_model().objects.get_or_create(username="ann")[0]


@contextmanager
def model_at(base_url: str) -> Iterator[None]:
    """While the block lasts, the site's model is the one at this address."""
    from django.conf import settings
    from django.test import override_settings

    models = {"default": {"MODEL": "scripted", "BASE_URL": base_url}}
    with override_settings(AUTOMATE={**settings.AUTOMATE, "MODELS": models}):
        yield


def register(address: str) -> None:
    """Make the server at this address the site's only one, and sync its tools."""
    from automate.models import MCPServer
    from automate.sync import sync_server

    MCPServer.objects.all().delete()
    server = MCPServer.objects.create(name="Shop", slug="shop", endpoint_url=address)
    if error := sync_server(server).error:
        raise RuntimeError(error)


def asked_turn(text: str = "How many blue mugs are in stock?", asks: Any = None) -> "Turn":
    """A new conversation with a message that waits for its answer."""
    from automate.databases import short_transaction
    from automate.statements import insert_rows
    from chat.models import Conversation, Turn
    from chat.submission import Said

    conversation = Conversation(user=asks or person())
    turn = Turn(conversation=conversation)
    with short_transaction():
        insert_rows([conversation])
        turn.insert()
        Said(text).store(turn)
    return turn
