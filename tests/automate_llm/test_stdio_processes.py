"""The processes of servers on standard streams: how they start, rest, and end."""

import json
import os
import select
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Self

import pytest

from automate_llm import processes
from automate_llm.exceptions import CallCancelled, ConnectionFailed, DeadlineExceeded
from automate_llm.mcp_client import MCPClient
from automate_llm.process_guard import Guard
from automate_llm.processes import end_all_processes, end_processes
from automate_llm.transports import stdio_servers
from automate_llm.transports.stdio_servers import BackOff
from automate_llm.values import Connection, StdioCommand

from .calling import Stopped
from .stdio_calling import (
    SERVERS,
    TOKEN,
    failure,
    no_process_is_left,
    process_of,
    raw,
    to,
    until,
    value,
)

_clean = pytest.fixture(scope="module", autouse=True)(no_process_is_left)


def test_a_command_gets_a_minimal_environment_and_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DJANGO_SECRET", "x")
    code = "import json, os; json.dump([dict(os.environ), os.getcwd()], open('told', 'w'))"
    command = StdioCommand((sys.executable, "-S", "-c", code), {"OWN": "$HOME"}, str(tmp_path))

    failure(to(command))

    env, cwd = json.loads((tmp_path / "told").read_text())
    assert set(env) <= {"PATH", "HOME", "LANG", "OWN", "LC_CTYPE"}
    assert (env["OWN"], env["PATH"], cwd) == ("$HOME", os.environ["PATH"], str(tmp_path))


def test_no_command_runs_that_the_connection_does_not_hold() -> None:
    error = failure(Connection("x", "stdio:true"))

    assert not error.may_have_run


@pytest.mark.parametrize(
    ("command", "word"),
    [
        (StdioCommand(("/nowhere/server",)), "cannot be started (No such file"),
        (StdioCommand(("sh", "-c", "exit 7")), "ended (exit status 7)"),
        (StdioCommand(("sh", "-c", "kill -9 $$")), "ended (signal 9)"),
        (StdioCommand(("true",), cwd="/nowhere"), "cannot be started (No such file"),
    ],
)
def test_a_command_that_does_not_start_is_a_connection_error(
    command: StdioCommand, word: str
) -> None:
    error = failure(to(command))

    assert isinstance(error, ConnectionFailed)
    assert word in str(error)
    assert not error.may_have_run


def test_what_it_wrote_to_stderr_is_logged_without_secrets_and_shown_to_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = raw()
    value(server, "flood")

    process = process_of(server)

    error = failure(server, "exit")

    assert process.wait(5)
    assert "words" not in str(error)
    [record] = [each for each in caplog.records if server.endpoint_url in each.getMessage()]
    assert record.getMessage().endswith("the end[31mlast words of [redacted]")
    assert len(record.getMessage()) < 9_000


def test_a_secret_of_its_environment_comes_back_in_no_result_and_no_repr() -> None:
    server = raw()

    assert value(server, "token") == "[redacted]"
    assert TOKEN not in repr(server)


def test_a_server_that_can_say_no_more_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "END_SECONDS", 0.1)

    error = failure(raw(), "close output")

    assert isinstance(error, ConnectionFailed)
    assert "closed its standard output" in str(error)
    assert error.may_have_run


def test_a_server_that_can_hear_no_more_is_ended_and_nothing_ran(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(processes, "END_SECONDS", 0.1)
    server = raw()
    value(server, "close input")

    error = failure(server, "pid")

    assert isinstance(error, ConnectionFailed)
    assert "closed its standard input" in str(error)
    assert not error.may_have_run


def test_a_command_that_ends_again_and_again_rests() -> None:
    server = raw("dying")
    first, second, third = failure(server), failure(server), failure(server)

    assert "exit status 1" in str(first)
    assert "exit status 1" in str(second)
    assert "started again in 1 s" in str(third)
    assert not third.may_have_run


def test_the_rest_doubles_up_to_a_minute_and_is_forgotten_after_a_steady_run() -> None:
    now = 0.0
    back_off = BackOff(lambda: now)
    pauses = []
    for _ in range(9):
        back_off.start()
        pauses.append(back_off.pause())
        now += pauses[-1]
    now += 120
    back_off.start()

    assert pauses == [0, 1, 2, 4, 8, 16, 32, 60, 60]
    assert back_off.pause() == 0


def test_a_start_that_takes_longer_than_the_call_is_not_begun_anew() -> None:
    server = raw("absent", timeout=0.2)
    first, second = failure(server), failure(server)

    for error in (first, second):
        assert isinstance(error, DeadlineExceeded)
        assert "goes on starting" in str(error)
        assert not error.may_have_run


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_start_that_fails_for_a_reason_of_our_own_keeps_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_more_threads(*parts: object) -> None:
        raise RuntimeError("can't start new thread")

    server = raw()
    with monkeypatch.context() as patch:
        patch.setattr(stdio_servers, "opened", no_more_threads)
        error = failure(server)

    assert isinstance(error, ConnectionFailed)
    assert not error.may_have_run
    assert value(server, "pid")


def test_a_start_that_is_ended_is_not_begun_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "END_SECONDS", 0.1)
    server = raw("absent", timeout=0.2)
    failure(server)
    name = f"automate opens {server.endpoint_url}"
    [opening] = [each for each in threading.enumerate() if each.name == name]

    end_all_processes()

    # Another one would be asked for a handshake, and be as silent for a minute.
    opening.join(5)
    assert not opening.is_alive()


