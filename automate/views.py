"""The pages where people connect accounts of MCP servers, and the document about this site."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from automate_llm.exceptions import MCPClientError
from automate_llm.oauth import OAuthConfig, Pending, client_metadata_document

from . import accounts
from .encryption import opened, sealed
from .models import MCPServer

# No `form-action`: browsers hold it against redirects too, and the form that connects an account
# leads to whichever authorization server protects the MCP server.
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
)
_SESSION_KEY = "automate_oauth_pending"
_MAX_PENDING = 5

P = ParamSpec("P")


class PersonsRequest(HttpRequest):
    """A request of somebody who is logged in."""

    user: User


def _account_page(
    view: Callable[Concatenate[PersonsRequest, P], HttpResponse],
) -> Callable[..., Any]:
    """Only for people who are logged in; nothing is kept, and no script runs."""

    @wraps(view)
    def guarded(request: PersonsRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        response = view(request, *args, **kwargs)
        response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        return response

    return never_cache(login_required(guarded))


@require_GET
@_account_page
def index(request: PersonsRequest) -> HttpResponse:
    """The servers that this person can connect to, and how each account is."""
    context = {"accounts": accounts.accounts_of(request.user)}
    return render(request, "automate/accounts.html", context)


@require_POST
@_account_page
def connect(request: PersonsRequest, slug: str) -> HttpResponse:
    """Send the person to the authorization server."""
    server = _server(slug)
    try:
        address, pending = accounts.begin(
            server,
            request.user,
            _absolute(request, "callback", server),
            _absolute(request, "client_metadata", server),
        )
        _remember(request, server, pending)
    except MCPClientError as exc:
        return _refused(request, server, exc)
    return HttpResponseRedirect(address)


@require_GET
@_account_page
def callback(request: PersonsRequest, slug: str) -> HttpResponse:
    """The person is back, with a code or a refusal."""
    server = _server(slug)
    try:
        pending = _recalled(request, server, request.GET.get("state", ""))
        accounts.complete(server, request.user, pending, request.GET.dict())
    except MCPClientError as exc:
        return _refused(request, server, exc)
    messages.success(request, _("Your account of %(server)s is connected.") % {"server": server})
    return redirect("automate:accounts")


@require_POST
@_account_page
def disconnect(request: PersonsRequest, slug: str) -> HttpResponse:
    """Forget the person's account, and ask the authorization server to end it."""
    server = get_object_or_404(MCPServer, slug=slug, oauth_tokens__user=request.user)
    if accounts.disconnect(server, request.user):
        words = _("Your account of %(server)s is disconnected.")
    else:
        words = _(
            "Your account of %(server)s is forgotten here. Whether its access has ended could not "
            "be found out; you can end it in your account there."
        )
    messages.success(request, words % {"server": server})
    return redirect("automate:accounts")


@require_GET
def client_metadata(request: HttpRequest, slug: str) -> HttpResponse:
    """What this site says of itself to authorization servers, for everybody to read."""
    server = _server(slug)
    config = OAuthConfig(
        grant="authorization_code",
        client_metadata_url=_absolute(request, "client_metadata", server),
        redirect_uri=_absolute(request, "callback", server),
    )
    return JsonResponse(client_metadata_document(config))


def _server(slug: str) -> MCPServer:
    servers = MCPServer.objects.enabled().filter(auth_type=MCPServer.AuthType.OAUTH_USER)
    return get_object_or_404(servers, slug=slug)


def _absolute(request: HttpRequest, page: str, server: MCPServer) -> str:
    return request.build_absolute_uri(reverse(f"automate:{page}", args=[server.slug]))


def _remember(request: PersonsRequest, server: MCPServer, pending: Pending) -> None:
    """Keep what was begun in this person's session, encrypted; the oldest make room."""
    begun = request.session.get(_SESSION_KEY, [])
    kept = {"server": server.pk, "user": request.user.pk, "pending": pending.as_dict()}
    request.session[_SESSION_KEY] = [*begun, sealed(kept)][-_MAX_PENDING:]


def _recalled(request: PersonsRequest, server: MCPServer, state: str) -> Pending:
    """What this person began here with this state; it can be had once.

    Raises:
        MCPClientError: nothing was.
    """
    for text in (begun := request.session.get(_SESSION_KEY, [])):
        kept = opened(text)
        if kept is None or (kept["server"], kept["user"]) != (server.pk, request.user.pk):
            continue
        pending = Pending.from_dict(kept["pending"])
        if pending.state == state:
            request.session[_SESSION_KEY] = [other for other in begun if other != text]
            return pending
    raise MCPClientError(_("This answer does not belong to what you began; begin again."))


def _refused(request: PersonsRequest, server: MCPServer, error: MCPClientError) -> HttpResponse:
    words = _("Your account of %(server)s is not connected. %(why)s")
    messages.error(request, words % {"server": server, "why": error})
    return redirect("automate:accounts")
