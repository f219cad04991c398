"""A link that somebody else opens until it is revoked, and a conversation saved as a file."""

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission

from tests.chat.test_views_content import a_turn

from .conftest import Tabs

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("executor")]


def test_a_link_is_opened_by_somebody_else_until_it_is_revoked(
    tabs: Tabs, user: Any, settings: Any
) -> None:
    settings.AUTOMATE = {**settings.AUTOMATE, "SHARING": True}
    user.user_permissions.add(Permission.objects.get(codename="add_share"))
    turn = a_turn(user, "Mugs", "There are **7**.")
    page = tabs.open(f"/chat/conversations/{turn.conversation_id}/")
    page.click(".bar-conversation summary")
    page.click(".bar-conversation a:has-text('Share by a link')")
    page.click("button:has-text('Make a link')")
    address = page.input_value(".share-link input")

    with tabs.browser.new_context() as context:
        visitor = context.new_page()
        visitor.on("request", tabs._requested)
        assert visitor.goto(address).status == 200
        assert visitor.inner_text(".markdown strong") == "7"
        assert context.cookies() == []
        page.click("button:has-text('Revoke')")
        page.wait_for_selector("text=There is no link yet.")
        assert visitor.reload().status == 404


def test_a_conversation_is_saved_as_a_file(tabs: Tabs, user: Any) -> None:
    turn = a_turn(user, "Mugs and cups", "There are **7**.")
    page = tabs.open(f"/chat/conversations/{turn.conversation_id}/")
    page.click(".bar-conversation summary")

    with page.expect_download() as saved:
        page.click("a:has-text('Save as Markdown')")

    assert saved.value.suggested_filename == "mugs-and-cups.md"
    assert "There are **7**." in Path(saved.value.path()).read_text()
