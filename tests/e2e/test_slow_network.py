"""The chat over a slow network: nothing is sent twice, and the person sees that it goes on."""

from typing import TYPE_CHECKING, Any

import pytest

from chat.models import Message
from tests.servers.scripted_replies import text

from .test_chat import wait_for_answer, words

if TYPE_CHECKING:
    from playwright.sync_api import Page


pytestmark = pytest.mark.django_db(transaction=True)

LATENCY_MILLISECONDS = 700
BYTES_A_SECOND = 25_000


def test_over_a_slow_network_a_message_is_sent_once_and_its_answer_comes(
    page: "Page", model: Any, send: Any
) -> None:
    model([text("One after the other, " * 40, pieces=20)])
    page.context.new_cdp_session(page).send(
        "Network.emulateNetworkConditions",
        {
            "offline": False,
            "latency": LATENCY_MILLISECONDS,
            "downloadThroughput": BYTES_A_SECOND,
            "uploadThroughput": BYTES_A_SECOND,
        },
    )

    send(page, "Slowly, please")
    # Impatient: what has left the composer already is not sent again.
    page.keyboard.press("Enter")

    page.wait_for_selector(".markdown:not(:empty)")
    wait_for_answer(page)

    assert words(page, ".markdown").startswith("One after the other, One after the other,")
    assert [each.content for each in Message.objects.filter(role="user")] == ["Slowly, please"]
