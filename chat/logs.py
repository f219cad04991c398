"""Which turn, conversation and call a line of the log belongs to.

The ids are set where a turn runs, and go with it into the threads of its calls, so that a line of
any library in there carries them. `docs/observability.md` shows how to use both classes.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

NAMES = ("turn_id", "conversation_id", "call_id")
"""What a record gets; each is empty outside of it."""

_NOTHING: Mapping[str, str] = MappingProxyType({})
_ids: ContextVar[Mapping[str, str]] = ContextVar("automate_log_ids", default=_NOTHING)


@contextmanager
def logged_with(**ids: Any) -> Iterator[None]:
    """Lines that are logged in the block, by whomever, belong to these."""
    token = _ids.set({**_ids.get(), **{name: str(value) for name, value in ids.items()}})
    try:
        yield
    finally:
        _ids.reset(token)


class TurnFilter(logging.Filter):
    """Gives each record `turn_id`, `conversation_id` and `call_id`; it drops none.

    It belongs to a handler: what a filter of a logger does, loggers below it never see.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        ids = _ids.get()
        for name in NAMES:
            if not hasattr(record, name):
                setattr(record, name, ids.get(name, ""))
        return True


class JSONFormatter(logging.Formatter):
    """Writes each record as one line of JSON; ids that are empty are left out."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC)
        line = {
            "time": moment.isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **{name: value for name in NAMES if (value := getattr(record, name, ""))},
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)
