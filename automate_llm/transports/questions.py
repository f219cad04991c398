"""What servers ask back: read, bounded, and answered or declined.

Only questions to a person are taken. Sampling, roots and protocol logging are deprecated, and
declined. Source: MCP 2026-07-28, basic/patterns/mrtr and client/elicitation.
"""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from automate_llm import strict_json
from automate_llm.exceptions import InputRequired, LimitExceeded, ProtocolError
from automate_llm.text import clean_text
from automate_llm.values import InputAnswer, InputRequest, OnQuestion

from .jsonrpc import DECLINING

ELICITATION = "elicitation/create"
MAX_REQUESTS = 20
MAX_STATE_CHARACTERS = 256 * 1024
_MAX_KEY_CHARACTERS = 200
_MAX_MESSAGE_BYTES = 4 * 1024
_MAX_SCHEMA_BYTES = 100 * 1024
_MAX_ADDRESS_CHARACTERS = 4_000


def input_required(result: Mapping[str, Any], task_id: str = "") -> InputRequired:
    """What an `input_required` result, or a task in that state, asks for.

    Raises:
        ProtocolError: it asks for nothing, or for what this client declines.
    """
    asked, state = result.get("inputRequests"), result.get("requestState")
    if asked is None and (state is not None or task_id):
        asked = {}
    if not isinstance(asked, dict) or not (state is None or isinstance(state, str)):
        raise ProtocolError("The tool asks for input in a form that the protocol does not have.")
    if len(asked) > MAX_REQUESTS or len(state or "") > MAX_STATE_CHARACTERS:
        raise LimitExceeded("The tool asks for more input than this client takes.")
    if not strict_json.storable([state, *asked]) or any(
        len(key) > _MAX_KEY_CHARACTERS for key in asked
    ):
        raise ProtocolError("The tool asks for input under names that nothing can keep.")
    return InputRequired({key: _request(each) for key, each in asked.items()}, state, task_id)


def input_request(params: Mapping[str, Any]) -> InputRequest:
    """The question in the parameters of `elicitation/create`.

    Raises:
        ProtocolError: it is of a mode that the protocol does not have, or is malformed.
    """
    mode, message = params.get("mode", "form"), params.get("message")
    schema, address = params.get("requestedSchema", {}), params.get("url", "")
    sound = isinstance(message, str) and strict_json.storable(params)
    if not sound or mode not in ("form", "url"):
        raise ProtocolError("The tool asks a question in a form that the protocol does not have.")
    message = clean_text(str(message), _MAX_MESSAGE_BYTES)
    if mode == "url":
        if not isinstance(address, str) or not _may_be_opened(address):
            raise ProtocolError("The tool asks to open what is no http or https address.")
        return InputRequest("url", message, url=address)
    if not isinstance(schema, dict) or len(strict_json.dumps(schema)) > _MAX_SCHEMA_BYTES:
        raise ProtocolError("The tool asks for a form whose schema is no object, or too large.")
    return InputRequest("form", message, schema)


def answers(on_question: OnQuestion | None) -> Mapping[str, Callable[[Mapping[str, Any]], Any]]:
    """How the requests of a server are answered, by method; all others are declined.

    What a person is asked is declined too where nobody is there to answer. A form that is
    accepted gets the defaults of its schema for what was left out.
    """
    if on_question is None:
        return DECLINING

    def elicited(params: Mapping[str, Any]) -> dict[str, Any]:
        try:
            request = input_request(params)
        except ProtocolError:
            return {"action": "decline"}
        answer = on_question(request)
        if answer.action == "accept" and request.mode == "form":
            answer = InputAnswer("accept", {**request.defaults, **(answer.content or {})})
        return answer.as_result()

    return {"ping": lambda params: {}, ELICITATION: elicited}


def _request(asked: object) -> InputRequest:
    params = asked.get("params") if isinstance(asked, dict) else None
    if not isinstance(asked, dict) or not isinstance(params, dict):
        raise ProtocolError("The tool asks for input in a form that the protocol does not have.")
    if asked.get("method") != ELICITATION:
        raise ProtocolError("The tool asks for more than a person's answer, which is declined.")
    return input_request(params)


def _may_be_opened(address: str) -> bool:
    try:
        parts = urlsplit(address)
        plain = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False
    return (
        plain
        and "@" not in parts.netloc
        and address.isascii()
        and address.isprintable()
        and not {" ", "\\"} & set(address)
        and len(address) <= _MAX_ADDRESS_CHARACTERS
    )
