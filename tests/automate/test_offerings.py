"""Resources and prompts of real servers, brought into rows."""

from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from mcp_types import Prompt, PromptArgument, Resource, ResourceTemplate

from automate.models import MCPPrompt, MCPResource, MCPServer
from automate.sync import SyncReport, sync_server
from tests.servers.mcp_offerings import Offered
from tests.servers.mcp_sdk import Offer, SDKServer

from .making import add_server

pytestmark = pytest.mark.django_db


def resource(name: str, **parts: Any) -> Resource:
    return Resource(uri=f"note:///{name}", name=name, **parts)


@pytest.fixture
def offered() -> Offered:
    """What the peer offers; a test may change it."""
    return Offered(
        resources=[resource("a", size=3, mime_type="text/plain"), resource("b")],
        templates=[ResourceTemplate(uri_template="note:///{day}", name="by day")],
        prompts=[
            Prompt(
                name="greet",
                description="Greets.",
                arguments=[PromptArgument(name="who", description="Whom.", required=True)],
            )
        ],
    )


@pytest.fixture
def peer(offered: Offered, sdk_server: Callable[..., SDKServer]) -> Iterator[SDKServer]:
    yield sdk_server(Offer("tool"), offered=offered)


@pytest.fixture
def server(peer: SDKServer) -> MCPServer:
    """The peer's row, never synced."""
    return add_server(url=peer.url)


@pytest.fixture
def synced(server: MCPServer) -> MCPServer:
    assert not sync(server).error
    return server


def sync(server: MCPServer) -> SyncReport:
    return sync_server(MCPServer.objects.get(pk=server.pk))


def usable() -> list[str]:
    resources = MCPResource.objects.usable().values_list("name", flat=True)
    return sorted([*resources, *MCPPrompt.objects.usable().values_list("name", flat=True)])


def test_the_first_sync_makes_everything_usable(server: MCPServer) -> None:
    report = sync_server(server)

    assert report.beside.resources.added == ["note:///a", "note:///b", "note:///{day}"]
    assert report.beside.prompts.added == ["greet"]
    assert report.summary == "1 added, resources: 3 added, prompts: 1 added"
    assert usable() == ["a", "b", "by day", "greet"]
    row = server.resources.get(name="a")
    assert (row.uri, row.size, row.mime_type, row.is_template) == (
        *("note:///a", 3, "text/plain"),
        False,
    )
    assert server.resources.get(name="by day").is_template
    assert server.prompts.get().arguments == [
        {"name": "who", "title": "", "description": "Whom.", "required": True}
    ]


def test_what_appears_later_arrives_disabled(synced: MCPServer, offered: Offered) -> None:
    offered.resources.append(resource("c"))

    report = sync(synced)

    assert report.beside.resources.added == ["note:///c"]
    assert (report.beside.resources.waiting, report.beside.resources.unchanged) == (1, 3)
    assert "c" not in usable()


def test_prompts_of_a_server_that_had_none_at_first_arrive_disabled(
    server: MCPServer, offered: Offered
) -> None:
    prompts, offered.prompts = offered.prompts, []
    offered.resources, offered.templates = [], []
    sync(server)
    offered.prompts = prompts

    sync(server)

    assert MCPPrompt.objects.count() == 1
    assert usable() == []


def test_a_server_that_is_trusted_for_good_brings_later_ones_enabled(
    synced: MCPServer, offered: Offered
) -> None:
    MCPServer.objects.update(accept_changes=True)
    offered.resources.append(resource("c"))

    sync(synced)

    assert "c" in usable()


def test_what_vanishes_is_kept_and_marked_and_comes_back_as_it_was(
    synced: MCPServer, offered: Offered
) -> None:
    MCPResource.objects.filter(name="b").disable()
    resources, offered.resources = offered.resources, []

    gone = sync(synced)
    offered.resources = resources
    back = sync(synced)

    assert gone.beside.resources.gone == ["note:///a", "note:///b"]
    assert back.beside.resources.returned == ["note:///a", "note:///b"]
    assert MCPResource.objects.filter(available=False).count() == 0
    assert usable() == ["a", "by day", "greet"]


def test_a_changed_description_is_taken_over_and_the_switch_stays(
    synced: MCPServer, offered: Offered
) -> None:
    before = MCPPrompt.objects.get().changed_at
    MCPPrompt.objects.all().disable()
    offered.prompts = [Prompt(name="greet", description="Greets loudly.")]

    report = sync(synced)

    assert report.beside.prompts.changed == ["greet"]
    row = MCPPrompt.objects.get()
    assert (row.description, row.arguments, row.enabled) == ("Greets loudly.", [], False)
    assert row.changed_at > before


def test_unchanged_lists_cost_no_query(synced: MCPServer) -> None:
    row = MCPServer.objects.get()

    with CaptureQueriesContext(connection) as queries:
        report = sync_server(row)

    verbs = [query["sql"].split()[0] for query in queries if "SAVEPOINT" not in query["sql"]]
    assert verbs == ["SELECT", "UPDATE"]
    assert (report.beside.resources.unchanged, report.beside.prompts.unchanged) == (3, 1)


