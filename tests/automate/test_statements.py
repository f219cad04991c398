"""Statements without the ORM's compiler, and queries compiled once, against the ORM itself."""

import gc
import threading
import weakref
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.auth import get_user_model
from django.db import (
    DEFAULT_DB_ALIAS,
    IntegrityError,
    connection,
    connections,
    models,
    transaction,
)
from django.test.utils import isolate_apps
from django.utils import timezone

from automate.compiled import CompiledQuery, Place
from automate.databases import short_transaction
from automate.models import MCPServer, MCPTool
from automate.statements import Plus, delete_rows, insert_rows, update_rows
from chat.models import Conversation, DailyUsage, Turn, TurnEvent

pytestmark = pytest.mark.django_db

tools_of_server = CompiledQuery(
    lambda: (
        MCPTool.objects.select_related("server")
        .filter(server_id=Place(MCPServer, "pk", "server"), enabled=True)
        .order_by("name")
    )
)


def a_server(slug: str = "shop") -> MCPServer:
    return MCPServer.objects.create(
        name=slug, slug=slug, endpoint_url="http://127.0.0.1/", due_at=timezone.now()
    )


def a_tool(server: MCPServer, name: str = "search", **fields: Any) -> MCPTool:
    return MCPTool(server=server, name=name, function_name=f"{server.slug}__{name}", **fields)


def a_turn(**fields: Any) -> Turn:
    user = get_user_model().objects.create_user(uuid4().hex)
    return Turn.objects.create(conversation=Conversation.objects.create(user=user), **fields)


def columns(row: Any) -> dict[str, Any]:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


def test_inserted_rows_are_what_the_orm_reads_back() -> None:
    server = a_server()
    schema = {"type": "object", "properties": {"größe": {"type": "integer"}}}
    rows = [
        a_tool(server, "search", input_schema=schema, output_schema=None, annotations={"a": [1]}),
        a_tool(server, "fetch", description='100 % of "it"', enabled=False),
    ]

    insert_rows(rows)

    assert [row._state.adding for row in rows] == [False, False]
    for row in rows:
        assert columns(MCPTool.objects.get(pk=row.pk)) == columns(row)


def test_rows_that_bring_their_keys_keep_them() -> None:
    turn = a_turn()
    copy = Turn(conversation=turn.conversation, occupies=None, status=Turn.Status.DONE)

    insert_rows([copy])

    assert Turn.objects.get(pk=copy.pk).status == Turn.Status.DONE


def test_more_rows_than_one_statement_takes_are_all_inserted() -> None:
    turn = a_turn()
    rows = [
        TurnEvent(turn=turn, seq=seq, kind=TurnEvent.Kind.TEXT, data={"seq": seq})
        for seq in range(20_000)
    ]

    insert_rows(rows)

    assert turn.events.count() == 20_000
    assert TurnEvent.objects.get(pk=rows[-1].pk).data == {"seq": 19_999}


def test_a_row_that_breaks_a_constraint_is_not_inserted() -> None:
    server = a_server()
    insert_rows([a_tool(server)])

    with pytest.raises(IntegrityError), transaction.atomic():
        insert_rows([a_tool(server)])

    assert server.tools.count() == 1


def test_rows_that_are_there_already_are_passed_over_where_that_is_asked() -> None:
    turn = a_turn()
    first, second = (
        TurnEvent(turn=turn, seq=seq, kind=TurnEvent.Kind.TEXT, data={}) for seq in (1, 2)
    )
    insert_rows([first])

    insert_rows([TurnEvent(turn=turn, seq=1, kind="call", data={}), second], ignores_conflicts=True)

    assert list(turn.events.values_list("seq", "kind")) == [(1, "text"), (2, "text")]


