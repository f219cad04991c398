"""What apps above the registry add to the pages of servers and tools."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils.html import format_html

from automate.admin.panels import Fact, Level, Panel, server_panels, tool_panels
from automate.models import MCPServer
from automate_llm.breaker import breaker_of
from automate_llm.exceptions import ConnectionFailed

from .making import add_server

pytestmark = pytest.mark.django_db

LIST = "/admin/automate/mcpserver/"


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is registered at first, and nothing stays so."""
    for panels in (server_panels, tool_panels):
        monkeypatch.setattr(panels, "_makers", [])
        monkeypatch.setattr(panels, "_finders", [])
    yield


def test_a_panel_stands_on_the_page_unless_it_is_left_out(
    admin_client: Client, registered: None
) -> None:
    server = add_server()
    tool = server.tools.create(name="search")
    for panels, row in ((server_panels, server), (tool_panels, tool)):
        panels.panel(lambda request, row: None)
        panels.panel(lambda request, row: Panel("Of <it>", format_html("<i>{}</i>", row.pk)))
        page = reverse(f"admin:automate_{row._meta.model_name}_change", args=[row.pk])

        shown = admin_client.get(page).content.decode()

        assert "Of &lt;it&gt;</h2>" in shown
        assert f"<i>{row.pk}</i>" in shown
        assert shown.count("automate-panel-body") == 1
        # It may hold forms of its own, so it stands outside the page's.
        assert shown.index("automate-panel-body") > shown.index("_continue")


def test_facts_are_asked_for_once_for_a_page_and_the_worst_makes_the_badge(
    admin_client: Client, registered: None
) -> None:
    good, bad = add_server("a"), add_server("b")
    asked: list[list[str]] = []

    @server_panels.facts
    def facts(servers: Sequence[MCPServer]) -> Mapping[Any, Fact]:
        asked.append([server.slug for server in servers])
        return {good.pk: Fact("Fine."), bad.pk: Fact("Slow.", Level.DOUBTFUL)}

    shown = admin_client.get(LIST).content.decode()

    assert asked == [["a", "b"]]
    assert "automate-good" in shown.partition("Fine.")[0]
    assert "automate-doubtful" in shown.partition("Slow.")[0]


def test_the_badge_knows_the_breaker_and_the_last_sync(
    admin_client: Client, registered: None
) -> None:
    server = add_server("flaky")
    breaker = breaker_of(server.slug, server.endpoint_url)
    page = reverse("admin:automate_mcpserver_change", args=[server.pk])

    def fail(times: int) -> str:
        for _ in range(times):
            with pytest.raises(ConnectionFailed), breaker.guarding():
                raise ConnectionFailed("no")
        return admin_client.get(page).content.decode()

    try:
        assert "Not known yet" in fail(0)
        assert "2 failures in a row." in fail(2)
        assert "Calls are kept away" in fail(3)
    finally:
        breaker.reset()
    server.mark_failed("HTTP 500")
    assert "automate-bad" in fail(0)
    MCPServer.objects.update(enabled=False)
    assert "automate-badge automate-off" in fail(0)
