"""JSON-RPC 2.0 messages: requests with fresh ids, and the answer that belongs to one."""

import itertools
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from automate_llm import strict_json
from automate_llm.exceptions import ProtocolError, RPCError

HEADER_MISMATCH = -32020
MISSING_CLIENT_CAPABILITY = -32021
UNSUPPORTED_PROTOCOL_VERSION = -32022
METHOD_NOT_FOUND = -32601
_URL_ELICITATION_REQUIRED = -32042

OnNotification = Callable[[str, dict[str, Any]], object]
OnRequest = Callable[[dict[str, Any]], object]
Answers = Mapping[str, Callable[[Mapping[str, Any]], Any]]
"""How requests of the server's are answered: from their parameters to a result, by method."""

# The start is random, so that an answer to another process's request cannot pass for ours.
_ids = itertools.count(secrets.randbits(40))

_MEANINGS = {
    -32700: "the server could not parse the request",
    -32600: "the server calls the request invalid",
    METHOD_NOT_FOUND: "the server does not know the method",
    -32602: "the server refused the parameters",
    -32603: "the server failed inside",
    HEADER_MISMATCH: (
        "the server found headers that do not fit the request; the tool's definition may have "
        "changed, so sync the server"
    ),
    MISSING_CLIENT_CAPABILITY: "the server needs a capability that this client does not have",
    _URL_ELICITATION_REQUIRED: "the server wants a person to open an address of its own first",
    UNSUPPORTED_PROTOCOL_VERSION: "the server speaks another protocol version; sync it again",
}
# Codes that say that the request was refused before anything ran.
_REFUSALS = frozenset(_MEANINGS) - {-32603}


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to one request: a result, or an error with its code and data."""

    result: dict[str, Any] | None = None
    error_code: int | None = None
    error_data: Any = None

    def unwrap(self) -> dict[str, Any]:
        """The result.

        Raises:
            RPCError: the server answered with an error; its own words are not repeated.
        """
        if self.result is not None:
            return self.result
        code = self.error_code or 0
        meaning = _MEANINGS.get(code, "the server reported an error")
        raise RPCError(
            f"JSON-RPC error {code}: {meaning}.", code, may_have_run=code not in _REFUSALS
        )


def next_id() -> int:
    """An id that no other request of this process has."""
    return next(_ids)


def encoded(method: str, params: dict[str, Any], request_id: int | None) -> bytes:
    """A request, or a notification where there is no id."""
    message: dict[str, Any] = {"jsonrpc": "2.0"}
    if request_id is not None:
        message["id"] = request_id
    return strict_json.dumps({**message, "method": method, "params": params})


def encoded_reply(message: Mapping[str, Any], answers: Answers | None = None) -> bytes:
    """Our answer to a request of the server's.

    Without other `answers` it is `DECLINING`.
    """
    request_id, params = message.get("id"), message.get("params")
    known = request_id if isinstance(request_id, int | str) else None
    reply: dict[str, Any] = {"jsonrpc": "2.0", "id": known}
    answer = (DECLINING if answers is None else answers).get(str(message["method"]))
    if answer is not None:
        result = answer(params if isinstance(params, dict) else {})
        return strict_json.dumps({**reply, "result": result})
    error = {"code": METHOD_NOT_FOUND, "message": "This client does not do that."}
    return strict_json.dumps({**reply, "error": error})


DECLINING: Answers = {
    "ping": lambda params: {},
    "elicitation/create": lambda params: {"action": "decline"},
}
"""A ping is answered, nobody is there to be asked a question, and all else is declined."""


def response_among(
    documents: Iterable[bytes],
    request_id: int,
    on_notification: OnNotification | None,
    on_request: OnRequest | None = None,
) -> Response:
    """The answer to this request among the messages that arrive; see `find_response`.

    Raises:
        ProtocolError: the messages end without it, or one is malformed.
    """
    response = find_response(documents, request_id, on_notification, on_request)
    return response if response is not None else missing_response()


def missing_response() -> NoReturn:
    """Raise, since the messages ended without the answer.

    Raises:
        ProtocolError: always.
    """
    raise ProtocolError(
        "The server's answer does not belong to the request, or is missing.", may_have_run=True
    )


def find_response(
    documents: Iterable[bytes],
    request_id: int,
    on_notification: OnNotification | None,
    on_request: OnRequest | None = None,
) -> Response | None:
    """The answer to this request, if it is among the messages; those after it are not read.

    `on_request` gets each request that the server makes meanwhile, whole.

    Raises:
        ProtocolError: a message is malformed.
    """
    for document in documents:
        if not document:  # an event that is there for its id only
            continue
        message = strict_json.loads(document)
        for each in message if isinstance(message, list) else [message]:
            if not isinstance(each, dict):
                raise ProtocolError(
                    "The server sent a message that is no object.", may_have_run=True
                )
            if "method" in each and "id" in each:
                if on_request is not None:
                    on_request(each)
            elif "method" in each:
                params = each.get("params", {})
                if on_notification is not None and isinstance(params, dict):
                    on_notification(str(each["method"]), params)
            elif _answers(each, request_id):
                return response_in(each)
    return None


def _answers(message: dict[str, Any], request_id: int) -> bool:
    answered = message.get("id")
    # An error may come without an id where the server could not read it (JSON-RPC 2.0, 5).
    return answered == request_id or (answered is None and "error" in message)


def response_in(message: dict[str, Any]) -> Response:
    """The answer that a message is.

    Raises:
        ProtocolError: it has neither result nor error.
    """
    error = message.get("error")
    if isinstance(error, dict):
        code = error.get("code")
        return Response(
            error_code=code if isinstance(code, int) else 0, error_data=error.get("data")
        )
    result = message.get("result")
    if not isinstance(result, dict):
        raise ProtocolError("The server's answer has neither result nor error.", may_have_run=True)
    return Response(result=result)
