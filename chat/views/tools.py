"""Which tools a conversation has, which it lacks and why, and what its person leaves out."""

import uuid
from urllib.parse import urlencode

from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods
from django_htmx.middleware import HtmxDetails

from automate.policy import Scope
from chat import left_out
from chat.models import Conversation
from chat.security import chat_page
from chat.toolbox import toolbox_for

from .conversations import history_context


@require_http_methods(["GET", "POST"])
@chat_page
def tools(request: HttpRequest, conversation_id: uuid.UUID | None = None) -> HttpResponse:
    """The list, and each switch of it; for a new conversation the choice stays in the page."""
    owned = Conversation.objects.owned_by(request.user)
    shown = get_object_or_404(owned, pk=conversation_id) if conversation_id else None
    error = ""
    chosen = shown.left_out if shown else left_out.parsed(request.GET.get("without", ""))
    if request.method == "POST":
        try:
            chosen = _switched(request, shown)
        except ValidationError as refusal:
            error = " ".join(refusal.messages)
        if not HtmxDetails(request) and not error:
            return redirect(_address(shown, chosen, "chat:tools"))
    context = {
        "conversation": shown,
        "current": str(shown.pk) if shown else "",
        "toolbox": toolbox_for(request.user, chosen),
        "without": left_out.written(chosen),
        "left_out_count": len(chosen.servers) + len(chosen.tools),
        "back": _address(shown, chosen, "chat:conversation" if shown else "chat:index"),
        "error": error,
    }
    status = 422 if error else 200
    if HtmxDetails(request):
        context["is_fragment"] = True
        return render(request, "chat/partials/tools.html", context, status=status)
    return render(request, "chat/tools.html", context | history_context(request), status=status)


def _switched(request: HttpRequest, shown: Conversation | None) -> Scope:
    """What is left out after this switch; a conversation keeps it.

    Raises:
        ValidationError: that would be too much.
    """
    out = "out" in request.POST
    reference = request.POST.get("out" if out else "in", "")
    if shown is None:
        before = left_out.parsed(request.POST.get("without", ""))
        chosen = left_out.changed(before, reference, out=out)
        left_out.stored(chosen)
        return chosen
    with transaction.atomic():
        # Locked: two switches at once must not undo each other.
        row = Conversation.objects.select_for_update().get(pk=shown.pk)
        chosen = left_out.changed(row.left_out, reference, out=out)
        row.tools_left_out = left_out.stored(chosen)
        row.save(update_fields=["tools_left_out"])
    return chosen


def _address(shown: Conversation | None, chosen: Scope, view: str) -> str:
    if shown is not None:
        return reverse(view, args=[shown.pk])
    address, without = reverse(view), left_out.written(chosen)
    return f"{address}?{urlencode({'without': without})}" if without else address
