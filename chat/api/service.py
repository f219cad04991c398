"""The JSON API: what the pages do, for programs of the person who is logged in.

Each operation finds rows of its person alone, and leaves the deciding to `chat.decisions`.
"""

import uuid
from typing import Any, cast

from django.core.exceptions import PermissionDenied, RequestDataTooBig, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError
from ninja.errors import ValidationError as MalformedRequest
from ninja.openapi.docs import Swagger
from ninja.parser import Parser
from ninja.security import SessionAuth

from automate.availability import availability_for
from automate.policy import Scope
from automate_llm import strict_json
from automate_llm.exceptions import AutomateError
from automate_llm.values import InputAnswer
from chat import decisions, pages, submission, waiting
from chat.models import Approval, Conversation, Question, ToolCall, ToolGrant

from .conversations import router as conversations
from .tools import ToolsOut
from .turns import router as turns
from .values import (
    ERRORS,
    AnswerIn,
    ApprovalIn,
    CallOut,
    DenialIn,
    GrantOut,
    OutcomeIn,
    WaitingOut,
)


class StrictParser(Parser):
    """JSON without NaN, and without what no database keeps."""

    def parse_body(self, request: HttpRequest) -> Any:
        try:
            body = strict_json.loads(request.body or b"{}")
        except AutomateError as exc:
            raise ValueError from exc
        if not strict_json.storable(body):
            raise ValueError
        return body


class _Docs(Swagger):
    def get_openapi_url(self, api: NinjaAPI, path_params: dict[str, Any]) -> str:
        return reverse("chat:api", args=["openapi.json"])


class _API(NinjaAPI):
    def get_root_path(self, path_params: dict[str, Any]) -> str:
        return reverse("chat:api", kwargs={"path": ""})


api = _API(
    title="Chat",
    auth=SessionAuth(),
    parser=StrictParser(),
    docs=_Docs(),
    urls_namespace="automate-chat-api",
)
api.add_router("", conversations)
api.add_router("", turns)


@api.get("waiting", response={200: WaitingOut, **ERRORS})
def list_waiting(request: HttpRequest) -> WaitingOut:
    """What waits for this person's word, oldest first."""
    return WaitingOut(
        own=[CallOut.of(each, request.user) for each in waiting.calls_waiting_for(request.user)],
        others=[
            CallOut.of(each, request.user)
            for each in waiting.calls_of_others_waiting_for(request.user)
        ],
    )


@api.get("tools", response={200: ToolsOut, **ERRORS})
def list_tools(request: HttpRequest, conversation: uuid.UUID | None = None) -> ToolsOut:
    """The servers and tools of a conversation, or of a new one, and why some are missing."""
    left_out = Scope()
    if conversation is not None:
        owned = Conversation.objects.owned_by(request.user)
        left_out = get_object_or_404(owned, pk=conversation).left_out
    return ToolsOut.of(availability_for(request.user), left_out)


@api.post("approvals/{int:approval_id}/approve", response={200: CallOut, **ERRORS})
def approve(request: HttpRequest, approval_id: int, sent: ApprovalIn) -> CallOut:
    """Let a call be made, with other arguments where some are sent."""
    approval = _approval(request, approval_id)
    decisions.approve(approval, request.user, sent.scope, sent.arguments)
    return _call(request, approval.call_id)


@api.post("approvals/{int:approval_id}/deny", response={200: CallOut, **ERRORS})
def deny(request: HttpRequest, approval_id: int, sent: DenialIn) -> CallOut:
    """Let a call not be made; the assistant is told the reason."""
    approval = _approval(request, approval_id)
    decisions.deny(approval, request.user, sent.reason)
    return _call(request, approval.call_id)


@api.post("questions/{int:question_id}/answer", response={200: CallOut, **ERRORS})
def answer(request: HttpRequest, question_id: int, sent: AnswerIn) -> CallOut:
    """Answer a server's question, or not."""
    owned = Question.objects.owned_by(request.user).select_related("call")
    question = get_object_or_404(owned, pk=question_id)
    decisions.answer(question, request.user, InputAnswer(sent.action, sent.content))
    return _call(request, question.call_id)


@api.post("calls/{int:call_id}/resolve", response={200: CallOut, **ERRORS})
def resolve(request: HttpRequest, call_id: int, sent: OutcomeIn) -> CallOut:
    """Say what became of a call whose outcome nobody knows."""
    call = get_object_or_404(ToolCall.objects.owned_by(request.user), pk=call_id)
    decisions.resolve(call, request.user, sent.outcome)
    return _call(request, call.pk)


@api.get("grants", response={200: list[GrantOut], **ERRORS})
def list_grants(request: HttpRequest) -> list[GrantOut]:
    """The tools that run for this person without asking, latest first."""
    return [GrantOut.of(each) for each in waiting.grants_of(request.user)]


@api.post("grants/{int:grant_id}/revoke", response={200: GrantOut, **ERRORS})
def revoke(request: HttpRequest, grant_id: int) -> GrantOut:
    """Have a tool ask again."""
    owned = ToolGrant.objects.owned_by(request.user).select_related("tool__server")
    grant = get_object_or_404(owned, pk=grant_id)
    decisions.revoke(grant)
    return GrantOut.of(grant)


def _approval(request: HttpRequest, approval_id: int) -> Approval:
    known = Approval.objects.visible_to(request.user).select_related("call", "tool", "user")
    return get_object_or_404(known, pk=approval_id)


def _call(request: HttpRequest, call_id: int) -> CallOut:
    found = pages.calls().select_related("turn__conversation", "approval__user")
    return CallOut.of(found.get(pk=call_id), request.user)


def _told(request: HttpRequest, words: object, status: int) -> HttpResponse:
    return api.create_response(request, {"error": str(words)}, status=status)


@api.exception_handler(decisions.AlreadyDecided)
@api.exception_handler(submission.TurnInProgress)
def _too_late(request: HttpRequest, exc: Any) -> HttpResponse:
    return _told(request, exc, 409)


@api.exception_handler(RequestDataTooBig)
def _too_much(request: HttpRequest, exc: Any) -> HttpResponse:
    return _told(request, _("This is more than the site takes in one request."), 413)


@api.exception_handler(PermissionDenied)
def _forbidden(request: HttpRequest, exc: Any) -> HttpResponse:
    return _told(request, _("This is not yours to decide."), 403)


@api.exception_handler(ValidationError)
def _invalid(request: HttpRequest, exc: Any) -> HttpResponse:
    return _told(request, " ".join(exc.messages), 422)


@api.exception_handler(MalformedRequest)
def _malformed(request: HttpRequest, exc: Any) -> HttpResponse:
    problems = cast(MalformedRequest, exc).errors
    said = (f"{'.'.join(map(str, each['loc'][2:]))}: {each['msg']}" for each in problems)
    return _told(request, "; ".join(said), 422)


@api.exception_handler(Http404)
def _not_found(request: HttpRequest, exc: Any) -> HttpResponse:
    return _told(request, _("There is no such thing, or it is not yours."), 404)


@api.exception_handler(AuthenticationError)
def _anonymous(request: HttpRequest, exc: Any) -> HttpResponse:
    return _told(request, _("Log in first."), 401)


@api.exception_handler(HttpError)
def _other(request: HttpRequest, exc: Any) -> HttpResponse:
    return _told(request, exc, exc.status_code)
