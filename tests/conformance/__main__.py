"""`python -m tests.conformance`: every client scenario, and a table of how each ended."""

import argparse
import sys

from .report import lines, summary, verdict
from .suite import EARLIER_VERSIONS, REQUIREMENT_SETS, SuiteMissing, install, installed


def main() -> int:
    """Run what is asked for; 0 where nothing failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    versions = (*EARLIER_VERSIONS, *REQUIREMENT_SETS)
    parser.add_argument("--requirements", choices=versions, help="only this protocol version")
    parser.add_argument("--scenario", action="append", help="only this scenario; may be repeated")
    parser.add_argument("--install", action="store_true", help="fetch the suite with npm first")
    options = parser.parse_args()
    try:
        if options.install:
            install()
        suite = installed()
    except SuiteMissing as exc:
        print(f"The conformance suite cannot run: {exc}", file=sys.stderr)
        return 2
    asked = [
        each
        for version in ([options.requirements] if options.requirements else versions)
        for each in suite.asked_of_clients(version)
        if not options.scenario or each.name in options.scenario
    ]
    outcomes = []
    for outcome in suite.run_all(asked):
        outcomes.append(outcome)
        print(*lines(outcome), sep="\n", flush=True)
    print(summary(outcomes))
    return int(not outcomes or any(verdict(outcome) == "failed" for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
