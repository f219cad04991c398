"""What the chat's templates need beyond Django's own tags."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any
from uuid import UUID, uuid4

from django import template
from django.conf import settings
from django.template import Context
from django.template.defaultfilters import floatformat
from django.template.loader import get_template
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.safestring import SafeString, mark_safe
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from automate.conf import conf
from chat import answers, pages, waiting
from chat.call_groups import CallGroup
from chat.language_models import chosen_model, models_for
from chat.left_out import parsed
from chat.models import Message, ToolCall, Turn
from chat.rendering import render_stored_markdown, visible_text
from chat.schema_fields import json_text as as_json

MAX_SHOWN_CHARACTERS = 12_000
"""Of one call's arguments or result; the row keeps the whole."""

register = template.Library()

_CALL_ICONS = {
    ToolCall.Status.PENDING: "clock",
    ToolCall.Status.WAITING: "question",
    ToolCall.Status.RUNNING: "running",
    ToolCall.Status.SUCCEEDED: "check",
    ToolCall.Status.FAILED: "alert",
    ToolCall.Status.REFUSED: "alert",
    ToolCall.Status.CANCELLED: "stop",
    ToolCall.Status.UNKNOWN: "question",
}


@register.simple_tag
def icon(name: str) -> SafeString:
    """One of our own drawings; the words beside it say what it means."""
    if settings.DEBUG:
        return _drawing.__wrapped__(name)
    return _drawing(name)


@lru_cache(maxsize=256)
def _drawing(name: str) -> SafeString:
    drawing = get_template(f"chat/icons/{name}.svg").render()
    return mark_safe(drawing.strip())  # noqa: S308 # a template of ours, without variables


@register.simple_tag
def notice() -> str:
    """The sentence that every chat page shows."""
    return conf().NOTICE


@register.simple_tag
def longest_message() -> int:
    """How many characters a message may have."""
    return conf().MAX_MESSAGE_CHARACTERS


@register.simple_tag
def attachment_limits() -> dict[str, int]:
    """How many files a message may have, and how many bytes each."""
    settings = conf()
    return {"count": settings.MAX_ATTACHMENTS, "size": settings.MAX_ATTACHMENT_BYTES}


@register.simple_tag(takes_context=True)
def left_out_count(context: Context) -> int:
    """How many servers and tools the person leaves out of this conversation."""
    conversation = context.get("conversation")
    scope = conversation.left_out if conversation else parsed(context.get("without") or "")
    return len(scope.servers) + len(scope.tools)


@register.simple_tag(takes_context=True)
def model_choices(context: Context) -> list[dict[str, Any]]:
    """The models to choose from, where there are several; the conversation's own is chosen."""
    user, conversation = context["request"].user, context.get("conversation")
    choices = models_for(user)
    if len(choices) < 2:
        return []
    kept = context.get("model") or (conversation.model if conversation else "")
    chosen = chosen_model(user, "", kept)
    return [{"choice": each, "is_chosen": each.alias == chosen} for each in choices]


@register.simple_tag
def new_submission() -> str:
    """An id for what a form sends, so that sent twice it happens once."""
    return str(uuid4())


@register.simple_tag(takes_context=True)
def place(context: Context, turn_id: UUID) -> pages.Places | None:
    """What else stands in the turn's place, where the page knows it."""
    places: Mapping[UUID, pages.Places] = context.get("places") or {}
    return places.get(turn_id)


@register.simple_tag
def sources(turn: Turn) -> list[answers.Source]:
    """The results that the turn's answer could use, tool by tool."""
    return answers.sources(turn)


@register.simple_tag
def changes_of(turn: Turn) -> str:
    """What a person must know before the turn is answered anew; empty where it changed nothing."""
    return answers.changes_words(turn)


@register.filter
def has_answer(turn: Turn) -> bool:
    """Whether there is some text of an answer."""
    return answers.last_answer(turn) is not None


