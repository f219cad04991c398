"""What a person may do to a conversation: send, try again, stop."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from automate.conf import conf

from .attachments import Checked, Upload, attach, checked, store_bytes
from .events import EventLog
from .language_models import chosen_model
from .models import Conversation, Message, Turn, TurnEvent
from .queueing import submit_turn
from .recovery import close_calls, recover_abandoned
from .running import cancel
from .signals import announce, turn_finished
from .tracing import tracer

_TITLE_CHARACTERS = 60
_LOOKS = 3


class TurnInProgress(Exception):
    """The assistant is still answering in this conversation; nothing was stored.

    So it is, too, where the conversation was deleted at the same moment.
    """


def send_message(
    user: Any,
    conversation: Conversation | None,
    text: str,
    submission: UUID,
    *,
    uploads: Sequence[Upload] = (),
    model: str = "",
) -> Turn:
    """Store what a person wrote and let a turn answer it; a new conversation where there is none.

    `submission` is the browser's own id for this message: sent twice, the first turn is returned
    and nothing is stored again. `model` is the alias of the one that answers, now and from now on;
    empty for the conversation's own.

    Raises:
        ValidationError: there is no text and no file, one of both cannot be taken, or the model.
        TurnInProgress: a turn of this conversation is not over yet.
    """
    if earlier := _sent_before(user, submission):
        return earlier
    text = _clean(text, needed=not uploads)
    model = chosen_model(user, model, conversation.model if conversation else "")
    files = checked(uploads, conf(), model)
    if conversation is not None:
        recover_abandoned(conversation.turns.all())
    store_bytes(files)
    try:
        with transaction.atomic():
            if conversation is None:
                conversation = Conversation.objects.create(user=user, title=_title(text, files))
            turn = _begin(conversation, submission, model)
            message = Message.objects.create(
                conversation=conversation, turn=turn, role=Message.Role.USER, content=text
            )
            attach(message, files)
    except TurnInProgress:
        # Sent twice at the same moment, both began; the second then finds what the first stored.
        if earlier := _sent_before(user, submission):
            return earlier
        raise
    return turn


def retry_turn(turn: Turn, submission: UUID) -> Turn:
    """Answer again after a turn that failed, was stopped or interrupted; nothing is sent anew.

    Raises:
        ValidationError: the person may not use any model now.
        TurnInProgress: a turn of this conversation is not over yet.
    """
    model = chosen_model(turn.conversation.user, "", turn.conversation.model)
    try:
        with transaction.atomic():
            return _begin(turn.conversation, submission, model)
    except TurnInProgress:
        if earlier := _sent_before(turn.conversation.user, submission):
            return earlier
        raise


def stop_turn(turn: Turn) -> None:
    """Stop the model and the tools of this turn; a turn that is over stays as it is."""
    # Between two looks it may have begun to run or to wait; it does not do so again and again.
    for _look in range(_LOOKS):
        if _cancelled_idle(turn):
            return
        if turn.request_cancel():
            cancel(turn.pk)
            return


@transaction.atomic
def _cancelled_idle(turn: Turn) -> bool:
    if not turn.cancel_idle():
        return False
    log = EventLog(turn.pk)
    close_calls(turn, log)
    log.append(TurnEvent.Kind.STATUS, status=Turn.Status.CANCELLED)
    announce(turn_finished, turn)
    return True


def _sent_before(user: Any, submission: UUID) -> Turn | None:
    # Also in a deleted conversation: what was sent there once must not begin a second one.
    return Turn.objects.filter(conversation__user=user, submission=submission).first()


def _begin(conversation: Conversation, submission: UUID, model: str) -> Turn:
    try:
        with transaction.atomic():
            turn = Turn.objects.create(
                conversation=conversation,
                submission=submission,
                model=model,
                trace_parent=tracer(conf()).trace_parent(),
            )
    except IntegrityError:
        raise TurnInProgress(_in_progress(conversation)) from None
    # Whoever deletes it waits for this row, or is waited for, so no turn begins unseen.
    kept = Conversation.objects.filter(pk=conversation.pk, deleted_at=None)
    if not kept.update(updated_at=timezone.now(), archived_at=None, model=model):
        raise TurnInProgress(_("This conversation was deleted."))
    submit_turn(turn)
    return turn


def _in_progress(conversation: Conversation) -> str:
    if conversation.turns.filter(status=Turn.Status.WAITING).exists():
        return _("The assistant waits for your decision. Decide, or stop it first.")
    return _("The assistant is still answering.")


def _clean(text: str, *, needed: bool) -> str:
    # PostgreSQL stores no NUL, and no database a lone surrogate.
    text = text.replace("\x00", "").encode(errors="replace").decode().strip()
    limit = conf().MAX_MESSAGE_CHARACTERS
    if not text and needed:
        raise ValidationError(_("Write a message first."), code="empty")
    if len(text) > limit:
        raise ValidationError(
            ngettext(
                "This message has %(length)s characters; the limit is %(limit)s character.",
                "This message has %(length)s characters; the limit is %(limit)s characters.",
                limit,
            )
            % {"length": f"{len(text):,}", "limit": f"{limit:,}"},
            code="too_long",
        )
    return text


def _title(text: str, files: Sequence[Checked]) -> str:
    line = " ".join(text.split()) or ", ".join(each.name for each in files)
    if len(line) <= _TITLE_CHARACTERS:
        return line
    return line[: _TITLE_CHARACTERS - 1].rsplit(" ", 1)[0] + "…"
