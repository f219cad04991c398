"""The commands of docs/scaling.md, as they stand there, make a site that answers."""

import re
import shlex
import socket
import sys
from typing import Any
from uuid import uuid4

import pytest
import requests
from django.test import Client

from chat.models import Turn
from tests.servers.scripted_replies import text

from .deployment import ROOT, Deployment
from .kinds import KINDS, Kind
from .test_killed_workers import until

pytestmark = pytest.mark.django_db(transaction=True)

COMMANDS = re.findall(
    r"^(?:celery|uvicorn|python) .*$", (ROOT / "docs/scaling.md").read_text(), re.MULTILINE
)
WORKERS = {
    "celery-redis": "celery -A config worker",
    "tasks-db": "python manage.py db_worker",
    "tasks-huey-redis": "python manage.py run_huey",
}


def command(beginning: str) -> list[str]:
    """The one command of the document that begins so, on this Python."""
    (found,) = [each for each in COMMANDS if each.startswith(beginning)]
    program, *rest = shlex.split(found)
    return (
        [sys.executable, *rest] if program == "python" else [sys.executable, "-m", program, *rest]
    )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


@pytest.mark.parametrize("name", WORKERS)
def test_a_web_process_and_a_worker_started_by_the_documents_commands_answer(
    model: Any, user: Any, name: str
) -> None:
    kind: Kind = next(kind for kind in KINDS if kind.name == name)
    if kind.missing:
        pytest.skip(kind.missing)
    model(text("Good morning."))
    port = free_port()
    web = [part.replace("8000", str(port)) for part in command("uvicorn")]
    with Deployment(kind, user, web=False, EXECUTOR_QUEUE="") as site:
        site.start(*web)
        site.start(*command(WORKERS[name]))
        until(lambda: answers(port))
        sent = post_message(port, user)

        assert sent.status_code == 200
        until(lambda: Turn.objects.filter(status=Turn.Status.DONE).exists())

    assert Turn.objects.get().messages.get(role="assistant").content == "Good morning."


def test_beat_is_given_the_sweep_and_the_syncs() -> None:
    from config.celery import app

    tasks = app.tasks  # finds them first
    schedule = app.conf.beat_schedule

    assert schedule["chat-sweep"] == {"task": "chat.sweep", "schedule": 30.0}
    assert schedule["automate-sync-due"] == {"task": "automate.sync_due", "schedule": 300.0}
    assert set(schedule) == {"chat-sweep", "automate-sync-due", "automate-sync-all"}
    assert all(entry["task"] in tasks for entry in schedule.values())


def test_every_command_of_the_document_is_run_by_a_test() -> None:
    known = [*WORKERS.values(), "uvicorn config.asgi:application", "celery -A config beat"]
    of_manage = ["python manage.py " + name for name in ("migrate", "check", "recover_turns")]

    assert [each for each in COMMANDS if not each.startswith((*known, *of_manage))] == []


def answers(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/chat/", timeout=5).status_code < 500
    except requests.ConnectionError:
        return False


def post_message(port: int, user: Any) -> requests.Response:
    """Send a message as the page does."""
    client = Client()
    client.force_login(user)
    token = "t" * 32
    session = client.cookies["sessionid"].value
    return requests.post(
        f"http://127.0.0.1:{port}/chat/send/",
        {"text": "Hello", "submission": str(uuid4())},
        headers={"X-CSRFToken": token},
        cookies={"sessionid": session, "csrftoken": token},
        timeout=10,
    )
