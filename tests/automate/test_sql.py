"""Statements that are written once: the same to every database, and to whoever looks on."""

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from django.core.exceptions import SynchronousOnlyOperation
from django.db import (
    DEFAULT_DB_ALIAS,
    DatabaseError,
    IntegrityError,
    OperationalError,
    ProgrammingError,
    connections,
    transaction,
)
from django.db.backends.sqlite3.base import DatabaseWrapper as SQLite
from django.db.backends.utils import CursorWrapper
from django.db.transaction import TransactionManagementError
from django.test.utils import CaptureQueriesContext

from automate.sql import Statement, begin_directly

pytestmark = pytest.mark.django_db

connection = connections[DEFAULT_DB_ALIAS]

INSERT = Statement("INSERT INTO django_content_type (id, app_label, model) VALUES (%s, '100%', %s)")


def test_a_per_cent_sign_is_itself_and_values_stay_values() -> None:
    statement = Statement("SELECT '5%', '6%%', %s, %s WHERE 'a%b' LIKE %s")

    found = statement.rows(connection, ["%s", "?%(p)s", "a%"])

    assert found == [("5%", "6%", "%s", "?%(p)s")]


@pytest.mark.parametrize("sql", ["SELECT 1 FROM nowhere", "SELEKT"])
def test_what_the_database_refuses_is_an_error_of_djangos(sql) -> None:
    with pytest.raises(DatabaseError) as caught, transaction.atomic():
        Statement(sql).rows(connection, [])
    assert caught.value.__cause__ is not None


def test_a_key_that_is_there_already_is_an_integrity_error() -> None:
    INSERT.run(connection, [77_001, "a"]).close()

    with pytest.raises(IntegrityError), transaction.atomic():
        INSERT.run(connection, [77_001, "b"])


def test_a_wrong_number_of_values_is_refused() -> None:
    with pytest.raises((ProgrammingError, TypeError)), transaction.atomic():
        INSERT.run(connection, [77_002])


def test_nothing_runs_in_a_transaction_that_is_broken() -> None:
    with transaction.atomic():
        transaction.set_rollback(True)
        with pytest.raises(TransactionManagementError):
            INSERT.run(connection, [77_003, "a"])


@pytest.mark.django_db(transaction=True)
def test_another_threads_connection_is_refused() -> None:
    errors = []

    def use() -> None:
        try:
            Statement("SELECT 1").rows(connection, [])
        except DatabaseError as exc:
            errors.append(exc)

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()

    assert "same thread" in str(errors[0])


def test_an_event_loop_is_not_held_up_by_a_database() -> None:
    async def ask() -> None:
        Statement("SELECT 1").rows(connections[DEFAULT_DB_ALIAS], [])

    with pytest.raises(SynchronousOnlyOperation):
        asyncio.run(ask())


def test_wrappers_and_the_log_of_queries_see_each_statement() -> None:
    seen = []

    def look(execute, sql, values, many, context):
        seen.append((sql, list(values)))
        return execute(sql, values, many, context)

    with connection.execute_wrapper(look):
        assert Statement("SELECT %s").rows(connection, ["a"]) == [("a",)]
    with CaptureQueriesContext(connection) as log:
        assert Statement("SELECT %s").rows(connection, ["b"]) == [("b",)]

    assert seen == [("SELECT %s", ["a"])]
    assert len(log) == 1


def test_only_sqlite_is_asked_past_djangos_cursors(monkeypatch) -> None:
    asked = []
    execute = CursorWrapper.execute

    def count(self, sql, params=None):
        asked.append(sql)
        return execute(self, sql, params)

    monkeypatch.setattr(CursorWrapper, "execute", count)

    assert Statement("SELECT 1").rows(connection, []) == [(1,)]
    assert bool(asked) == (connection.vendor != "sqlite")


@contextmanager
def own_connection(
    backend: type[SQLite], *, name: str = ":memory:", **options: object
) -> Iterator[SQLite]:
    settings = {**connection.settings_dict, "ENGINE": "", "NAME": name, "OPTIONS": options}
    own = backend(settings, "own")
    try:
        yield own
    finally:
        if own.connection is not None:  # which Django's `close` leaves open
            own.connection.close()


class Counting(SQLite):
    """A backend that looks on, as those do that measure."""

    cursors = 0

    def create_cursor(self, name=None):
        self.cursors += 1
        return super().create_cursor(name)


def test_a_backend_that_is_built_on_djangos_sees_each_statement() -> None:
    with own_connection(Counting) as counting:
        assert Statement("SELECT %s").rows(counting, ["a"]) == [("a",)]
        assert counting.cursors == 1


def test_a_connection_is_made_where_there_is_none() -> None:
    with own_connection(SQLite) as own:
        assert own.connection is None
        assert Statement("SELECT %s").rows(own, ["a"]) == [("a",)]


def begin(own: SQLite) -> None:
    """As `transaction.atomic` does it."""
    own.set_autocommit(False, force_begin_transaction_with_broken_autocommit=True)


@pytest.mark.parametrize(
    ("options", "sql"), [({}, "BEGIN"), ({"transaction_mode": "IMMEDIATE"}, "BEGIN IMMEDIATE")]
)
def test_a_transaction_begins_as_the_settings_say_past_djangos_cursors(
    options, sql, monkeypatch
) -> None:
    monkeypatch.setattr(SQLite, "create_cursor", lambda *_: pytest.fail("a cursor of Django's"))
    with own_connection(SQLite, **options) as own:
        begin_directly(own)
        own.connect()
        said: list[str] = []
        own.connection.set_trace_callback(said.append)
        begin(own)

        assert said == [sql]
        assert not own.get_autocommit()
        assert own.connection.in_transaction


def test_who_looks_on_sees_how_a_transaction_begins() -> None:
    seen = []

    def look(execute, sql, values, many, context):
        seen.append(sql)
        return execute(sql, values, many, context)

    with own_connection(SQLite) as own:
        begin_directly(own)
        with own.execute_wrapper(look):
            begin(own)

        assert seen == ["BEGIN"]


def test_a_backend_that_is_built_on_djangos_begins_by_itself() -> None:
    with own_connection(Counting) as counting:
        begin_directly(counting)
        begin(counting)

        assert counting.cursors == 1


def test_a_transaction_that_cannot_begin_is_an_error_of_djangos(tmp_path) -> None:
    name = str(tmp_path / "one.sqlite3")
    with closing(sqlite3.connect(name, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with own_connection(SQLite, name=name, timeout=0, transaction_mode="IMMEDIATE") as own:
            begin_directly(own)
            with pytest.raises(OperationalError, match="locked"):
                begin(own)
            assert own.get_autocommit()

            other.execute("ROLLBACK")
            begin(own)
            assert own.connection.in_transaction
