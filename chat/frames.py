"""The log of a turn as the frames of a server-sent event stream, rendered for the page.

Text goes out as it grows: finished Markdown blocks as HTML, the block under way as plain text.
Messages and calls go out whole, as they stand when they are read, and replace what the page has.
Source: WHATWG HTML, "Server-sent events".
"""

import json
import re
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any
from uuid import UUID

from django.template.loader import render_to_string
from django.utils import translation
from django.utils.translation import gettext as _

from . import pages
from .call_groups import group_of_message
from .events import LogLine, events_after
from .models import Message, ToolCall, Turn, TurnEvent
from .rendering import render_markdown, settled_length, visible_text
from .waiting import waiting_words

EAGER_CHARACTERS = 2_000
"""A block under way that is longer is looked at again only after it grew by an eighth."""

_OPEN_FENCE = re.compile(r" {0,3}(?:```|~~~)[^\n]*\n")

_as_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

Kind = TurnEvent.Kind
Data = dict[str, Any]


class GrowingText:
    """A message's text under way, as one reader has shown it.

    What `add` returns first shows all of it anew, so that a page need not know what it has.
    """

    def __init__(self, text: str = "") -> None:
        self._tail = text
        self._examined = 0
        self._is_shown = False
        self._is_code = False

    def add(self, text: str) -> Data:
        """Take more text; returns what the page must do to show it.

        `append` goes to the end of the block under way. Else `settled` goes before it and `tail`
        takes its place, shown as code where `code` is true; `restart` empties the message first.
        """
        self._tail += text
        settled = self._settle(text) if self._is_shown else self._settle(self._tail)
        fence = _OPEN_FENCE.match(self._tail)
        if self._is_shown and not settled and self._is_code == bool(fence):
            return {"append": visible_text(text)}
        self._is_code = bool(fence)
        tail = self._tail[fence.end() :] if fence else self._tail
        shown: Data = {"tail": visible_text(tail), "code": self._is_code}
        if settled:
            shown["settled"] = render_markdown(settled)
        if not self._is_shown:
            shown["restart"] = self._is_shown = True
        return shown

    def _settle(self, text: str) -> str:
        grown = len(self._tail) - self._examined
        if "\n" not in text or (grown * 8 < self._examined and self._examined > EAGER_CHARACTERS):
            return ""
        length = settled_length(self._tail)
        settled, self._tail = self._tail[:length], self._tail[length:]
        self._examined = len(self._tail)
        return settled


@dataclass(frozen=True, slots=True)
class Batch:
    """Frames that are ready to send; `ended` where nothing will follow."""

    frames: bytes
    ended: bool


