"""The stream beside a call, on which servers of the handshake versions may ask their questions.

Some send what they ask while a tool runs not on the call's own stream but on the session's; where
nobody reads that, the question is lost and the tool waits for ever.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from automate_llm.cancellation import Cancellation
from automate_llm.exceptions import ConnectionFailed, MCPClientError, UnexpectedStatus
from automate_llm.exchange import Exchange

from .http_messages import Endpoint, Reader
from .jsonrpc import Answers
from .sessions import Session

OPEN_SECONDS = 5.0
"""How long a call waits for the stream before it goes on without, and later ones do at once."""
AGAIN_SECONDS = 0.5
"""Before it is opened again, where the server ended it or has not noticed the last one's end."""


@contextmanager
def side_stream(
    endpoint: Endpoint, exchange: Exchange, session: Session, answers: Answers
) -> Iterator[None]:
    """While the block runs, questions on the session's stream are answered too, in a thread.

    Nothing is done where the server has turned out to offer no such stream.
    """
    if session.lacks_stream.is_set():
        yield
        return
    stop = Cancellation()
    settled = threading.Event()
    forget = exchange.on_cancel(stop.cancel)
    reader = Reader(on_headers=lambda headers: settled.set(), answers=answers)
    own = exchange.beside(stop)

    def listen() -> None:
        try:
            while True:
                try:
                    endpoint.listen(own, session.headers, reader)
                except UnexpectedStatus as exc:
                    if exc.status_code == 405:
                        session.lacks_stream.set()
                    if exc.status_code != 409:
                        return
                except ConnectionFailed:
                    pass
                settled.set()
                own.pause(AGAIN_SECONDS)
        except MCPClientError:
            pass  # the call is over, or goes on without
        finally:
            settled.set()

    thread = threading.Thread(target=listen, name="automate-side-stream", daemon=True)
    thread.start()
    try:
        seconds = min(OPEN_SECONDS, exchange.remaining())
        if not settled.wait(seconds) and seconds == OPEN_SECONDS:
            session.lacks_stream.set()
        yield
    finally:
        forget()
        stop.cancel()
        thread.join()