def test_a_wait_for_the_start_can_be_stopped() -> None:
    server = raw("absent")
    call = Stopped(lambda stop: MCPClient(server).call("pid", {}, cancellation=stop))

    assert call.cancel() < 1
    assert isinstance(call.error, CallCancelled)
    assert not call.error.may_have_run


def test_changed_settings_start_a_new_process_and_the_old_one_finishes_its_call() -> None:
    old = raw()
    new = replace(old, command=replace(old.command, env={}))
    before = value(old, "pid")
    call = Stopped(lambda stop: MCPClient(old).call("silent", {}, cancellation=stop))
    until(lambda: "silent" in str(value(old, "heard")))

    assert value(new, "pid") != before
    assert is_there(before)
    call.cancel()
    until(lambda: not is_there(before))


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_its_children_end_with_it(tmp_path: Path) -> None:
    server = raw()
    with Fifo(tmp_path / "fifo") as fifo:
        value(server, "grandchild", fifo=fifo.path)
        failure(server, "exit")

        assert fifo.hung_up()


def test_a_stubborn_server_is_killed_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "END_SECONDS", 0.1)
    server = raw()
    with Fifo(tmp_path / "fifo") as fifo:
        value(server, "grandchild", fifo=fifo.path)
        value(server, "stubborn")

        end_processes([process_of(server)])

        assert fifo.hung_up()


SCRIPT = """
import os, sys
sys.path.insert(0, {root!r})
from automate_llm.mcp_client import MCPClient
from automate_llm.values import Connection, StdioCommand
command = StdioCommand((sys.executable, "-S", {server!r}))
client = MCPClient(Connection("x", "stdio:x", command=command))
def pid():
    return client.execute_tool("pid", {{}})
"""


def run_script(code: str) -> str:
    head = SCRIPT.format(root=str(SERVERS.parent.parent), server=str(SERVERS / "stdio_raw.py"))
    command = [sys.executable, "-W", "ignore", "-c", head + code]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout


def test_nothing_outlives_the_interpreter(tmp_path: Path) -> None:
    with Fifo(tmp_path / "fifo") as fifo:
        run_script(f"client.execute_tool('grandchild', {{'fifo': {fifo.path!r}}})")

        assert fifo.hung_up()


@pytest.mark.parametrize("tool", ["stubborn", "deaf"])
def test_a_server_that_would_stay_is_killed_when_our_own_process_is(
    tmp_path: Path, tool: str
) -> None:
    code = f"""
import signal
client.execute_tool('grandchild', {{'fifo': {str(tmp_path / "fifo")!r}}})
try:
    MCPClient(Connection("x", "stdio:x", command=command, timeout=0.5)).call({tool!r}, {{}})
except Exception:  # it may fail in any way, as long as the command runs
    pass
os.kill(os.getpid(), signal.SIGKILL)
"""
    with Fifo(tmp_path / "fifo") as fifo:
        with pytest.raises(subprocess.CalledProcessError) as killed:
            run_script(code)

        assert killed.value.returncode == -signal.SIGKILL
        assert fifo.hung_up()


def test_a_group_whose_end_was_told_is_left_alone() -> None:
    guard = Guard()
    with ExitStack() as started:
        sleeping = [
            started.enter_context(subprocess.Popen(["sleep", "600"], start_new_session=True))
            for _ in range(3)
        ]
        for process in sleeping:
            guard.began(process.pid)
        guard.ended(sleeping[1].pid)

        guard.close()

        assert [sleeping[number].wait(5) for number in (0, 2)] == [-signal.SIGKILL] * 2
        assert sleeping[1].poll() is None
        sleeping[1].kill()


def test_a_forked_child_starts_its_own_and_leaves_the_parents_alone() -> None:
    code = """
before = pid()
child = os.fork()
if child == 0:
    other = pid()
    print(other != before, flush=True)
    raise SystemExit
os.waitpid(child, 0)
print(pid() == before)
"""

    assert run_script(code).split() == ["True", "True"]


class Fifo:
    """A named pipe that says when the last process that wrote to it is gone."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __enter__(self) -> Self:
        os.mkfifo(self.path)
        self._descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        return self

    def __exit__(self, *exc: object) -> None:
        os.close(self._descriptor)

    def hung_up(self) -> bool:
        poll = select.poll()
        poll.register(self._descriptor, 0)
        return any(event & select.POLLHUP for _, event in poll.poll(5_000))
