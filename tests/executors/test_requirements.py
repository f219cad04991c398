"""What each executor needs of the site, and what is said where it lacks."""

from typing import Any

import django
import pytest
from django.core.exceptions import ImproperlyConfigured

from chat.checks import check_executor
from chat.executors import executor

WITH_WORKERS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}


def said(settings: Any, executor: str, **automate: Any) -> list[str | None]:
    settings.AUTOMATE = {"EXECUTOR": executor, **automate}
    return [each.id for each in check_executor()]


@pytest.mark.parametrize("name", ["thread", "celery", "tasks"])
def test_an_executor_that_has_what_it_needs_is_not_spoken_of(settings: Any, name: str) -> None:
    settings.TASKS = WITH_WORKERS

    assert said(settings, name) == []


NEEDED = [("celery", "celery")]
if django.VERSION < (6,):  # which has tasks itself
    NEEDED.append(("tasks", "django_tasks"))


@pytest.mark.parametrize(("name", "library"), NEEDED)
def test_a_missing_library_is_named_with_its_extra(
    settings: Any, monkeypatch: pytest.MonkeyPatch, name: str, library: str
) -> None:
    settings.TASKS = WITH_WORKERS
    monkeypatch.setattr("chat.executors.requirements.find_spec", lambda module: None)

    assert said(settings, name) == ["automate_chat.E001"]
    assert library in check_executor()[0].msg
    assert repr(name) in (check_executor()[0].hint or "")


@pytest.mark.parametrize("backend", ["immediate.ImmediateBackend", "dummy.DummyBackend"])
def test_a_backend_that_would_run_turns_in_the_web_process_is_refused(
    settings: Any, backend: str
) -> None:
    settings.TASKS = {"default": {"BACKEND": f"django_tasks.backends.{backend}"}}

    assert said(settings, "tasks") == ["automate_chat.E001"]
    with pytest.raises(ImproperlyConfigured, match="no default backend with workers"):
        executor()


def test_a_site_without_a_backend_of_tasks_is_told_to_choose_one(settings: Any) -> None:
    assert said(settings, "tasks") == ["automate_chat.E001"]


def test_a_queue_that_the_backend_lacks_is_named(settings: Any) -> None:
    settings.TASKS = WITH_WORKERS

    assert said(settings, "tasks", EXECUTOR_QUEUE="turns") == ["automate_chat.E001"]
    settings.TASKS = {"default": {**WITH_WORKERS["default"], "QUEUES": ["default", "turns"]}}
    assert check_executor() == []


def test_an_eager_celery_is_refused(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chat.checks._is_eager", lambda: True)

    assert said(settings, "celery") == ["automate_chat.E002"]


def test_an_unknown_executor_is_named_with_those_there_are(settings: Any) -> None:
    settings.AUTOMATE = {"EXECUTOR": "carrier pigeon"}

    with pytest.raises(ImproperlyConfigured, match="'thread', 'celery', 'tasks'"):
        executor()
