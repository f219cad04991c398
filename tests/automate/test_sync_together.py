"""Several syncs at once, and syncs of servers of the real protocol."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from django.db.backends.signals import connection_created
from django.test.utils import override_settings

from automate.models import MCPServer, MCPTool
from automate.sync import SyncReport, sync_server, sync_servers
from tests.servers.mcp_sdk import Offer, SDKServer
from tests.servers.rest import RestServer

from .making import add_server, listed

Offering = Callable[..., None]


class Rendezvous(list[Any]):
    """A tool list that is not read before as many readers wait for it as were asked for."""

    def __init__(self, readers: int) -> None:
        super().__init__([listed("search")])
        self.barrier = threading.Barrier(readers, timeout=20)

    def __iter__(self) -> Iterator[Any]:
        self.barrier.wait()
        return super().__iter__()


class Counted(list[Any]):
    """A tool list that knows how many readers there were at once."""

    def __init__(self) -> None:
        super().__init__([listed("search")])
        self.lock = threading.Lock()
        self.readers = self.most = 0

    def __iter__(self) -> Iterator[Any]:
        with self.lock:
            self.readers += 1
            self.most = max(self.most, self.readers)
        try:
            yield from super().__iter__()
        finally:
            with self.lock:
                self.readers -= 1


@pytest.mark.django_db
def test_servers_are_asked_at_the_same_time(peer: RestServer) -> None:
    peer.tools = Rendezvous(readers=3)
    servers = [add_server(f"s{n}", peer.url, settled_protocol="rest") for n in range(3)]

    reports = sync_servers(servers)

    assert [report.error for report in reports] == ["", "", ""]


@pytest.mark.django_db
@override_settings(AUTOMATE={"MCP_PRIVATE_HOSTS": ("127.0.0.1",), "SYNC_THREADS": 1})
def test_no_more_servers_are_asked_at_once_than_the_setting_says(peer: RestServer) -> None:
    peer.tools = tools = Counted()
    servers = [add_server(f"s{n}", peer.url, settled_protocol="rest") for n in range(4)]

    sync_servers(servers)

    assert tools.most == 1


def test_the_threads_open_no_database_connection(server: MCPServer, offering: Offering) -> None:
    offering("search")
    opened: list[object] = []

    def remember(connection: object, **kwargs: object) -> None:
        opened.append(connection)

    connection_created.connect(remember)
    try:
        sync_server(server)
    finally:
        connection_created.disconnect(remember)

    assert opened == []


@pytest.mark.django_db(transaction=True)
def test_two_syncs_of_one_server_at_once_store_each_tool_once(peer: RestServer) -> None:
    peer.tools = Rendezvous(readers=2)
    server = add_server(url=peer.url, settled_protocol="rest")
    reports: list[SyncReport] = []

    def sync() -> None:
        try:
            reports.append(sync_server(MCPServer.objects.get(pk=server.pk)))
        finally:
            connection.close()

    threads = [threading.Thread(target=sync) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [report.error for report in reports] == ["", ""]
    assert sorted(report.added for report in reports) == [[], ["search"]]
    assert MCPTool.objects.count() == 1


def test_a_server_of_the_real_protocol_is_found_out_and_synced(
    db: None, sdk_server: Callable[..., SDKServer]
) -> None:
    peer = sdk_server(
        Offer("search", "Finds.", title="Search", annotations={"readOnlyHint": True}),
        Offer("fetch"),
        Offer("order"),
        page_size=2,
        name="The shop",
    )
    server = add_server(url=peer.url)

    report = sync_server(server)

    assert (report.error, report.added) == ("", ["search", "fetch", "order"])
    row = MCPServer.objects.get()
    assert (row.settled_protocol, row.server_name) == ("mcp", "The shop")
    search = MCPTool.objects.get(name="search")
    assert (search.title, search.annotations["readOnlyHint"]) == ("Search", True)


def test_a_server_that_has_moved_to_another_protocol_is_found_out_again(
    db: None, sdk_server: Callable[..., SDKServer]
) -> None:
    server = add_server(url=sdk_server(Offer("search")).url, settled_protocol="rest")

    report = sync_server(server)

    assert (report.error, report.added) == ("", ["search"])
    assert MCPServer.objects.get().settled_protocol == "mcp"
