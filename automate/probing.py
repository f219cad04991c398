"""Tries a connection that may not be stored yet, and says in plain words what it found.

Read-only: what the server says of itself, and its list of tools. Nothing is written anywhere.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import urlsplit

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from automate_llm.authentication import Authenticator, Refusal
from automate_llm.exceptions import (
    AddressRefused,
    ConnectionFailed,
    DeadlineExceeded,
    MCPClientError,
    ProtocolError,
    UnexpectedStatus,
)
from automate_llm.exchange import Exchange
from automate_llm.mcp_client import MCPClient
from automate_llm.oauth.challenges import challenge_in
from automate_llm.values import Connection, Discovery

from .asking import without_secrets
from .conf import conf

MAX_SECONDS = 15.0
"""How long a try may take: somebody sits before the page and waits."""
MAX_NAMES = 100
"""How many tools are named."""
_MAX_WORDS = 300

Kind = Literal["good", "doubtful", "bad"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found: what it is, what to do about it, and a line of settings to copy."""

    kind: Kind
    text: str
    advice: str = ""
    code: str = ""
    names: tuple[str, ...] = ()


def probe(connection: Connection, *, people_log_in: bool = False) -> list[Finding]:
    """What happens when this connection is used to ask for the list of tools.

    `people_log_in` says that each person will connect an account, so that a server which wants one
    is as it should be.
    """
    listening = _Listening(connection.authenticator)
    seconds = min(connection.timeout, MAX_SECONDS)
    tried = replace(connection, authenticator=listening, timeout=seconds, on_change=None)
    client, started = MCPClient(tried), time.monotonic()
    try:
        found = client.discover()
    except MCPClientError as exc:
        if people_log_in and isinstance(exc, UnexpectedStatus) and exc.status_code == 401:
            return [_wants_accounts(listening.asked)]
        return [_scrubbed(_of_failure(exc, tried, listening.asked), tried)]
    finally:
        client.close()
    return [*_of_discovery(found, tried, time.monotonic() - started, people_log_in)]


def of_error(error: MCPClientError) -> Finding:
    """What stood in the way before anything was sent, such as a secret that is missing."""
    return Finding("bad", str(error))


class _Listening:
    """Notes what the server asks for when it refuses; credentials are somebody else's matter."""

    def __init__(self, inner: Authenticator | None) -> None:
        self._inner = inner
        self.asked = ""

    @property
    def account(self) -> str:
        return self._inner.account if self._inner is not None else ""

    @property
    def secrets(self) -> tuple[str, ...]:
        return self._inner.secrets if self._inner is not None else ()

    def headers(self, exchange: Exchange, method: str, url: str) -> Mapping[str, str]:
        return self._inner.headers(exchange, method, url) if self._inner is not None else {}

    def challenged(self, exchange: Exchange, refusal: Refusal) -> bool:
        self.asked = refusal.headers.get("WWW-Authenticate", "")
        return self._inner is not None and self._inner.challenged(exchange, refusal)


def _of_discovery(
    found: Discovery, connection: Connection, seconds: float, people_log_in: bool
) -> Iterator[Finding]:
    yield Finding("good", _speaks(found))
    if found.server_name:
        words = _("It calls itself “%(name)s” %(version)s.")
        about = {"name": found.server_name, "version": found.server_version}
        yield Finding("good", (words % about).replace(" .", "."))
    names = tuple(tool.name for tool in found.tools)
    count = ngettext("It lists %d tool.", "It lists %d tools.", len(names)) % len(names)
    yield Finding("good" if names else "doubtful", count, names=names[:MAX_NAMES])
    if found.skipped:
        words = ngettext(
            "%d tool would be left out.", "%d tools would be left out.", len(found.skipped)
        )
        reasons = tuple(f"{tool.name}: {tool.reason}" for tool in found.skipped[:MAX_NAMES])
        yield Finding("doubtful", words % len(found.skipped), names=reasons)
    if people_log_in:
        yield Finding("doubtful", _("It answers without any login, although accounts are chosen."))
    if connection.headers and connection.endpoint_url.startswith("http:"):
        yield Finding(
            "doubtful",
            _("The secret goes there unencrypted."),
            _("Use https:// unless the server is on this machine or in a network of your own."),
        )
    yield Finding("good", _("It took %.2f seconds.") % seconds)


def _speaks(found: Discovery) -> str:
    words = {
        "mcp": _("It speaks MCP, version %(version)s."),
        "sse": _("It speaks MCP over HTTP+SSE, version %(version)s."),
        "rest": _("It speaks the simple HTTP dialect."),
    }
    return words[found.protocol] % {"version": found.protocol_version or "?"}


