"""What a person does with a whole conversation: each works as a page, and as a menu in the list."""

from collections.abc import Callable
from uuid import UUID

from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from django.views.decorators.http import require_GET, require_POST
from django_htmx.http import HttpResponseClientRedirect, reswap, retarget, trigger_client_event
from django_htmx.middleware import HtmxDetails

from chat import filing, pages, transcripts
from chat.downloads import text_as_file
from chat.models import Conversation
from chat.security import chat_page

from .conversations import history_context, owned_conversation

CHANGES: dict[str, tuple[Callable[[Conversation], None], str]] = {
    "pin": (filing.pin, gettext_noop("Pinned.")),
    "unpin": (filing.unpin, gettext_noop("No longer pinned.")),
    "archive": (filing.archive, ""),
    "unarchive": (filing.unarchive, gettext_noop("Back in the list.")),
}
"""What `change` can do, each at an address of that name, with the words for it when it is done;
none where an undo is offered instead."""


@require_GET
@chat_page
def manage(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    """All that can be done with a conversation; for a fragment's request, the menu alone."""
    return _manage(request, owned_conversation(request, conversation_id))


@require_GET
@chat_page
def archived(request: HttpRequest) -> HttpResponse:
    """The conversations that were put away."""
    limit = None if "all" in request.GET else pages.RECENT_CONVERSATIONS
    found, is_cut = pages.archived(request.user, limit)
    context = {"conversations": found, "is_cut": is_cut} | history_context(request)
    return render(request, "chat/archived.html", context)


@require_POST
@chat_page
def rename(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    """Give a conversation a title."""
    named = owned_conversation(request, conversation_id)
    title = request.POST.get("title", "")
    try:
        filing.rename(named, title)
    except ValidationError as refusal:
        return _manage(request, named, title, " ".join(refusal.messages), 422)
    return _done(request, named, told=_("Renamed."))


@require_POST
@chat_page
def change(request: HttpRequest, conversation_id: UUID, change: str) -> HttpResponse:
    """Pin or archive a conversation, or take that back."""
    changed = owned_conversation(request, conversation_id)
    act, words = CHANGES[change]
    act(changed)
    if words:
        return _done(request, changed, told=_(words))
    return _done(request, changed, undone=changed, undo="chat:unarchive")


@require_POST
@chat_page
def delete(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    """Delete a conversation, and offer to undo it; a second click finds it done."""
    doomed = get_object_or_404(Conversation, pk=conversation_id, user=request.user)
    filing.delete(doomed)
    page = HtmxDetails(request)
    if page and not _is_shown(page, doomed):
        return _told(request, undone=doomed, undo="chat:restore")
    address = f"{reverse('chat:index')}?deleted={doomed.pk}"
    return HttpResponseClientRedirect(address) if page else redirect(address)


@require_POST
@chat_page
def restore(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    """Undo a deletion, as long as the conversation is still there."""
    kept = get_object_or_404(Conversation, pk=conversation_id, user=request.user)
    filing.restore(kept)
    if HtmxDetails(request):
        return _told(request, told=_("It is back."))
    return _to(kept)


@require_GET
@chat_page
def export(request: HttpRequest, conversation_id: UUID, form: str) -> HttpResponse:
    """The branch that a conversation shows, as a file to keep."""
    kept = owned_conversation(request, conversation_id)
    if form not in transcripts.FORMS:
        raise Http404
    text = transcripts.transcript(kept, pages.turns(kept), form)
    content_type, _end = transcripts.FORMS[form]
    return text_as_file(text, content_type, transcripts.file_name(kept, form))


def _manage(
    request: HttpRequest, shown: Conversation, title: str = "", error: str = "", status: int = 200
) -> HttpResponse:
    context = {
        "conversation": shown,
        "current": str(shown.pk),
        "title": title or shown.title,
        "error": error,
    }
    if not HtmxDetails(request):
        context |= history_context(request)
        return render(request, "chat/manage.html", context, status=status)
    menu = render(request, "chat/partials/manage.html", context, status=status)
    return reswap(retarget(menu, "closest .menu-panel"), "innerHTML") if error else menu


def _done(request: HttpRequest, changed: Conversation, **said: object) -> HttpResponse:
    page = HtmxDetails(request)
    if not page:
        return _to(changed)
    shown = changed if _is_shown(page, changed) else None
    return _told(request, conversation=shown, **said)


def _told(request: HttpRequest, **said: object) -> HttpResponse:
    response = render(request, "chat/partials/told.html", said)
    return trigger_client_event(response, "conversations-changed")


def _is_shown(page: HtmxDetails, conversation: Conversation) -> bool:
    """Whether the page that asks shows this conversation."""
    path = (page.current_url_abs_path or "").partition("?")[0]
    return path == reverse("chat:conversation", args=[conversation.pk])


def _to(conversation: Conversation) -> HttpResponse:
    return redirect("chat:conversation", conversation.pk)
