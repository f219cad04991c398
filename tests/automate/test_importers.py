"""Lists of servers from other programs: what becomes of each entry, and that no secret is taken."""

import json
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from automate import importers
from automate.importers import Entry, ImportProblem, exported, read_entries
from automate.models import MCPServer

from .making import add_server

pytestmark = pytest.mark.django_db
URL = "https://shop.example/mcp"
SECRET = "ghp_Abc123Abc123Abc123Abc123"


def read(config: Any, name: str = "Shop") -> Entry:
    """The one entry of a list in the form of Claude Desktop."""
    [entry] = read_entries(json.dumps({"mcpServers": {name: config}}))
    return entry


def values(entry: Entry, *names: str) -> tuple[str, ...]:
    assert entry.problems == () and entry.values is not None
    return tuple(entry.values[name] for name in names)


@pytest.mark.parametrize(
    ("config", "protocol"),
    [
        ({"url": URL}, "auto"),
        ({"serverUrl": URL}, "auto"),
        ({"httpUrl": URL}, "auto"),
        ({"type": "http", "url": URL}, "mcp"),
        ({"type": "streamable-http", "url": f"  {URL} "}, "mcp"),
        ({"type": "sse", "url": URL}, "sse"),
        ({"type": "rest", "url": URL}, "rest"),
    ],
)
def test_an_address_becomes_a_server_that_is_off(config: dict[str, str], protocol: str) -> None:
    entry = read(config)
    row = entry.row()

    assert (row.name, row.slug, row.endpoint_url) == ("Shop", "shop", URL)
    assert (row.protocol, row.enabled, row.auth_type) == (protocol, False, "none")


@pytest.mark.parametrize(
    ("headers", "login"),
    [
        ({"Authorization": "Bearer ${SHOP_TOKEN}"}, ("bearer", "X-API-Key", "env:SHOP_TOKEN")),
        ({"authorization": "Bearer ${env:SHOP}"}, ("bearer", "X-API-Key", "env:SHOP")),
        (
            {"Authorization": "Bearer ${input:git-hub.pat}"},
            ("bearer", "X-API-Key", "env:GIT_HUB_PAT"),
        ),
        ({"Authorization": "Bearer ${SHOP:-none}"}, ("bearer", "X-API-Key", "env:SHOP")),
        ({"Authorization": "Bearer env:SHOP"}, ("bearer", "X-API-Key", "env:SHOP")),
        ({"X-Key": "${KEY}"}, ("api_key", "X-Key", "env:KEY")),
        ({"Authorization": "${KEY}"}, ("api_key", "Authorization", "env:KEY")),
        ({"X-Tenant": "a", "Authorization": "Bearer ${A}"}, ("bearer", "X-API-Key", "env:A")),
    ],
)
def test_a_reference_becomes_a_variable_of_the_environment(
    headers: dict[str, str], login: tuple[str, ...]
) -> None:
    entry = read({"url": URL, "headers": headers})

    assert values(entry, "auth_type", "auth_header", "auth_secret_ref") == login
    assert bool(entry.warnings) == (len(headers) > 1)


@pytest.mark.parametrize(
    ("headers", "variable"),
    [({"Authorization": f"Bearer {SECRET}"}, "SHOP_TOKEN"), ({"X-Key": SECRET}, "SHOP_KEY")],
)
def test_a_secret_itself_is_left_behind(headers: dict[str, str], variable: str) -> None:
    entry = read({"url": URL, "headers": headers})

    assert values(entry, "auth_secret_ref") == (f"env:{variable}",)
    assert f"Put it into the environment variable {variable}." in entry.warnings[0]
    assert SECRET not in repr(entry)


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({}, "neither an address (url) nor a command"),
        ([], "It is no object."),
        ({"url": 7}, "neither an address"),
        ({"url": "ftp://shop"}, "endpoint URL: Start with http"),
        ({"url": "https://shop.example/${PATH}"}, "Its address holds a variable"),
        ({"url": "https://shop.example/{region}"}, "the variable {region}"),
        ({"url": f"https://shop.example/mcp?api_key={SECRET}"}, "seems to hold a secret"),
        ({"url": f"https://u:{SECRET}@shop.example/"}, "Leave user name and password out"),
        ({"url": URL, "headers": {"Host": "${A}"}}, "API key header: This header is not free"),
        ({"url": URL, "headers": {"Authorization": "Basic ${A}"}}, "is a variable and more"),
        ({"url": URL, "headers": []}, None),
        ({"url": URL, "headers": ["a"]}, "headers are no object"),
        ({"url": "https://" + "x" * 600}, "endpoint URL: Ensure this value has at most 500"),
    ],
)
def test_what_cannot_work_is_told_in_plain_words(config: Any, problem: str | None) -> None:
    entry = read(config)

    assert entry.is_good == (problem is None)
    assert problem is None or problem in entry.problems[0]
    assert SECRET not in repr(entry)


