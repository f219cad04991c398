"""Links to conversations: made and revoked by their persons, opened by whoever has one."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec
from uuid import UUID

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from chat import sharing
from chat.downloads import given
from chat.models import Share
from chat.security import View, chat_page, strict_content

from .conversations import history_context, owned_conversation

P = ParamSpec("P")


def shared_page(view: View[Concatenate[Share, P]]) -> Callable[..., HttpResponseBase]:
    """A page for whoever has its link; nobody is told why another one leads nowhere."""

    @wraps(view)
    def guarded(
        request: HttpRequest,
        /,
        share_id: UUID,
        signature: str,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> HttpResponseBase:
        found = sharing.opened(share_id, signature)
        if found is None:
            raise Http404
        response = view(request, found, *args, **kwargs)
        response.headers["X-Robots-Tag"] = "noindex, nofollow"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cache-Control"] = "private, no-store"
        return response

    return login_not_required(strict_content(guarded))


@require_http_methods(["GET", "POST"])
@chat_page
def share(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    """Ask what a link should show, and make it."""
    conversation = owned_conversation(request, conversation_id)
    if not sharing.may_share(request.user):
        raise Http404
    error = ""
    if request.method == "POST":
        try:
            sharing.share(
                conversation,
                with_calls="with_calls" in request.POST,
                with_files="with_files" in request.POST,
            )
        except ValidationError as refusal:
            error = " ".join(refusal.messages)
        else:
            return redirect("chat:share", conversation.pk)
    made = Share.objects.owned_by(request.user).filter(conversation=conversation, revoked_at=None)
    context = {
        "conversation": conversation,
        "current": str(conversation.pk),
        "shares": made,
        "error": error,
    }
    context |= history_context(request)
    return render(request, "chat/share.html", context, status=422 if error else 200)


@require_GET
@chat_page
def shares(request: HttpRequest) -> HttpResponse:
    """The links of this person that were not revoked."""
    made = Share.objects.owned_by(request.user).filter(revoked_at=None)
    return render(request, "chat/shares.html", {"shares": made} | history_context(request))


@require_POST
@chat_page
def revoke(request: HttpRequest, share_id: UUID) -> HttpResponse:
    """Let a link lead nowhere."""
    made = get_object_or_404(Share.objects.owned_by(request.user), pk=share_id)
    sharing.revoke(made)
    if "from_conversation" in request.POST and sharing.may_share(request.user):
        return redirect("chat:share", made.conversation_id)
    return redirect("chat:shares")


@require_GET
@shared_page
def shared(request: HttpRequest, found: Share) -> HttpResponse:
    """What a link shows."""
    context = {"share": found, "turns": sharing.shown_turns(found)}
    return render(request, "chat/shared.html", context)


@require_GET
@shared_page
def file(request: HttpRequest, found: Share, file_id: int) -> HttpResponseBase:
    """A file of a call that a link shows."""
    wanted = sharing.shown_file(found, file_id)
    if wanted is None:
        raise Http404
    return given(request, wanted.file, wanted.media_type, wanted.download_name, wanted.is_image)


@require_GET
@shared_page
def attachment(request: HttpRequest, found: Share, attachment_id: int) -> HttpResponseBase:
    """A file that came with a message that a link shows."""
    wanted = sharing.shown_attachment(found, attachment_id)
    if wanted is None:
        raise Http404
    return given(request, wanted.file, wanted.media_type, wanted.name, wanted.is_image)
