"""The site of a load run: an empty database on PostgreSQL, people, and turns that wait in line."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

QUESTION = "How many blue mugs are in stock?"


@dataclass(frozen=True, slots=True)
class Asked:
    """A turn that waits in line, and the cookies of whom it is for."""

    turn_id: UUID
    cookie: str


def set_up(database_url: str, redis_url: str) -> None:
    """Configure Django on an empty database of this name; child processes get it, too."""
    _recreate(database_url)
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "AUTOMATE_EXECUTOR": "celery",
        "SECRET_KEY": "only-for-benchmarks",
        "DEBUG": "",
        "LOG_LEVEL": "WARNING",
        "OPENAI_API_KEY": "none",
        "OPENAI_MODEL": "scripted",
    }
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", interactive=False, verbosity=0)


def _recreate(database_url: str) -> None:
    import psycopg

    name = urlsplit(database_url).path.lstrip("/")
    server = database_url.removesuffix(name) + "postgres"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        connection.execute(f'CREATE DATABASE "{name}"')


def ask(people: int) -> list[Asked]:
    """Let so many people ask something, each in a conversation of their own."""
    from django.conf import settings
    from django.contrib.auth import (
        BACKEND_SESSION_KEY,
        HASH_SESSION_KEY,
        SESSION_KEY,
        get_user_model,
    )
    from django.contrib.sessions.backends.db import SessionStore

    from chat.models import Conversation, Message, Turn

    model: Any = get_user_model()
    first = model.objects.count()
    users = model.objects.bulk_create(
        [model(username=f"person{first + each}", password="!") for each in range(people)]
    )
    conversations = Conversation.objects.bulk_create(
        [Conversation(user=user, title=QUESTION) for user in users]
    )
    turns = Turn.objects.bulk_create(
        [Turn(conversation=each, occupies=each.pk) for each in conversations]
    )
    Message.objects.bulk_create(
        [
            Message(conversation=turn.conversation, turn=turn, role="user", content=QUESTION)
            for turn in turns
        ]
    )
    asked = []
    for user, turn in zip(users, turns, strict=True):
        session = SessionStore()
        session[SESSION_KEY] = str(user.pk)
        session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
        session[HASH_SESSION_KEY] = user.get_session_auth_hash()
        session.create()
        asked.append(Asked(turn.pk, f"{settings.SESSION_COOKIE_NAME}={session.session_key}"))
    return asked


def submit(asked: Sequence[Asked]) -> None:
    """Hand the turns to the worker."""
    from chat.executors import executor

    for each in asked:
        executor().submit(each.turn_id)


def connections_in_use() -> int:
    """Connections to the database, but for this process's own."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid() AND application_name <> 'load'"
        )
        return int(cursor.fetchone()[0])


def unfinished() -> dict[str, int]:
    """How many turns stand in which state."""
    from django.db.models import Count

    from chat.models import Turn

    found = Turn.objects.order_by().values_list("status").annotate(Count("pk"))
    return dict(found)
