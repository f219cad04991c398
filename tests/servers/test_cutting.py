"""A test's server that stops while browsers open connections."""

import gc
import socket
import sys
from typing import Any

import pytest

from .site import Site


def test_a_server_that_stops_leaves_no_connection_open(monkeypatch: pytest.MonkeyPatch) -> None:
    lost: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda told: lost.append(told.exc_value))
    for number in range(20):
        with Site() as site:
            opened = [socket.create_connection(("127.0.0.1", site.port)) for _ in range(6)]
            for each in opened[: number % 6]:
                each.sendall(b"GET /static/chat/page.css HTTP/1.1\r\nHost: x\r\n\r\n")
        for each in opened:
            each.close()
    gc.collect()

    assert lost == []
