import os
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from config.demo.children import Child, ChildFailed

PROJECT = Path(__file__).parents[2]


def closed_by_peer(connection):
    """Wait until the process at the other end closes it, which the kernel does for a dead one."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def script(directory, source):
    path = directory / "program.py"
    path.write_text(textwrap.dedent(source))
    return [str(path)]


def test_a_child_says_its_address_and_what_came_before(tmp_path):
    source = """
        import sys
        print("hello")
        print("READY http://127.0.0.1:1/", flush=True)
        sys.stdin.read()
        """
    with Child("It", script(tmp_path, source), log=tmp_path / "log") as child:
        assert child.address(10) == "http://127.0.0.1:1/"
        assert child.said == ["hello"]
        assert child.exit_code is None

    assert child.exit_code == 0


def test_a_child_that_cannot_start_is_quoted(tmp_path):
    source = "raise SystemExit('no paint left')"

    with (
        Child("The shop", script(tmp_path, source), log=tmp_path / "log") as child,
        pytest.raises(ChildFailed, match=r"The shop did not start. no paint left"),
    ):
        child.address(10)


def test_a_child_that_stays_silent_is_not_waited_for_for_ever(tmp_path):
    source = "import sys; sys.stdin.read()"

    with (
        Child("The shop", script(tmp_path, source), log=tmp_path / "log") as child,
        pytest.raises(ChildFailed, match=r"did not start within 0.01 seconds"),
    ):
        child.address(0.01)


def test_a_child_that_does_not_listen_is_killed(tmp_path):
    source = """
        import threading
        print("READY x", flush=True)
        threading.Event().wait()
        """
    child = Child("It", script(tmp_path, source), log=tmp_path / "log")
    child.address(10)

    child.stop(seconds=0.1)

    assert child.exit_code == -signal.SIGKILL


def test_children_end_with_a_parent_that_was_killed(tmp_path):
    parent_source = f"""
        import sys
        from pathlib import Path
        from config.demo.children import Child
        child = Child(
            "The branches",
            ["examples/branches_server.py", "--port", "0", "--exit-with-parent"],
            log=Path({str(tmp_path / "log")!r}),
            environment={{"BRANCHES_KEY": "key"}},
        )
        print(child.address(20), flush=True)
        child.wait()
        """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(parent_source)],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        address = urlsplit(parent.stdout.readline().strip())
        with socket.create_connection((address.hostname, address.port), timeout=10) as held_open:
            os.kill(parent.pid, signal.SIGKILL)

            assert closed_by_peer(held_open)
