"""Which threads a server began, so that a test can say that none of them is left."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def threads_begun() -> Iterator[Callable[[], list[threading.Thread]]]:
    """What is handed over lists those that the block began and that still run.

    Those that they began in their turn count too; what other tests left behind does not.
    """
    begun = {threading.current_thread()}
    begin = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        if threading.current_thread() in begun:
            begun.add(thread)
        begin(thread)

    def left() -> list[threading.Thread]:
        return [each for each in begun - {threading.current_thread()} if each.is_alive()]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        yield left
