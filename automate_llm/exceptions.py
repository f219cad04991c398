"""Every error that this library raises.

    AutomateError
    ├── MCPClientError              a call to an MCP server failed
    │   ├── SecretUnavailable       the server's own credential could not be read; nothing sent
    │   ├── AuthorizationRequired   a person must connect an account first
    │   ├── AuthorizationFailed     the authorization server refused, or is not to be trusted
    │   ├── ConnectionFailed        "Connection error": DNS, TCP, TLS, or the peer hung up
    │   │   └── AddressRefused      the address is one that we do not dial
    │   ├── DeadlineExceeded        the one deadline over everything passed
    │   ├── CallCancelled           somebody stopped the call
    │   ├── UnexpectedStatus        "HTTP 401", "HTTP 404", …
    │   ├── ProtocolError           the answer is not what the protocol says
    │   │   └── LimitExceeded       the answer is larger or deeper than we accept
    │   ├── RPCError                the server answered with a JSON-RPC error
    │   ├── ToolFailed              the tool itself reported a failure (`isError`)
    │   └── InputRequired           no failure: a person must answer before the tool goes on
    ├── SchemaError                 a tool's schema cannot be held to its limits
    ├── InvalidArguments            the arguments do not fit the tool's schema
    │   └── UncheckableArguments    they are larger than what can be checked
    └── ModelError                  a request to the model failed
        ├── ModelUnavailable        no connection, a time-out, 429 or 5xx: worth another try
        ├── ModelRefused            the model's server refused the request
        ├── ModelStreamBroken       the stream ended half way or was not what it should be
        └── ModelCancelled          somebody stopped the turn

A message never holds a secret, a header, a response body or a reason phrase from the network.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from .oauth.values import Challenge
    from .values import InputRequest


class AutomateError(Exception):
    """The root of everything raised here on purpose."""


class MCPClientError(AutomateError):
    """A call to an MCP server failed.

    `may_have_run` is true where the request left and no answer says that it was refused: the
    tool may then have done its work, and nobody may send the call again unasked.
    """

    may_have_run = False

    def __init__(self, message: str, *, may_have_run: bool = False) -> None:
        super().__init__(message)
        self.may_have_run = may_have_run


class SecretUnavailable(MCPClientError):
    """The server's own credential could not be read; nothing was sent."""


class AuthorizationRequired(MCPClientError):
    """A person must connect an account, or connect it again; nothing ran.

    `challenge` is what the server asked for, to be handed to `oauth.begin_authorization`.
    """

    def __init__(self, message: str, challenge: "Challenge | None" = None) -> None:
        super().__init__(message)
        self.challenge = challenge


class AuthorizationFailed(MCPClientError):
    """The authorization server refused, or what it says of itself does not hold.

    `code` is its error code where that is one of the specified ones (RFC 6749, section 5.2).
    """

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class ConnectionFailed(MCPClientError):
    """No connection could be made, or the peer closed it.

    `cause` says what stood in the way, where that is known: the `name` has no address, the
    connection was `refused`, the `certificate` does not hold, or no `tls` was spoken.
    `verify_code` is then OpenSSL's number for what is wrong with the certificate.
    """

    def __init__(
        self,
        message: str,
        *,
        may_have_run: bool = False,
        cause: Literal["", "name", "refused", "certificate", "tls"] = "",
        verify_code: int = 0,
    ) -> None:
        super().__init__(message, may_have_run=may_have_run)
        self.cause, self.verify_code = cause, verify_code


class AddressRefused(ConnectionFailed):
    """The server's address is one that this site does not dial.

    `private_host` is the entry of `MCP_PRIVATE_HOSTS` that would allow it; empty where none does.
    """

    def __init__(self, message: str, *, private_host: str = "") -> None:
        super().__init__(message)
        self.private_host = private_host


class DeadlineExceeded(MCPClientError):
    """The one deadline over connect, headers, body and pages passed."""


class CallCancelled(MCPClientError):
    """Somebody stopped the call while it was under way."""


class UnexpectedStatus(MCPClientError):
    """The server answered with an HTTP status that is no success."""

    def __init__(self, message: str, status_code: int, *, may_have_run: bool = False) -> None:
        super().__init__(message, may_have_run=may_have_run)
        self.status_code = status_code


class ProtocolError(MCPClientError):
    """The answer is not what the protocol says."""


class LimitExceeded(ProtocolError):
    """The answer is larger, deeper or longer than we accept."""


class RPCError(MCPClientError):
    """The server answered with a JSON-RPC error. Source: JSON-RPC 2.0, section 5.1."""

    def __init__(self, message: str, code: int, *, may_have_run: bool = False) -> None:
        super().__init__(message, may_have_run=may_have_run)
        self.code = code


class ToolFailed(MCPClientError):
    """The tool ran and reported a failure (`isError`)."""


class InputRequired(MCPClientError):
    """The server wants a person's answers before it goes on; so far nothing failed.

    The call goes on with `MCPClient.call(…, input_responses=…)` and the same `request_state` and
    `task_id`; answers have the keys of `requests`. `request_state` is the server's own and goes
    back as it is. Without any request the call may go on at once. How often is the caller's to
    bound. Source: MCP 2026-07-28, basic/patterns/mrtr.
    """

    def __init__(
        self,
        requests: "Mapping[str, InputRequest]",
        request_state: str | None = None,
        task_id: str = "",
    ) -> None:
        super().__init__("The tool asks a person for something before it goes on.")
        self.requests = MappingProxyType(dict(requests))
        self.request_state, self.task_id = request_state, task_id


class SchemaError(AutomateError):
    """A tool's schema is broken, or cannot be held to its limits."""


class InvalidArguments(AutomateError):
    """The model's arguments do not fit the tool's schema; it may try again."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class UncheckableArguments(InvalidArguments):
    """They are beyond what is checked; whether they would fit is not known."""


class ModelError(AutomateError):
    """A request to the model failed; the message is fit for the person who chats."""


class ModelUnavailable(ModelError):
    """The model's server could not be reached, was too busy, or failed; another try may do."""


class ModelRefused(ModelError):
    """The model's server refused the request; the same request would be refused again."""


class ModelStreamBroken(ModelError):
    """The model's stream ended half way, or was not what it should be."""


class ModelCancelled(ModelError):
    """Somebody stopped the turn while the model was writing."""