def test_no_rows_are_no_statement(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        insert_rows([])


def test_an_update_takes_the_rows_that_equal_all_and_counts_them() -> None:
    mine, other = a_turn(), a_turn()
    owner, until = uuid4(), timezone.now() + timedelta(seconds=30)
    states = (Turn.Status.QUEUED, Turn.Status.WAITING)

    changed = update_rows(
        Turn,
        {"id": mine.pk, "status": states, "cancel_requested": False},
        {"status": Turn.Status.RUNNING, "lease_owner": owner, "lease_until": until},
    )
    again = update_rows(Turn, {"id": mine.pk, "status": states}, {"notice": "late"})

    mine.refresh_from_db()
    other.refresh_from_db()
    assert (changed, again) == (1, 0)
    assert (mine.status, mine.lease_owner, mine.lease_until) == ("running", owner, until)
    assert (other.status, other.lease_owner, mine.notice) == ("queued", None, "")


def test_an_update_that_changes_nothing_counts_its_rows_too() -> None:
    turn = a_turn(notice="as it was")

    assert update_rows(Turn, {"id": turn.pk}, {"notice": "as it was"}) == 1


def test_an_update_adds_to_what_the_column_holds() -> None:
    turn = a_turn()
    Turn.objects.filter(pk=turn.pk).update(attempt=4)

    update_rows(Turn, {"id": turn.pk}, {"attempt": Plus(2)})

    turn.refresh_from_db()
    assert turn.attempt == 6


def test_an_update_takes_a_row_for_its_key_and_clears_a_column() -> None:
    turn = a_turn()
    usage = DailyUsage.objects.create(day="2026-11-26", user=turn.conversation.user)
    other = get_user_model().objects.create_user("other")

    update_rows(DailyUsage, {"user": turn.conversation.user}, {"user": other})
    update_rows(Turn, {"id": turn.pk}, {"status": "done", "occupies": None})

    usage.refresh_from_db()
    turn.refresh_from_db()
    assert (usage.user, turn.occupies) == (other, None)


def test_nothing_equals_none_of_several_values_nor_none() -> None:
    turn = a_turn()

    assert update_rows(Turn, {"status": ()}, {"notice": "x"}) == 0
    assert update_rows(Turn, {"lease_owner": None}, {"notice": "x"}) == 0
    turn.refresh_from_db()
    assert turn.notice == ""


def test_deleting_takes_the_rows_that_equal_all() -> None:
    turn = a_turn()
    kinds = (TurnEvent.Kind.TEXT, TurnEvent.Kind.CALL, TurnEvent.Kind.TEXT)
    insert_rows([TurnEvent(turn=turn, seq=seq, kind=kind) for seq, kind in enumerate(kinds)])

    deleted = delete_rows(TurnEvent, {"turn_id": turn.pk, "kind": TurnEvent.Kind.TEXT})

    assert deleted == 2
    assert [event.seq for event in turn.events.all()] == [1]


def test_a_value_is_never_part_of_a_statement() -> None:
    turn = a_turn()

    update_rows(Turn, {"id": turn.pk}, {"notice": "'; DROP TABLE x; --%s"})

    turn.refresh_from_db()
    assert turn.notice == "'; DROP TABLE x; --%s"


def test_a_compiled_query_gives_what_its_queryset_gives() -> None:
    server, other = a_server(), a_server("other")
    insert_rows([a_tool(server, "b"), a_tool(server, "a", annotations={"x": 1}), a_tool(other)])
    insert_rows([a_tool(server, "off", enabled=False)])

    for wanted in (server, other, server):
        found = tools_of_server.rows(server=wanted.pk)
        expected = wanted.tools.select_related("server").filter(enabled=True).order_by("name")

        assert [columns(row) for row in found] == [columns(row) for row in expected]
        assert [columns(row.server) for row in found] == [columns(row.server) for row in expected]


def test_a_compiled_query_asks_once_and_builds_its_queryset_once(
    django_assert_num_queries: Any,
) -> None:
    built = []
    turn = a_turn()

    def build() -> Any:
        built.append(1)
        return Turn.objects.select_related("conversation__user").filter(pk=Place(Turn, "pk"))

    by_key = CompiledQuery(build)
    by_key.rows(pk=turn.pk)
    built.clear()
    with django_assert_num_queries(1):
        found = by_key.first(pk=turn.pk)
        assert found is not None
        assert found.conversation.user.pk == turn.conversation.user_id

    assert built == []
    assert by_key.first(pk=UUID(int=0)) is None


def test_a_row_of_a_compiled_query_can_be_saved_and_asked_for_what_was_left_out() -> None:
    turn = a_turn(notice="deferred")
    found = CompiledQuery(lambda: Turn.objects.defer("notice").filter(pk=Place(Turn, "pk"))).rows(
        pk=turn.pk
    )[0]
    found.cancel_requested = True
    found.save(update_fields=["cancel_requested"])

    turn.refresh_from_db()
    assert turn.cancel_requested
    assert found.notice == "deferred"


def test_a_compiled_query_gives_tuples_where_its_queryset_does() -> None:
    server = a_server()
    insert_rows([a_tool(server, "b"), a_tool(server, "a")])
    names: CompiledQuery[tuple[Any, ...]] = CompiledQuery(
        lambda: MCPTool.objects.order_by("name").values_list("name", "server__due_at")
    )

    assert names.rows() == [("a", server.due_at), ("b", server.due_at)]


@pytest.mark.django_db(transaction=True)
def test_a_compiled_query_keeps_no_thread_s_connection() -> None:
    turn = a_turn()
    by_key = CompiledQuery(lambda: Turn.objects.filter(pk=Place(Turn, "pk")))
    used: list[weakref.ref[Any]] = []
    found: list[Any] = []

    def ask() -> None:
        found.extend(by_key.rows(pk=turn.pk))
        used.append(weakref.ref(connection._connections["default"]))  # type: ignore[attr-defined]
        connection.close()

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    gc.collect()

    assert [row.pk for row in found + by_key.rows(pk=turn.pk)] == [turn.pk] * 2
    assert used[0]() is None


@pytest.mark.django_db(transaction=True)
def test_only_on_sqlite_a_short_transaction_does_without_cursors_of_djangos(monkeypatch) -> None:
    turn = a_turn()
    made = []
    backend = type(connections[DEFAULT_DB_ALIAS])
    create_cursor = backend.create_cursor

    def count(self, name=None):
        made.append(name)
        return create_cursor(self, name)

    monkeypatch.setattr(backend, "create_cursor", count)
    with short_transaction():
        update_rows(Turn, {"id": turn.pk}, {"attempt": 7})

    assert bool(made) == (connection.vendor != "sqlite")
    turn.refresh_from_db()
    assert turn.attempt == 7


@pytest.mark.django_db(transaction=True)
def test_threads_write_one_after_the_other_and_what_is_done_on_commit_may_write() -> None:
    turn = a_turn()
    at_once, most = 0, 0
    counting = threading.Lock()

    def write(seq: int) -> None:
        nonlocal at_once, most
        with short_transaction():
            with counting:
                at_once += 1
                most = max(most, at_once)
            insert_rows([TurnEvent(turn=turn, seq=seq, kind=TurnEvent.Kind.TEXT, data={})])
            transaction.on_commit(
                lambda: update_rows(Turn, {"id": turn.pk}, {"attempt": Plus(1)}) and None
            )
            with counting:
                at_once -= 1
        connection.close()

    threads = [threading.Thread(target=write, args=(seq,)) for seq in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    turn.refresh_from_db()
    assert (turn.events.count(), turn.attempt) == (12, 12)
    assert most == 1 or connection.vendor != "sqlite"


class Negated(models.IntegerField):
    """A field of a site's own, whose column holds something else."""

    def get_prep_value(self, value: Any) -> Any:
        return None if value is None else -value

    def from_db_value(self, value: Any, *_: Any) -> Any:
        return None if value is None else -value


@pytest.mark.django_db(transaction=True)
@isolate_apps("automate")
def test_a_field_of_a_sites_own_prepares_its_values() -> None:
    class Kept(models.Model):  # noqa: DJ008  nobody reads it as text
        size = Negated()
        name = models.CharField(max_length=20)

        class Meta:
            app_label = "automate"

    with connection.schema_editor() as editor:
        editor.create_model(Kept)
    try:
        insert_rows([Kept(size=5, name="100 %s")])
        insert_rows([Kept(size=6, name="a"), Kept(size=7, name="b")])
        update_rows(Kept, {"size": 6}, {"name": "%(p0)s"})

        found = CompiledQuery(lambda: Kept.objects.filter(size=Place(Kept, "size"))).first(size=5)
        assert (found.size, found.name) == (5, "100 %s")
        assert [*Kept.objects.order_by("pk").values_list("size", "name")] == [
            (5, "100 %s"),
            (6, "%(p0)s"),
            (7, "b"),
        ]
    finally:
        with connection.schema_editor() as editor:
            editor.delete_model(Kept)
