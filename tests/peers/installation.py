"""Where the peers are installed: an environment for each SDK, and one folder of npm's."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

NPM_PACKAGES = {
    "@modelcontextprotocol/server-everything": "2026.8.31",
    "@modelcontextprotocol/sdk": "1.32.2",
}
NPM = "npm"
COMMAND = "python -m tests.peers --install"

_ROOT = Path(__file__).parents[2]
_REQUIREMENTS = Path(__file__).parent / "requirements"
_STAMP = ".installed"


class PeerMissing(Exception):
    """A peer, or what it takes to install it, is not there."""


def folder() -> Path:
    """Where they all are; never in the repository's history."""
    return Path(os.environ.get("AUTOMATE_PEERS_DIR") or _ROOT / ".peers")


def environments() -> dict[str, Path]:
    """The exact releases that each Python environment holds, by the environment's name."""
    return {path.stem: path for path in sorted(_REQUIREMENTS.glob("*.txt"))}


def program(environment: str, name: str) -> str:
    """A program of an environment, such as its `python`.

    Raises:
        PeerMissing: that environment is not installed as it is asked for today.
    """
    _check(environment, environments()[environment].read_text())
    return str(folder() / environment / "bin" / name)


def node_script(package: str, script: str) -> tuple[str, str]:
    """What runs a script of an npm package.

    Raises:
        PeerMissing: there is no Node, or the package is not installed.
    """
    node = shutil.which("node")
    if node is None:
        raise PeerMissing("node is not there")
    _check(NPM, _npm_packages())
    return node, str(folder() / NPM / "node_modules" / package / script)


def install() -> Iterator[str]:
    """Install what is not there yet; gives the name of each when it is done.

    Raises:
        PeerMissing: there is no npm, or a registry does not have a release.
    """
    for name, path in environments().items():
        if not _is_there(name, path.read_text()):
            shutil.rmtree(folder() / name, ignore_errors=True)
            venv.create(folder() / name)
            python = folder() / name / "bin" / "python"
            pip = (sys.executable, "-m", "pip", "--python", python)
            # The list is complete, so nothing is left to resolve.
            _run(*pip, "install", "-qq", "--no-deps", "-r", path)
            _stamp(name, path.read_text())
            yield name
    if not _is_there(NPM, _npm_packages()):
        npm = shutil.which("npm")
        if npm is None:
            raise PeerMissing("npm is not there; it comes with Node")
        shutil.rmtree(folder() / NPM, ignore_errors=True)
        (folder() / NPM).mkdir(parents=True)
        quiet = ("--no-audit", "--no-fund", "--silent")
        packages = (f"{name}@{version}" for name, version in NPM_PACKAGES.items())
        _run(npm, "install", "--prefix", folder() / NPM, *quiet, *packages)
        _stamp(NPM, _npm_packages())
        yield NPM


def _npm_packages() -> str:
    return json.dumps(NPM_PACKAGES)


def _check(name: str, contents: str) -> None:
    if not _is_there(name, contents):
        raise PeerMissing(f"{name} is not there: {COMMAND}")


def _is_there(name: str, contents: str) -> bool:
    stamp = folder() / name / _STAMP
    return stamp.is_file() and stamp.read_text() == _digest(contents)


def _stamp(name: str, contents: str) -> None:
    (folder() / name / _STAMP).write_text(_digest(contents))


def _digest(contents: str) -> str:
    return hashlib.sha256(contents.encode()).hexdigest()


def _run(*arguments: str | Path) -> None:
    # Our own constraints name releases that the older SDKs cannot live with.
    environment = {name: value for name, value in os.environ.items() if name != "PIP_CONSTRAINT"}
    done = subprocess.run(arguments, env=environment, check=False)
    if done.returncode:
        raise PeerMissing(f"{Path(arguments[0]).name} ended with {done.returncode}")
