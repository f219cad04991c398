"""What a chat may call, and what preparing it costs."""

import json
import threading

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from automate.catalog import BoundedCache, catalog_for, tool_for_call
from automate.models import MCPServer, MCPTool

from .making import TEXT_SCHEMA, add_server

pytestmark = pytest.mark.django_db
PERSON = User(is_active=True)


def add_tools(*names: str, description: str = "Does it.") -> None:
    server = MCPServer.objects.first() or add_server()
    for name in names:
        server.tools.create(name=name, description=description, input_schema=TEXT_SCHEMA)


def shown_names() -> list[str]:
    definitions = catalog_for(PERSON).definitions
    return [each["function"]["name"] for each in json.loads(definitions)] if definitions else []


def test_without_tools_there_is_nothing_to_send() -> None:
    catalog = catalog_for(PERSON)

    assert (catalog.definitions, dict(catalog.tool_ids)) == (b"", {})


def test_each_usable_tool_is_described_as_openai_wants_it() -> None:
    add_tools("search")

    [definition] = json.loads(catalog_for(PERSON).definitions)

    assert definition["type"] == "function"
    assert definition["function"]["name"] == "shop__search"
    assert definition["function"]["description"] == "Does it."
    assert definition["function"]["parameters"]["properties"] == {"text": {"type": "string"}}


def test_the_order_is_that_of_the_names_whatever_the_order_of_the_rows() -> None:
    add_tools("search", "fetch", "add")

    assert shown_names() == ["shop__add", "shop__fetch", "shop__search"]


def test_a_name_leads_to_its_row() -> None:
    add_tools("search", "fetch")

    ids = catalog_for(PERSON).tool_ids

    assert ids == {tool.function_name: tool.pk for tool in MCPTool.objects.all()}


def test_a_second_turn_costs_a_query_and_one_for_rules_and_gets_the_same_bytes() -> None:
    add_tools("search", "fetch")
    first = catalog_for(PERSON)

    with CaptureQueriesContext(connection) as queries:
        second = catalog_for(PERSON)

    assert len(queries) == 2
    assert not any("input_schema" in query["sql"] for query in queries)
    assert second.definitions is first.definitions


def test_only_a_tool_that_is_new_to_this_process_is_read() -> None:
    add_tools("search", "fetch")
    catalog_for(PERSON)
    add_tools("order")

    with CaptureQueriesContext(connection) as queries:
        catalog_for(PERSON)

    assert len(queries) == 3
    order = MCPTool.objects.get(name="order").pk
    assert f"IN ({order})" in queries[2]["sql"]


def test_a_switch_takes_effect_at_the_next_turn() -> None:
    add_tools("search", "fetch")
    catalog_for(PERSON)

    MCPTool.objects.filter(name="fetch").disable()
    assert shown_names() == ["shop__search"]
    MCPTool.objects.filter(name="fetch").enable()
    assert shown_names() == ["shop__fetch", "shop__search"]
    MCPServer.objects.update(enabled=False)
    assert shown_names() == []


def test_a_changed_definition_takes_effect_at_the_next_turn() -> None:
    add_tools("search")
    catalog_for(PERSON)
    tool = MCPTool.objects.get()
    tool.description = "Does more."
    tool.save()

    assert b"Does more." in catalog_for(PERSON).definitions


@pytest.mark.parametrize("description", ["One site's words.", "Another site's words."])
def test_what_was_prepared_for_another_database_is_never_shown(description: str) -> None:
    # Both runs get the same keys, names and versions, since the first is rolled back.
    add_tools("search", description=description)

    assert description.encode() in catalog_for(PERSON).definitions


def test_a_schema_that_no_provider_takes_costs_only_its_own_tool() -> None:
    add_tools("good", "bad")
    MCPTool.objects.filter(name="bad").update(input_schema={"type": "array"}, definition_hash="x")

    assert shown_names() == ["shop__good"]


def test_somebody_without_an_active_account_gets_no_tools() -> None:
    add_tools("search")

    assert catalog_for(AnonymousUser()).definitions == b""
    assert tool_for_call(AnonymousUser(), "shop__search") is None


def test_the_tool_of_a_call_comes_with_its_server_in_one_query() -> None:
    add_tools("search")

    with CaptureQueriesContext(connection) as queries:
        tool = tool_for_call(PERSON, "shop__search")
        assert tool is not None
        assert tool.server.slug == "shop"

    assert len(queries) == 1


@pytest.mark.parametrize(
    "change", [{"enabled": False}, {"available": False}, {"review": "changed"}]
)
def test_a_tool_that_is_no_longer_usable_is_not_called(change: dict[str, object]) -> None:
    add_tools("search")
    catalog_for(PERSON)
    MCPTool.objects.update(**change)

    assert tool_for_call(PERSON, "shop__search") is None


def test_an_unknown_name_is_no_tool() -> None:
    assert tool_for_call(PERSON, "shop__nothing") is None


def test_the_cache_lets_go_of_what_was_not_used_for_longest() -> None:
    cache: BoundedCache[str, str] = BoundedCache(max_bytes=30)
    for key in "abc":
        cache.keep(key, key.upper(), 10)
    cache.get("a")

    cache.keep("d", "D", 10)

    assert [cache.get(key) for key in "abcd"] == ["A", None, "C", "D"]


def test_the_cache_counts_a_replaced_value_once_and_never_keeps_what_is_too_large() -> None:
    cache: BoundedCache[str, str] = BoundedCache(max_bytes=30)
    for _ in range(5):
        cache.keep("a", "A", 20)
    cache.keep("b", "B", 10)
    assert (cache.get("a"), cache.get("b")) == ("A", "B")

    cache.keep("huge", "H", 31)

    assert cache.get("huge") is None


def test_the_cache_holds_its_limit_under_many_threads() -> None:
    cache: BoundedCache[int, int] = BoundedCache(max_bytes=100)

    def work(start: int) -> None:
        for key in range(start, start + 500):
            cache.keep(key % 40, key, 10)
            cache.get((key * 7) % 40)

    threads = [threading.Thread(target=work, args=(n * 100,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(cache.get(key) is not None for key in range(40)) == 10
