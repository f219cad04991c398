"""What a site may listen to. Each is sent once what it tells of is committed.

Receivers run in the thread that did it, and what they raise is logged and goes no further.
`docs/signals.md` says what each is sent with.
"""

import logging
from functools import partial
from typing import Any

from django.db import models, transaction
from django.dispatch import Signal

from automate.databases import out_of_line

logger = logging.getLogger(__name__)

turn_started = Signal()
turn_waiting = Signal()
turn_finished = Signal()
call_started = Signal()
call_finished = Signal()
approval_requested = Signal()
approval_decided = Signal()
question_asked = Signal()
question_answered = Signal()


def announce(signal: Signal, row: models.Model) -> None:
    """Send it with the row as it is stored then, once the transaction under way is committed.

    Where nobody listens it costs no statement. The row goes out under its model's name.
    """
    if signal.has_listeners(type(row)):
        transaction.on_commit(partial(out_of_line, partial(_send, signal, type(row), row.pk)))


def _send(signal: Signal, model: type[models.Model], pk: Any) -> None:
    name = model._meta.model_name or ""
    try:
        row = model._default_manager.filter(pk=pk).first()
    except Exception:
        # What is told of has happened; a receiver that misses it must not undo that.
        logger.exception("A signal about %s %s could not be sent", name, pk)
        return
    if row is not None:
        named: dict[str, Any] = {_NAMES.get(name, name): row}
        signal.send_robust(model, **named)


_NAMES = {"toolcall": "call"}
