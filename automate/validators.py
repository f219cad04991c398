"""What a server's row may hold, checked where an operator types it."""

import re
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from .conf import conf
from .secrets import is_allowed
from .stdio import PREFIX

# RFC 9110, section 5.6.2: a field name is a token.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

_PERMISSION = re.compile(r"[A-Za-z0-9_]+\.[A-Za-z0-9_]+")
_SCOPES = re.compile(r"[!#-\[\]-~]+( [!#-\[\]-~]+)*")

# Headers that the client writes itself, or that change what a request means.
_RESERVED_HEADERS = {
    "accept",
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "host",
    "mcp-method",
    "mcp-name",
    "mcp-protocol-version",
    "mcp-session-id",
    "transfer-encoding",
}


def validate_endpoint_url(value: str) -> None:
    """An http or https address without credentials, fragment, spaces or control characters.

    Or `stdio:NAME`, where the settings have a command of that name.
    """
    if not value.isascii() or not value.isprintable() or " " in value:
        raise ValidationError(_("Use plain characters only, without spaces."), code="characters")
    if value.startswith(PREFIX):
        if value.removeprefix(PREFIX) not in conf().STDIO_SERVERS:
            raise ValidationError(
                _("AUTOMATE['STDIO_SERVERS'] in the site's settings has no command of this name."),
                code="stdio",
            )
        return
    try:
        parts = urlsplit(value)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise ValidationError(_("This is not a URL."), code="url") from None
    if parts.scheme not in ("http", "https") or not host:
        raise ValidationError(_("Start with http:// or https:// and a host."), code="scheme")
    if parts.username is not None or parts.password is not None:
        raise ValidationError(
            _("Leave user name and password out of the address; use the secret field."),
            code="userinfo",
        )
    if parts.fragment:
        raise ValidationError(_("Leave out the part after '#'."), code="fragment")


def validate_header_name(value: str) -> None:
    """A header name (RFC 9110, section 5.1) that the client does not write itself."""
    if not _TOKEN.fullmatch(value):
        raise ValidationError(_("This is not a header name."), code="token")
    if value.lower() in _RESERVED_HEADERS:
        raise ValidationError(_("This header is not free for a key."), code="reserved")


def validate_secret_reference(value: str) -> None:
    """`env:NAME`, `file:PATH`, or a token that a header can carry; no message quotes it."""
    kind, separator, name = value.partition(":")
    if separator and kind in ("env", "file"):
        if not name.strip() or "\0" in name:
            raise ValidationError(_("Put a name after the colon, as in env:SHOP_TOKEN."), "name")
        _validate_allowed(value)
    elif not (value.isascii() and value.isprintable()):
        raise ValidationError(_("This has characters that no header may carry."), "characters")
    elif value.lower().startswith("bearer "):
        raise ValidationError(_("Leave out the word Bearer; it is added by itself."), "bearer")


def validate_key_reference(value: str) -> None:
    """`env:NAME` or `file:PATH`: a private key never lies in the database. Not quoted."""
    kind, separator, name = value.partition(":")
    if not separator or kind not in ("env", "file") or not name.strip() or "\0" in name:
        raise ValidationError(_("Write env:VAR_NAME or file:/path."), code="reference")
    _validate_allowed(value)


def _validate_allowed(reference: str) -> None:
    if not is_allowed(reference):
        raise ValidationError(
            _(
                "AUTOMATE['SECRET_REFERENCES'] in the site's settings does not allow this "
                "reference to servers."
            ),
            code="reference",
        )


def validate_issuer(value: str) -> None:
    """An authorization server's issuer: an address without query. Source: RFC 8414, section 2."""
    validate_endpoint_url(value)
    if value.startswith(PREFIX) or "?" in value:
        raise ValidationError(_("This is not an issuer."), code="issuer")


def validate_scopes(value: str) -> None:
    """Scopes, one space between two. Source: RFC 6749, section 3.3."""
    if not _SCOPES.fullmatch(value):
        raise ValidationError(_("Write scopes with one space between two."), code="scopes")


def validate_permission(value: str) -> None:
    """A Django permission, as `user.has_perm` takes it."""
    if not _PERMISSION.fullmatch(value):
        raise ValidationError(_("Write app_label.codename."), code="permission")
