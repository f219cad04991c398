"""What waits for a person: found, counted, and made ready to be shown with its forms."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from . import pages
from .decisions import may_run_again
from .models import Approval, ApprovalQuerySet, Question, ToolCall, ToolGrant, Turn
from .schema_forms import SchemaForm

MAX_EDITABLE_CHARACTERS = 100_000
"""Longer arguments can be approved or denied, but not changed in a browser."""

Status = ToolCall.Status

_DECIDED: Mapping[str, Any] = {
    Approval.Status.APPROVED: gettext_lazy("Allowed by %(who)s."),
    Approval.Status.DENIED: gettext_lazy("Not allowed by %(who)s."),
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """A decision that was not taken: why, and what the person had sent."""

    call_id: int
    why: str
    data: Mapping[str, Any] | None = None
    question_id: int | None = None


@dataclass(frozen=True, slots=True)
class QuestionAsked:
    """One question of a server, with its form or its address."""

    question: Question
    form: SchemaForm | None = None

    @property
    def host(self) -> str:
        """Whose page the address leads to."""
        return urlsplit(self.question.url).netloc


@dataclass(frozen=True, slots=True)
class Ask:
    """What a call's card asks of its reader."""

    call: ToolCall
    approval: Approval | None = None
    arguments: SchemaForm | None = None
    questions: list[QuestionAsked] = field(default_factory=list)
    is_unknown: bool = False
    is_overdue: bool = False
    why_not: str = ""

    @property
    def may_run_again(self) -> bool:
        """Whether its turn still waits to hear what became of it."""
        return may_run_again(self.call)


def calls_waiting_for(user: Any) -> list[ToolCall]:
    """Calls in this person's own conversations that need their word, oldest first."""
    found = pages.calls().owned_by(user).filter(_needs_owner())
    return list(found.select_related("turn__conversation"))


def calls_of_others_waiting_for(user: Any) -> list[ToolCall]:
    """Calls of other people that this one may allow as the second person, oldest first."""
    decidable = _second_persons(user).values("pk")
    found = pages.calls().filter(status=Status.WAITING, approval__in=decidable)
    return list(found.select_related("approval__user"))


def count_waiting_for(user: Any) -> int:
    """How many calls need this person's word."""
    own = ToolCall.objects.owned_by(user).filter(_needs_owner()).order_by()
    counted = own.values("turn__conversation__user").annotate(count=Count("pk")).values("count")
    # Every page asks this, so both are one query where nobody waits for a second person.
    accounts = get_user_model()._default_manager.filter(pk=user.pk)
    both = accounts.values_list(
        Coalesce(Subquery(counted), 0), Exists(_wanting_second_person(user))
    )
    count, others_wait = both.first() or (0, False)
    return count + (_second_persons(user).count() if others_wait else 0)


def turn_words(turn: Turn) -> str:
    """The state of a turn in words for its person, who is not whom every turn waits for."""
    if turn.status == Turn.Status.WAITING or _is_held(turn):
        return waiting_words(turn.pk)
    return turn.get_status_display()


def waiting_words(turn_id: UUID) -> str:
    """Whom a turn waits for, and what for."""
    own = ToolCall.objects.filter(turn=turn_id).filter(_needs_owner())
    needed = set(own.values_list("status", "approval__status"))
    if (Status.WAITING, Approval.Status.WAITING) in needed:
        return _("Needs your approval")
    if any(status in (Status.WAITING, Status.RUNNING) for status, _approval in needed):
        return _("Needs your answer")
    second = Approval.objects.waiting().filter(call__turn=turn_id, needs_second_person=True)
    if not needed and second.exists():
        return _("Waiting for a second person")
    return str(Turn.Status.WAITING.label)


def grants_of(user: Any) -> QuerySet[ToolGrant]:
    """The tools that this person lets run without asking, latest first."""
    found = ToolGrant.objects.owned_by(user).in_force().order_by("-pk")
    return found.select_related("tool__server", "conversation").defer(
        "tool__input_schema", "tool__output_schema"
    )


