"""Messages and turns in the JSON API: send, look, stop, and have another answer or message."""

import uuid

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from ninja import Router, Status
from ninja.errors import HttpError

from chat import branching, pages, submission
from chat.models import Conversation, Turn

from .values import ERRORS, AgainIn, EditIn, MessageIn, TurnOut

router = Router()


@router.post("messages", response={201: TurnOut, **ERRORS})
def send_message(request: HttpRequest, sent: MessageIn) -> Status[TurnOut]:
    """Say something; the turn that answers it runs on."""
    conversation = parent = None
    if sent.conversation is not None:
        owned = Conversation.objects.owned_by(request.user)
        conversation = get_object_or_404(owned, pk=sent.conversation)
        if sent.parent is not None:
            parent = get_object_or_404(conversation.turns, pk=sent.parent)
    turn = submission.send_message(
        request.user,
        conversation,
        sent.text,
        sent.submission or uuid.uuid4(),
        parent=parent,
        uploads=[each.upload() for each in sent.attachments],
        model=sent.model,
        left_out=None if sent.left_out is None else sent.left_out.scope(),
    )
    return Status(201, _shown(request, turn.pk))


@router.get("turns/{uuid:turn_id}", response={200: TurnOut, **ERRORS})
def read_turn(request: HttpRequest, turn_id: uuid.UUID) -> TurnOut:
    """A turn with its messages and calls, as it stands."""
    return _shown(request, turn_id)


@router.post("turns/{uuid:turn_id}/stop", response={200: TurnOut, **ERRORS})
def stop_turn(request: HttpRequest, turn_id: uuid.UUID) -> TurnOut:
    """Stop a turn; one that is over stays as it is, one that runs ends a moment later."""
    submission.stop_turn(_owned(request, turn_id))
    return _shown(request, turn_id)


@router.post("turns/{uuid:turn_id}/regenerate", response={201: TurnOut, **ERRORS})
def regenerate(request: HttpRequest, turn_id: uuid.UUID, sent: AgainIn) -> Status[TurnOut]:
    """Answer the same message once more, beside the answer that is there."""
    turn = _owned(request, turn_id)
    again = branching.regenerate_turn(turn, sent.submission or uuid.uuid4())
    return Status(201, _shown(request, again.pk))


@router.post("turns/{uuid:turn_id}/edit", response={201: TurnOut, **ERRORS})
def edit(request: HttpRequest, turn_id: uuid.UUID, sent: EditIn) -> Status[TurnOut]:
    """Send another message in the place of the one that this turn answers."""
    turn = _owned(request, turn_id)
    edited = branching.edit_message(turn, sent.text, sent.submission or uuid.uuid4())
    return Status(201, _shown(request, edited.pk))


@router.post("turns/{uuid:turn_id}/continue", response={201: TurnOut, **ERRORS})
def go_on(request: HttpRequest, turn_id: uuid.UUID, sent: AgainIn) -> Status[TurnOut]:
    """Take up what a turn left that reached a limit or did not end well."""
    turn = _owned(request, turn_id)
    if not pages.may_go_on(turn):
        raise HttpError(409, _("Nothing is left here to go on with."))
    further = submission.continue_turn(turn, sent.submission or uuid.uuid4())
    return Status(201, _shown(request, further.pk))


@router.post("turns/{uuid:turn_id}/show", response={200: TurnOut, **ERRORS})
def show(request: HttpRequest, turn_id: uuid.UUID) -> TurnOut:
    """Have the conversation show the branch through this turn; its last turn is returned."""
    turn = _owned(request, turn_id)
    branching.show_turn(turn)
    return _shown(request, turn.conversation.head_id or turn.pk)


def _owned(request: HttpRequest, turn_id: uuid.UUID) -> Turn:
    owned = Turn.objects.owned_by(request.user).select_related("conversation")
    return get_object_or_404(owned, pk=turn_id)


def _shown(request: HttpRequest, turn_id: uuid.UUID) -> TurnOut:
    turn = _owned(request, turn_id)
    calls = pages.calls().filter(turn=turn)
    found = list(calls.select_related("turn__conversation", "approval__user"))
    return TurnOut.of(turn, found, request.user)
