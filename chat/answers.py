"""What a page says about an answer: which results it could use, and what its calls changed."""

from collections import defaultdict
from dataclasses import dataclass

from django.utils.translation import ngettext

from .models import Message, ToolCall, Turn


@dataclass(frozen=True, slots=True)
class Source:
    """The calls of one tool whose results the model was given before it answered."""

    first: ToolCall
    others: list[ToolCall]


def last_answer(turn: Turn) -> Message | None:
    """The last text that the model wrote; nothing where it wrote none."""
    return next((each for each in _answers(turn)[::-1] if each.content), None)


def sources(turn: Turn) -> list[Source]:
    """The results that the turn's last text could use; that it did, nobody can know."""
    answer = last_answer(turn)
    by_tool: defaultdict[tuple[str, str], list[ToolCall]] = defaultdict(list)
    for message in _answers(turn):
        if answer is None or message.pk >= answer.pk:
            break
        for call in message.tool_calls.all():
            if call.status == ToolCall.Status.SUCCEEDED:
                by_tool[call.server_name, call.function_name].append(call)
    return [Source(first, others) for first, *others in by_tool.values()]


def changes_words(turn: Turn) -> str:
    """That its calls which changed something stay done; empty where none did.

    A call counts that was sent and whose tool is not known to read only, whatever came of it.
    """
    calls = [call for message in _answers(turn) for call in message.tool_calls.all()]
    count = sum(call.attempts > 0 and not _reads_only(call) for call in calls)
    if not count:
        return ""
    return ngettext(
        "%(count)s call of this answer changed something, or may have. It stays done; the "
        "assistant decides anew what to call.",
        "%(count)s calls of this answer changed something, or may have. They stay done; the "
        "assistant decides anew what to call.",
        count,
    ) % {"count": count}


def _answers(turn: Turn) -> list[Message]:
    return [each for each in turn.messages.all() if each.role == Message.Role.ASSISTANT]


def _reads_only(call: ToolCall) -> bool:
    return call.tool is not None and call.tool.reads_only