@pytest.mark.parametrize("name", ["", "\u202e\u200b", 'x" onclick="'])
def test_hostile_names_are_names_or_told(name: str) -> None:
    entry = read({"url": URL}, name)

    assert entry.is_good == (name.startswith("x"))
    assert "\u202e" not in entry.name


def test_a_command_is_taken_only_where_the_settings_name_it_exactly(settings: Any) -> None:
    config = {"command": "npx", "args": ["-y", "mcp-shop"], "env": {"TOKEN": SECRET}}
    unknown = read(config)
    settings.AUTOMATE = {"STDIO_SERVERS": {"shop": {"command": ["npx", "-y", "mcp-shop"]}}}

    known = read(config)
    other = read({**config, "args": ["-y", "mcp-shop", "--evil"]})

    assert not unknown.is_good and not other.is_good
    assert unknown.setting == (
        '"shop": {"command": ["npx", "-y", "mcp-shop"], "env": {"TOKEN": "env:TOKEN"}},'
    )
    assert values(known, "endpoint_url") == ("stdio:shop",)


@pytest.mark.parametrize(
    "secret", [["--api-key", "hunter2"], ["--token=hunter2"], [SECRET], [f"--x={SECRET}"]]
)
def test_the_line_for_the_settings_shows_no_secret_of_a_command(secret: list[str]) -> None:
    entry = read({"command": "run", "args": ["-v", *secret, "--name", "shop"]})

    assert "hunter2" not in entry.setting and SECRET not in entry.setting
    assert '"--name", "shop"' in entry.setting
    assert "…" in entry.setting


def test_vs_codes_list_is_read_with_its_comments() -> None:
    text = """{
      // the site's own servers
      "inputs": [{"id": "pat", "type": "promptString", "password": true}],
      "servers": {
        "shop": {"type": "http", "url": "https://shop.example//mcp",
                 "headers": {"Authorization": "Bearer ${input:pat}"},},
        /* no more */
      },
    }"""

    [entry] = read_entries(text)
    [nested] = read_entries(f'{{"mcp": {text}}}')

    assert values(entry, "endpoint_url", "auth_secret_ref") == (
        "https://shop.example//mcp",
        "env:PAT",
    )
    assert nested == entry


def registry_server(**fields: Any) -> dict[str, Any]:
    return {
        "$schema": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json",
        "name": "io.github.someone/weather-mcp",
        "description": "Weather.",
        "version": "1.0.2",
        **fields,
    }


def test_a_server_json_gives_its_remote() -> None:
    headers = [
        {"name": "X-Region", "value": "eu"},
        {"name": "Authorization", "value": "Bearer {token}", "isSecret": True},
    ]
    remotes = [
        {"type": "sse", "url": "https://weather.example/sse"},
        {
            "type": "streamable-http",
            "url": "https://{region}.weather.example/mcp",
            "variables": {"region": {"default": "eu"}},
            "headers": headers,
        },
    ]

    server = registry_server(title="Weather", remotes=remotes)
    [entry] = read_entries(json.dumps(server))
    [wrapped] = read_entries(json.dumps({"servers": [{"server": server, "_meta": {}}]}))

    assert (entry.name, entry.slug) == ("Weather", "weather-mcp")
    assert values(entry, "endpoint_url", "protocol") == ("https://eu.weather.example/mcp", "mcp")
    assert values(entry, "auth_type", "auth_secret_ref") == ("bearer", "env:WEATHER_MCP_TOKEN")
    assert any("more than one address" in each for each in entry.warnings)
    assert any("left out: X-Region" in each for each in entry.warnings)
    assert wrapped == entry


