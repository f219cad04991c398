"""`python -m tests.peers --install`: fetch the servers that the tests in this folder speak to."""

import argparse
import sys

from .installation import PeerMissing, folder, install


def main() -> int:
    """Install what is missing; 0 where everything is there afterwards."""
    parser = argparse.ArgumentParser(prog="python -m tests.peers", description=__doc__)
    parser.add_argument("--install", action="store_true", required=True)
    parser.parse_args()
    try:
        for name in install():
            print(f"installed {name}", flush=True)
    except PeerMissing as exc:
        print(f"The peers cannot be installed: {exc}", file=sys.stderr)
        return 2
    print(f"Every peer is in {folder()}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
