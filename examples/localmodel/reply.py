"""What the engine writes, read back into answer text or a call."""

import json
import re

from .tools import Call


class ReplyDecoder:
    """What the engine writes under `reply_format`, read while it arrives.

    Answer text can be shown at once; a call counts only when it is whole. Text that is no
    such object is taken as a plain answer.
    """

    _ANSWER = re.compile(r'\s*\{\s*"answer"\s*:\s*"')
    _PIECE = re.compile(
        r'[^"\\]+|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}'
        r"|\\u[0-9a-fA-F]{4}|\\[^u]"
    )
    _HIGH_SURROGATE = re.compile(r"\\u[dD][89abAB]")

    def __init__(self, *, constrained: bool = True) -> None:
        self._kind = "" if constrained else "text"
        self._pending = ""

    def feed(self, text: str) -> str:
        """The part of the answer that `text` completes; empty for a call."""
        self._pending += text
        if not self._kind:
            self._recognise()
        if self._kind == "string":
            return self._decoded()
        if self._kind == "text":
            text, self._pending = self._pending, ""
            return text
        return ""

    def call(self) -> Call | None:
        """The call, once all the text is fed; none for an answer or a call that was cut."""
        if self._kind:
            return None
        try:
            reply = json.loads(self._pending)
        except (ValueError, RecursionError):
            return None
        if not isinstance(reply, dict) or not isinstance(reply.get("tool"), str):
            return None
        arguments = reply.get("arguments")
        return Call(reply["tool"], arguments if isinstance(arguments, dict) else {})

    def _recognise(self) -> None:
        if answer := self._ANSWER.match(self._pending):
            self._kind, self._pending = "string", self._pending[answer.end() :]
        elif not self._pending.lstrip().startswith("{") and self._pending.strip():
            self._kind = "text"

    def _decoded(self) -> str:
        """The text of the whole characters at hand; half an escape waits for its rest."""
        pieces, position = [], 0
        while piece := self._PIECE.match(self._pending, position):
            alone = self._HIGH_SURROGATE.match(piece[0]) and len(piece[0]) == 6
            rest = self._pending[piece.end() : piece.end() + 6]
            if alone and len(rest) < 6 and r"\u".startswith(rest[:2]):
                break
            pieces.append(_unescaped(piece[0]))
            position = piece.end()
        self._pending = self._pending[position:]
        if self._pending.startswith('"'):
            self._kind, self._pending = "closed", ""
        return "".join(pieces).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _unescaped(piece: str) -> str:
    try:
        return str(json.loads(f'"{piece}"', strict=False))
    except ValueError:
        return piece
