"""Another process of the site, which does what it is told to: writes events, and asks for stops.

Each line on standard input is JSON: `do` and what it needs. The answer is a line with the time at
which it was done, on the clock that all processes of the machine share.

The database, and the `AUTOMATE` setting as JSON, are named on the command line.
"""

import json
import sys
import time
from typing import Any
from uuid import UUID

import django


def do(order: dict[str, Any]) -> None:
    from chat.events import EventLog
    from chat.models import Turn, TurnEvent
    from chat.submission import stop_turn

    turn = Turn.objects.get(pk=UUID(order["turn"]))
    if order["do"] == "append":
        EventLog(turn.pk).append(TurnEvent.Kind.TEXT, message=order["message"], text=order["text"])
    elif order["do"] == "stop":
        stop_turn(turn)


def main() -> None:
    django.setup()
    from django.conf import settings
    from django.db import connection

    connection.settings_dict["NAME"] = sys.argv[1]
    settings.AUTOMATE = json.loads(sys.argv[2])
    for line in sys.stdin:
        do(json.loads(line))
        print(time.monotonic(), flush=True)


if __name__ == "__main__":
    main()
