"""Puts the outcomes of tool calls on record, in the transaction that stores them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _

from automate.models import MCPTool
from automate.statements import insert_rows
from automate_llm.redaction import REDACTED

from .models import Approval, CallRecord, ToolCall
from .signals import announce, call_finished

MAX_TEXT_CHARACTERS = 1_000
"""Of one text in recorded arguments; the rest is cut off, and said so."""

MAX_ITEMS = 100
"""Of one array or object in recorded arguments."""

_MAX_DEPTH = 20
_MAX_MILLISECONDS = 2**31 - 1
_SECRET_NAME = re.compile(
    r"pass(word|phrase|wd|code)|secret|token|api[-_ ]?key|private[-_ ]?key|access[-_ ]?key"
    r"|authorization|credential|cookie|session[-_ ]?id|\bcvv\b|\bpin\b|\botp\b|signature",
    re.IGNORECASE,
)


def record_finished(call: ToolCall) -> None:
    """Put the outcome that a call has now on record, and tell who listens."""
    record_calls([call])
    announce(call_finished, call)


def record_calls(calls: Sequence[ToolCall]) -> None:
    """Put the outcomes of stored calls of one turn on record."""
    if not calls:
        return
    conversation = calls[0].turn.conversation
    decisions = _decisions(calls)
    insert_rows(
        [
            CallRecord(
                user=conversation.user,
                user_name=_name(conversation.user),
                conversation=conversation.pk,
                call=call.pk,
                tool_id=call.tool_id,
                server_name=call.server_name,
                tool_name=call.function_name,
                tool_version=call.tool_version,
                arguments=shown_arguments(call.arguments, call.tool),
                outcome=call.status,
                error=call.error,
                milliseconds=milliseconds(call.seconds),
                result_characters=len(call.result_text),
                cost=call.cost,
                permission=call.permission,
                decision=_resolution(call) or decisions.get(call.pk, ""),
            )
            for call in calls
        ]
    )


def milliseconds(seconds: float | None) -> int | None:
    """How long a call ran, as records say it."""
    return None if seconds is None else min(max(round(seconds * 1000), 0), _MAX_MILLISECONDS)


def shown_arguments(arguments: Mapping[str, Any] | None, tool: MCPTool | None) -> Any:
    """Arguments without what looks secret, by its name or its schema, and cut where they are long.

    A value is taken for secret where its name says so (`password`, `api_key`, …), or where the
    tool's schema marks it `writeOnly` or of the format `password`.
    """
    if arguments is None:
        return None
    schema = tool.input_schema.get("properties") if tool is not None else None
    marked = {
        name
        for name, part in (schema.items() if isinstance(schema, dict) else ())
        if isinstance(part, dict) and (part.get("writeOnly") or part.get("format") == "password")
    }
    return _shown({name: REDACTED if name in marked else each for name, each in arguments.items()})


def _shown(value: Any, depth: int = 0) -> Any:
    match value:
        case str() if len(value) > MAX_TEXT_CHARACTERS:
            return f"{value[:MAX_TEXT_CHARACTERS]}… ({len(value):,} characters)"
        case dict() | list() if depth >= _MAX_DEPTH:
            return "…"
        case dict():
            shown = {
                name: REDACTED if _SECRET_NAME.search(name) else _shown(each, depth + 1)
                for name, each in list(value.items())[:MAX_ITEMS]
            }
            return shown | _more(value, {"…": f"{len(value):,} fields"})
        case list():
            shown_items = [_shown(each, depth + 1) for each in value[:MAX_ITEMS]]
            return [*shown_items, *_more(value, [f"… ({len(value):,} items)"])]
    return value


def _more(value: Any, words: Any) -> Any:
    return words if len(value) > MAX_ITEMS else type(words)()


def _decisions(calls: Iterable[ToolCall]) -> dict[int, str]:
    """What people decided on those that needed their word, by the call's key."""
    asked = [call.pk for call in calls if call.permission == ToolCall.Permission.PERSON]
    if not asked:
        return {}
    found = Approval.objects.filter(call__in=asked).select_related("decided_by")
    return {approval.call_id: _decision(approval) for approval in found}


def _decision(approval: Approval) -> str:
    words = str(approval.Status(approval.status).label)
    if approval.decided_by is not None:
        words = f"{words}: {_name(approval.decided_by)}"
    details = []
    if approval.status == Approval.Status.APPROVED:
        details.append(str(approval.Scope(approval.scope).label))
        if approval.original_arguments is not None and approval.original_arguments != (
            approval.call.arguments
        ):
            details.append(_("with other arguments"))
    return f"{words} ({', '.join(details)})"[:300] if details else words[:300]


def _resolution(call: ToolCall) -> str:
    if call.resolved_by is None:
        return ""
    return (_("What became of it says: %(who)s") % {"who": _name(call.resolved_by)})[:300]


def _name(user: Any) -> str:
    return str(user.get_username())[:200]
