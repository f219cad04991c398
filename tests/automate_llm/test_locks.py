"""No lock is held while somebody else is waited for: read off the library's source.

What it comes to when a server is stuck is in `test_concurrency.py`.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import automate_llm

ROOT = Path(automate_llm.__file__).parent
LOCK = re.compile(r"(lock|_turn)$")
WAITING = {
    *("acquire", "communicate", "connect", "getaddrinfo", "join", "pause", "poll", "read"),
    *("readline", "recv", "request", "result", "select", "sendall", "sleep", "urlopen"),
    *("wait", "wait_for", "waitid", "waitpid"),
}
HARMLESS = {
    "processes.py: self._turn.wait_for",  # a condition lets its lock go meanwhile
    "processes.py: self._popen.wait",  # the process has exited before
}


def waits_under_locks(path: Path) -> Iterator[str]:
    """The calls in blocks that hold a lock which may wait for a network, a process or a thread."""
    for block in ast.walk(ast.parse(path.read_text())):
        if not isinstance(block, ast.With):
            continue
        held = [item for item in block.items if LOCK.search(ast.unparse(item.context_expr))]
        for call in (each for part in block.body for each in ast.walk(part)) if held else ():
            if isinstance(call, ast.Call) and _name(call.func) in WAITING:
                yield f"{path.name}: {ast.unparse(call.func)}"


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else ast.unparse(function)


def test_no_lock_is_held_over_a_wait() -> None:
    found = {word for path in ROOT.rglob("*.py") for word in waits_under_locks(path)}

    assert found == HARMLESS


def test_a_wait_under_a_lock_would_be_found(tmp_path: Path) -> None:
    source = tmp_path / "waiting.py"
    source.write_text("with self._lock:\n    for each in all:\n        sock.recv(1)\n")

    assert list(waits_under_locks(source)) == ["waiting.py: sock.recv"]
