"""What a person may do to a conversation: send, go on, stop."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from automate.conf import conf
from automate.databases import short_transaction
from automate.policy import Scope
from automate.statements import insert_rows

from .attachments import Checked, Upload, attach, checked, store_bytes
from .events import EventLog
from .language_models import chosen_model
from .left_out import stored
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


@dataclass(frozen=True, slots=True)
class Said:
    """What a person sends: the text, and what lets its message have the files that go along.

    `left_out` are the servers and tools that the conversation goes without from then on.
    """

    text: str
    attach: Callable[[Message], None] = lambda message: None
    left_out: dict[str, list[int]] | None = None

    def store(self, turn: Turn) -> None:
        """Make it the message that this turn answers. Belongs in a transaction."""
        message = Message(
            conversation=turn.conversation, turn=turn, role=Message.Role.USER, content=self.text
        )
        insert_rows([message])
        self.attach(message)
        if self.left_out is not None:
            conversation = Conversation.objects.filter(pk=turn.conversation_id)
            conversation.update(tools_left_out=self.left_out)


def send_message(
    user: Any,
    conversation: Conversation | None,
    text: str,
    submission: UUID,
    *,
    parent: Turn | None = None,
    uploads: Sequence[Upload] = (),
    model: str = "",
    left_out: Scope | None = None,
) -> Turn:
    """Store what a person wrote and let a turn answer it; a new conversation where there is none.

    It follows `parent`, the last turn that the person saw, or else the last one that is shown.
    `submission` is the browser's own id for this message: sent twice, the first turn is returned
    and nothing is stored again. `model` is the alias of the one that answers, now and from now on;
    empty for the conversation's own. `left_out` are the servers and tools that the person does not
    want from now on; `None` changes nothing.

    Raises:
        ValidationError: there is no text and no file, one of both cannot be taken, or the model.
        TurnInProgress: a turn of this conversation is not over yet.
    """
    if earlier := _sent_before(user, submission):
        return earlier
    text = cleaned(text, needed=not uploads)
    model = chosen_model(user, model, conversation.model if conversation else "")
    files = checked(uploads, conf(), model)
    choice = None if left_out is None else stored(left_out)
    if conversation is not None:
        recover_abandoned(conversation.turns.all())
    store_bytes(files)
    said = Said(text, partial(attach, files=files), choice)
    if conversation is None:
        begin = partial(_begin_conversation, user, submission, _title(text, files), said, model)
    else:
        parent = parent or shown_last(conversation)
        begin = partial(_begin, conversation, submission, parent, said, model)
    return _once(user, submission, begin)


def continue_turn(turn: Turn, submission: UUID) -> Turn:
    """Take up what a turn left that reached a limit or did not end well; nothing is sent anew.

    Raises:
        ValidationError: the person may not use any model now.
        TurnInProgress: a turn of this conversation is not over yet.
    """
    return begin_turn(turn.conversation, submission, turn)


def begin_turn(
    conversation: Conversation,
    submission: UUID,
    parent: Turn | None,
    said: Said | None = None,
    **fields: Any,
) -> Turn:
    """Store a turn that follows another, with the message that it answers, and have it run.

    The conversation shows its branch from now on. A turn that began with the same submission is
    returned as it is.

    Raises:
        ValidationError: the person may not use any model now.
        TurnInProgress: a turn of this conversation is not over yet.
    """
    model = chosen_model(conversation.user, "", conversation.model)
    recover_abandoned(conversation.turns.all())
    begin = partial(_begin, conversation, submission, parent, said, model, **fields)
    return _once(conversation.user, submission, begin)


def shown_last(conversation: Conversation) -> Turn | None:
    """The last turn of the branch that the conversation shows now."""
    shown = Conversation.objects.filter(pk=conversation.pk).values("head")
    return (
        Turn.objects.filter(pk__in=shown).first()
        or conversation.turns.order_by("created_at").last()
    )


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


def _once(user: Any, submission: UUID, begin: Callable[[], Turn]) -> Turn:
    """What is begun, all of it or nothing; or what an earlier request began with the same id."""
    try:
        with short_transaction():
            return begin()
    except TurnInProgress:
        # Sent twice at the same moment, both began; the second then finds what the first stored.
        if earlier := _sent_before(user, submission):
            return earlier
        raise


def _sent_before(user: Any, submission: UUID) -> Turn | None:
    # Also in a deleted conversation: what was sent there once must not begin a second one.
    return Turn.objects.filter(conversation__user=user, submission=submission).first()


def _begin_conversation(user: Any, submission: UUID, title: str, said: Said, model: str) -> Turn:
    conversation = Conversation(user=user, title=title)
    insert_rows([conversation])
    return _begin(conversation, submission, None, said, model)


def _begin(
    conversation: Conversation,
    submission: UUID,
    parent: Turn | None,
    said: Said | None,
    model: str,
    **fields: Any,
) -> Turn:
    turn = Turn(
        conversation=conversation,
        submission=submission,
        parent=parent,
        model=model,
        trace_parent=tracer(conf()).trace_parent(),
        **fields,
    )
    try:
        with transaction.atomic():
            turn.insert()
    except IntegrityError:
        raise TurnInProgress(in_progress(conversation)) from None
    if said is not None:
        said.store(turn)
    _show_new(turn)
    submit_turn(turn)
    return turn


def _show_new(turn: Turn) -> None:
    """Have the conversation show its branch, and remember when the one before was left."""
    now = timezone.now()
    conversation = Conversation.objects.filter(pk=turn.conversation_id)
    left = conversation.values_list("head", flat=True).first()
    # Whoever deletes it waits for this row, or is waited for, so no turn begins unseen.
    kept = conversation.filter(deleted_at=None)
    if not kept.update(head=turn, updated_at=now, archived_at=None, model=turn.model):
        raise TurnInProgress(_("This conversation was deleted."))
    if left is not None and left != turn.parent_id:
        Turn.objects.filter(pk=left).update(left_at=now)
    turn.conversation.head = turn


def in_progress(conversation: Conversation) -> str:
    """Why nothing can be begun in it now, where a turn is not over."""
    if conversation.turns.filter(status=Turn.Status.WAITING).exists():
        return _("The assistant waits for your decision. Decide, or stop it first.")
    return _("The assistant is still answering.")


def cleaned(text: str, *, needed: bool = True) -> str:
    """What can be stored of a message.

    Raises:
        ValidationError: it is too long, or empty where it is `needed`.
    """
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
