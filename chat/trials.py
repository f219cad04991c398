"""Runs one tool for a person of the admin: under the same policy and limits as in a chat."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from automate.catalog import tool_for_call
from automate.conf import conf
from automate.models import MCPTool
from automate.policy import Decision, Policy, Verdict
from automate_llm.exceptions import InvalidArguments, MCPClientError, SchemaError
from automate_llm.mcp_client import MCPClient
from automate_llm.results import model_text
from automate_llm.validation import validate_arguments
from automate_llm.values import ToolResult

from .models import CallRecord, ToolCall
from .records import milliseconds, shown_arguments

Status = ToolCall.Status


class TrialRefused(Exception):
    """The tool was not run; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of it: a result, or an error in words."""

    outcome: Status
    result: ToolResult | None
    text: str
    """The result as a model would be shown it."""
    error: str
    milliseconds: int


def verdict_on(user: Any, tool: MCPTool, arguments: Mapping[str, Any]) -> Verdict:
    """What the policy says of the call; one that asks needs this person's yes.

    Raises:
        TrialRefused: this person may not call it so.
    """
    if tool_for_call(user, tool.function_name) is None:
        raise TrialRefused(
            _("The tool cannot be used now, or not by you: look at its status and its rights.")
        )
    verdict = Policy(user).verdict(tool, arguments)
    if verdict.decision == Decision.DENY:
        raise TrialRefused(verdict.why or _("The rules deny this call."))
    if tool.needs_second_person:
        raise TrialRefused(_("A second person must approve this tool: ask for it in a chat."))
    return verdict


def run_trial(
    user: Any,
    tool: MCPTool,
    arguments: dict[str, Any],
    submission: uuid.UUID,
    *,
    confirmed: bool,
    origin: CallRecord.Origin = CallRecord.Origin.TRIAL,
) -> Trial:
    """Call the tool once, and put that on record before it is sent and when it has ended.

    Raises:
        TrialRefused: it may not be called so, was not confirmed, or was run under this submission.
    """
    try:
        validate_arguments(tool.input_schema, arguments, key=tool.definition_hash)
    except (InvalidArguments, SchemaError) as exc:
        raise TrialRefused(_("The arguments do not fit: %(why)s") % {"why": exc}) from None
    verdict = verdict_on(user, tool, arguments)
    asks = verdict.decision == Decision.ASK
    if asks and not confirmed:
        raise TrialRefused(_("This call needs your confirmation."))
    about = {
        "origin": origin,
        "user": user,
        "user_name": user.get_username()[:200],
        "tool": tool,
        "server_name": tool.server.name,
        "tool_name": tool.function_name,
        "tool_version": tool.version,
        "arguments": shown_arguments(arguments, tool),
        "permission": ToolCall.Permission.PERSON if asks else ToolCall.Permission.POLICY,
        "submission": submission,
    }
    try:
        with transaction.atomic():
            CallRecord.objects.create(outcome=Status.RUNNING, **about)
    except IntegrityError:
        raise TrialRefused(_("This was sent already; the record says what came of it.")) from None
    trial = _called(user, tool, arguments)
    CallRecord.objects.create(
        outcome=trial.outcome,
        error=trial.error,
        milliseconds=trial.milliseconds,
        result_characters=len(trial.text),
        **about,
    )
    return trial


def _called(user: Any, tool: MCPTool, arguments: dict[str, Any]) -> Trial:
    began = monotonic()
    result, text, error = None, "", ""
    try:
        result = MCPClient(tool.server.for_user(user)).call(
            tool.name, arguments, input_schema=tool.input_schema
        )
    except MCPClientError as exc:
        outcome = Status.UNKNOWN if exc.may_have_run else Status.FAILED
        error = str(exc)[:400]
        if exc.may_have_run:
            error = f"{error} {_('The tool may have done its work.')}"[:500]
    else:
        outcome = Status.FAILED if result.is_error else Status.SUCCEEDED
        error = _("The tool reported a failure.") if result.is_error else ""
        text = model_text(result, conf().MAX_RESULT_CHARACTERS)
    return Trial(outcome, result, text, error, milliseconds(monotonic() - began) or 0)
