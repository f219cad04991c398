"""What a person does with an answer: another one, another message, going on, stepping, copying."""

import uuid

from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django_htmx.http import reswap, retarget
from django_htmx.middleware import HtmxDetails

from chat import pages
from chat.branching import edit_message, own_message, regenerate_turn, show_turn
from chat.forms import MessageForm, StepForm, SubmissionForm
from chat.models import Message, Turn
from chat.rendering import visible_text
from chat.security import chat_page
from chat.submission import TurnInProgress, continue_turn, in_progress

from .conversations import begun, history_context, owned_turn, refused, to_conversation

REFUSALS = (ValidationError, TurnInProgress)
"""Why nothing may begin now, with words for the person."""


@require_POST
@chat_page
def regenerate(request: HttpRequest, turn_id: uuid.UUID) -> HttpResponse:
    """Answer the same message once more, in the place of the answer that is there."""
    turn = owned_turn(request, turn_id)
    submission = SubmissionForm(request.POST).submission_id()
    try:
        return begun(request, regenerate_turn(turn, submission))
    except REFUSALS as refusal:
        return _told(request, turn, refusal)


@require_POST
@chat_page
def go_on(request: HttpRequest, turn_id: uuid.UUID) -> HttpResponse:
    """Take up what a turn left that did not end well, or at a limit; only where nothing follows."""
    turn = owned_turn(request, turn_id)
    if not pages.may_go_on(turn):
        return to_conversation(request, turn.conversation)
    submission = SubmissionForm(request.POST).submission_id()
    try:
        return begun(request, continue_turn(turn, submission))
    except REFUSALS as refusal:
        return _told(request, turn, refusal)


@require_http_methods(["GET", "POST"])
@chat_page
def edit(request: HttpRequest, turn_id: uuid.UUID) -> HttpResponse:
    """Write a turn's message anew; what was sent before, and its answer, stay beside it."""
    turn = owned_turn(request, turn_id)
    question = own_message(turn)
    if question is None:
        raise Http404
    if request.method == "GET":
        if turn.conversation.turns.unfinished().exists():
            return refused(request, turn.conversation, in_progress(turn.conversation), 409)
        return _editing(request, turn, question.content)
    form = MessageForm(request.POST)
    try:
        return begun(request, edit_message(turn, form.message(), form.submission_id()))
    except REFUSALS as refusal:
        return _editing(request, turn, form.message(), *_words(refusal))


@require_POST
@chat_page
def show(request: HttpRequest, turn_id: uuid.UUID) -> HttpResponse:
    """Show the branch through this turn. What it brings takes the place of the turn `instead`."""
    turn = owned_turn(request, turn_id)
    try:
        show_turn(turn)
    except TurnInProgress as refusal:
        return _told(request, turn, refusal)
    branch = pages.branch(turn.conversation)
    start = branch.place_of(StepForm(request.POST).instead_id())
    if not HtmxDetails(request) or start is None:
        return to_conversation(request, turn.conversation)
    context = {
        "turns": branch.turns[start:],
        "places": branch.places,
        "parent": branch.turns[-1],
        "submission": uuid.uuid4(),
    }
    return render(request, "chat/partials/stepped.html", context)


@require_GET
@chat_page
def earlier(request: HttpRequest, turn_id: uuid.UUID) -> HttpResponse:
    """What was said before this turn, as the part of a page that it is."""
    turn = owned_turn(request, turn_id)
    branch = pages.earlier(turn, pages.TURNS_AT_ONCE)
    context = {"turns": branch.turns, "places": branch.places, "is_cut": branch.is_cut}
    return render(
        request, "chat/partials/turns.html", context | {"conversation": turn.conversation}
    )


@require_GET
@chat_page
def text(request: HttpRequest, turn_id: uuid.UUID) -> HttpResponse:
    """The answer of a turn as its model wrote it, to be copied."""
    turn = owned_turn(request, turn_id)
    answers = turn.messages.filter(role=Message.Role.ASSISTANT).exclude(content="").order_by("pk")
    whole = "\n\n".join(visible_text(each.content) for each in answers)
    response = HttpResponse(whole, content_type="text/plain; charset=utf-8")
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def _editing(
    request: HttpRequest, turn: Turn, draft: str, error: str = "", status: int = 200
) -> HttpResponse:
    turn, _places = pages.one_turn(turn)
    context = {"turn": turn, "draft": draft, "error": error, "submission": uuid.uuid4()}
    if HtmxDetails(request):
        form = render(request, "chat/partials/edit_form.html", context, status=status)
        return reswap(retarget(form, f"#edit-{turn.pk}"), "outerHTML") if error else form
    context |= {"conversation": turn.conversation, **history_context(request)}
    return render(request, "chat/edit.html", context, status=status)


def _told(
    request: HttpRequest, turn: Turn, refusal: ValidationError | TurnInProgress
) -> HttpResponse:
    return refused(request, turn.conversation, *_words(refusal))


def _words(refusal: ValidationError | TurnInProgress) -> tuple[str, int]:
    if isinstance(refusal, ValidationError):
        return " ".join(refusal.messages), 422
    return str(refusal), 409
