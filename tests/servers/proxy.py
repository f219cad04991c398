"""A TCP proxy before a real server, which can be away for a while, for one test alone."""

import socket
import threading
from types import TracebackType
from typing import Self


class Proxy:
    """Passes connections on to a server on loopback while its `with` block runs."""

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._away = False
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def go_away(self) -> None:
        """Cut every connection, and refuse each new one."""
        with self._lock:
            self._away = True
            for connection in self._open:
                _shut(connection)

    def come_back(self) -> None:
        """Pass connections on again."""
        with self._lock:
            self._away = False

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.go_away()
        _shut(self._listener)
        self._listener.close()
        self._thread.join()

    def _accept(self) -> None:
        while True:
            try:
                incoming, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                if self._away:
                    incoming.close()
                    continue
                outgoing = socket.create_connection(self._target)
                self._open |= {incoming, outgoing}
            for pair in ((incoming, outgoing), (outgoing, incoming)):
                threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while piece := source.recv(65_536):
                target.sendall(piece)
        except OSError:
            pass
        finally:
            _shut(source)
            _shut(target)
            with self._lock:
                self._open.discard(source)
            source.close()


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return
