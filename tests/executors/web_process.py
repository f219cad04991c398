"""A web process less its web server: does what the views do, as it is told.

Each line on standard input is JSON with `do` and what that takes; each line on standard output is
JSON with what came of it, and how many `seconds` a person would have waited.
"""

import json
import sys
import time

import django


def main() -> None:
    django.setup()
    from chat.executors import executor

    from .orders import carry_out

    executor().start()
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        began = time.monotonic()
        answer = carry_out(json.loads(line))
        print(json.dumps(answer | {"seconds": time.monotonic() - began}), flush=True)


if __name__ == "__main__":
    main()