@pytest.mark.parametrize(
    ("package", "command"),
    [
        (
            {"registryType": "npm", "identifier": "@x/weather", "version": "1.0.2"},
            '"npx", "-y", "@x/weather@1.0.2"',
        ),
        (
            {
                "registryType": "pypi",
                "identifier": "weather",
                "version": "2",
                "packageArguments": [
                    {"type": "named", "name": "--units", "value": "metric"},
                    {"type": "positional", "value": "serve"},
                ],
            },
            '"uvx", "weather@2", "--units", "metric", "serve"',
        ),
        (
            {"registryType": "oci", "identifier": "ghcr.io/x/weather:1", "runtimeHint": "podman"},
            '"podman", "run", "-i", "--rm", "ghcr.io/x/weather:1"',
        ),
    ],
)
def test_a_package_says_what_the_settings_would_need(package: Any, command: str) -> None:
    package["environmentVariables"] = [{"name": "WEATHER_KEY", "isSecret": True}]

    [entry] = read_entries(json.dumps(registry_server(packages=[package])))

    assert not entry.is_good
    assert entry.setting == (
        f'"weather-mcp": {{"command": [{command}], "env": {{"WEATHER_KEY": "env:WEATHER_KEY"}}}},'
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "It is no JSON: line 1"),
        ("{", "It is no JSON: line 1"),
        ("[" * 100_000, "nested too deeply"),
        ("[]", "neither “mcpServers” nor “servers”"),
        ('{"mcpServers": {}}', "It lists no servers."),
        ('{"mcpServers": []}', "neither"),
        ("x" * (1024 * 1024 + 1), "longer than 1 MB"),
        (json.dumps({"servers": [1] * 1001}), "take 1000 at most"),
        ("/*" * 400_000, "It is no JSON"),
        ('"' + "\\" * 400_000, "It is no JSON"),
    ],
)
def test_a_text_that_is_no_list_is_told(text: str, problem: str) -> None:
    with pytest.raises(ImportProblem, match=problem):
        read_entries(text)


def test_what_is_there_already_or_twice_is_told() -> None:
    add_server("shop", URL)
    text = json.dumps(
        {
            "mcpServers": {
                "Shop": {"url": "https://other.example"},
                "Second": {"url": URL},
                "Third": {"url": "https://third.example"},
                "third!": {"url": "https://fourth.example"},
            }
        }
    ).replace('"third!"', '"Third": {"url": "https://5.example"}, "third!"')

    entries = {entry.name: entry for entry in read_entries(text)}

    assert entries["Shop"].problems == ("The slug shop is taken by “Shop”.",)
    assert entries["Second"].warnings == ("“Shop” has the same address.",)
    assert entries["Second"].is_repeated
    assert entries["Third"].problems == ("This name stands there twice.",)
    assert entries["third!"].is_good


def test_a_thousand_entries_are_compared_by_one_query() -> None:
    servers = {f"Server {n}": {"url": f"https://s{n}.example"} for n in range(1000)}

    with CaptureQueriesContext(connection) as queries:
        entries = read_entries(json.dumps({"mcpServers": servers}))

    assert sum(entry.is_good for entry in entries) == 1000
    assert len(queries) == 1


def test_what_a_page_gives_back_is_checked_anew() -> None:
    entry = read({"url": URL, "headers": {"X-Key": "${KEY}"}})
    plain = json.loads(json.dumps(entry.as_plain()))

    assert importers.entries_of_plain([plain]) == [entry]
    for broken in ([{}], {"a": 1}, [plain | {"values": 1}], 7, [None]):
        with pytest.raises(ImportProblem):
            importers.entries_of_plain(broken)
    [wrong] = importers.entries_of_plain([plain | {"values": {"endpoint_url": "stdio:x"}}])
    assert not wrong.is_good


def test_what_is_exported_can_be_imported_again_and_holds_no_secret(settings: Any) -> None:
    settings.AUTOMATE = {
        "STDIO_SERVERS": {
            "git": {"command": ["mcp-git", "-v"], "env": {"TOKEN": "env:GIT", "RAW": SECRET}}
        }
    }
    servers = [
        add_server("a", "https://a.example", auth_type="bearer", auth_secret_ref="env:A_TOKEN"),
        add_server("b", "https://b.example", auth_type="bearer", auth_secret_ref=SECRET),
        add_server(
            *("c", "https://c.example/api"),
            auth_type="api_key",
            auth_header="X-Key",
            auth_secret_ref="file:/run/c",
            protocol="rest",
        ),
        add_server("d", "stdio:git"),
        add_server("e", "https://e.example", auth_type="oauth_user", auth_secret_ref=SECRET),
        add_server("f", "stdio:gone"),
    ]

    text = json.dumps(exported(servers))
    listed = json.loads(text)["mcpServers"]
    MCPServer.objects.all().delete()
    again = {entry.slug: entry for entry in read_entries(text)}

    assert SECRET not in text
    assert listed["a"] == {
        "url": "https://a.example",
        "headers": {"Authorization": "Bearer ${A_TOKEN}"},
    }
    assert listed["b"]["headers"] == {"Authorization": "Bearer ${B_TOKEN}"}
    assert listed["c"]["headers"] == {"X-Key": "${C_KEY}"}
    assert listed["d"] == {
        "command": "mcp-git",
        "args": ["-v"],
        "env": {"TOKEN": "${GIT}", "RAW": "${RAW}"},
    }
    assert values(again["a"], "auth_type", "auth_secret_ref") == ("bearer", "env:A_TOKEN")
    assert values(again["c"], "protocol", "auth_header") == ("rest", "X-Key")
    assert values(again["d"], "endpoint_url") == ("stdio:git",)
    assert set(again) == set("abcde")
