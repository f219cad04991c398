"""The guards every chat page stands behind: who may see it, and what a browser may load for it."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django_htmx.http import HttpResponseClientRedirect
from django_htmx.middleware import HtmxDetails

_POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors "
)
CONTENT_SECURITY_POLICY = f"{_POLICY}'none'"
CHAT_POLICY = f"{_POLICY}'self'"
"""Pages of the chat may stand in a page of the same site, where `{% chat_widget %}` puts them."""

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


def strict_content(view: View[P]) -> View[P]:
    """Let a page load and send nothing from or to anywhere else, and run no inline script.

    A view may set a stricter policy of its own.
    """

    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        response = view(request, *args, **kwargs)
        response.headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        return response

    return guarded


def chat_page(view: View[P]) -> View[P]:
    """A page of the chat: only for people who are logged in, and under the strict policy."""

    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if request.user.is_authenticated:
            response = view(request, *args, **kwargs)
            response.headers.setdefault("Cache-Control", "private, no-store")
            response.headers.setdefault("Content-Security-Policy", CHAT_POLICY)
            if response.headers["Content-Security-Policy"] == CHAT_POLICY:
                response.headers.setdefault("X-Frame-Options", "SAMEORIGIN")
            return response
        return _to_login(request)

    return strict_content(guarded)


def _to_login(request: HttpRequest) -> HttpResponse:
    """A fragment's request must not put the login form into the page it belongs to."""
    page = HtmxDetails(request)
    if not page:
        here = request.get_full_path() if request.method == "GET" else reverse("chat:index")
        return redirect_to_login(here)
    login = redirect_to_login(page.current_url_abs_path or reverse("chat:index"))
    return HttpResponseClientRedirect(login.url)
