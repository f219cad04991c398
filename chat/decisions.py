"""What people decide: approvals of calls, answers to questions, and what became of a call.

Each is checked against who may decide it, stored once, and lets its turn go on. The turn's row is
locked first, so that a turn that is about to wait sees the decision, or the decision the wait.
"""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from automate.catalog import tool_for_call
from automate.models import MCPTool
from automate.policy import Decision, Policy
from automate_llm.exceptions import InvalidArguments, SchemaError
from automate_llm.validation import validate_arguments
from automate_llm.values import InputAnswer

from .arguments import arguments_hash, canonical
from .events import EventLog
from .models import Approval, Question, ToolCall, ToolGrant, Turn, TurnEvent
from .queueing import queue_turn
from .records import record_finished
from .signals import announce, approval_decided, question_answered

Status = ToolCall.Status


class AlreadyDecided(Exception):
    """Somebody has decided this before, or its time is over; nothing was stored."""


@transaction.atomic
def approve(
    approval: Approval,
    by: Any,
    scope: str = Approval.Scope.ONCE,
    arguments: Mapping[str, Any] | None = None,
) -> None:
    """Let the call be made, with other arguments where a person changed them.

    Raises:
        AlreadyDecided: it is too late.
        PermissionDenied: this person may not decide it.
        ValidationError: the changed arguments do not fit the tool, or may not be sent.
    """
    call = _locked(approval)
    _check_person(approval, by)
    tool = _current_tool(approval, call)
    fields: dict[str, Any] = {"decided_by": by, "scope": Approval.Scope(scope)}
    changes: dict[str, Any] = {}
    if arguments is not None and canonical(arguments) != canonical(call.arguments):
        _check_arguments(approval, tool, arguments)
        fields |= {
            "original_arguments": approval.original_arguments or call.arguments,
            "arguments_hash": arguments_hash(arguments),
        }
        changes = {"arguments": dict(arguments), "arguments_text": json.dumps(arguments)}
    if approval.needs_second_person:
        fields["scope"] = Approval.Scope.ONCE
    _decide(approval, Approval.Status.APPROVED, fields)
    _grant(approval, tool, call)
    _move(call, Status.PENDING, **changes)


@transaction.atomic
def deny(approval: Approval, by: Any, reason: str = "") -> None:
    """Let the call not be made; the model is told the reason.

    Raises:
        AlreadyDecided: it is too late.
        PermissionDenied: this person may not decide it.
    """
    call = _locked(approval)
    _check_person(approval, by)
    reason = " ".join(reason.split())[:300]
    _decide(approval, Approval.Status.DENIED, {"decided_by": by, "reason": reason})
    words = _("The person did not allow this call.")
    if reason:
        words = _("The person did not allow this call: %(reason)s") % {"reason": reason}
    _move(call, Status.REFUSED, error=words[:500], finished_at=timezone.now())


@transaction.atomic
def answer(question: Question, by: Any, given: InputAnswer) -> None:
    """Give a server the answer of its person; the call goes on when none of its questions is open.

    Where the server holds the call meanwhile, the process that makes it looks for the answer.

    Raises:
        AlreadyDecided: it is too late.
        PermissionDenied: it is somebody else's to answer.
        ValidationError: the answer does not fit what was asked for.
    """
    call = _locked(question)
    if call.turn.conversation.user_id != by.pk:
        raise PermissionDenied
    content = None
    if given.action == "accept" and question.mode == Question.Mode.FORM:
        content = dict(given.content or {})
        _check_answer(question, content)
    if question.expires_at <= timezone.now() or not question.answer(
        Question.Status(given.action), content=content, answered_by=by
    ):
        raise AlreadyDecided(_("This was answered already, or is over."))
    announce(question_answered, question)
    if _waits_no_more(call):
        _move(call, Status.PENDING)


@transaction.atomic
def resolve(call: ToolCall, by: Any, outcome: str) -> None:
    """Say what became of a call whose outcome nobody knows.

    `done` and `failed` are the person's word, `again` has it sent once more, and `unknown` lets
    the turn go on without knowing.

    Raises:
        AlreadyDecided: its outcome is known.
        PermissionDenied: it is somebody else's call.
        ValidationError: it cannot be sent again, since its turn has gone on, or is over.
    """
    locked = _locked_call(call)
    if locked.turn.conversation.user_id != by.pk:
        raise PermissionDenied
    if locked.status != Status.UNKNOWN:
        raise AlreadyDecided(_("What became of this call is known already."))
    if outcome == "done":
        words = _("Its answer was lost, but the person says that it did its work.")
        _move(locked, Status.SUCCEEDED, result_text=words, error="", resolved_by=by)
    elif outcome == "failed":
        words = _("Its answer was lost, and the person says that it did not do its work.")
        _move(locked, Status.FAILED, error=words, resolved_by=by)
    elif outcome == "again":
        if not may_run_again(locked):
            raise ValidationError(_("The assistant has gone on. Ask for it in a new message."))
        # What a second person allowed was one sending.
        seconded = Approval.objects.filter(call=locked, needs_second_person=True)
        seconded.filter(status=Approval.Status.APPROVED).update(status=Approval.Status.WITHDRAWN)
        _move(locked, Status.PENDING, error="", finished_at=None, resolved_by=by)
    else:
        locked.resolved_by = by
        locked.save(update_fields=["resolved_by"])
        _continue(locked)


