"""Calls in the admin, in a real browser: a tool that is tried, the audit, and the dashboard."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.urls import reverse
from django.utils import timezone

from automate.models import MCPServer, MCPTool
from chat.budgets import today
from chat.models import CallRecord, DailyUsage
from tests.servers.mcp_sdk import Offer

from .conftest import Tabs
from .test_accessible import axe  # noqa: F401
from .test_admin_review import serious

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("executor")]
OURS = {"include": [["#content-main"]], "exclude": [["#toolbar"], ["#changelist-filter"]]}
"""Django's own search and filters are not ours to label."""

SCHEMA = {
    "type": "object",
    "properties": {
        "sku": {"type": "string", "title": "Article"},
        "size": {"enum": ["small", "large"], "title": "Size"},
        "note": {"type": ["string", "null"], "title": "Note"},
    },
    "required": ["sku"],
}


@pytest.fixture
def admin(tabs: Tabs, user: Any, model: Any) -> Any:
    """Open pages of the admin as a superuser, where every call asks."""
    model([], APPROVAL_DEFAULT="ask")
    user.is_staff = user.is_superuser = True
    user.save()

    def opened(path: str, **options: Any) -> "Page":
        return tabs.open(path, ready="#content", **options)

    return opened


def test_a_tool_is_tried_found_in_the_audit_and_run_again(admin: Any, shop: Any) -> None:
    peer = shop(Offer("order", input_schema=SCHEMA, handler=lambda arguments: {"got": arguments}))
    page = admin(reverse("admin:automate_mcptool_change", args=[MCPTool.objects.get().pk]))
    page.get_by_role("link", name="Try this tool").click()
    page.get_by_label("Article").fill("MUG")
    page.get_by_label("large").check()
    page.get_by_role("button", name="Run the tool").click()
    page.get_by_label("Send exactly this").check()
    page.get_by_role("button", name="Run the tool").click()

    page.get_by_role("heading", name="It succeeded").wait_for()
    assert peer.calls("order") == [{"sku": "MUG", "size": "large"}]
    page.goto(page.url.split("/admin/")[0] + reverse("admin:automate_chat_callrecord_changelist"))
    page.get_by_role("link", name=str(timezone.now().year), exact=False).first.wait_for()
    assert page.locator("#result_list tbody tr").count() == 2  # sent, and what came of it
    with page.expect_download() as download:
        page.locator("#action-toggle").check()
        page.locator("select[name=action]").select_option("export_csv")
        page.get_by_role("button", name="Go").click()
    assert download.value.suggested_filename.endswith(".csv")

    page.locator("#result_list tbody tr").first.locator("th a").click()
    page.get_by_role("link", name="Run this call again").click()
    assert page.get_by_label("Article").input_value() == "MUG"
    page.get_by_role("button", name="Run the tool").press("Enter")
    page.get_by_label("Send exactly this").press("Space")
    page.get_by_role("button", name="Run the tool").press("Enter")
    page.get_by_role("heading", name="It succeeded").wait_for()
    assert peer.calls("order") == [{"sku": "MUG", "size": "large"}] * 2


@pytest.mark.parametrize(("width", "scheme"), [(375, "dark"), (1440, "light")])
def test_the_pages_are_for_everybody(
    admin: Any,
    axe: Any,  # noqa: F811
    user: Any,
    width: int,
    scheme: str,
) -> None:
    server = MCPServer.objects.create(
        name="Shop", slug="shop", endpoint_url="https://a.example", last_error="HTTP 401"
    )
    tool = MCPTool.objects.create(server=server, name="order", input_schema=SCHEMA)
    for number in range(12):
        record = CallRecord.objects.create(
            user_name="ann",
            tool=tool,
            server_name="Shop",
            tool_name="shop__order",
            outcome="failed" if number % 3 else "succeeded",
            milliseconds=number * 17,
            arguments={"sku": "MUG"},
            created_at=timezone.now() - timedelta(days=number),
        )
        DailyUsage.objects.create(
            day=today() - timedelta(days=number), user=user, prompt_tokens=100 * number, cost="0.1"
        )
    for name, keys in (
        ("automate_chat_dashboard_changelist", []),
        ("automate_chat_callrecord_changelist", []),
        ("automate_chat_callrecord_change", [record.pk]),
        ("automate_chat_callrecord_try", [tool.pk]),
        ("automate_mcptool_change", [tool.pk]),
    ):
        page = admin(
            reverse(f"admin:{name}", args=keys),
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
        )
        assert serious(axe, page, OURS) == [], name
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0 or "change" in name, name  # Django's own form may scroll by a little
        page.context.close()
