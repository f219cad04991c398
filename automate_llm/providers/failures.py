"""What the openai SDK raises, in our own words: for the person who chats and for the operator.

The server's own words are read to tell cases apart, and never repeated: they may quote the key.
"""

import random
import re

import httpx2
from openai import APIConnectionError, APIError, APIStatusError, APITimeoutError

from automate_llm.exceptions import ModelError, ModelRefused, ModelStreamBroken, ModelUnavailable

LONGEST_PAUSE = 20.0
"""Seconds. Somebody waits at the page; a server that wants a longer pause is just busy."""

_NO_TOOLS = re.compile(
    r"(?:not|n't|found that) support (?:the )?(?:use of )?(?:tool|function)"
    r"|tools? (?:is|are) not supported"
    r"|--enable-auto-tool-choice|--tool-call-parser|--jinja",
    re.IGNORECASE,
)
_TOO_LONG = re.compile(
    r"context[ _](?:length|window|size)|maximum context|too many tokens", re.IGNORECASE
)
_AGAIN = "Try again in a moment."
_LOG = "If it lasts, an operator should look at the log of the model's server."


def refuses_tools(error: APIError) -> bool:
    """Whether the server says that this model, or its own setup, takes no `tools`."""
    return isinstance(error, APIStatusError) and bool(_NO_TOOLS.search(_words(error)))


def pause_before_retry(error: APIError, attempt: int) -> float | None:
    """Seconds to wait before the request is sent again; `None` where that is of no use.

    A server that took the request and stayed silent is not asked again: it may still be at
    work, and a second request would only slow it down.
    """
    pause: float = min(0.5 * 2.0**attempt, 8.0) * random.uniform(0.75, 1.0)  # noqa: S311  no secret
    if isinstance(error, APITimeoutError):
        return pause if isinstance(error.__cause__, httpx2.ConnectTimeout) else None
    if isinstance(error, APIConnectionError):
        return pause
    if not isinstance(error, APIStatusError) or not _is_worth_retrying(error):
        return None
    asked = _retry_after(error.response.headers)
    if asked is None:
        return pause
    return asked if asked <= LONGEST_PAUSE else None


def translated(error: APIError, timeout: float) -> ModelError:
    """The error to raise in its place; holds no body, header, key or address."""
    if isinstance(error, APIStatusError):
        return _refusal(error)
    if isinstance(error, APITimeoutError) and not isinstance(
        error.__cause__, httpx2.ConnectTimeout
    ):
        return silent(timeout)
    if "CERTIFICATE_VERIFY_FAILED" in str(error.__cause__):
        return ModelUnavailable(
            "The model's server has no certificate that this site trusts, so nothing was sent. "
            "An operator should check its certificate, or name its authority in SSL_CERT_FILE."
        )
    return ModelUnavailable(
        f"The model's server cannot be reached. {_AGAIN} If it lasts, an operator should check "
        "the model's BASE_URL and whether that server runs."
    )


def silent(timeout: float) -> ModelUnavailable:
    """The model's server took the request and said nothing in time."""
    return ModelUnavailable(
        f"The model's server said nothing for {timeout:g} seconds. {_AGAIN} If it lasts, an "
        "operator should look at that server's load, or raise the model's TIMEOUT."
    )


def broken_off() -> ModelStreamBroken:
    """The stream ended before the answer did."""
    return ModelStreamBroken(
        f"The model's server broke off in the middle of its answer. Send the message again. {_LOG}"
    )


def no_stream(content_type: str) -> ModelStreamBroken:
    """The server answered 200 with something other than a stream of events."""
    kind = "a web page" if "html" in content_type else "something else"
    return ModelStreamBroken(
        f"The model's server answered with {kind} instead of a stream. An operator should check "
        "the model's BASE_URL (it mostly ends in /v1) and whether that server can stream."
    )


def _refusal(error: APIStatusError) -> ModelError:
    status = error.status_code
    if _is_out_of_credit(error):
        return ModelRefused(
            f"The site's account with the model's provider has no credit left (HTTP {status}). "
            "An operator should check its plan and billing."
        )
    if status == 429:
        return ModelUnavailable(
            f"The model is asked too much right now (HTTP 429). {_AGAIN} If it lasts, an "
            "operator should check the rate limits of the site's account."
        )
    if status >= 500 or status in (408, 409):
        return ModelUnavailable(f"The model's server failed (HTTP {status}). {_AGAIN} {_LOG}")
    if status in (401, 403):
        return ModelRefused(
            f"The model's server does not accept this site's key (HTTP {status}). An operator "
            "should check the model's API_KEY (OPENAI_API_KEY) and what it may use."
        )
    if status == 413 or _TOO_LONG.search(_words(error)):
        return ModelRefused(
            "This conversation is too long for the model. Start a new one, or send a shorter "
            "message."
        )
    if status == 404:
        return ModelRefused(
            "The model's server does not know this model or this address (HTTP 404). An operator "
            "should check the model's MODEL and BASE_URL (it mostly ends in /v1)."
        )
    if status < 400:
        return ModelRefused(
            f"The model's server wants to send us elsewhere (HTTP {status}), where the key must "
            "not go. An operator should set BASE_URL to the final address."
        )
    return ModelRefused(
        f"The model's server refused the request (HTTP {status}). An operator should check the "
        "model's MODEL and OPTIONS, and look at the log of the model's server."
    )


def _is_worth_retrying(error: APIStatusError) -> bool:
    told = error.response.headers.get("x-should-retry")
    if told in ("true", "false"):
        return bool(told == "true")
    if _is_out_of_credit(error) or refuses_tools(error):
        return False
    return error.status_code in (408, 409, 429) or error.status_code >= 500


def _is_out_of_credit(error: APIStatusError) -> bool:
    return error.status_code == 402 or error.code == "insufficient_quota"


def _retry_after(headers: httpx2.Headers) -> float | None:
    for name, divisor in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            return max(float(headers[name]), 0.0) / divisor
        except (KeyError, ValueError):
            continue
    return None


def _words(error: APIStatusError) -> str:
    return str(error.body)
