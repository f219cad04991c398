"""What must hold of a turn, whoever died on its way."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from automate.conf import conf
from chat.context import model_messages
from chat.models import Message, ToolCall, Turn, TurnEvent
from tests.chat.strict_api import problems_of

Seen = dict[int, tuple[str, Any]]
"""What a browser read of the log, by number: kind and data."""


def faults_of(turn: Turn, seen: Seen, effects: Counter[tuple[str, str]]) -> Iterator[str]:
    """Each rule that this turn breaks, as a sentence."""
    if not turn.finished:
        yield f"it is stuck: {turn.status}"
        return
    if turn.status != Turn.Status.DONE:
        yield f"it ended as {turn.status}: {turn.notice}"
    yield from _lost_events(turn, seen)
    sentence = turn.messages.get(role=Message.Role.USER).content
    if Message.objects.filter(content=sentence).count() != 1:
        yield "its message is stored twice"
    if ToolCall.objects.unfinished().filter(turn=turn).exists():
        yield "a call of it has no outcome"
    for (owner, what), times in effects.items():
        if owner == sentence and times > 1:
            yield f"{what!r} was done {times} times"
    for call in turn.tool_calls.all():
        done = effects[sentence, call.arguments["what"]]
        if (call.status == ToolCall.Status.SUCCEEDED) != bool(done):
            yield (
                f"the call of {call.arguments['what']!r} is {call.status} ({call.error}), begun "
                f"{call.attempts}×, resolved by {call.resolved_by}, and was done {done}×"
            )
    yield from problems_of(model_messages(turn, conf()))


def _lost_events(turn: Turn, seen: Seen) -> Iterator[str]:
    kept = {event.seq: (str(event.kind), event.data) for event in turn.events.all()}
    contents = dict(turn.messages.values_list("pk", "content"))
    for seq, (kind, data) in seen.items():
        if kind == TurnEvent.Kind.TEXT:
            if data["text"] not in contents.get(data["message"], ""):
                yield f"the text of event {seq} is lost: {data}"
        elif kept.get(seq) != (kind, data):
            yield f"event {seq} ({kind} {data}) is {kept.get(seq)} now"
    last = max(kept, default=0)
    if not last or kept[last] != ("status", {"status": turn.status}):
        yield f"its log ends with {kept.get(last)}"