def may_run_again(call: ToolCall) -> bool:
    """Whether its turn still waits to hear what became of it."""
    if call.turn.status != Turn.Status.WAITING:
        return False
    return ToolCall.objects.asked_for_last(call.turn).filter(pk=call.pk).exists()


def expire_overdue() -> int:
    """End approvals and questions that nobody answered in time; returns how many there were."""
    approvals = [_expired(_expire_approval, each) for each in Approval.objects.overdue()]
    questions = [_expired(_expire_question, each) for each in Question.objects.overdue()]
    return sum(approvals) + sum(questions)


def _expired(end: Callable[[Any], bool], asked: Approval | Question) -> bool:
    try:
        return end(asked)
    except AlreadyDecided:  # its conversation was deleted meanwhile
        return False


@transaction.atomic
def _expire_approval(approval: Approval) -> bool:
    call = _locked(approval)
    if not approval.decide(Approval.Status.EXPIRED):
        return False
    announce(approval_decided, approval)
    words = _("Nobody allowed this call in time. It was not run.")
    with suppress(AlreadyDecided):  # one row that is odd must not end the sweep of all others
        _move(call, Status.REFUSED, error=words, finished_at=timezone.now())
    return True


@transaction.atomic
def _expire_question(question: Question) -> bool:
    call = _locked(question)
    if not question.answer(Question.Status.EXPIRED):
        return False
    announce(question_answered, question)
    if _waits_no_more(call):
        with suppress(AlreadyDecided):
            _move(call, Status.PENDING)
    return True


def _waits_no_more(call: ToolCall) -> bool:
    """Whether it has waited for its questions, and all are answered."""
    if call.status != Status.WAITING:
        return False
    return not call.questions.filter(status=Question.Status.WAITING).exists()


def _locked(asked: Approval | Question) -> ToolCall:
    return _locked_call(asked.call)


def _locked_call(call: ToolCall) -> ToolCall:
    """The call as its row is now, its turn's row locked.

    Raises:
        AlreadyDecided: it was deleted with its conversation.
    """
    if Turn.objects.select_for_update().filter(pk=call.turn_id).first() is None:
        raise AlreadyDecided(_("This conversation was deleted."))
    calls = ToolCall.objects.select_related("turn__conversation", "tool__server")
    return calls.defer("result").get(pk=call.pk)


def _move(call: ToolCall, status: ToolCall.Status, **fields: Any) -> None:
    if not call.move(status, **fields):
        raise AlreadyDecided(_("This call goes on already, or is over."))
    if call.finished:
        record_finished(call)
    _continue(call)


def _continue(call: ToolCall) -> None:
    """Show what changed, and put the turn back in line where it waited.

    A turn that runs has its log to itself, and finds what was decided when it comes to wait; the
    log of one that is over stays as it is.
    """
    if call.turn.status in (Turn.Status.QUEUED, Turn.Status.WAITING):
        EventLog(call.turn_id).append(TurnEvent.Kind.CALL, call=call.pk)
        queue_turn(call.turn)


def _check_person(approval: Approval, by: Any) -> None:
    if not Approval.objects.decidable_by(by).filter(pk=approval.pk).exists():
        raise PermissionDenied


def _current_tool(approval: Approval, call: ToolCall) -> MCPTool:
    tool = tool_for_call(approval.user, call.function_name)
    if (
        tool is None
        or tool.pk != approval.tool_id
        or tool.definition_hash != approval.definition_hash
        or arguments_hash(call.arguments) != approval.arguments_hash
    ):
        raise ValidationError(
            _("The tool has changed since this was asked, or cannot be used any more. Deny it."),
            code="changed",
        )
    return tool


def _check_arguments(approval: Approval, tool: MCPTool, arguments: Mapping[str, Any]) -> None:
    try:
        validate_arguments(tool.input_schema, dict(arguments), key=tool.definition_hash)
    except (InvalidArguments, SchemaError) as exc:
        raise ValidationError(
            _("The arguments do not fit: %(why)s") % {"why": exc}, code="arguments"
        ) from None
    verdict = Policy(approval.user).verdict(tool, arguments)
    if verdict.decision == Decision.DENY:
        raise ValidationError(
            _("These arguments are not permitted. %(why)s") % {"why": verdict.why}, code="denied"
        )


def _check_answer(question: Question, content: dict[str, Any]) -> None:
    try:
        validate_arguments(question.schema, content)
    except (InvalidArguments, SchemaError) as exc:
        raise ValidationError(
            _("The answer does not fit: %(why)s") % {"why": exc}, code="answer"
        ) from None


def _decide(approval: Approval, status: Approval.Status, fields: dict[str, Any]) -> None:
    is_over = approval.expires_at <= timezone.now()
    if is_over or not approval.decide(status, **fields):
        raise AlreadyDecided(_("This was decided already, or is over."))
    announce(approval_decided, approval)


def _grant(approval: Approval, tool: MCPTool, call: ToolCall) -> None:
    if approval.scope == Approval.Scope.ONCE:
        return
    here = approval.scope == Approval.Scope.CONVERSATION
    ToolGrant.objects.create(
        user=approval.user,
        tool=tool,
        definition_hash=tool.definition_hash,
        conversation=call.turn.conversation if here else None,
        approval=approval,
    )


def revoke(grant: ToolGrant, at: datetime | None = None) -> None:
    """From now on the tool asks again."""
    grant.revoked_at = grant.revoked_at or at or timezone.now()
    grant.save(update_fields=["revoked_at"])
