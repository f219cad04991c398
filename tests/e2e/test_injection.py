"""Texts of tools, models and people never run or load anything: each payload, in every place.

The pages' content policy is switched off here: escaping and sanitising alone must hold.
"""

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse
from django.utils import timezone

from automate.models import MCPPrompt, MCPServer, MCPTool
from automate_llm.content import File
from chat.files import keep_row
from chat.models import Approval, Attachment, Conversation, Message, Question, Turn, TurnEvent

from .conftest import Tabs
from .every_page_rows import add_call, add_message, add_turn
from .payloads import payloads

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("executor")]

PAYLOADS = payloads()
Kind = TurnEvent.Kind

DANGERS = """() => {
    const own = (address) => new URL(address, location.href).origin === location.origin;
    const found = [];
    for (const element of document.querySelectorAll("*")) {
        for (const { name, value } of element.attributes) {
            const link = element.matches("a") && name === "href";
            const loads = ["src", "srcset", "href", "data", "action", "formaction", "poster",
                "background", "ping", "style", "srcdoc"].includes(name) && !link;
            if (name.startsWith("on") || /^(data-)?hx-on/.test(name) || name === "style" ||
                (loads && !own(value)) || (link && !/^https?:$/.test(element.protocol)))
                found.push(element.outerHTML.slice(0, 200));
        }
        if (element.matches("script:not([src]), iframe, object, embed, base, style, math, portal"))
            found.push(element.outerHTML.slice(0, 200));
    }
    return found;
}"""


@pytest.fixture
def look(tabs: Tabs) -> Any:
    """Load a page, open all that is folded in it, and say what in it could run or load."""
    context = tabs.browser.new_context(bypass_csp=True)
    context.add_cookies(tabs.cookies)
    tabs.contexts.append(context)
    page = context.new_page()
    page.set_default_timeout(60_000)
    tabs.watch(page)

    def at(path: str, ready: str = "[data-theme-button]:not([hidden])") -> "Page":
        page.goto(tabs.site.url + path)
        page.wait_for_selector(ready, state="attached")
        page.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
        page.mouse.move(300, 300)
        assert page.evaluate(DANGERS) == []
        return page

    return at


def test_there_are_enough_payloads() -> None:
    assert len(PAYLOADS) >= 150


def test_nothing_in_a_conversation_runs_or_loads(look: Any, user: Any) -> None:
    talk = Conversation.objects.create(user=user, title=PAYLOADS[0])
    turn = add_turn(talk, Turn.Status.FAILED, PAYLOADS[1], notice=" ".join(PAYLOADS)[:4_000])
    stored = keep_row(File(b"a text", "text/plain"))
    everything = {text: [{"key": text, text: text}] for text in PAYLOADS}
    for text in PAYLOADS:
        message = add_message(turn, text, Message.Role.USER)
        Attachment.objects.create(
            message=message, file=stored, name=text[:100], media_type="text/plain", text=text
        )
        answer = add_message(turn, text)
        words = {"title": text, "server_name": text, "function_name": text, "warning": text}
        add_call(answer, "succeeded", arguments={text: text}, result_text=text, **words)
        table = json.dumps([{text: text, "number": 1}])
        add_call(answer, "failed", error=text, result_text=table, arguments_text=text, **words)
    whole = add_call(
        add_message(turn),
        "succeeded",
        result_text="x",
        title="Whole",
        **{
            "result": {
                "content": [
                    *({"type": "text", "text": text} for text in PAYLOADS),
                    *({"type": "unusable", "kind": text, "reason": text} for text in PAYLOADS),
                    *({"type": "resource_link", "uri": text, "name": text} for text in PAYLOADS),
                ],
                "structured": everything,
                "has_structured": True,
            },
        },
    )

    page = look(reverse("chat:conversation", args=[talk.pk]))
    assert page.locator(".call").count() == 2 * len(PAYLOADS) + 1
    address = reverse("chat:result", args=[whole.pk])
    for query in (
        "",
        "?view=text",
        "?view=tree&q=alert",
        "?q=%3Cimg+src%3Dx+onerror%3Dalert(1)%3E",
    ):
        look(address + query)


