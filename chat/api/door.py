"""Where requests come into the JSON API, whose framework is loaded with the first of them.

The site's addresses, `manage.py check` and workers do without it.
"""

from functools import cache

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.urls import Resolver404, URLResolver
from django.urls.resolvers import RegexPattern
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt

from automate.conf import conf
from chat.executors import executor
from chat.security import CONTENT_SECURITY_POLICY

DOCUMENTS = ("docs", "openapi.json")


@csrf_exempt  # the API asks for the token itself, and answers in JSON
def api(request: HttpRequest, path: str) -> HttpResponseBase:
    """One request to the API, or to its documents where the site shows them."""
    if path in DOCUMENTS and not (conf().API_DOCS and request.user.is_authenticated):
        return _nothing()
    try:
        match = _resolver().resolve(path)
    except Resolver404:
        return _nothing()
    executor().start()  # after a restart, a program that asks again finds its turn looked after
    response: HttpResponseBase = match.func(request, *match.args, **match.kwargs)
    response.headers.setdefault("Cache-Control", "private, no-store")
    # The page of documents sets styles on its elements.
    styles = "; style-src 'self' 'unsafe-inline'" if path == "docs" else ""
    response.headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY + styles)
    return response


@cache
def _resolver() -> URLResolver:
    from .service import api as loaded

    patterns, _app, _namespace = loaded.urls
    return URLResolver(RegexPattern(""), patterns)


def _nothing() -> HttpResponse:
    return JsonResponse({"error": _("There is nothing at this address.")}, status=404)
