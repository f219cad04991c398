"""Prompts of servers: who may use which, what a person is asked, and what comes into the field."""

import html
import re
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from mcp_types import (
    EmbeddedResource,
    ImageContent,
    Prompt,
    PromptArgument,
    PromptMessage,
    TextContent,
    TextResourceContents,
)

from automate.models import MCPPrompt, MCPServer
from chat.models import Conversation, Message, Turn
from chat.submission import send_message
from tests.servers.mcp_offerings import Offered

from .rows import put

pytestmark = pytest.mark.django_db(transaction=True)

GREET = [
    PromptArgument(name="who", title="Whom", description="Who is greeted.", required=True),
    PromptArgument(name="how"),
]


def said(role: Any, text: str) -> PromptMessage:
    return PromptMessage(role=role, content=TextContent(type="text", text=text))


def greeting(arguments: dict[str, str]) -> list[PromptMessage]:
    resource = TextResourceContents(uri="note:///1", text="A note.")
    return [
        said("user", f"Greet {arguments['who']} {arguments.get('how', 'kindly')}.\u202e\U000e0041"),
        said("assistant", "I obey."),
        PromptMessage(role="user", content=EmbeddedResource(type="resource", resource=resource)),
        PromptMessage(
            role="user", content=ImageContent(type="image", data="AAAA", mime_type="image/png")
        ),
    ]


@pytest.fixture
def person(client: Client, user: Any, executor: Any) -> Client:
    client.force_login(user)
    return client


@pytest.fixture
def greet(shop: Any) -> Any:
    """A prompt with arguments of a server that runs."""
    offered = Offered(
        prompts=[Prompt(name="greet", description="Greets <b>.", arguments=GREET)],
        messages={"greet": greeting},
    )
    shop(offered=offered)
    return MCPPrompt.objects.get()


def field(answer: Any) -> str:
    """What stands in the field of a page, or comes for it."""
    page = answer.content.decode()
    found = re.search(r"<textarea[^>]*(?:id=.text.|data-filled)[^>]*>([^<]*)", page)
    return html.unescape(found[1]).strip() if found else ""


def test_only_prompts_that_one_may_use_are_offered(person: Client, user: Any) -> None:
    for slug, fields in {
        "shop": {},
        "off": {"enabled": False},
        "secret": {"required_permission": "a.b"},
        "out": {},
    }.items():
        server = MCPServer.objects.create(
            name=slug, slug=slug, endpoint_url="https://a.example", **fields
        )
        MCPPrompt.objects.create(server=server, name=f"of-{slug}")
    MCPPrompt.objects.create(server=server, name="gone", available=False)

    page = person.get(reverse("chat:prompts"), {"without": f"s{server.pk}"}).content.decode()
    hidden = MCPPrompt.objects.get(name="of-secret")

    assert re.findall(r"<strong>(.*?)</strong>", page) == ["of-shop"]
    assert person.get(reverse("chat:prompt", args=[hidden.pk])).status_code == 404


def test_a_prompt_asks_for_its_texts_and_its_words_come_into_the_field_unsent(
    person: Client, greet: MCPPrompt
) -> None:
    path = reverse("chat:prompt", args=[greet.pk])
    form = person.get(path).content.decode()
    refused = person.post(path, {"prompt-f1": "badly"})

    answer = person.post(path, {"prompt-f0": "Ann", "prompt-f1": ""})

    assert "Whom" in form and "Who is greeted." in form and "Greets &lt;b&gt;." in form
    assert refused.status_code == 422 and "badly" in refused.content.decode()
    assert field(answer) == "Greet Ann kindly.\n\nA note."
    assert "2 parts of the prompt could not be taken over" in answer.content.decode()
    assert not Message.objects.exists()


def test_the_words_come_to_the_conversation_that_asked(
    person: Client, user: Any, greet: MCPPrompt, django_user_model: Any
) -> None:
    turn = put(send_message(user, None, "Hello", uuid4()), Turn.Status.DONE)
    path = reverse("chat:prompt", args=[turn.conversation_id, greet.pk])
    data = {"prompt-f0": "</textarea><b>Ann"}

    page = person.post(path, data)
    part = person.post(path, data, HTTP_HX_REQUEST="true")
    person.force_login(django_user_model.objects.create_user("eve"))

    assert field(page) == field(part) == "Greet </textarea><b>Ann kindly.\n\nA note."
    assert f'action="{reverse("chat:send", args=[turn.conversation_id])}"' in page.content.decode()
    assert person.post(path, data).status_code == 404
    assert Conversation.objects.count() == 1


def test_a_server_that_fails_is_told_in_words_and_what_was_typed_stays(
    person: Client, shop: Any
) -> None:
    shop(offered=Offered(prompts=[Prompt(name="greet", arguments=GREET)]))
    path = reverse("chat:prompt", args=[MCPPrompt.objects.get().pk])

    answer = person.post(path, {"prompt-f0": "Ann"}, HTTP_HX_REQUEST="true")

    assert answer.status_code == 422
    assert "Shop did not give the prompt." in answer.content.decode()
    assert "Ann" in answer.content.decode()
