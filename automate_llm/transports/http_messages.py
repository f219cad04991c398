"""JSON-RPC messages over streamable HTTP: one POST each, and the answer that comes back.

Source: MCP 2026-07-28 and 2025-11-25, basic/transports.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass

from automate_llm import strict_json
from automate_llm.authentication import send_authenticated
from automate_llm.exceptions import (
    ConnectionFailed,
    MCPClientError,
    ProtocolError,
)
from automate_llm.exchange import Exchange
from automate_llm.http import Answer, refuse_status
from automate_llm.sse import Cursor, event_data
from automate_llm.values import Connection

from . import jsonrpc
from .protocol import MODERN_ERRORS, mapping
from .replying import Replies

MAX_RESUMPTIONS = 100
"""How often one answer's event stream is taken up again."""
PAUSE_SECONDS = 1.0
"""Before a stream is taken up again, where the server asks for no other pause."""
MIN_PAUSE_SECONDS = 0.1
_MAX_ERROR_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Reader:
    """What is done with all that arrives before an answer.

    `answers` are for the requests of a server of the handshake versions; a modern server makes
    none, and gets no answer.
    """

    on_notification: jsonrpc.OnNotification | None = None
    on_headers: Callable[[Mapping[str, str]], object] | None = None
    answers: jsonrpc.Answers | None = None


class Endpoint:
    """The one address at which a server takes messages."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def request(
        self,
        exchange: Exchange,
        headers: Mapping[str, str],
        request_id: int,
        body: bytes,
        reader: Reader,
    ) -> jsonrpc.Response:
        """Send a request once, and read until its answer.

        With a server of the handshake versions an event stream that ends early is taken up again
        where it has an id for that; only the answer is asked for again, never the request sent.

        Raises:
            ProtocolError: the answer is missing, or none that the protocol has.
        """
        cursor = Cursor()
        reply = self._replying(exchange, headers, reader.answers)

        def find(documents: Iterator[bytes]) -> jsonrpc.Response | None:
            return jsonrpc.find_response(documents, request_id, reader.on_notification, reply)

        response = None
        try:
            with self.sent(exchange, "POST", headers, body) as answer:
                if reader.on_headers is not None:
                    reader.on_headers(answer.headers)
                if answer.status_code >= 400 and (error := _rpc_error(answer, request_id)):
                    return error
                response = find(_documents(answer, cursor))
        except ConnectionFailed:
            if reply is None or not cursor.id:
                raise
        if response is None and reply is not None and cursor.id:
            try:
                response = self._resumed(exchange, headers, cursor, find)
            except MCPClientError as exc:
                exc.may_have_run = True
                raise
        return response if response is not None else jsonrpc.missing_response()

    def listen(self, exchange: Exchange, headers: Mapping[str, str], reader: Reader) -> None:
        """Read the stream that a server of the handshake versions offers, until it ends.

        Raises:
            UnexpectedStatus: the server offers none (405), or has forgotten the session (404).
        """
        reply = self._replying(exchange, headers, reader.answers)
        with self.sent(exchange, "GET", headers, None) as answer:
            refuse_status(answer)
            if answer.content_type != "text/event-stream":
                raise ProtocolError("The server's answer to GET is no event stream.")
            if reader.on_headers is not None:
                reader.on_headers(answer.headers)
            # Nothing has this id, so that all of the stream is read.
            jsonrpc.find_response(
                event_data(answer.chunks()), jsonrpc.next_id(), reader.on_notification, reply
            )

    def notify(self, exchange: Exchange, headers: Mapping[str, str], body: bytes) -> None:
        """Send a notification or a reply; what a server answers to it changes nothing."""
        with suppress(ProtocolError), self.sent(exchange, "POST", headers, body) as answer:
            answer.read()

    def sent(
        self, exchange: Exchange, method: str, headers: Mapping[str, str], body: bytes | None
    ) -> AbstractContextManager[Answer]:
        """Send one HTTP request with the connection's own credentials."""
        accepted = "text/event-stream" if body is None else "application/json, text/event-stream"
        complete = {"Accept": accepted, "User-Agent": "django-automate"}
        if body is not None:
            complete["Content-Type"] = "application/json"
        complete |= {**headers, **self._connection.headers}
        url = self._connection.endpoint_url
        return send_authenticated(self._connection, exchange, method, url, complete, body)

    def _resumed(
        self,
        exchange: Exchange,
        headers: Mapping[str, str],
        cursor: Cursor,
        find: Callable[[Iterator[bytes]], jsonrpc.Response | None],
    ) -> jsonrpc.Response | None:
        """The answer from the rest of its stream (2025-11-25, basic/transports, "Resumability")."""
        for _ in range(MAX_RESUMPTIONS):
            pause = PAUSE_SECONDS if cursor.retry is None else cursor.retry / 1000
            exchange.pause(max(pause, MIN_PAUSE_SECONDS))
            resuming = {**headers, "Last-Event-ID": cursor.id}
            with (
                suppress(ConnectionFailed),
                self.sent(exchange, "GET", resuming, None) as answer,
            ):
                if answer.status_code >= 300 or answer.content_type != "text/event-stream":
                    return None
                response = find(event_data(answer.chunks(), cursor))
                if response is not None:
                    return response
        return None

    def _replying(
        self, exchange: Exchange, headers: Mapping[str, str], answers: jsonrpc.Answers | None
    ) -> jsonrpc.OnRequest | None:
        if answers is None:
            return None
        return Replies(lambda body: self.notify(exchange.beside(), headers, body), answers)


def _documents(answer: Answer, cursor: Cursor) -> Iterator[bytes]:
    refuse_status(answer)
    if answer.content_type == "text/event-stream":
        return event_data(answer.chunks(), cursor)
    if answer.content_type == "application/json":
        return iter([answer.read()])
    raise ProtocolError(
        "The server's answer is neither JSON nor an event stream. Check the endpoint URL.",
        may_have_run=True,
    )


def _rpc_error(answer: Answer, request_id: int) -> jsonrpc.Response | None:
    """The JSON-RPC error in an HTTP error, where it says more than the status does."""
    if answer.content_type != "application/json":
        return None
    try:
        message = mapping(strict_json.loads(answer.read(_MAX_ERROR_BYTES)))
    except (ProtocolError, ConnectionFailed):
        return None
    error = mapping(message.get("error"))
    code = error.get("code")
    if not isinstance(code, int):
        return None
    unknown_method = code == jsonrpc.METHOD_NOT_FOUND and answer.status_code == 404
    to_us = message.get("id") == request_id and answer.status_code == 400
    if code in MODERN_ERRORS or unknown_method or to_us:
        return jsonrpc.Response(error_code=code, error_data=error.get("data"))
    return None
