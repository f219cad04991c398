"""The chat pages, and what a person does on them. Everything works without JavaScript too."""

import logging
import uuid
from typing import Any

from django.core.exceptions import ValidationError
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from django.views.decorators.http import require_GET, require_POST
from django_htmx.http import (
    HttpResponseClientRedirect,
    reswap,
    retarget,
    trigger_client_event,
)
from django_htmx.middleware import HtmxDetails

from chat import pages
from chat.executors import executor
from chat.forms import MessageForm
from chat.left_out import parsed, written
from chat.models import Conversation, Turn
from chat.security import chat_page
from chat.submission import TurnInProgress, send_message, stop_turn
from chat.uploads import received, takes_attachments
from chat.waiting import Refusal, asked

logger = logging.getLogger(__name__)

MAX_DRAFT_CHARACTERS = 500
_NOT_STORED = gettext_noop("The site could not store your message, so it was not sent. Try later.")


@require_GET
@chat_page
def index(request: HttpRequest) -> HttpResponse:
    """A new conversation; after one was deleted, with the way to undo that."""
    draft = request.GET.get("draft", "")[:MAX_DRAFT_CHARACTERS]
    return new_conversation_page(request, draft, without=request.GET.get("without", ""))


@require_GET
@chat_page
def conversation(request: HttpRequest, conversation_id: uuid.UUID) -> HttpResponse:
    """A conversation as it stands; an answer under way goes on by the stream of its turn.

    With `?message=`, as search leads to it, the branch that has this message.
    """
    executor().start()  # after a restart, the first look finds what the last process left
    shown = owned_conversation(request, conversation_id)
    through = pages.turn_of_message(shown, request.GET.get("message", ""))
    most = None if "all" in request.GET else pages.TURNS_AT_ONCE
    return conversation_page(request, shown, through=through, most=most)


@require_GET
@chat_page
def conversations(request: HttpRequest) -> HttpResponse:
    """The list of conversations, as the part of a page that it is."""
    limit = None if "all" in request.GET else pages.RECENT_CONVERSATIONS
    context = history_context(request, limit) | {"current": request.GET.get("current", "")}
    return render(request, "chat/partials/history.html", context)


@takes_attachments
@require_POST
@chat_page
def send(request: HttpRequest, conversation_id: uuid.UUID | None = None) -> HttpResponse:
    """Store a message and begin the turn that answers it."""
    existing = owned_conversation(request, conversation_id) if conversation_id else None
    form = MessageForm(request.POST)
    try:
        turn = send_message(
            request.user,
            existing,
            form.message(),
            form.submission_id(),
            parent=_followed(existing, form),
            uploads=received(request),
            model=form.model_alias(),
            left_out=parsed(form.left_out()) if form.left_out() and not existing else None,
        )
    except ValidationError as refusal:
        return refused(request, existing, " ".join(refusal.messages), 422, form)
    except TurnInProgress as refusal:
        return refused(request, existing, str(refusal), 409, form)
    except OperationalError:
        logger.exception("A message could not be stored")
        return refused(request, existing, _(_NOT_STORED), 503, form)
    return begun(request, turn)


@require_POST
@chat_page
def stop(request: HttpRequest, turn_id: uuid.UUID) -> HttpResponse:
    """Stop the answer; the stream says when it has stopped."""
    turn = owned_turn(request, turn_id)
    stop_turn(turn)
    if HtmxDetails(request):
        return HttpResponse(status=204)
    return to_conversation(request, turn.conversation)


def owned_conversation(request: HttpRequest, conversation_id: uuid.UUID) -> Conversation:
    """A conversation of this person; everybody else's is not found."""
    return get_object_or_404(Conversation.objects.owned_by(request.user), pk=conversation_id)


def owned_turn(request: HttpRequest, turn_id: uuid.UUID) -> Turn:
    """A turn of this person; everybody else's does not exist."""
    owned = Turn.objects.owned_by(request.user).select_related("conversation")
    return get_object_or_404(owned, pk=turn_id)


def history_context(
    request: HttpRequest, limit: int | None = pages.RECENT_CONVERSATIONS
) -> dict[str, Any]:
    """What every page needs for its list of conversations."""
    periods, is_cut = pages.history(request.user, limit)
    return {"periods": periods, "history_is_cut": is_cut}


