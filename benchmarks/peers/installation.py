"""Where the peers are installed: an environment of its own for each, since their pins differ."""

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

COMMAND = "python -m benchmarks.peers --install"
_ROOT = Path(__file__).parents[2]
_REQUIREMENTS = Path(__file__).parent / "requirements"
_STAMP = ".installed"


class PeerMissing(Exception):
    """A peer is not there, or could not be installed."""


def folder() -> Path:
    """Where they all are; never in the repository's history."""
    return Path(os.environ.get("AUTOMATE_BENCHMARK_PEERS_DIR") or _ROOT / ".benchmark_peers")


def peers() -> dict[str, Path]:
    """The exact releases that each environment holds, by its name."""
    return {path.stem: path for path in sorted(_REQUIREMENTS.glob("*.txt"))}


def python_of(name: str) -> str:
    """The interpreter of a peer's environment.

    Raises:
        PeerMissing: it is not installed as it is asked for today.
    """
    if not _is_there(name):
        raise PeerMissing(f"{name} is not installed: {COMMAND}")
    return str(folder() / name / "bin" / "python")


def release_of(name: str, package: str) -> str:
    """Which release of a package a peer's environment holds."""
    for line in peers()[name].read_text().splitlines():
        if line.startswith(f"{package}=="):
            return line.removeprefix(f"{package}==")
    raise PeerMissing(f"{name} holds no {package}")


def install() -> Iterator[str]:
    """Install what is not there yet; gives the name of each when it is done.

    Raises:
        PeerMissing: pip could not.
    """
    # Our own constraints name releases that the peers cannot live with.
    environment = {name: value for name, value in os.environ.items() if name != "PIP_CONSTRAINT"}
    for name, path in peers().items():
        if _is_there(name):
            continue
        shutil.rmtree(folder() / name, ignore_errors=True)
        venv.create(folder() / name)
        python = folder() / name / "bin" / "python"
        pip = [sys.executable, "-m", "pip", "--python", str(python)]
        # The list is complete, so nothing is left to resolve.
        command = [*pip, "install", "-qq", "--no-deps", "-r", str(path)]
        if subprocess.run(command, env=environment, check=False).returncode:
            raise PeerMissing(f"pip could not install {name}")
        (folder() / name / _STAMP).write_text(path.read_text())
        yield name


def _is_there(name: str) -> bool:
    stamp = folder() / name / _STAMP
    return stamp.is_file() and stamp.read_text() == peers()[name].read_text()
