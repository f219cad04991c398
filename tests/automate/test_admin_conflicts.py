"""Two people who edit the same row in the admin: the second is told, and nothing is lost."""

import re
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from automate.models import MCPServer, MCPTool, ToolRule

from .policy_making import add_tool

pytestmark = pytest.mark.django_db
SERVER = {
    **{"name": "Shop", "slug": "shop", "endpoint_url": "http://127.0.0.1:1/api"},
    **{"enabled": "on", "auth_type": "none", "auth_header": "X-API-Key", "protocol": "auto"},
    **{"oauth-TOTAL_FORMS": "0", "oauth-INITIAL_FORMS": "0"},
    **{"rules-TOTAL_FORMS": "0", "rules-INITIAL_FORMS": "0"},
}
TOOL = {"enabled": "on", "rules-TOTAL_FORMS": "0", "rules-INITIAL_FORMS": "0"}
NEW_RULE = {"rules-TOTAL_FORMS": "1", "rules-0-decision": "ask", "rules-0-note": "Money."}


@pytest.fixture
def other(db: None) -> Client:
    """The browser of somebody else."""
    client = Client()
    client.force_login(User.objects.create_superuser("olga"))
    return client


def page_of(row: Any) -> str:
    return reverse(f"admin:automate_{row._meta.model_name}_change", args=[row.pk])


def opened(client: Client, row: Any) -> dict[str, str]:
    """What the form carries along from when it was opened."""
    found = re.search(r'name="_opened" value="([^"]*)"', client.get(page_of(row)).content.decode())
    assert found is not None
    return {"_opened": unescape(found[1])}


def test_the_second_who_saves_a_tool_is_told_what_the_first_changed(
    admin_client: Client, other: Client
) -> None:
    tool = add_tool()
    mine = opened(admin_client, tool)
    other.post(page_of(tool), {**TOOL, **opened(other, tool), "effect": "destructive"})

    answer = admin_client.post(
        page_of(tool), {**TOOL, **mine, "required_permission": "auth.view_user"}
    )

    page = answer.content.decode()
    assert answer.status_code == 200
    assert "Not saved: olga saved this after you had opened it, and changed Effect." in page
    assert "Changed meanwhile: it is “Destroys something” now." in page
    assert 'value="auth.view_user"' in page
    assert (MCPTool.objects.get().effect, MCPTool.objects.get().required_permission) == (
        "destructive",
        "",
    )


def test_who_was_told_may_save_after_all(admin_client: Client, other: Client) -> None:
    tool = add_tool()
    mine = opened(admin_client, tool)
    other.post(page_of(tool), {**TOOL, **opened(other, tool), "effect": "write"})
    refused = admin_client.post(page_of(tool), {**TOOL, **mine, "effect": "read_only"})
    told = {"_opened": refused.context["opened"][1]}

    answer = admin_client.post(page_of(tool), {**TOOL, **told, "effect": "read_only"})

    assert answer.status_code == 302
    assert MCPTool.objects.get().effect == "read_only"


def test_another_mistake_in_the_form_does_not_hide_that_somebody_saved(
    admin_client: Client, other: Client
) -> None:
    server = add_tool().server
    mine = opened(admin_client, server)
    wrong = admin_client.post(page_of(server), {**SERVER, **mine, "timeout": "x"})
    other.post(page_of(server), {**SERVER, **opened(other, server), "name": "Other"})

    again = {"_opened": wrong.context["opened"][1]}
    answer = admin_client.post(page_of(server), {**SERVER, **again, "timeout": "5"})

    assert "it is “Other” now" in answer.content.decode()


def test_a_new_rule_on_the_page_counts_as_a_change_and_typed_rules_stay(
    admin_client: Client, other: Client
) -> None:
    tool = add_tool()
    mine = opened(admin_client, tool)
    other.post(page_of(tool), {**TOOL, **NEW_RULE, **opened(other, tool)})

    answer = admin_client.post(page_of(tool), {**TOOL, **NEW_RULE, **mine, "rules-0-note": "Mine."})

    page = answer.content.decode()
    assert "changed rules on who may call it" in page
    assert 'value="Mine."' in page
    assert ToolRule.objects.count() == 1


def test_a_secret_that_changed_is_told_and_not_shown(admin_client: Client, other: Client) -> None:
    server = add_tool().server
    mine = opened(admin_client, server)
    secret = {"auth_type": "bearer", "auth_secret_ref": "hunter2-hunter2"}
    other.post(page_of(server), {**SERVER, **secret, **opened(other, server)})

    own = {**secret, "auth_secret_ref": "env:SHOP_TOKEN"}
    page = admin_client.post(page_of(server), {**SERVER, **mine, **own}).content.decode()

    assert "what it is now is not shown" in page
    assert "hunter2" not in page
    assert MCPServer.objects.get().auth_secret_ref == "hunter2-hunter2"


def test_a_rule_has_it_too(admin_client: Client, other: Client) -> None:
    rule = ToolRule.objects.create(tool=add_tool(), decision="ask")
    fields = {"tool": rule.tool_id, "note": ""}
    mine = opened(admin_client, rule)
    other.post(page_of(rule), {**fields, "decision": "deny", **opened(other, rule)})

    answer = admin_client.post(page_of(rule), {**fields, "decision": "allow", **mine})

    assert "it is “Deny” now" in answer.content.decode()
    assert ToolRule.objects.get().decision == "deny"


def test_a_double_click_and_a_sync_meanwhile_are_no_conflict(admin_client: Client) -> None:
    tool = add_tool()
    mine = opened(admin_client, tool)
    MCPTool.objects.update(description="Synced.", version=2)

    answers = [
        admin_client.post(page_of(tool), {**TOOL, **mine, "effect": "write"}) for _ in range(2)
    ]

    assert [answer.status_code for answer in answers] == [302, 302]


@pytest.mark.parametrize("rubbish", ["", "{", "[1]", '{"effect": 7}', "[" * 99_999])
def test_rubbish_for_what_was_opened_is_an_error_of_nobody(
    admin_client: Client, rubbish: str
) -> None:
    tool = add_tool()

    answer = admin_client.post(page_of(tool), {**TOOL, "_opened": rubbish})

    assert answer.status_code == 302


def test_a_secret_gives_nothing_away_by_its_fingerprint(admin_client: Client) -> None:
    server = add_tool().server
    found = set()
    for key in ("one", "two"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("django.conf.settings.SECRET_KEY", key)
            client = Client()
            client.force_login(User.objects.get(username="admin"))
            found.add(opened(client, server)["_opened"])

    assert len(found) == 2
