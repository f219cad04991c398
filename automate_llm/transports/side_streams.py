"""The stream beside a call, on which servers of the handshake versions may ask their questions.

Some send what they ask while a tool runs not on the call's own stream but on the session's; where
nobody reads that, the question is lost and the tool waits for ever.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from automate_llm.cancellation import Cancellation
from automate_llm.exceptions import MCPClientError
from automate_llm.exchange import Exchange

from .http_messages import Endpoint, Reader
from .jsonrpc import Answers

OPEN_SECONDS = 5.0
"""How long a call waits for the stream before it goes on without."""


@contextmanager
def side_stream(
    endpoint: Endpoint, exchange: Exchange, headers: Mapping[str, str], answers: Answers
) -> Iterator[None]:
    """While the block runs, questions on the session's stream are answered too, in a thread."""
    stop = Cancellation()
    settled = threading.Event()
    forget = exchange.on_cancel(stop.cancel)
    reader = Reader(on_headers=lambda headers: settled.set(), answers=answers)
    seconds = exchange.remaining()

    def read() -> None:
        try:
            with suppress(MCPClientError):  # without such a stream the call goes on all the same
                endpoint.listen(Exchange(seconds, stop), headers, reader)
        finally:
            settled.set()

    thread = threading.Thread(target=read, name="automate-side-stream", daemon=True)
    thread.start()
    try:
        settled.wait(min(OPEN_SECONDS, seconds))
        yield
    finally:
        forget()
        stop.cancel()
        thread.join()