@register.filter
def own_message(turn: Turn) -> Message | None:
    """The person's message that the turn answers; nothing where it goes on from its parent."""
    mine = (each for each in turn.messages.all() if each.role == Message.Role.USER)
    return next(mine, None)


@register.filter
def model_label(turn: Turn) -> str:
    """What the site calls the model that answered."""
    return str(conf().MODELS.get(turn.model, {}).get("LABEL") or turn.model)


@register.filter
def grouped(number: int) -> str:
    """A whole number that is easy to read."""
    return number_format(number, force_grouping=True)


@register.filter
def plain_number(number: Decimal) -> str:
    """A number with all the places that it has, and no more."""
    return number_format(number.normalize())


@register.simple_tag(takes_context=True)
def ask(context: Context, call: ToolCall) -> waiting.Ask | None:
    """What the call's card asks of its reader, with what was typed where it was not taken."""
    return waiting.asked(call, context.get("refusal"))


@register.simple_tag
def count_waiting(user: Any) -> int:
    """How many calls wait for this person's word."""
    return waiting.count_waiting_for(user)


@register.filter
def json_text(value: Any) -> str:
    """A value as JSON, with nothing hidden in it, and cut where it is very long."""
    return _shortened(as_json(value))


@register.filter
def whole_arguments(call: ToolCall) -> str:
    """The arguments to the last character, for who is to allow them."""
    return as_json(call.arguments)


@register.filter
def turn_words(turn: Turn) -> str:
    """The state of a turn in words for its person."""
    return waiting.turn_words(turn)


@register.filter
def decision_words(call: ToolCall) -> str:
    """What a person has decided about the call; empty where nobody has, or had to."""
    return waiting.decision_words(call)


@register.filter
def markdown(text: str) -> SafeString:
    """What a model wrote, as safe HTML."""
    return render_stored_markdown(text)


@register.filter
def visible(text: Any) -> str:
    """Foreign text without terminal escapes, control characters and direction overrides."""
    return visible_text(str(text))


@register.filter
def call_icon(call: ToolCall | CallGroup) -> str:
    """The name of the drawing for the status of a call, or of several."""
    return _CALL_ICONS[ToolCall.Status(call.status)]


@register.filter
def arguments_text(call: ToolCall) -> str:
    """The arguments as the model wrote them."""
    return _shortened(call.arguments_text)


@register.filter
def starts_open(call: ToolCall) -> bool:
    """Whether its card is open at first: only where there is something to look at."""
    if any(file.is_image for file in call.files.all()):
        return True
    return call.status in (
        ToolCall.Status.WAITING,
        ToolCall.Status.FAILED,
        ToolCall.Status.UNKNOWN,
    )


@register.filter
def duration(seconds: float) -> str:
    """A time in the unit that reads best, on one line."""
    if seconds < 1:
        words = _("%(count)s ms") % {"count": round(seconds * 1000)}
    elif seconds < 60:
        words = _("%(count)s s") % {"count": floatformat(seconds, 1)}
    else:
        minutes, rest = divmod(round(seconds), 60)
        words = _("%(minutes)s min %(seconds)s s") % {"minutes": minutes, "seconds": rest}
    return words.replace(" ", "\N{NO-BREAK SPACE}")


@register.filter
def ago(moment: datetime) -> str:
    """How long ago it was, where that can be said in minutes."""
    if timezone.now() - moment < timedelta(minutes=1):
        return _("just now")
    return _("%(ago)s ago") % {"ago": timesince(moment)}


@register.filter
def seconds(turn: Turn) -> float | None:
    """How long the turn ran; nothing where it did not begin or has not ended."""
    if turn.started_at is None or turn.finished_at is None:
        return None
    return (turn.finished_at - turn.started_at).total_seconds()


def _shortened(text: str) -> str:
    text = visible_text(text)
    rest = len(text) - MAX_SHOWN_CHARACTERS
    if rest <= 0:
        return text
    more = ngettext("… %(count)s more character", "… %(count)s more characters", rest)
    return f"{text[:MAX_SHOWN_CHARACTERS]}\n{more % {'count': f'{rest:,}'}}"
