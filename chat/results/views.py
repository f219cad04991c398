"""The addresses of opened answers: looked at in parts, searched, and downloaded by their owner."""

import re

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_GET
from django_htmx.middleware import HtmxDetails

from chat import pages
from chat.downloads import text_as_file
from chat.models import ToolCall
from chat.security import chat_page
from chat.views.conversations import history_context

from .answers import Answer, answer_of, json_of
from .opened import Opened
from .trees import NoSuchPart

PARTS = {"body": "result_body", "items": "result_items"}


@require_GET
@chat_page
def result(request: HttpRequest, call_id: int) -> HttpResponse:
    """A call's whole answer, as a page of its own or as the part of one that htmx asks for."""
    call = _owned_call(request, call_id)
    opened = Opened(_answer(call), reverse("chat:result", args=[call.pk]), request.GET.dict())
    context = {"call": call, "opened": opened, "current": str(call.turn.conversation_id)}
    try:
        if HtmxDetails(request):
            part = PARTS.get(request.GET.get("part", ""), "result")
            return render(request, f"chat/partials/{part}.html", context)
        return render(request, "chat/result.html", context | history_context(request))
    except NoSuchPart:
        raise Http404 from None


@require_GET
@chat_page
def download(request: HttpRequest, call_id: int) -> HttpResponse:
    """A call's whole answer as a file: JSON with `as=json`, else text."""
    call = _owned_call(request, call_id)
    answer = _answer(call)
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", call.function_name)[:60].strip("-") or "tool"
    if request.GET.get("as") == "json":
        # Whoever asks for JSON of what is none gets the blocks as they came.
        value = answer.value if answer.is_json else (call.result or {"text": answer.text})
        return text_as_file(json_of(value), "application/json", f"{name}-{call.pk}.json")
    text = answer.text or json_of(answer.value)
    return text_as_file(text, "text/plain; charset=utf-8", f"{name}-{call.pk}.txt")


def _owned_call(request: HttpRequest, call_id: int) -> ToolCall:
    owned = ToolCall.objects.owned_by(request.user).select_related("turn__conversation")
    return get_object_or_404(owned.prefetch_related(pages.files()), pk=call_id)


def _answer(call: ToolCall) -> Answer:
    return answer_of(call.result, call.result_text)
