"""`python -m tests.crash_exam`: every executor on every database, and a table of what was found."""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from tests.executors.kinds import KINDS

from .databases import VENDORS, missing

SECONDS = 3600
QUICK_STEP = 9


def main() -> int:
    """Examine what is asked for; 0 where all was examined, and no fault found."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash_exam", description=__doc__)
    names = [kind.name for kind in KINDS]
    parser.add_argument("--executor", action="append", choices=names, help="only this; repeatable")
    parser.add_argument("--database", action="append", choices=VENDORS, help="only this one")
    parser.add_argument(
        "--quick", action="store_true", help=f"one moment of {QUICK_STEP}, others in each run"
    )
    options = parser.parse_args()
    print(f"{'executor':<17} {'database':<11} moments  died  turns  seconds  faults", flush=True)
    faults = 0
    for name in options.executor or names:
        for vendor in options.database or VENDORS:
            for fault in _examined(name, vendor, QUICK_STEP if options.quick else 1):
                print(f"  {name} on {vendor}: {fault}", flush=True)
                faults += 1
    return int(bool(faults))


def _examined(name: str, vendor: str, step: int) -> Iterator[str]:
    kind = next(kind for kind in KINDS if kind.name == name)
    if reason := kind.missing or missing(vendor):
        yield f"it was not examined: {reason}"
        return
    command = [sys.executable, "-m", "tests.crash_exam.one", name, vendor, "--step", str(step)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    if ended.returncode:
        yield f"the examination broke off: {ended.stderr[-2000:]}"
        return
    result: dict[str, Any] = json.loads(ended.stdout.strip().splitlines()[-1])
    print(
        f"{name:<17} {vendor:<11} {sum(result['moments'].values()):>7} {result['died']:>5} "
        f"{result['turns']:>6} {result['seconds']:>8.0f} {len(result['faults']):>7}",
        flush=True,
    )
    yield from result["faults"]


if __name__ == "__main__":
    sys.exit(main())
