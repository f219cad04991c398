"""Replies to what a server of the handshake versions asks while something of ours is under way."""

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from typing import Any

from automate_llm.exceptions import MCPClientError

from . import jsonrpc
from .questions import ELICITATION

logger = logging.getLogger(__name__)

MAX_REPLIES = 200
"""Requests of the server's that one stream is answered; what comes then is passed over."""
MAX_OPEN = 20
"""Questions to a person that may be open at once on one stream; others are declined."""


class Replies:
    """Answers one stream's requests; `send` posts a reply, and `answers` are by method.

    A question to a person gets a thread of its own: it takes minutes, in which pings, the call's
    result or the stream's end may come.
    """

    def __init__(self, send: Callable[[bytes], object], answers: jsonrpc.Answers) -> None:
        self._send = send
        self._answers = answers
        self._count = 0
        self._places = threading.BoundedSemaphore(MAX_OPEN)

    def __call__(self, message: dict[str, Any]) -> None:
        """Answer this request, now or when its person has."""
        self._count += 1
        if self._count > MAX_REPLIES:
            return
        if message["method"] == ELICITATION and self._answers is not jsonrpc.DECLINING:
            if self._places.acquire(blocking=False):
                run = copy_context().run
                threading.Thread(
                    target=run, args=(self._ask, message), name="automate-question", daemon=True
                ).start()
            else:
                self._reply(message, jsonrpc.DECLINING)
            return
        self._reply(message, self._answers)

    def _ask(self, message: dict[str, Any]) -> None:
        try:
            self._reply(message, self._answers)
        except Exception:  # whatever asks the person failed; the server must not wait for ever
            logger.exception("A server's question could not be asked")
            self._reply(message, jsonrpc.DECLINING)
        finally:
            self._places.release()

    def _reply(self, message: dict[str, Any], answers: jsonrpc.Answers) -> None:
        body = jsonrpc.encoded_reply(message, answers)
        with suppress(MCPClientError):  # it says nothing of the request that is under way
            self._send(body)