def asked(call: ToolCall, refusal: Refusal | None = None) -> Ask | None:
    """What the call's card asks now; nothing where it asks nothing.

    `refusal` is a decision on it that was not taken: its forms then hold what was typed.
    """
    mine = refusal if refusal is not None and refusal.call_id == call.pk else None
    why_not = mine.why if mine is not None else ""
    if call.is_unresolved:
        return Ask(call, is_unknown=True, why_not=why_not)
    if call.status == Status.WAITING and (approval := _open_approval(call)) is not None:
        return Ask(
            call,
            approval=approval,
            arguments=arguments_form(approval, call, mine.data if mine else None),
            is_overdue=approval.expires_at <= timezone.now(),
            why_not=why_not,
        )
    questions = []
    if call.status in (Status.WAITING, Status.RUNNING):
        questions = [
            QuestionAsked(each, question_form(each, _data_for(each, mine)))
            for each in call.questions.all()
            if each.status == Question.Status.WAITING
        ]
    if questions or call.status == Status.WAITING or why_not:
        overdue = any(each.question.expires_at <= timezone.now() for each in questions)
        return Ask(call, questions=questions, is_overdue=overdue, why_not=why_not)
    return None


def decision_words(call: ToolCall) -> str:
    """What a person has decided about the call; empty where nobody has, or had to."""
    try:
        approval = call.approval
    except Approval.DoesNotExist:
        approval = None
    said = []
    if approval is not None and (words := _DECIDED.get(approval.status)):
        said.append(words % {"who": approval.decided_by or _("a person")})
        if approval.original_arguments is not None:
            said.append(_("The arguments were changed."))
    if call.resolved_by is not None:
        said.append(_("%(who)s said what became of it.") % {"who": call.resolved_by})
    return " ".join(map(str, said))


def arguments_form(
    approval: Approval, call: ToolCall, data: Mapping[str, Any] | None = None
) -> SchemaForm | None:
    """The arguments to be approved, as a form; nothing where they are too much for one."""
    tool, prefix = approval.tool, f"call-{call.pk}"
    if tool is None or len(call.arguments_text) > MAX_EDITABLE_CHARACTERS:
        return None
    return SchemaForm(
        tool.input_schema,
        call.arguments or {},
        _from_form(data, prefix),
        prefix=prefix,
        key=tool.definition_hash,
    )


def question_form(question: Question, data: Mapping[str, Any] | None = None) -> SchemaForm | None:
    """The form that a server's question asks to be filled in; nothing for one with an address."""
    if question.mode != Question.Mode.FORM:
        return None
    named = question.schema.get("properties")
    defaults = {
        name: part["default"]
        for name, part in (named if isinstance(named, dict) else {}).items()
        if isinstance(part, dict) and "default" in part
    }
    prefix = f"question-{question.pk}"
    return SchemaForm(question.schema, defaults, _from_form(data, prefix), prefix=prefix, asks=True)


def _from_form(data: Mapping[str, Any] | None, prefix: str) -> Mapping[str, Any] | None:
    """What was sent, where it comes from a page that showed the form."""
    return data if data is not None and f"{prefix}-shown" in data else None


def _data_for(question: Question, refusal: Refusal | None) -> Mapping[str, Any] | None:
    if refusal is None or refusal.question_id != question.pk:
        return None
    return refusal.data


def _open_approval(call: ToolCall) -> Approval | None:
    try:
        approval = call.approval
    except Approval.DoesNotExist:
        return None
    return approval if approval.status == Approval.Status.WAITING else None


def _needs_owner() -> Q:
    """Calls that wait for their own person, not for a second one, or are held for an answer."""
    second = Q(approval__status=Approval.Status.WAITING, approval__needs_second_person=True)
    unknown = Q(status=Status.UNKNOWN, resolved_by=None, turn__status=Turn.Status.WAITING)
    return (Q(status=Status.WAITING) & ~second) | unknown | _held()


def _held() -> Q:
    """Calls that a server holds until their person answers."""
    open_questions = Question.objects.filter(call=OuterRef("pk"), status=Question.Status.WAITING)
    return Q(status=Status.RUNNING) & Q(Exists(open_questions))


def _is_held(turn: Turn) -> bool:
    if turn.status != Turn.Status.RUNNING:
        return False
    return ToolCall.objects.filter(_held(), turn=turn).exists()


def _second_persons(user: Any) -> ApprovalQuerySet:
    """Approvals that this one may decide for others; rights are looked up only where some wait."""
    wanted = _wanting_second_person(user)
    return wanted.decidable_by(user) if wanted.exists() else wanted.none()


def _wanting_second_person(user: Any) -> ApprovalQuerySet:
    """Approvals of other people's calls that a second person must decide."""
    return Approval.objects.waiting().filter(needs_second_person=True).exclude(user=user)
