"""The inbox, and the decisions that people take there and in the chat, without JavaScript too."""

from collections.abc import Callable
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST
from django_htmx.http import reswap, retarget, trigger_client_event
from django_htmx.middleware import HtmxDetails

from automate_llm.values import InputAnswer
from chat import decisions, pages, waiting
from chat.forms import ReasonForm
from chat.models import Approval, Question, ToolCall, ToolGrant
from chat.security import chat_page
from chat.waiting import Refusal

from .conversations import conversation_page, history_context

DENY = "deny"
OUTCOMES = ("done", "failed", "again", "unknown")
ACTIONS = ("accept", "decline", "cancel")


@require_GET
@chat_page
def inbox(request: HttpRequest) -> HttpResponse:
    """Everything that waits for this person, and what they allowed without asking."""
    return _inbox(request)


@require_GET
@chat_page
def inbox_link(request: HttpRequest) -> HttpResponse:
    """The link to the inbox with the number of things in it, as the part of a page that it is."""
    return render(request, "chat/partials/inbox_link.html")


@require_POST
@chat_page
def decide(request: HttpRequest, approval_id: int) -> HttpResponse:
    """Allow a call once, for longer, or not at all."""
    found = Approval.objects.visible_to(request.user).select_related("call", "tool")
    approval = get_object_or_404(found, pk=approval_id)
    return _taken(request, approval.call, lambda: _decide(request, approval))


@require_POST
@chat_page
def answer(request: HttpRequest, question_id: int) -> HttpResponse:
    """Answer a server's question, or not."""
    found = Question.objects.owned_by(request.user).select_related("call")
    question = get_object_or_404(found, pk=question_id)
    return _taken(request, question.call, lambda: _answer(request, question), question.pk)


@require_POST
@chat_page
def resolve(request: HttpRequest, call_id: int) -> HttpResponse:
    """Say what became of a call whose outcome nobody knows."""
    call = get_object_or_404(ToolCall.objects.owned_by(request.user), pk=call_id)
    return _taken(request, call, lambda: _resolve(request, call))


@require_POST
@chat_page
def revoke(request: HttpRequest, grant_id: int) -> HttpResponse:
    """Have a tool ask again."""
    decisions.revoke(get_object_or_404(ToolGrant.objects.owned_by(request.user), pk=grant_id))
    if HtmxDetails(request):
        return render(request, "chat/partials/grants.html", _grants(request))
    return redirect(f"{reverse('chat:inbox')}#grants")


def _decide(request: HttpRequest, approval: Approval) -> None:
    decision = _chosen(request, "decision", (*Approval.Scope.values, DENY))
    if decision == DENY:
        decisions.deny(approval, request.user, ReasonForm(request.POST).reason())
        return
    if approval.status != Approval.Status.WAITING:
        raise decisions.AlreadyDecided(_("This was decided already, or is over."))
    form = waiting.arguments_form(approval, approval.call, request.POST)
    if form is None or not form.is_bound:
        decisions.approve(approval, request.user, decision)
    elif form.is_valid():
        decisions.approve(approval, request.user, decision, form.object)
    else:
        raise ValidationError(_("Nothing was sent: the arguments need another look."))


def _answer(request: HttpRequest, question: Question) -> None:
    action = _chosen(request, "action", ACTIONS)
    if question.status != Question.Status.WAITING:
        raise decisions.AlreadyDecided(_("This was answered already, or is over."))
    content = None
    form = waiting.question_form(question, request.POST) if action == "accept" else None
    if form is not None:
        if not form.is_valid():
            raise ValidationError(_("Nothing was sent: the answer needs another look."))
        content = form.object
    decisions.answer(question, request.user, InputAnswer(action, content))  # type: ignore[arg-type]


def _resolve(request: HttpRequest, call: ToolCall) -> None:
    decisions.resolve(call, request.user, _chosen(request, "outcome", OUTCOMES))


def _chosen(request: HttpRequest, name: str, known: tuple[str, ...]) -> str:
    chosen = request.POST.get(name, "")
    if chosen not in known:
        raise ValidationError(_("Choose what is to be done."))
    return chosen


def _taken(
    request: HttpRequest, call: ToolCall, take: Callable[[], None], question_id: int | None = None
) -> HttpResponse:
    """Take a decision, and show the call as it then is, with the reason where it was not taken."""
    try:
        take()
    except decisions.AlreadyDecided as exc:
        return _refused(request, Refusal(call.pk, str(exc)), 409)
    except PermissionDenied:
        return _refused(request, Refusal(call.pk, _("This is not yours to decide.")), 403)
    except ValidationError as exc:
        why = " ".join(exc.messages)
        return _refused(request, Refusal(call.pk, why, request.POST, question_id), 422)
    if not HtmxDetails(request):
        return _back(request, call)
    return trigger_client_event(_card(request, call.pk), "waiting-changed")


def _refused(request: HttpRequest, refusal: Refusal, status: int) -> HttpResponse:
    if HtmxDetails(request):
        card = _card(request, refusal.call_id, refusal, status)
        return reswap(retarget(card, f"#call-{refusal.call_id}"), "outerHTML")
    known = ToolCall.objects.select_related("turn__conversation")
    call = get_object_or_404(known, pk=refusal.call_id)
    if _is_in_inbox(request) or not _is_owner(request, call):
        return _inbox(request, refusal, status)
    return conversation_page(request, call.turn.conversation, refusal=refusal, status=status)


def _card(
    request: HttpRequest, call_id: int, refusal: Refusal | None = None, status: int = 200
) -> HttpResponse:
    call = get_object_or_404(pages.calls().select_related("turn__conversation"), pk=call_id)
    context = {
        "call": call,
        "refusal": refusal,
        "is_others": not _is_owner(request, call),
        "in_inbox": _is_in_inbox(request),
    }
    return render(request, "chat/partials/tool_call.html", context, status=status)


def _back(request: HttpRequest, call: ToolCall) -> HttpResponse:
    if _is_in_inbox(request) or not _is_owner(request, call):
        return redirect("chat:inbox")
    conversation = reverse("chat:conversation", args=[call.turn.conversation_id])
    return redirect(f"{conversation}#call-{call.pk}")


def _inbox(request: HttpRequest, refusal: Refusal | None = None, status: int = 200) -> HttpResponse:
    own = waiting.calls_waiting_for(request.user)
    others = waiting.calls_of_others_waiting_for(request.user)
    shown = {call.pk for call in (*own, *others)}
    context = {
        "own": own,
        "others": others,
        "refusal": refusal,
        "in_inbox": True,
        "refused": refusal.why if refusal is not None and refusal.call_id not in shown else "",
    }
    context |= _grants(request) | history_context(request)
    return render(request, "chat/inbox.html", context, status=status)


def _grants(request: HttpRequest) -> dict[str, Any]:
    return {"grants": waiting.grants_of(request.user)}


def _is_owner(request: HttpRequest, call: ToolCall) -> bool:
    return call.turn.conversation.user_id == request.user.pk


def _is_in_inbox(request: HttpRequest) -> bool:
    return request.POST.get("from") == "inbox"
