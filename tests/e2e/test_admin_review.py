"""Tools in the admin, in a real browser: their review, their schema, and two who edit one."""

from typing import TYPE_CHECKING, Any

import pytest
from django.urls import reverse

from automate.models import MCPServer, MCPTool

from .conftest import Tabs
from .test_accessible import axe  # noqa: F401

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("executor")]
REVIEW = "/admin/automate/mcptool/review/"
SCHEMA = {
    "type": "object",
    "properties": {
        "query": {"type": "string", "description": "Words to look for."},
        "limit": {"type": "integer", "maximum": 10},
        "within": {"$ref": "#/$defs/place"},
    },
    "required": ["query"],
    "$defs": {
        "place": {"type": "object", "properties": {"around": {"$ref": "#/$defs/place"}}},
    },
}
OURS = "#content-main"


@pytest.fixture
def admin(tabs: Tabs, user: Any, model: Any) -> Any:
    """Open pages of the admin as a superuser."""
    model([])
    user.is_staff = user.is_superuser = True
    user.save()

    def opened(path: str, **options: Any) -> "Page":
        return tabs.open(path, ready=OURS, **options)

    return opened


@pytest.fixture
def tool(db: None) -> MCPTool:
    """One that its server has changed."""
    server = MCPServer.objects.create(name="Shop", slug="shop", endpoint_url="https://a.example")
    made = MCPTool.objects.create(
        server=server, name="search", description="Finds articles.", input_schema=SCHEMA
    )
    limit = {"type": "integer", "maximum": 1000, "description": "Zero\u200bwidth."}
    made.input_schema = {**SCHEMA, "properties": {**SCHEMA["properties"], "limit": limit}}  # type: ignore[dict-item]
    made.description, made.review = "Finds and deletes articles.", MCPTool.Review.CHANGED
    made.save()
    return made


def serious(axe: Any, page: "Page", context: Any = OURS) -> list[str]:  # noqa: F811
    """What axe finds within our own part of the page that is serious or worse."""
    found = axe.run(page, context=context).response["violations"]
    return [
        f"{each['id']}: {node['html'][:200]}"
        for each in found
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


def test_a_change_is_rejected_and_the_mistake_is_undone_by_the_keyboard(
    admin: Any, tool: MCPTool
) -> None:
    page = admin(REVIEW)
    article = page.locator(f"#tool-{tool.pk}")
    assert article.locator("ins").all_inner_texts()[:1] == ["+ and deletes"]
    assert article.locator("mark").all_inner_texts() == ["U+200B"]
    article.locator("button[name=reject]").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("text=1 tool is rejected.")

    page.click("text=Rejected 1")
    page.locator(f"#choose-{tool.pk}").focus()
    page.keyboard.press("Space")
    page.locator(".automate-decide button[name=approve]").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("text=1 tool is approved.")

    tool.refresh_from_db()
    assert (tool.usable, tool.approved_version) == (True, 2)


def test_all_of_a_server_are_approved_after_they_were_shown_without_javascript(
    admin: Any, tool: MCPTool
) -> None:
    page = admin(
        f"{REVIEW}?server={tool.server_id}",
        java_script_enabled=False,
        viewport={"width": 375, "height": 800},
    )
    page.click("text=Decide on the 1 waiting tool of Shop")
    assert page.locator("ins", has_text="and deletes").count() == 1
    page.click("text=Approve all of these")
    page.wait_for_selector("text=1 tool is approved.")

    assert MCPTool.objects.get().usable


def test_the_tree_of_a_schema_opens_and_closes_without_javascript(
    admin: Any, tool: MCPTool
) -> None:
    page = admin(
        reverse("admin:automate_mcptool_change", args=[tool.pk]), java_script_enabled=False
    )
    tree = page.locator(".field-input_schema_shown .automate-tree")
    limit = tree.locator("summary", has_text="limit")
    assert tree.get_by_text("1000").is_visible()

    limit.click()

    assert not tree.get_by_text("1000").is_visible()
    assert tree.get_by_text("without end").count() == 1


def test_two_browsers_edit_one_tool_and_the_second_is_told(admin: Any, tool: MCPTool) -> None:
    address = reverse("admin:automate_mcptool_change", args=[tool.pk])
    first, second = admin(address), admin(address)
    first.select_option("#id_effect", "destructive")
    first.click("input[name=_save]")
    first.wait_for_selector("text=was changed successfully")

    second.fill("#id_required_permission", "auth.view_user")
    second.click("input[name=_save]")
    second.wait_for_selector("text=Changed meanwhile: it is “Destroys something” now.")

    assert second.input_value("#id_required_permission") == "auth.view_user"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_our_pages_have_no_serious_barrier_and_fit_a_phone(
    admin: Any,
    tool: MCPTool,
    axe: Any,  # noqa: F811
    theme: str,
) -> None:
    MCPTool.objects.create(
        server=tool.server, name="<script>", input_schema=SCHEMA, review=MCPTool.Review.NEW
    )
    version = tool.versions.order_by("-number").first()
    assert version is not None
    addresses = [
        REVIEW,
        f"{REVIEW}?server={tool.server_id}&all=1",
        reverse("admin:automate_mcptool_change", args=[tool.pk]),
        reverse("admin:automate_mcptoolversion_change", args=[version.pk]),
    ]
    page = admin(addresses[0], color_scheme=theme, viewport={"width": 375, "height": 800})
    found = []
    for address in addresses:
        page.goto(page.url.split("/admin/")[0] + address)
        found += [f"{address}: {each}" for each in serious(axe, page)]
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            found.append(f"{address}: it is wider than its screen")

    assert not found, "\n".join(found)