def _of_failure(error: MCPClientError, connection: Connection, asked: str) -> Finding:
    match error:
        case AddressRefused():
            return _refused_address(error)
        case ConnectionFailed():
            return _no_connection(error, connection)
        case DeadlineExceeded():
            return Finding(
                "bad",
                _("No complete answer came within %g seconds.") % connection.timeout,
                _("The server may be slow, stuck, or behind a firewall that drops connections."),
            )
        case UnexpectedStatus():
            return _of_status(error, connection, asked)
        case ProtocolError():
            return Finding(
                "bad",
                _("Something answers there, but it is no MCP server: %s") % error,
                _(
                    "Check the path of the endpoint URL, and the protocol. The page of a product "
                    "and its MCP endpoint have different addresses."
                ),
            )
        case _:
            return of_error(error)


def _refused_address(error: AddressRefused) -> Finding:
    if not error.private_host:
        return Finding("bad", str(error), _("No setting allows that."))
    hosts = (*conf().MCP_PRIVATE_HOSTS, error.private_host)
    return Finding(
        "bad",
        _("The address is a private one, which this site does not dial unasked."),
        _("If that is meant, write this into AUTOMATE in the site's settings, and restart it:"),
        f'"MCP_PRIVATE_HOSTS": ({", ".join(map(_quoted, hosts))},),',
    )


def _quoted(text: str) -> str:
    return f'"{text}"'


def _no_connection(error: ConnectionFailed, connection: Connection) -> Finding:
    place = urlsplit(connection.endpoint_url).netloc
    match error.cause:
        case "name":
            return Finding(
                "bad",
                _("No address is known for the name in %s (DNS).") % place,
                _("Check how it is spelled, and whether this machine can look it up."),
            )
        case "refused":
            return Finding(
                "bad",
                _("Nothing listens at %s.") % place,
                _("Is the server running, and is the port right?"),
            )
        case "certificate":
            return _certificate(error, place)
        case "tls":
            return Finding(
                "bad",
                _("%s does not speak TLS.") % place,
                _("Check the port, or begin with http:// where that is safe."),
            )
        case _:
            return Finding("bad", str(error))


def _certificate(error: ConnectionFailed, place: str) -> Finding:
    """By OpenSSL's number (X509_V_ERR_…, `openssl verify`)."""
    problem, advice = {
        9: (_("is not valid yet"), _("Check the clocks of both machines.")),
        10: (_("has expired"), _("The server needs a new one.")),
        18: (_("is signed by itself"), _own_authority()),
        19: (_("comes from an authority that this machine does not trust"), _own_authority()),
        20: (_("comes from an authority that this machine does not trust"), _own_authority()),
        21: (_("does not lead to an authority"), _("The server sends no complete chain.")),
        62: (_("is for another name"), _("Use the name that the certificate has.")),
        64: (_("is for another address"), _("Use the name that the certificate has.")),
    }.get(error.verify_code, (str(error), ""))
    return Finding(
        "bad",
        _("The certificate of %(place)s does not hold: it %(problem)s.")
        % {"place": place, "problem": problem},
        advice,
    )


def _own_authority() -> str:
    return _(
        "For an authority of your own, add its certificate to those that the machine trusts, or "
        "name it in the variable SSL_CERT_FILE. Checking cannot be switched off."
    )


def _of_status(error: UnexpectedStatus, connection: Connection, asked: str) -> Finding:
    match error.status_code:
        case 401 if connection.headers:
            return Finding("bad", _("It does not accept the secret (HTTP 401)."), _asks_for(asked))
        case 401:
            return Finding("bad", _("It wants a credential (HTTP 401)."), _asks_for(asked))
        case 403:
            text = _("It knows the credential, which may not do this (HTTP 403).")
            return Finding("bad", text, _asks_for(asked))
        case 404:
            return Finding(
                "bad",
                _("The host answers, but nothing is at this address (HTTP 404)."),
                _("Check the path. Many servers are at /mcp, older ones at /sse."),
            )
        case _:
            return Finding("bad", str(error))


def _asks_for(header: str) -> str:
    """What a 401 wants, of which the header is the server's own text (RFC 9110, 11.6.1)."""
    if not header:
        return _("It does not say what kind. Ask its operator for a token or a key.")
    challenge = challenge_in(header)
    scheme = "".join(char for char in header.split(" ", 1)[0][:40] if char.isalnum())
    words = [_("It asks for: %s.") % scheme]
    if challenge.scopes:
        words.append(_("Scopes: %s.") % " ".join(challenge.scopes))
    if challenge.error:
        words.append(_("Its word on it: %s.") % _plain(challenge.error))
    if challenge.resource_metadata:
        words.append(
            _("It is protected by OAuth, as described at %s.") % _plain(challenge.resource_metadata)
        )
    return " ".join(words)[: 2 * _MAX_WORDS]


def _wants_accounts(asked: str) -> Finding:
    text = _("It is there, and wants each person's own account, as chosen.")
    return Finding("good", text, _asks_for(asked))


def _plain(text: str) -> str:
    return "".join(char for char in text if char.isprintable())[:_MAX_WORDS]


def _scrubbed(finding: Finding, connection: Connection) -> Finding:
    return replace(
        finding,
        text=without_secrets(finding.text, connection),
        advice=without_secrets(finding.advice, connection),
    )
