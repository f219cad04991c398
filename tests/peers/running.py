"""Peers that run as long as a block does."""

import os
import re
import socket
import subprocess
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from automate_llm.values import Connection, StdioCommand

from .peers import Peer

_START_SECONDS = 60
_TIMEOUT = 20.0
_READY = re.compile(r"(?:READY|port) (\d+)")


@contextmanager
def running(peer: Peer) -> Iterator[Connection]:
    """A connection to the peer, as an operator would enter it; a server over HTTP is started.

    Raises:
        PeerMissing: it is not installed.
    """
    command = peer.command()
    if peer.transport == "stdio":
        name = f"stdio:{peer.name}"
        yield Connection(peer.name, name, command=StdioCommand(command), timeout=_TIMEOUT)
        return
    with _served(command) as port:
        yield Connection(
            peer.name,
            f"http://127.0.0.1:{port}/{'sse' if peer.transport == 'sse' else peer.path}",
            timeout=_TIMEOUT,
            private_hosts=frozenset({"127.0.0.1"}),
        )


@contextmanager
def _served(command: tuple[str, ...]) -> Iterator[int]:
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PORT": str(_free_port())},
    ) as process:
        output = _Output(process)
        try:
            yield output.port()
        finally:
            process.terminate()
            process.wait()
            output.join()


class _Output(threading.Thread):
    """Reads all that a server prints, so that it never waits for a reader."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        super().__init__(name=f"output of process {process.pid}")
        self._process = process
        self._last: deque[str] = deque(maxlen=20)
        self._said = threading.Event()
        self._port = 0
        self.start()

    def run(self) -> None:
        for line in self._process.stdout or ():
            self._last.append(line)
            if not self._port and (found := _READY.search(line)):
                self._port = int(found[1])
                self._said.set()
        self._said.set()

    def port(self) -> int:
        """The port it listens at, as soon as it says so."""
        if not self._said.wait(_START_SECONDS) or not self._port:
            raise RuntimeError(f"it does not serve; it said:\n{''.join(self._last)}")
        return self._port


def _free_port() -> int:
    """A port for servers that cannot choose one themselves."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
