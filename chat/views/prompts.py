"""Choosing a prompt of a server, and filling it in; its words then stand in the composer."""

import uuid
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods
from django_htmx.middleware import HtmxDetails

from automate.models import MCPPrompt
from automate_llm.exceptions import AuthorizationRequired, MCPClientError
from chat import left_out
from chat.models import Conversation
from chat.prompts import Filled, arguments_form, filled, prompts_for
from chat.security import chat_page

from .conversations import (
    conversation_page,
    history_context,
    new_conversation_page,
    owned_conversation,
)


@require_GET
@chat_page
def prompts(request: HttpRequest, conversation_id: uuid.UUID | None = None) -> HttpResponse:
    """The prompts that this person may use: a page, or the options of the composer's list."""
    shown = owned_conversation(request, conversation_id) if conversation_id else None
    without = left_out.parsed(request.GET.get("without", ""))
    context = _context(request, shown) | {
        "prompts": prompts_for(request.user, shown.left_out if shown else without),
    }
    if HtmxDetails(request):
        return render(request, "chat/partials/prompt_options.html", context)
    return render(request, "chat/prompts.html", context | history_context(request))


@require_http_methods(["GET", "POST"])
@chat_page
def prompt(
    request: HttpRequest, prompt_id: int, conversation_id: uuid.UUID | None = None
) -> HttpResponse:
    """One prompt's form, and its words once it is filled in; nothing is sent by it."""
    shown = owned_conversation(request, conversation_id) if conversation_id else None
    usable = MCPPrompt.objects.usable_by(request.user).select_related("server")
    chosen = get_object_or_404(usable, pk=prompt_id)
    form = arguments_form(chosen, request.POST if request.method == "POST" else None)
    context = _context(request, shown) | {"prompt": chosen, "form": form}
    status = 200
    if request.method == "POST":
        if form.is_valid():
            try:
                return _written(request, shown, filled(chosen, request.user, form.object))
            except MCPClientError as exc:
                context["error"] = _("%(server)s did not give the prompt. %(why)s") % {
                    "server": chosen.server,
                    "why": exc,
                }
                context["needs_account"] = isinstance(exc, AuthorizationRequired)
        status = 422
    if HtmxDetails(request):
        return render(request, "chat/partials/prompt_form.html", context, status=status)
    return render(request, "chat/prompt.html", context | history_context(request), status=status)


def _written(request: HttpRequest, shown: Conversation | None, words: Filled) -> HttpResponse:
    """The prompt's words in the composer, for the person to see, change and send."""
    if not words.text:
        words = Filled("", (*words.notes, _("The prompt has no words for a message.")))
    if HtmxDetails(request):
        return render(request, "chat/partials/prompt_filled.html", {"filled": words})
    notes = " ".join(words.notes)
    if shown is not None:
        return conversation_page(request, shown, words.text, notes)
    without = request.POST.get("without", "")
    return new_conversation_page(request, words.text, notes, without=without)


def _context(request: HttpRequest, shown: Conversation | None) -> dict[str, Any]:
    without = left_out.written(
        left_out.parsed(request.POST.get("without", request.GET.get("without", "")))
    )
    query = f"?{urlencode({'without': without})}" if without and shown is None else ""
    back = reverse("chat:conversation", args=[shown.pk]) if shown else reverse("chat:index")
    return {
        "conversation": shown,
        "current": str(shown.pk) if shown else "",
        "without": without,
        "query": query,
        "back": back + query,
    }
