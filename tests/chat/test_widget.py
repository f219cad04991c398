"""`{% chat_widget %}` for a site's own templates, and where the chat's pages may stand."""

from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.template import Context, Template
from django.test import Client
from django.urls import reverse

from chat.security import CHAT_POLICY, CONTENT_SECURITY_POLICY

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("executor")]

WIDGET = Template("{% load chat_widget %}{% chat_widget %}")


def test_people_who_are_logged_in_get_a_link_to_the_chat(user: Any) -> None:
    shown = WIDGET.render(Context({"request": SimpleNamespace(user=user)}))

    assert f'href="{reverse("chat:index")}"' in shown
    assert "<style" not in shown
    assert WIDGET.render(Context({"user": user})) == shown


@pytest.mark.parametrize("context", [{}, {"user": AnonymousUser()}, {"request": object()}])
def test_nobody_else_gets_anything(context: Any) -> None:
    assert WIDGET.render(Context(context)).strip() == ""


def test_only_pages_of_the_chat_may_stand_in_a_page_of_the_site(client: Client, user: Any) -> None:
    login = client.get(reverse("login"))
    client.force_login(user)
    chat = client.get(reverse("chat:index"))

    assert chat["Content-Security-Policy"] == CHAT_POLICY
    assert chat["X-Frame-Options"] == "SAMEORIGIN"
    assert login["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    assert login["X-Frame-Options"] == "DENY"