def test_nothing_that_comes_by_a_stream_runs_or_loads(look: Any, user: Any) -> None:
    talk = Conversation.objects.create(user=user, title="A stream")
    turn = add_turn(talk, Turn.Status.RUNNING, "Go on")
    log: list[tuple[str, dict[str, Any]]] = []
    for text in PAYLOADS:
        message = add_message(turn, text)
        call = add_call(message, "running", title=text, function_name=text, arguments={text: text})
        log += [
            (Kind.TEXT, {"message": message.pk, "text": f"{text}\n\nMore {text}"}),
            (Kind.MESSAGE, {"message": message.pk}),
            (Kind.CALL, {"call": call.pk}),
            (Kind.PROGRESS, {"call": call.pk, "progress": 1, "total": 2, "message": text}),
        ]
    growing = add_message(turn)
    Message.objects.filter(pk=growing.pk).delete()
    log += [(Kind.TEXT, {"message": growing.pk, "text": f"{text}\n\n"}) for text in PAYLOADS]
    TurnEvent.objects.bulk_create(
        TurnEvent(turn=turn, seq=number, kind=kind, data=data)
        for number, (kind, data) in enumerate(log, 1)
    )

    ready = f"#message-{growing.pk} [data-body] > :nth-child({len(PAYLOADS) // 2})"
    page = look(reverse("chat:conversation", args=[talk.pk]), ready)
    assert page.locator("[data-progress]:not([hidden])").count() == len(PAYLOADS)


def test_nothing_that_a_person_is_asked_runs_or_loads(look: Any, user: Any) -> None:
    server = MCPServer.objects.create(
        name=PAYLOADS[0][:100],
        slug="shop",
        endpoint_url="https://a.example",
        last_error=PAYLOADS[1],
    )
    talk = Conversation.objects.create(user=user, title="Questions")
    turn = add_turn(talk, Turn.Status.WAITING, "Ask me")
    later = timezone.now() + timedelta(hours=1)
    for number, text in enumerate(PAYLOADS):
        part = {"type": "string", "title": text, "description": text, "default": text}
        choice = {"enum": [text, f"{text} 2"], "enumNames": [text, text], **part}
        schema = {"type": "object", "properties": {text: part, f"{text} 1": choice}}
        tool = MCPTool.objects.create(
            server=server,
            name=f"{number}{text}"[:200],
            title=text[:200],
            description=text,
            function_name=f"shop__{number}",
            input_schema=schema,
        )
        message = add_message(turn, "x")
        words = {"title": text, "server_name": text, "function_name": text, "tool": tool}
        asked = add_call(message, "waiting", arguments={text: text}, **words)
        Approval.objects.create(call=asked, user=user, tool=tool, why=text, expires_at=later)
        asking = add_call(message, "waiting", **words)
        Question.objects.create(call=asking, key="a", message=text, schema=schema, expires_at=later)
        Question.objects.create(
            call=asking,
            key="b",
            mode="url",
            message=text,
            url=f"https://a.example/{text}",
            expires_at=later,
        )

    page = look(reverse("chat:inbox"))
    assert page.locator(".ask-form").count() == 3 * len(PAYLOADS)
    look(reverse("chat:index"))
    look(reverse("chat:tools", args=[talk.pk]))


def test_nothing_of_a_prompt_runs_or_loads(look: Any) -> None:
    server = MCPServer.objects.create(
        name=PAYLOADS[2][:100], slug="shop", endpoint_url="https://a.example"
    )
    prompts = [
        MCPPrompt.objects.create(
            server=server,
            name=f"{number}{text}"[:100],
            title=text[:200],
            description=text,
            arguments=[{"name": text, "title": text, "description": text, "required": True}],
        )
        for number, text in enumerate(PAYLOADS)
    ]
    everything = [
        {"name": f"{number}{text}", "title": text, "description": text}
        for number, text in enumerate(PAYLOADS[:50])
    ]
    MCPPrompt.objects.filter(pk=prompts[0].pk).update(arguments=everything)

    look(reverse("chat:prompts"))
    look(reverse("chat:prompt", args=[prompts[0].pk]))
    page = look(reverse("chat:index"))
    page.click("#prompts-link")
    page.wait_for_selector("#prompt-list [role=option]")
    assert page.evaluate(DANGERS) == []
    assert page.locator("#prompt-list [role=option]").count() == len(PAYLOADS)


def test_no_name_of_a_person_or_conversation_runs_or_loads(look: Any, user: Any) -> None:
    get_user_model().objects.filter(pk=user.pk).update(username="<img src=x onerror=alert(1)>")
    for text in PAYLOADS:
        Conversation.objects.create(user=user, title=text)
    look(f"{reverse('chat:conversations')}?all", ready="li")
    look(f"{reverse('chat:index')}?draft={'%3C/textarea%3E%3Cimg src=x onerror=alert(1)%3E'}")
    talk = Conversation.objects.create(user=user, title=PAYLOADS[30])
    look(reverse("chat:manage", args=[talk.pk]))
    look(reverse("chat:archived"))