def new_conversation_page(
    request: HttpRequest,
    draft: str = "",
    error: str = "",
    status: int = 200,
    *,
    model: str = "",
    without: str = "",
) -> HttpResponse:
    context = {
        "model": model,
        "without": written(parsed(without)),
        "suggestions": pages.suggestions(),
        "next_steps": pages.next_steps(),
        "draft": draft,
        "error": error,
        "submission": uuid.uuid4(),
        "undone": pages.deleted(request.user, request.GET.get("deleted", "")),
        "undo": "chat:restore",
    }
    context |= history_context(request)
    return render(request, "chat/conversation.html", context, status=status)


def conversation_page(
    request: HttpRequest,
    shown: Conversation,
    draft: str = "",
    error: str = "",
    *,
    model: str = "",
    refusal: Refusal | None = None,
    through: uuid.UUID | None = None,
    most: int | None = pages.TURNS_AT_ONCE,
    status: int = 200,
) -> HttpResponse:
    """A conversation; with what was typed and why it was not taken, where that is so."""
    branch = pages.branch(shown, through, most)
    last = branch.turns[-1] if branch.turns else None
    context = {
        "conversation": shown,
        "current": str(shown.pk),
        "turns": branch.turns,
        "places": branch.places,
        "is_cut": branch.is_cut,
        "answering": None if last is None or last.finished else last,
        "reloads": last is not None and _reloads(last),
        "parent": last,
        "draft": draft,
        "error": error,
        "model": model,
        "refusal": refusal,
        "submission": uuid.uuid4(),
    }
    context |= history_context(request)
    return render(request, "chat/conversation.html", context, status=status)


def _reloads(turn: Turn) -> bool:
    """Whether a page without JavaScript loads itself anew, to show how the turn goes on.

    Not while a call asks its reader: what is typed in its form would be lost.
    """
    if turn.finished or turn.status == Turn.Status.WAITING:
        return False
    calls = (call for message in turn.messages.all() for call in message.tool_calls.all())
    return all(asked(call) is None for call in calls)


def begun(request: HttpRequest, turn: Turn) -> HttpResponse:
    """The turn as the part of a page that it is, or the page where that is wanted."""
    if not HtmxDetails(request):
        return to_conversation(request, turn.conversation)
    shown, places = pages.one_turn(turn)
    context = {
        "turn": shown,
        "places": places,
        # As it is now: a quick answer may be over, and has then nothing that would say so.
        "answering": None if shown.finished else shown,
        "parent": shown,
        "submission": uuid.uuid4(),
    }
    response = render(request, "chat/partials/begun.html", context)
    return trigger_client_event(response, "conversations-changed")


def refused(
    request: HttpRequest,
    shown: Conversation | None,
    error: str,
    status: int,
    sent: MessageForm | None = None,
) -> HttpResponse:
    """Why something was not done, beside the composer."""
    if HtmxDetails(request):
        told = render(request, "chat/partials/error.html", {"error": error}, status=status)
        return reswap(retarget(told, "#composer-error"), "innerHTML")
    draft, model = (sent.message(), sent.model_alias()) if sent is not None else ("", "")
    if request.FILES:
        error = f"{error} {_('Your files have to be chosen again.')}"
    if shown is None:
        without = sent.left_out() if sent is not None else ""
        return new_conversation_page(request, draft, error, status, model=model, without=without)
    return conversation_page(request, shown, draft, error, model=model, status=status)


def to_conversation(request: HttpRequest, shown: Conversation) -> HttpResponse:
    """The page of the conversation; a fragment's request loads it whole."""
    if HtmxDetails(request):
        return HttpResponseClientRedirect(reverse("chat:conversation", args=[shown.pk]))
    return redirect("chat:conversation", shown.pk)


def _followed(existing: Conversation | None, form: MessageForm) -> Turn | None:
    """The last turn of the branch that the person saw; nothing where the page does not say."""
    parent = form.parent_id()
    if existing is None or parent is None:
        return None
    return existing.turns.filter(pk=parent).first()
