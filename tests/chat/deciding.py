"""Turns that wait for a person, made by real models and servers; used by views, API and browser."""

from typing import Any

from mcp_types import (
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitRequestURLParams,
    InputRequiredResult,
)

from chat.models import ToolCall
from tests.servers.mcp_sdk import Offer

ORDER = {
    "type": "object",
    "properties": {
        "sku": {"type": "string", "title": "Article"},
        "count": {"type": "integer", "title": "How many", "minimum": 1, "maximum": 9},
        "note": {"type": "string", "title": "Note"},
        "gift": {"type": "boolean", "title": "As a gift"},
    },
    "required": ["sku", "count"],
    "additionalProperties": False,
}
CONTACT = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "title": "Your name", "default": "Ada"},
        "mail": {"type": "string", "title": "Mail", "format": "email"},
        "size": {"type": "string", "title": "Size", "enum": ["small", "large"]},
        "days": {"type": "integer", "title": "Days", "minimum": 1, "maximum": 30},
    },
    "required": ["name", "mail"],
}
PAGE = "https://pay.example.com/checkout?order=7"


def ordering(handler: Any = None, **options: Any) -> Offer:
    """A tool that changes something, so that it asks."""
    answer = handler or (lambda arguments: {"ordered": arguments["count"]})
    return Offer("order", title="Order", input_schema=ORDER, handler=answer, **options)


def asking_for_contact() -> Offer:
    """A tool whose server asks a person for a form's worth of answers."""

    async def ask(context: Any, params: Any) -> Any:
        answers = params.input_responses or {}
        if "contact" not in answers:
            form = ElicitRequestFormParams(message="Who are you?", requested_schema=CONTACT)
            return InputRequiredResult(input_requests={"contact": ElicitRequest(params=form)})
        answer = answers["contact"]
        return {"action": answer.action, "content": answer.content}

    return Offer("contact", title="Contact", conversation=ask)


def holding_for_contact() -> Offer:
    """The same of a server that holds the call meanwhile, as those before 2026-07-28 do."""

    async def ask(context: Any, params: Any) -> Any:
        answer = await context.session.elicit_form(
            "Who are you?", CONTACT, related_request_id=context.request_id
        )
        return {"action": answer.action, "content": answer.content}

    return Offer("contact", title="Contact", conversation=ask)


def asking_two_things() -> Offer:
    """A tool whose server asks two things at once."""

    async def ask(context: Any, params: Any) -> Any:
        answers = params.input_responses or {}
        if len(answers) < 2:
            form = {"type": "object", "properties": {"word": {"type": "string", "title": "Word"}}}
            asked = {
                key: ElicitRequest(
                    params=ElicitRequestFormParams(message=f"{key} word?", requested_schema=form)
                )
                for key in ("First", "Last")
            }
            return InputRequiredResult(input_requests=asked)
        return {key: each.content for key, each in answers.items()}

    return Offer("words", title="Words", conversation=ask)


def asking_for_a_visit() -> Offer:
    """A tool whose server asks a person to open a page."""

    async def ask(context: Any, params: Any) -> Any:
        answers = params.input_responses or {}
        if "visit" not in answers:
            visit = ElicitRequestURLParams(message="Please pay.", url=PAGE, elicitation_id="p7")
            return InputRequiredResult(input_requests={"visit": ElicitRequest(params=visit)})
        return {"action": answers["visit"].action}

    return Offer("visit", title="Pay", conversation=ask)


def lose(call: ToolCall) -> ToolCall:
    """What a crash does to a call that was under way."""
    ToolCall.objects.filter(pk=call.pk).update(status=ToolCall.Status.UNKNOWN, error="Cut off.")
    call.refresh_from_db()
    return call
