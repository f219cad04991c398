"""A process that outlives this one by a moment, to kill the commands that this one could not end.

Commands end with us as `processes` ends them. Where we are killed (`kill -9`, no memory left)
nothing of ours runs any more; the guard then sees its input close, and kills the groups that are
left.
"""

import atexit
import os
import subprocess
import threading
from contextlib import suppress

# A shell is the smallest thing that can wait and kill. It is told numbers, and nothing else.
_SHELL = "/bin/sh"
_SCRIPT = """
groups=' '
while read -r word group; do
    case $word in
        began) groups="$groups$group " ;;
        ended) groups="${groups%% $group *} ${groups#* $group }" ;;
    esac
done
for group in $groups; do kill -s KILL -- "-$group"; done
"""

_END_SECONDS = 2.0


class Guard:
    """Is told of each process group that begins and ends. Thread-safe.

    It starts with the first group. Where it cannot be started, or dies, the groups end as they do
    without it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._tried = False

    def began(self, group: int) -> None:
        """This group is to be killed when we are gone."""
        with self._lock:
            if not self._tried:
                self._tried = True
                self._process = _started()
            self._tell(f"began {group}\n")

    def ended(self, group: int) -> None:
        """This group is gone; to be said before its number can be given to a stranger."""
        with self._lock:
            self._tell(f"ended {group}\n")

    def close(self) -> None:
        """The guard ends, and kills what it was not told the end of."""
        with self._lock:
            process, self._process, self._tried = self._process, None, False
        if process is not None:
            try:
                process.communicate(timeout=_END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def forget(self) -> None:
        """In a forked child: the guard is the parent's, and must see the parent's end alone."""
        self._lock = threading.Lock()
        process, self._process, self._tried = self._process, None, False
        if process is not None and process.stdin is not None:
            process.stdin.close()
            process.returncode = 0

    def _tell(self, line: str) -> None:
        if self._process is not None and self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.write(line.encode())


def _started() -> "subprocess.Popen[bytes] | None":
    try:
        process = subprocess.Popen(  # noqa: S603 (a script of our own)
            (_SHELL, "-c", _SCRIPT),
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={},
            cwd="/",
            start_new_session=True,  # so that a Ctrl-C is for us alone
        )
    except OSError:
        return None
    if process.stdin is not None:
        os.set_blocking(
            process.stdin.fileno(), False
        )  # nobody waits for a guard that does not read
    return process


guard = Guard()
atexit.register(guard.close)
