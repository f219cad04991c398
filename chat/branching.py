"""Other answers and other messages in the place of earlier ones, and stepping between them."""

from collections.abc import Callable
from functools import partial
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from .attachments import attach_again
from .models import Conversation, Message, Turn
from .submission import Said, TurnInProgress, begin_turn, cleaned, in_progress
from .turn_tree import TurnTree


def regenerate_turn(turn: Turn, submission: UUID) -> Turn:
    """Answer its message once more, in its place. What its calls did stays done.

    Raises:
        TurnInProgress: a turn of this conversation is not over yet.
    """
    question = own_message(turn)
    said = None if question is None else Said(question.content, _files_of(question))
    first = turn if turn.repeats is None else turn.repeats
    return begin_turn(turn.conversation, submission, turn.parent, said, repeats=first)


def edit_message(turn: Turn, text: str, submission: UUID) -> Turn:
    """Answer another message in the place of the one that this turn answers; its files go along.

    Raises:
        ValidationError: the text is empty or too long.
        TurnInProgress: a turn of this conversation is not over yet.
    """
    question = own_message(turn)
    if question is None:
        return begin_turn(turn.conversation, submission, turn.parent, Said(cleaned(text)))
    text = cleaned(text, needed=not question.attachments.exists())
    if question.content == text:
        return regenerate_turn(turn, submission)
    said = Said(text, _files_of(question))
    return begin_turn(turn.conversation, submission, turn.parent, said)


def show_turn(turn: Turn) -> None:
    """Have the conversation show the branch through this turn that it showed last.

    Raises:
        TurnInProgress: a turn is not over yet, whose branch stays in sight until then.
    """
    conversation = turn.conversation
    tree = TurnTree.of(conversation.pk)
    leaf, head = tree.last_shown(turn.pk), conversation.head_id
    if head is not None and turn.pk in tree.path(head):
        return
    with transaction.atomic():
        # What begins at this moment moves the head, so that one of both sees the other.
        shown = Conversation.objects.filter(pk=conversation.pk, head=head)
        if conversation.turns.unfinished().exists() or not shown.update(head=leaf):
            raise TurnInProgress(in_progress(conversation))
        Turn.objects.filter(pk__in=[head]).update(left_at=timezone.now())
    conversation.head_id = leaf


def own_message(turn: Turn) -> Message | None:
    """The person's message that it answers; nothing where it goes on from its parent."""
    return turn.messages.filter(role=Message.Role.USER).order_by("pk").first()


def _files_of(question: Message) -> Callable[[Message], None]:
    return partial(attach_again, others=list(question.attachments.all()))
