"""The dashboard, and the dates of the audit's list."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone

from automate.models import MCPServer, MCPTool
from chat.budgets import today
from chat.models import CallRecord, DailyUsage

pytestmark = pytest.mark.django_db

PAGE = "/admin/automate_chat/dashboard/"
CALLS = "/admin/automate_chat/callrecord/"


def add_tool(slug: str, **server: Any) -> MCPTool:
    row = MCPServer.objects.create(
        name=f"<{slug}>", slug=slug, endpoint_url="http://127.0.0.1:1/api", **server
    )
    return MCPTool.objects.create(server=row, name=slug)


def add_call(tool: MCPTool, outcome: str = "succeeded", **fields: Any) -> None:
    CallRecord.objects.create(
        **{"user_name": "ann", "tool": tool, "tool_name": tool.name, "outcome": outcome, **fields}
    )


def test_an_empty_site_is_told_what_to_do(admin_client: Client) -> None:
    page = admin_client.get(PAGE).content.decode()
    assert "There is no server yet." in page and "0 calls were sent" in page


def test_it_names_what_is_in_trouble_slow_or_expensive(
    admin_client: Client, django_assert_max_num_queries: Any
) -> None:
    add_tool("ill", last_error="HTTP 401", enabled=True)
    slow, failing = add_tool("slow"), add_tool("failing")
    for number in range(6):
        add_call(slow, milliseconds=2_000)
        add_call(failing, "failed" if number % 2 else "succeeded", milliseconds=3)
        add_call(slow, "failed", created_at=timezone.now() - timedelta(days=8))
        add_call(slow, "refused")
    ann = get_user_model().objects.create_user("<ann>")
    DailyUsage.objects.create(day=today(), user=ann, prompt_tokens=1_200, cost="1.5")
    DailyUsage.objects.create(
        day=today() - timedelta(days=29), user=ann, completion_tokens=34, cost="0.25"
    )
    DailyUsage.objects.create(day=today() - timedelta(days=30), user=ann, prompt_tokens=9_999)

    with django_assert_max_num_queries(15):
        page = admin_client.get(PAGE).content.decode()

    assert "12 calls were sent in the last 7 days, 3 of them went wrong." in page
    assert "&lt;ill&gt;" in page and "<ill>" not in page
    failing_part = page.split("Tools that fail most")[1].split("</table>")[0]
    assert "50 %" in failing_part and "slow" not in failing_part
    slowest = page.split("Slowest tools")[1].split("</table>")[0]
    assert slowest.index("slow") < slowest.index("failing") and "2000 ms" in slowest
    assert "30 days: 1234 tokens, cost 1.75." in page
    assert "&lt;ann&gt;" in page


def test_people_are_named_to_those_alone_who_may_see_their_use(client: Client) -> None:
    staff = get_user_model().objects.create_user("staff", is_staff=True)
    ann = get_user_model().objects.create_user("ann")
    DailyUsage.objects.create(day=today(), user=ann, prompt_tokens=5)
    client.force_login(staff)
    assert client.get(PAGE).status_code == 403

    staff.user_permissions.add(Permission.objects.get(codename="view_dashboard"))

    page = client.get(PAGE).content.decode()
    assert "5 tokens" in page and "ann" not in page
    assert PAGE in client.get("/admin/").content.decode()


@pytest.mark.parametrize(
    ("query", "choices"),
    [
        ("", ["2025", "2026"]),
        ("?created_at__year=2026", ["…", "January 2026", "February 2026"]),
        (
            "?created_at__year=2026&created_at__month=2",
            ["2026", *(f"{day} Feb" for day in range(1, 4))],
        ),
        ("?created_at__year=2026&created_at__month=2&created_at__day=3", ["February 2026"]),
    ],
)
def test_the_list_of_calls_is_narrowed_by_date(
    admin_client: Client, query: str, choices: list[str]
) -> None:
    tool = add_tool("shop")
    for month in (datetime(2025, 12, 31, 12, tzinfo=UTC), datetime(2026, 2, 3, 12, tzinfo=UTC)):
        add_call(tool, created_at=month)

    response = admin_client.get(CALLS + query)

    dates = response.context_data["dates"]
    shown = [dates.back.title] if dates.back else []
    assert [*shown, *(each.title for each in dates.choices)] == choices
    assert len(response.context_data["cl"].result_list) == (1 if query else 2)
    for each in dates.choices:
        assert admin_client.get(CALLS + each.query).status_code == 200


@pytest.mark.parametrize(
    "query", ["?created_at__year=x", "?created_at__year=2026&created_at__month=13"]
)
def test_dates_that_are_none_are_no_error(admin_client: Client, query: str) -> None:
    add_call(add_tool("shop"))
    assert admin_client.get(CALLS + query).status_code in (200, 302)
