"""The stream of a turn's events to a browser, as it happens or from any point later.

Django buffers a synchronous iterator under ASGI and an asynchronous one under WSGI, so there are
two. Under ASGI an open stream is a coroutine and nothing more: `chat.tailing` reads the rows for
all of them, and the thread and the connections of the request are let go at the start.
"""

import time
from collections.abc import AsyncIterator, Iterator
from uuid import UUID

from asgiref.sync import SyncToAsync, sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.db import connections, transaction
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.middleware.csrf import get_token
from django.shortcuts import get_object_or_404
from django.utils.translation import get_language
from django.views.decorators.http import require_GET

from .executors import executor
from .frames import TurnReader
from .models import Turn
from .security import strict_content
from .tailing import Follower, tail
from .wake_ups import ThreadListener, wake_ups

HEARTBEAT_SECONDS = 15.0
"""How long a stream may be silent; proxies and dead connections are found out by it."""

_OPENING = b"retry: 1000\n\n"
_HEARTBEAT = b": still here\n\n"


@require_GET
@strict_content
@transaction.non_atomic_requests
def events(request: HttpRequest, turn_id: UUID) -> HttpResponseBase:
    """The events of a turn after `Last-Event-ID`, or else after the number in `?after=`."""
    if not request.user.is_authenticated:
        return HttpResponse(status=401)
    turn = get_object_or_404(Turn.objects.owned_by(request.user), pk=turn_id)
    executor().start()  # after a restart, a browser that comes back finds its turn looked after
    after = _number(request.headers.get("Last-Event-ID") or request.GET.get("after", ""))
    reader = TurnReader(turn.pk, after, get_language(), get_token(request))
    is_asynchronous = isinstance(request, ASGIRequest)
    stream = _in_event_loop(reader) if is_asynchronous else _in_thread(reader)
    return StreamingHttpResponse(
        stream,
        content_type="text/event-stream; charset=utf-8",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _in_thread(reader: TurnReader) -> Iterator[bytes]:
    listener = ThreadListener()
    with wake_ups.listen(reader.turn_id, listener.wake):
        yield _OPENING
        sent = time.monotonic()
        while True:
            batch = reader.read()
            if batch.frames:
                yield batch.frames
            elif time.monotonic() - sent >= HEARTBEAT_SECONDS:
                yield _HEARTBEAT
            else:
                listener.wait()
                continue
            if batch.ended:
                return
            sent = time.monotonic()


async def _in_event_loop(reader: TurnReader) -> AsyncIterator[bytes]:
    follower = Follower(reader, HEARTBEAT_SECONDS)
    with tail.following(follower):
        yield _OPENING
        await _let_go_of_request_thread()
        while True:
            batch = await follower.next_batch()
            yield batch.frames if batch else _HEARTBEAT
            if batch:
                if batch.ended:
                    return
                tail.taken(follower)


async def _let_go_of_request_thread() -> None:
    """Close the connections that the request opened, and end the thread that it ran in.

    Asgiref keeps that thread until the response has ended, which here may be minutes; whatever
    comes later for this request gets a new one.
    """
    await sync_to_async(_close_connections)()
    context = SyncToAsync.thread_sensitive_context.get(None)
    if context is not None:
        executor = SyncToAsync.context_to_thread_executor.pop(context, None)
        if executor is not None:
            executor.shutdown(wait=False)


def _close_connections() -> None:
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()