def test_the_number_of_queries_does_not_grow_with_the_lists(
    server: MCPServer, offered: Offered
) -> None:
    counts = []
    for number in (2, 200):
        MCPServer.objects.all().delete()
        row = add_server(url=server.endpoint_url)
        counts.append([])
        for description in ("One.", "Two."):
            offered.resources = [resource(str(n), description=description) for n in range(number)]
            with CaptureQueriesContext(connection) as queries:
                assert not sync(row).error
            counts[-1].append(len(queries))

    assert counts[0] == counts[1]


def test_a_list_that_cannot_be_had_costs_no_tool_and_changes_nothing(
    synced: MCPServer, offered: Offered, peer: SDKServer
) -> None:
    offered.page_size = 0  # the list then never ends
    peer.tools.append(Offer("another"))

    report = sync(synced)

    assert (report.error, report.added) == ("", ["another"])
    assert "circle" in report.beside.warning
    assert MCPServer.objects.get().offerings_warning == report.beside.warning
    assert usable() == ["a", "b", "by day", "greet"]
    offered.page_size = 10
    sync(synced)
    assert MCPServer.objects.get().offerings_warning == ""


def test_an_entry_that_is_left_out_is_said(server: MCPServer, offered: Offered) -> None:
    offered.resources.append(resource("x" * 1_500))

    report = sync(server)

    assert report.beside.warning == (
        "1 left out. resource number 3: its uri is longer than 1,000 bytes"
    )
    assert len(report.beside.resources.added) == 3


def test_a_server_without_them_is_not_asked(sdk_server: Callable[..., SDKServer]) -> None:
    peer = sdk_server(Offer("tool"))

    report = sync_server(add_server(url=peer.url))

    assert report.summary == "1 added"
    assert {seen.rpc_method for seen in peer.requests} == {"server/discover", "tools/list"}


def test_only_people_with_an_active_account_may_use_them(synced: MCPServer) -> None:
    active = get_user_model()(is_active=True)
    inactive = get_user_model()(is_active=False)

    assert MCPPrompt.objects.usable_by(active).count() == 1
    assert MCPResource.objects.usable_by(active).count() == 3
    assert not MCPPrompt.objects.usable_by(inactive).exists()
    assert not MCPResource.objects.usable_by(AnonymousUser()).exists()
    MCPServer.objects.update(enabled=False)
    assert not MCPPrompt.objects.usable_by(active).exists()


def test_the_command_prints_how_many_there_are(synced: MCPServer, offered: Offered) -> None:
    offered.resources.append(resource("c"))
    out = StringIO()

    call_command("sync_mcp_tools", stdout=out, verbosity=2)

    assert "ok, 4 resources (1 new, off), 1 prompt\n" in out.getvalue()
    assert "  resource added: note:///c\n" in out.getvalue()


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(get_user_model().objects.create_superuser("op", password="password"))
    return client


@pytest.mark.parametrize("kind", ["mcpresource", "mcpprompt"])
def test_the_admin_lists_filters_and_shows_them(
    operator: Client, synced: MCPServer, kind: str
) -> None:
    page = reverse(f"admin:automate_{kind}_changelist")
    row = (MCPResource if kind == "mcpresource" else MCPPrompt).objects.first()
    assert row is not None

    for query in ("", "?q=e", "?enabled__exact=1&available__exact=1"):
        assert "Ready." in operator.get(page + query).content.decode()
    shown = operator.get(reverse(f"admin:automate_{kind}_change", args=[row.pk]))

    assert row.name in shown.content.decode()
    assert operator.get(reverse(f"admin:automate_{kind}_add")).status_code == 403
    assert operator.post(reverse(f"admin:automate_{kind}_delete", args=[row.pk])).status_code == 403


def test_the_admin_switches_them_off_and_on(operator: Client, synced: MCPServer) -> None:
    page = reverse("admin:automate_mcpresource_changelist")
    chosen = [row.pk for row in MCPResource.objects.filter(name__in=["a", "b"])]

    def act(action: str) -> None:
        operator.post(page, {"action": action, "_selected_action": chosen})

    act("disable")
    assert usable() == ["by day", "greet"]
    act("enable")
    assert usable() == ["a", "b", "by day", "greet"]


def test_the_admin_saves_the_switch_alone(operator: Client, synced: MCPServer) -> None:
    prompt = MCPPrompt.objects.get()

    operator.post(reverse("admin:automate_mcpprompt_change", args=[prompt.pk]), {"name": "other"})

    prompt.refresh_from_db()
    assert (prompt.name, prompt.enabled) == ("greet", False)


def test_a_server_is_deleted_with_all_that_it_offers(operator: Client, synced: MCPServer) -> None:
    page = reverse("admin:automate_mcpserver_delete", args=[synced.pk])

    operator.post(page, {"post": "yes"})

    assert not MCPServer.objects.exists()
    assert not MCPResource.objects.exists()


def test_hostile_words_of_a_server_are_text_in_the_admin(
    operator: Client, server: MCPServer, offered: Offered
) -> None:
    hostile = "<script>alert(1)</script>"
    offered.prompts = [
        Prompt(
            name=hostile,
            title=hostile,
            description=hostile,
            arguments=[PromptArgument(name=hostile, description=hostile)],
        )
    ]
    sync(server)

    listed = operator.get(reverse("admin:automate_mcpprompt_changelist"))
    prompt = MCPPrompt.objects.get()
    shown = operator.get(reverse("admin:automate_mcpprompt_change", args=[prompt.pk]))

    for page in (listed, shown):
        assert hostile not in page.content.decode()
        assert "&lt;script&gt;" in page.content.decode()
