"""Search in a person's own conversations: a page, and the results alone for the dialog."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET
from django_htmx.middleware import HtmxDetails

from chat.search import RESULTS, search
from chat.search.base import MAX_CHARACTERS
from chat.security import chat_page

from .conversations import history_context


@require_GET
@chat_page
def search_page(request: HttpRequest) -> HttpResponse:
    """What was found for `?q=`; for a fragment's request, the list alone."""
    text = request.GET.get("q", "")[:MAX_CHARACTERS]
    hits = search(request.user, text)
    context = {"text": text, "hits": hits, "is_cut": len(hits) == RESULTS}
    if HtmxDetails(request):
        return render(request, "chat/partials/search_results.html", context)
    return render(request, "chat/search.html", context | history_context(request))
