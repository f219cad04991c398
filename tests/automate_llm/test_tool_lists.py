import copy
import json
import time
from dataclasses import replace

import pytest

from automate_llm.mcp_client import MCPClient
from automate_llm.tool_lists import MAX_DESCRIPTION_BYTES, MAX_TOOLS, discovery_of
from automate_llm.transports.base import Listing
from automate_llm.values import SkippedTool

from .calling import SECRET, to

ANYTHING = {"type": "object"}


def tool(name="search", **parts):
    return {"name": name, "description": "Searches.", "inputSchema": ANYTHING, **parts}


def found(*tools, **parts):
    return discovery_of(Listing(list(tools), "mcp", **parts))


def test_a_tool_keeps_all_that_its_server_says():
    annotations = {"readOnlyHint": True, "title": "Find", "priority": 3}
    output = {"type": "object", "properties": {"hits": {"type": "array"}}}
    discovery = found(tool(title="Search", outputSchema=output, annotations=annotations))

    assert [each.as_dict() for each in discovery.tools] == [
        {
            "name": "search",
            "description": "Searches.",
            "input_schema": ANYTHING,
            "title": "Search",
            "output_schema": output,
            "annotations": {"readOnlyHint": True},
        }
    ]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("not an object", "not an object"),
        (None, "not an object"),
        ([], "not an object"),
        ({}, "no name"),
        (tool(name=""), "no name"),
        (tool(name="  "), "no name"),
        (tool(name=7), "no name"),
        (tool(name="x" * 101), "longer than 100"),
        (tool(name="a\u200bb"), "hidden"),
        (tool(name="a\u202eb"), "hidden"),
        (tool(name="a\nb"), "hidden"),
        (tool(name="a\U000e0041"), "hidden"),
        (tool(name="good"), "same name"),
        ({"name": "a"}, "inputSchema"),
        (tool(inputSchema=None), "inputSchema"),
        (tool(inputSchema=True), "inputSchema"),
        (tool(outputSchema=[]), "outputSchema"),
        (tool(inputSchema={"default": float("nan")}), "no database"),
        (tool(inputSchema={"default": float("inf")}), "no database"),
        (tool(description="a\0b"), "no database"),
        (tool(inputSchema={"\ud800": 1}), "no database"),
        (tool(_meta={"deep": ["\0"]}), "no database"),
        (tool(inputSchema={"description": "x" * 102_401}), "larger than 100 KB"),
    ],
)
def test_a_bad_tool_is_left_out_and_the_good_ones_stay(bad, reason):
    discovery = found(tool("good"), bad, tool("also"))

    assert [each.name for each in discovery.tools] == ["good", "also"]
    assert [reason in each.reason for each in discovery.skipped] == [True]
    assert discovery.skipped[0].name.isprintable()


def test_a_list_that_is_too_long_is_cut_and_says_so():
    discovery = found(*[tool(f"tool{number}") for number in range(MAX_TOOLS + 5)])

    assert len(discovery.tools) == MAX_TOOLS
    assert discovery.skipped == (SkippedTool("…", "the server lists more than 1,000 tools"),)


@pytest.mark.parametrize("description", [None, 5, ["x"], {}])
def test_a_description_that_is_no_text_is_empty(description):
    assert found(tool(description=description)).tools[0].description == ""


def test_what_a_person_cannot_see_is_taken_out_of_a_description():
    hidden = "".join(map(chr, [0x200B, 0x202E, 0x2066, 0xFE0F, 0xE0041, 0xFEFF, 0x1B, 0xAD]))
    discovery = found(
        tool(description=f"Adds{hidden}.\n\tTwice.", title=f"A{hidden}dd"),
        server_name=f"Sh{hidden}op",
        instructions=f"Be{hidden} kind.",
    )

    assert discovery.tools[0].description == "Adds.\n\tTwice."
    assert discovery.tools[0].title == "Add"
    assert (discovery.server_name, discovery.instructions) == ("Shop", "Be kind.")


def test_a_long_description_is_cut_between_characters():
    description = found(tool(description="é" * 4_000)).tools[0].description

    assert description == "é" * (MAX_DESCRIPTION_BYTES // 2)


def test_the_digest_is_the_same_for_the_same_list_only():
    listing = Listing([tool(), tool("add")], "mcp", "2026-07-28", "Shop", "1.0", "Be kind.")
    digest = discovery_of(listing).digest
    same = replace(listing, tools=json.loads(json.dumps(listing.tools)))
    changed = [
        replace(listing, tools=[tool("add"), tool()]),
        replace(listing, tools=listing.tools[:1]),
        replace(listing, protocol="rest"),
        replace(listing, protocol_version="2025-11-25"),
        replace(listing, server_name="Ship"),
        replace(listing, server_version="1.1"),
        replace(listing, instructions="Be cruel."),
    ]
    for part in ("description", "inputSchema", "annotations"):
        tools = copy.deepcopy(listing.tools)
        tools[1][part] = {"new": True}
        changed.append(replace(listing, tools=tools))

    assert discovery_of(same).digest == digest
    assert len({digest, *(discovery_of(each).digest for each in changed)}) == len(changed) + 1


def test_a_known_list_is_unchanged_and_holds_no_tools():
    listing = Listing([tool(), None], "mcp", server_name="Shop")
    first = discovery_of(listing)
    again = discovery_of(listing, known_digest=first.digest)
    other = discovery_of(listing, known_digest="f" * 64)

    assert (first.unchanged, len(first.tools), len(first.skipped)) == (False, 1, 1)
    assert (again.unchanged, again.tools, again.skipped) == (True, (), ())
    assert (again.digest, again.server_name) == (first.digest, "Shop")
    assert other == first


def test_a_client_knows_an_unchanged_list(rest_server):
    server = rest_server([tool()])
    client = MCPClient(to(server))
    digest = client.discover().digest

    assert client.discover(known_digest=digest).unchanged
    server.tools = [tool(description="Deletes.")]
    changed = client.discover(known_digest=digest)
    assert not changed.unchanged
    assert changed.tools[0].description == "Deletes."


def test_ten_thousand_known_tools_cost_no_more_than_150_ms():
    properties = {name: {"type": "string", "description": "A word."} for name in "abcdef"}
    schema = {"type": "object", "properties": properties, "required": ["a"]}
    listing = Listing([tool(f"tool{number}", inputSchema=schema) for number in range(200)], "mcp")
    digest = discovery_of(listing).digest

    def took():
        began = time.process_time()
        for _ in range(50):
            discovery_of(listing, known_digest=digest)
        return time.process_time() - began

    assert min(took() for _ in range(3)) < 0.15


def test_a_server_that_quotes_our_credential_does_not_get_it_stored(rest_server):
    server = rest_server(
        [tool(description=f"Use {SECRET}!", inputSchema={"title": SECRET, SECRET: [SECRET]})],
        token=SECRET,
    )
    discovery = MCPClient(to(server, headers={"Authorization": f"Bearer {SECRET}"})).discover()

    assert SECRET not in repr(discovery)
    assert discovery.tools[0].description == "Use [redacted]!"
    assert discovery.tools[0].input_schema == {"title": "[redacted]", "[redacted]": ["[redacted]"]}
