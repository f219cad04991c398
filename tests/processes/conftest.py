"""What the tests of the chat and of the registry have: a person, a model, and peers."""

from tests.automate.conftest import oauth_peer
from tests.chat.conftest import (
    _no_work_goes_on,
    _nobody_is_heard,
    ask,
    carried,
    executor,
    model,
    redis_server,
    started,
    user,
)

__all__ = [
    "_no_work_goes_on",
    "_nobody_is_heard",
    "ask",
    "carried",
    "executor",
    "model",
    "oauth_peer",
    "redis_server",
    "started",
    "user",
]