class TurnReader:
    """Reads the log of one turn from a point on. For one thread at a time.

    `after` is the number of the last event that the page has. `csrf_token` goes into the forms
    that calls and the end of a turn bring.
    """

    def __init__(self, turn_id: UUID, after: int, language: str | None, csrf_token: str) -> None:
        self._turn_id = turn_id
        self._after = after
        self._language = language
        self._csrf_token = csrf_token
        self._texts: dict[int, GrowingText] = {}
        self._complete: set[int] = set()
        self._caught_up = after == 0

    @property
    def turn_id(self) -> UUID:
        """The turn whose log it reads."""
        return self._turn_id

    @property
    def position(self) -> int:
        """The number of the last event that it has read."""
        return self._after

    def takes_alone(self, lines: Sequence[LogLine]) -> bool:
        """Whether `take` needs nothing but these lines: no row, and hardly any time."""
        return self._caught_up and all(line.kind == Kind.TEXT for line in lines)

    def take(self, lines: Sequence[LogLine]) -> Batch:
        """What these lines, the next ones of the log, are to the page; all of them text."""
        self._after = lines[-1].seq
        runs = groupby(lines, _run)
        frames = [self._grown(message, list(run)) for (_kind, message), run in runs]
        return Batch(b"".join(frames), ended=False)

    def read(self) -> Batch:
        """All that is new."""
        with translation.override(self._language):
            if not self._caught_up:
                self._catch_up()
            events = events_after(self._turn_id, self._after)
            if events:
                return self._batch(events)
            return self._silence()

    def _catch_up(self) -> None:
        """Know what the page has been told."""
        texts: defaultdict[int, list[str]] = defaultdict(list)
        for event in TurnEvent.objects.filter(turn_id=self._turn_id, seq__lte=self._after):
            if event.kind == Kind.MESSAGE:
                self._complete.add(event.data["message"])
            elif event.kind == Kind.TEXT:
                texts[event.data["message"]].append(event.data["text"])
        self._texts = {message: GrowingText("".join(text)) for message, text in texts.items()}
        self._caught_up = True

    def _silence(self) -> Batch:
        """Nothing is new; a turn that ended without a word of it in the log ends here."""
        if Turn.objects.unfinished().filter(pk=self._turn_id).exists():
            return Batch(b"", ended=False)
        events = events_after(self._turn_id, self._after)
        if events:
            return self._batch(events)
        return Batch(b"".join(self._ending()), ended=True)

    def _batch(self, events: list[LogLine]) -> Batch:
        self._after = events[-1].seq
        frames = b"".join(self._frames(_latest(events)))
        return Batch(frames, ended=events[-1].kind == Kind.STATUS)

    def _frames(self, events: Iterable[LogLine]) -> Iterator[bytes]:
        for (kind, message_id), group in groupby(events, _run):
            run = list(group)
            last = run[-1]
            if kind == Kind.TEXT:
                yield self._grown(message_id, run)
            elif kind == Kind.MESSAGE:
                for message in pages.messages().filter(pk=message_id):
                    yield self._message(message, last.seq)
            elif kind == Kind.CALL:
                for call in pages.calls().filter(pk=last.data["call"]):
                    yield frame(Kind.CALL, self._call(call), last.seq)
            elif kind == Kind.WAITING:
                yield frame(Kind.WAITING, {"words": waiting_words(self._turn_id)}, last.seq)
            elif kind == Kind.PROGRESS:
                yield frame(Kind.PROGRESS, _progress(last.data), last.seq)
            else:
                yield from self._ending(last.seq)

    def _grown(self, message_id: int, run: Sequence[LogLine]) -> bytes:
        text = self._texts.get(message_id)
        if text is None:
            text = self._texts[message_id] = GrowingText()
        shown = text.add("".join([line.data["text"] for line in run]))
        return frame(Kind.TEXT, {"message": message_id, **shown}, run[-1].seq)

    def _message(self, message: Message, seq: int | None = None) -> bytes:
        self._complete.add(message.pk)
        context = {"message": message, "csrf_token": self._csrf_token}
        html = render_to_string("chat/partials/message.html", context)
        return frame(Kind.MESSAGE, {"message": message.pk, "html": html}, seq)

    def _call(self, call: ToolCall) -> Data:
        words = ""
        if call.status == ToolCall.Status.RUNNING:
            words = _("Running %(tool)s") % {"tool": visible_text(call.title or call.function_name)}
        context = {"call": call, "csrf_token": self._csrf_token}
        html = render_to_string("chat/partials/tool_call.html", context)
        shown = {"call": call.pk, "message": call.message_id, "html": html, "words": words}
        return shown | _group(call.message_id)

    def _ending(self, seq: int | None = None) -> Iterator[bytes]:
        """Messages that the page may hold only in part, then the end itself.

        A turn that is gone was deleted with its conversation, in another tab.
        """
        turn = Turn.objects.select_related("conversation").filter(pk=self._turn_id).first()
        if turn is None:
            yield frame("gone", {})
            return
        answers = pages.messages().filter(turn=turn, role=Message.Role.ASSISTANT)
        for message in answers.exclude(pk__in=self._complete):
            yield self._message(message)
        shown, places = pages.one_turn(turn)
        context = {
            "turn": shown,
            "places": places,
            "parent": turn,
            "submission": uuid.uuid4(),
            "csrf_token": self._csrf_token,
        }
        data = {
            "status": turn.status,
            "words": turn.get_status_display(),
            "footer": render_to_string("chat/partials/footer.html", context),
            "actions": render_to_string("chat/partials/actions.html", context),
        }
        yield frame(Kind.STATUS, data, seq)


def frame(event: str, data: Mapping[str, Any], seq: int | None = None) -> bytes:
    """One event of the stream; `seq` is where a browser that comes back goes on."""
    number = "" if seq is None else f"id: {seq}\n"
    return f"{number}event: {event}\ndata: {_as_json(data)}\n\n".encode(errors="replace")


def _latest(events: list[LogLine]) -> list[LogLine]:
    """The events less those that a later one makes pointless: a row is shown as it is now."""
    last_seen: dict[tuple[str, int], int] = {}
    for event in events:
        if event.kind in (Kind.MESSAGE, Kind.CALL):
            last_seen[event.kind, event.data[event.kind]] = event.seq
        elif event.kind == Kind.PROGRESS:
            last_seen[event.kind, event.data["call"]] = event.seq

    def is_latest(event: LogLine) -> bool:
        if event.kind == Kind.TEXT:
            return (Kind.MESSAGE, event.data["message"]) not in last_seen
        if event.kind in (Kind.WAITING, Kind.STATUS):
            return True
        key = Kind.MESSAGE if event.kind == Kind.MESSAGE else Kind.CALL
        return last_seen[event.kind, event.data[key]] == event.seq

    return [event for event in events if is_latest(event)]


def _run(event: LogLine) -> tuple[str, int]:
    """Text of one message that lies side by side is one frame; all else is its own."""
    if event.kind in (Kind.TEXT, Kind.MESSAGE):
        return event.kind, event.data["message"]
    return event.kind, -event.seq


def _group(message_id: int) -> Data:
    """What the page must change on the group that the calls of an answer make, where they do."""
    group = group_of_message(message_id)
    if group is None:
        return {}
    html = render_to_string("chat/partials/call_group_summary.html", {"group": group})
    return {"group": html, "group_open": group.is_open}


def _progress(data: Data) -> Data:
    return {
        "call": data["call"],
        "fraction": _fraction(data.get("progress"), data.get("total")),
        "words": visible_text(str(data.get("message") or ""))[:200],
    }


def _fraction(progress: Any, total: Any) -> float | None:
    """How much is done, from 0 to 1; nothing where the server does not say."""
    if not (isinstance(progress, int | float) and isinstance(total, int | float) and total > 0):
        return None
    return min(1.0, max(0.0, progress / total))
