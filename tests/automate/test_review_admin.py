"""The review of definitions in the admin, as a reviewer's browser uses it."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from automate.admin.review_queue import MAX_AT_ONCE, PAGE
from automate.models import MCPServer, MCPTool, MCPToolVersion, ToolReview

from .making import TEXT_SCHEMA, add_server

REVIEW = "/admin/automate/mcptool/review/"
LIST = "/admin/automate/mcptool/"
Review = MCPTool.Review
pytestmark = pytest.mark.django_db


def add_tool(name: str = "search", **fields: Any) -> MCPTool:
    server = fields.pop("server", None) or MCPServer.objects.first() or add_server()
    fields.setdefault("input_schema", TEXT_SCHEMA)
    fields.setdefault("description", "Finds articles.")
    return MCPTool.objects.create(server=server, name=name, **fields)


def changed(name: str = "search", **parts: Any) -> MCPTool:
    """A tool whose server has changed it since it was approved."""
    tool = add_tool(name)
    for part, value in {"description": "Finds and deletes articles.", **parts}.items():
        setattr(tool, part, value)
    tool.review = Review.CHANGED
    tool.save()
    return tool


def staff(client: Client, *codenames: str) -> User:
    person = User.objects.create_user("rita", is_staff=True)
    person.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client.force_login(person)
    return person


def text_of(client: Client, address: str = REVIEW) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


def post(client: Client, query: str = "", **fields: Any) -> list[str]:
    answer = client.post(REVIEW + query, fields, follow=True)
    return [str(message) for message in answer.context["messages"]]


def test_a_change_is_shown_by_its_words_and_paths(admin_client: Client) -> None:
    schema = {"type": "object", "properties": {"limit": {"maximum": 1000}}}
    changed(input_schema=schema, annotations={"readOnlyHint": True})

    page = text_of(admin_client)

    assert '<ins><span class="automate-sign">+</span> and deletes</ins>' in page
    assert '<code class="automate-path">properties.text</code>' in page
    assert '<code class="automate-path">readOnlyHint</code>' in page
    assert "against version 1" in page


def test_a_new_tool_is_shown_whole(admin_client: Client) -> None:
    add_tool("fetch", review=Review.NEW, enabled=False)

    page = text_of(admin_client)

    assert "It was never approved" in page
    assert "Finds articles." in page and "<code>text</code>" in page


def test_hidden_characters_and_hostile_names_are_made_visible(admin_client: Client) -> None:
    add_tool("<script>1</script>", title="<b>x", review=Review.NEW, description="a\u202eb")
    changed("t\u200b", input_schema={"type": "object", "title": "</pre><script>2"})

    page = text_of(admin_client)

    assert not any(text in page for text in ("<script>1", "<script>2", "<b>x"))
    for number in ("U+202E", "U+200B"):
        assert f">{number}</mark>" in page


@pytest.mark.parametrize(
    ("button", "review", "words"),
    [("approve", "approved", "1 tool is approved."), ("reject", "rejected", "1 tool is rejected.")],
)
def test_one_tool_is_decided_on_by_its_own_button(
    client: Client, button: str, review: str, words: str
) -> None:
    rita = staff(client, "review_mcptool", "view_mcptool")
    tool, other = changed(), changed("other")

    said = post(client, **{button: f"{tool.pk}:2", "chosen": [f"{other.pk}:2"]})

    assert said == [words]
    tool.refresh_from_db()
    other.refresh_from_db()
    assert (tool.review, other.review) == (review, Review.CHANGED)
    assert (ToolReview.objects.get().by, ToolReview.objects.get().decision) == (rita, review)


def test_chosen_tools_are_decided_on_together_and_the_filter_stays(admin_client: Client) -> None:
    tools = [changed("a"), changed("b"), changed("c")]
    chosen = [f"{tool.pk}:2" for tool in tools[:2]]

    answer = admin_client.post(f"{REVIEW}?kind=changed", {"approve": "", "chosen": chosen})

    assert answer["Location"] == f"{REVIEW}?kind=changed"
    assert [tool.name for tool in MCPTool.objects.awaiting_review()] == ["c"]


def test_a_definition_that_has_changed_since_it_was_shown_is_not_decided_on(
    admin_client: Client,
) -> None:
    tool = changed()
    tool.description = "Deletes all."
    tool.save()

    [said] = post(admin_client, approve=f"{tool.pk}:2")

    assert "has changed or gone since" in said
    assert MCPTool.objects.get().review == Review.CHANGED


@pytest.mark.parametrize("chosen", ["", "x", "1", ":", "9" * 30 + ":1", "1:-1", "１:１", "\0:1"])
def test_rubbish_decides_nothing(admin_client: Client, chosen: str) -> None:
    changed()

    [said] = post(admin_client, approve="", chosen=chosen)

    assert said == "Nothing was decided: choose at least one tool."


@pytest.mark.parametrize(
    "query", ["?p=x&server=x&kind=x", "?server=99", "?tools=,x,-1,9", "?q=%00", "?p=999", "?all=1"]
)
def test_rubbish_in_the_address_is_passed_over(admin_client: Client, query: str) -> None:
    changed()

    assert text_of(admin_client, REVIEW + query)


def test_all_of_a_server_are_decided_on_after_they_were_shown(admin_client: Client) -> None:
    first, other = changed("a"), changed("b", title="Other")
    elsewhere = add_tool("c", server=add_server("other"), review=Review.NEW, enabled=False)
    query = f"?server={first.server_id}&all=1"
    assert f'href="?server={first.server_id}&amp;all=1"' in text_of(
        admin_client, f"{REVIEW}?server={first.server_id}"
    )

    page = admin_client.get(REVIEW + query)
    said = post(admin_client, query, approve="", chosen=page.context["shown"])

    assert page.content.decode().count("and deletes") == 2
    assert said == ["2 tools are approved."]
    assert {tool.pk for tool in MCPTool.objects.usable()} == {first.pk, other.pk}
    assert list(MCPTool.objects.awaiting_review()) == [elsewhere]


def test_selected_tools_of_the_list_are_shown_before_they_are_decided_on(
    admin_client: Client,
) -> None:
    approved, waiting = add_tool("a"), changed("b")
    chosen = [approved.pk, waiting.pk]

    answer = admin_client.post(LIST, {"action": "review", "_selected_action": chosen}, follow=True)

    assert answer.redirect_chain == [(f"{REVIEW}?tools={approved.pk},{waiting.pk}", 302)]
    assert answer.context["shown"] == f"{approved.pk}:1 {waiting.pk}:2"


def test_no_more_are_decided_on_at_once_than_one_page_shows(admin_client: Client) -> None:
    server = add_server()
    MCPTool.objects.bulk_create(
        MCPTool(server=server, name=f"t{n}", function_name=f"t{n}", review=Review.NEW)
        for n in range(MAX_AT_ONCE + 5)
    )
    keys = list(MCPTool.objects.values_list("pk", flat=True))

    answer = admin_client.post(LIST, {"action": "review", "_selected_action": keys}, follow=True)
    whole = text_of(admin_client, f"{REVIEW}?server={server.pk}&all=1")

    assert len(answer.context["items"]) == MAX_AT_ONCE
    assert len(answer.context["messages"]) == 1
    assert f"There are {MAX_AT_ONCE + 5}; the others come after these." in whole


def test_the_queue_is_filtered_and_counted(admin_client: Client) -> None:
    changed("changed")
    add_tool("new", review=Review.NEW)
    add_tool("rejected", review=Review.REJECTED)
    add_tool("approved")
    add_tool("gone", review=Review.NEW, available=False)
    add_tool("elsewhere", server=add_server("other"), review=Review.NEW)

    def names(query: str) -> set[str]:
        page = admin_client.get(REVIEW + query)
        return {item.tool.name for item in page.context["items"]}

    assert names("") == {"changed", "new", "elsewhere"}
    assert names("?kind=new") == {"new", "elsewhere"}
    assert names("?kind=rejected") == {"rejected"}
    assert names("?q=DELETES") == {"changed"}
    assert names(f"?server={MCPServer.objects.get(slug='other').pk}") == {"elsewhere"}
    counts = {kind: n for kind, _label, n in admin_client.get(REVIEW).context["kinds"]}
    assert counts == {"waiting": 3, "new": 2, "changed": 1, "rejected": 1}


def test_the_list_says_who_rejected_and_the_tool_stays_stopped(client: Client) -> None:
    staff(client, "review_mcptool", "view_mcptool")
    tool = changed()
    post(client, reject=f"{tool.pk}:2")

    assert "by rita" in text_of(client, f"{REVIEW}?kind=rejected")
    assert "Rejected: stopped until it changes." in text_of(client, LIST)
    assert not MCPTool.objects.get().usable


@pytest.mark.parametrize(
    ("codenames", "looks", "decides"),
    [
        ((), 403, 403),
        (("change_mcptool",), 200, 403),
        (("view_mcptool",), 200, 403),
        (("review_mcptool",), 200, 302),
    ],
)
def test_deciding_takes_a_permission_of_its_own(
    client: Client, codenames: tuple[str, ...], looks: int, decides: int
) -> None:
    staff(client, *codenames)
    tool = changed()

    page = client.get(REVIEW)
    answer = client.post(REVIEW, {"approve": f"{tool.pk}:2"})

    assert (page.status_code, answer.status_code) == (looks, decides)
    assert ('name="approve"' in page.content.decode()) == (decides == 302)
    assert MCPTool.objects.get().usable == (decides == 302)


def test_an_operator_who_may_not_review_switches_tools_and_approves_none(client: Client) -> None:
    staff(client, "view_mcptool", "change_mcptool")
    tool = add_tool(review=Review.NEW, enabled=False)
    assert "Approve or reject" not in text_of(client, LIST)

    client.post(LIST, {"action": "enable", "_selected_action": [tool.pk]})

    assert (MCPTool.objects.get().enabled, MCPTool.objects.get().usable) == (True, False)


def test_the_queries_do_not_grow_with_the_tools(admin_client: Client) -> None:
    def count(query: str = "") -> int:
        with CaptureQueriesContext(connection) as queries:
            assert admin_client.get(REVIEW + query).status_code == 200
        return len(queries)

    rejected = [changed("a"), add_tool("b", review=Review.NEW)]
    few, all_few = count(), count(f"?server={rejected[0].server_id}&all=1")
    for number in range(20):
        changed(f"c{number}")

    assert (count(), count(f"?server={rejected[0].server_id}&all=1")) == (few, all_few)
    assert few <= 10


def test_five_thousand_waiting_tools_are_pages(admin_client: Client) -> None:
    server = add_server()
    MCPTool.objects.bulk_create(
        MCPTool(server=server, name=f"t{n}", function_name=f"t{n}", review=Review.NEW)
        for n in range(5_000)
    )

    page = admin_client.get(f"{REVIEW}?p=100")
    with CaptureQueriesContext(connection) as queries:
        assert admin_client.get(LIST).status_code == 200

    assert len(queries) < 20
    assert len(page.context["items"]) == PAGE
    assert "Page 100 of 100, 5000 tools" in page.content.decode()


def test_the_page_of_a_tool_shows_what_waits_and_every_version(client: Client) -> None:
    rita = staff(client, "view_mcptool", "review_mcptool")
    tool = changed()
    address = reverse("admin:automate_mcptool_change", args=[tool.pk])
    assert f'href="{REVIEW}?tools={tool.pk}"' in text_of(client, address)
    post(client, approve=f"{tool.pk}:2")

    page = text_of(client, address)

    assert "Approved by rita" in page and "Taken over without a review" in page
    for version in MCPToolVersion.objects.order_by("number"):
        own = reverse("admin:automate_mcptoolversion_change", args=[version.pk])
        assert own in page
        shown = text_of(client, own)
        assert version.definition["description"] in shown
    assert f"Approved: {rita}" in shown and "and deletes" in shown
    assert "Awaits review" not in text_of(client, "/admin/automate/mcptoolversion/")


def test_a_version_whose_row_was_changed_by_hand_is_told(admin_client: Client) -> None:
    version = add_tool().versions.get()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE automate_mcptoolversion SET definition_hash = 'other'")

    page = text_of(admin_client, reverse("admin:automate_mcptoolversion_change", args=[version.pk]))

    assert "It does not fit its hash" in page


def test_a_tool_and_its_server_can_be_deleted_with_all_versions(admin_client: Client) -> None:
    tool = changed()

    for row in (tool, tool.server):
        model = row._meta.model_name
        address = reverse(f"admin:automate_{model}_delete", args=[row.pk])
        assert admin_client.post(address, {"post": "yes"}).status_code == 302

    assert not MCPToolVersion.objects.exists()


def test_a_schema_of_100_kb_is_shown_on_the_page_and_in_the_queue(admin_client: Client) -> None:
    many = {f"argument_{n}": {"type": "string", "description": "x" * 50} for n in range(900)}
    schema = {"type": "object", "properties": many}
    tool = add_tool("large", input_schema=schema, review=Review.NEW)
    for number in range(5):
        add_tool(f"large_{number}", input_schema=schema, review=Review.NEW)

    page = text_of(admin_client, reverse("admin:automate_mcptool_change", args=[tool.pk]))
    queue = text_of(admin_client)

    assert "argument_899" in page
    assert "It is too large for this page" in queue
    assert len(queue) < 5_000_000
