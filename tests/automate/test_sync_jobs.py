"""Syncs in the background: begun once, seen while they run, and never for ever under way."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from automate import sync_changes, sync_jobs
from automate.models import MCPServer, MCPTool, ServerSync
from automate.sync import sync_server
from tests.servers.rest import RestServer

from .making import add_server, listed
from .test_server_admin import LIST, act, page_of

STATES = f"{LIST}sync-states/"


class Held(list[Any]):
    """A tool list that is not read before it is let go."""

    def __init__(self) -> None:
        super().__init__([listed("search")])
        self.let_go = threading.Event()
        self.readers = 0

    def __iter__(self) -> Iterator[Any]:
        self.readers += 1
        assert self.let_go.wait(20)
        return super().__iter__()


def until(condition: Callable[[], bool]) -> None:
    """Wait for what another thread does."""
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.01)


def states(client: Client, *servers: MCPServer) -> str:
    return client.get(STATES, {"server": [each.pk for each in servers]}).content.decode()


def run_out(server: MCPServer) -> None:
    """What time does to the lease of a process that died."""
    past = timezone.now() - timedelta(minutes=1)
    ServerSync.objects.filter(server=server).update(lease_until=past)


@pytest.mark.django_db(transaction=True)
def test_a_sync_that_is_started_twice_runs_once_and_is_seen_while_it_runs(
    admin_client: Client, peer: RestServer
) -> None:
    peer.tools = tools = Held()
    server = add_server(url=peer.url, settled_protocol="rest")

    first = act(admin_client, "sync_tools", server)
    until(lambda: tools.readers == 1)
    second = act(admin_client, "sync_tools", server)
    while_it_runs = states(admin_client, server), admin_client.get(LIST).content.decode()
    tools.let_go.set()
    until(lambda: ServerSync.objects.get().status == ServerSync.Status.DONE)
    afterwards = states(admin_client, server)

    assert first == ["success: 1 sync has begun; its state is shown below."]
    [said] = second
    assert said.startswith("warning: Shop: a sync is under way already. Running since ")
    assert all("Running since" in shown and "data-live" in shown for shown in while_it_runs)
    assert "Done, " in afterwards and "1 added." in afterwards
    assert "data-live" not in afterwards
    assert tools.readers == 1
    assert MCPTool.objects.get().name == "search"


@pytest.mark.django_db(transaction=True)
def test_thirty_servers_are_begun_at_once_and_a_few_at_a_time_are_asked(
    admin_client: Client, rest_server: Any, settings: Any
) -> None:
    settings.AUTOMATE = {"MCP_PRIVATE_HOSTS": ("127.0.0.1",), "SYNC_THREADS": 3}
    tools = Held()
    peer = rest_server(tools)
    servers = [add_server(f"s{n}", peer.url, settled_protocol="rest") for n in range(30)]

    started = time.monotonic()
    with CaptureQueriesContext(connection) as queries:
        said = act(admin_client, "sync_tools", *servers)
    seconds = time.monotonic() - started
    until(lambda: tools.readers == 3)
    shown = states(admin_client, *servers)
    tools.let_go.set()
    until(lambda: not ServerSync.objects.exclude(status=ServerSync.Status.DONE).exists())

    assert said == ["success: 30 syncs have begun; their state is shown below."]
    assert shown.count("Running since") == 3
    assert shown.count("In line since") == 27
    assert seconds < 5
    assert len(queries) < 30
    until(lambda: not any(each.name == "automate-sync" for each in threading.enumerate()))


@pytest.mark.django_db
def test_a_process_that_dies_leaves_no_sync_for_ever(
    admin_client: Client, server: MCPServer, offering: Callable[..., None], at_once: Any
) -> None:
    offering("search")
    sync_jobs.begin([server])  # its process dies: what was to be done on commit never is
    assert "In line since" in states(admin_client, server)
    run_out(server)
    interrupted = states(admin_client, server)

    at_once(act, admin_client, "sync_tools", server)

    assert "Interrupted: its process ended" in interrupted
    assert "data-live" not in interrupted
    assert "Done, " in states(admin_client, server)


@pytest.mark.django_db
def test_a_job_whose_claim_has_run_out_leaves_the_server_to_whoever_took_it(
    server: MCPServer, peer: RestServer, django_capture_on_commit_callbacks: Any, monkeypatch: Any
) -> None:
    jobs: list[Any] = []
    monkeypatch.setattr(sync_jobs.workers, "submit", jobs.extend)
    for _ in range(2):
        with django_capture_on_commit_callbacks(execute=True):
            sync_jobs.begin([server])
        run_out(server)
    late, current = jobs
    late.run()
    assert peer.requests == []
    ServerSync.objects.update(lease_until=timezone.now() + timedelta(minutes=1))

    current.run()
    late.run()

    assert sum(seen.path == "/api/tools" for seen in peer.requests) == 1
    assert ServerSync.objects.get().status == ServerSync.Status.DONE


@pytest.mark.django_db
def test_a_failed_sync_says_why_and_counts_until_one_goes_well(
    admin_client: Client, server: MCPServer, peer: RestServer, at_once: Any
) -> None:
    peer.refuse_with = 404
    for _ in range(2):
        at_once(act, admin_client, "sync_tools", server)
    failed = states(admin_client, server), admin_client.get(LIST).content.decode()
    peer.refuse_with = 0
    at_once(act, admin_client, "sync_tools", server)
    server.refresh_from_db()

    assert "Failed, " in failed[0] and "HTTP 404" in failed[0]
    assert "The last 2 syncs failed." in failed[1]
    assert server.failed_syncs == 0
    assert "Done, " in states(admin_client, server)


@pytest.mark.django_db
def test_a_databases_clock_that_is_slow_hides_no_sync(
    admin_client: Client, server: MCPServer, at_once: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = timezone.now
    monkeypatch.setattr(timezone, "now", lambda: now() + timedelta(minutes=1))

    at_once(act, admin_client, "sync_tools", server)

    assert "Done, " in states(admin_client, server)


@pytest.mark.django_db
def test_what_the_last_change_brought_is_kept_bounded_and_shown_with_links(
    admin_client: Client,
    server: MCPServer,
    offering: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sync_changes, "MAX_NAMES", 3)
    offering(*[f"tool_{number}" for number in range(5)])
    sync_server(server)
    of_first = admin_client.get(page_of(server)).content.decode()
    offering(listed("tool_0", "Changed."), "tool_1", "tool_2", "tool_3", "new")
    sync_server(server)
    sync_server(server)  # which finds nothing new, and so is no news
    shown = admin_client.get(page_of(server)).content.decode()

    assert "Added (5)" in of_first and "and 2 more" in of_first
    changes = ServerSync.objects.get().changes
    assert changes["changed"] == {"count": 1, "names": ["tool_0"]}
    assert changes["gone"] == {"count": 1, "names": ["tool_4"]}
    tool = MCPTool.objects.get(name="tool_0")
    assert f'<a href="/admin/automate/mcptool/{tool.pk}/change/"><code>tool_0</code>' in shown
    assert "Changed (1)" in shown and "No longer there (1)" in shown


@pytest.mark.django_db
def test_all_states_of_a_list_take_one_query(admin_client: Client) -> None:
    servers = [add_server(f"s{number}") for number in range(12)]
    sync_jobs.begin(servers)

    with CaptureQueriesContext(connection) as queries:
        shown = states(admin_client, *servers)

    assert shown.count("In line since") == 12
    assert sum("automate_mcpserver" in query["sql"] for query in queries) == 1


@pytest.mark.django_db
def test_states_are_for_those_who_may_see_servers_and_rubbish_is_nothing(
    admin_client: Client, client: Client
) -> None:
    client.force_login(User.objects.create_user("staff", is_staff=True))
    viewer = Client()
    viewer.force_login(User.objects.create_user("viewer", is_staff=True))
    permission = Permission.objects.get(codename="view_mcpserver")
    User.objects.get(username="viewer").user_permissions.add(permission)
    server = add_server()

    assert client.get(STATES, {"server": server.pk}).status_code == 403
    assert "Never." in states(viewer, server)
    rubbish = admin_client.get(f"{STATES}?server=x&server=-1&server=999&server=9{'9' * 30}")
    assert (rubbish.status_code, rubbish.content.strip()) == (200, b"")
    act(viewer, "sync_tools", server)
    assert not ServerSync.objects.exists()


@pytest.mark.django_db
def test_celery_syncs_what_is_due_and_all_that_is_on(
    peer: RestServer, offering: Callable[..., None]
) -> None:
    from automate.tasks import sync_all, sync_due

    offering("search")
    past = timezone.now() - timedelta(minutes=1)
    due, busy = add_server("due", peer.url, due_at=past), add_server("busy", peer.url, due_at=past)
    other, off = add_server("other", peer.url), add_server("off", peer.url, enabled=False)
    sync_jobs.begin([busy])

    sync_due.apply().get()
    after_due = set(MCPServer.objects.exclude(last_synced=None).values_list("slug", flat=True))
    sync_all.apply().get()
    after_all = set(MCPServer.objects.exclude(last_synced=None).values_list("slug", flat=True))

    assert after_due == {due.slug}
    assert after_all == {due.slug, other.slug}
    assert off.slug not in after_all
    assert ServerSync.objects.get(server=due).status == ServerSync.Status.DONE
