"""Server-sent events, parsed as they arrive. Source: WHATWG HTML, section 9.2."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .exceptions import LimitExceeded

MAX_EVENT_BYTES = 1024 * 1024

_UTF8_MARK = b"\xef\xbb\xbf"
_MAX_ID_CHARACTERS = 1_000


@dataclass(slots=True)
class Cursor:
    """Where a stream can be taken up again: its last event's id, and the pause in milliseconds
    that the server asks for before. An id that no header may carry counts as none."""

    id: str = ""
    retry: int | None = None

    def note_id(self, value: bytes) -> None:
        """This was the id of an event that is complete."""
        text = value.decode("latin-1")
        plain = text.isascii() and text.isprintable() and text == text.strip()
        self.id = text if plain and len(text) <= _MAX_ID_CHARACTERS else ""


def event_data(chunks: Iterable[bytes], cursor: Cursor | None = None) -> Iterator[bytes]:
    """The data of each event of type `message` in a stream of bytes; see `events`."""
    return (data for kind, data in events(chunks, cursor) if kind == "message")


def events(chunks: Iterable[bytes], cursor: Cursor | None = None) -> Iterator[tuple[str, bytes]]:
    """The type and data of each event in a stream of bytes; `cursor` goes along.

    Events without data, comments and other fields are passed over; an event that the stream's
    end cuts off is dropped, as the standard says.

    Raises:
        LimitExceeded: an event is longer than 1 MB.
    """
    data: list[bytes] = []
    size = 0
    event_type = b""
    event_id: bytes | None = None
    for line in _lines(chunks):
        if not line:
            if cursor is not None and event_id is not None:
                cursor.note_id(event_id)
            if data:
                yield event_type.decode(errors="replace") or "message", b"\n".join(data)
            data, size, event_type = [], 0, b""
            continue
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            size += len(value)
            if size > MAX_EVENT_BYTES:
                raise LimitExceeded("The server sent an event longer than 1 MB.", may_have_run=True)
            data.append(value)
        elif name == b"event":
            event_type = value
        elif name == b"id" and b"\0" not in value:
            event_id = value
        elif name == b"retry" and cursor is not None and value.isdigit() and len(value) < 10:
            cursor.retry = int(value)


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Lines ended by CR, LF or CRLF; a byte-order mark at the start is dropped."""
    pieces: list[bytes] = []
    size = 0
    after_cr = False
    mark = _UTF8_MARK
    for chunk in filter(None, chunks):
        if after_cr:  # the CR that ended the last chunk may have been half of a CRLF
            after_cr, chunk = False, chunk.removeprefix(b"\n")
        if chunk:
            after_cr = chunk.endswith(b"\r")
        *lines, rest = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        for line in lines:
            yield b"".join([*pieces, line]).removeprefix(mark)
            pieces, size, mark = [], 0, b""
        if rest:
            pieces.append(rest)
            size += len(rest)
            if size > MAX_EVENT_BYTES:
                raise LimitExceeded("The server sent a line longer than 1 MB.", may_have_run=True)
