"""A web process less its web server: does what the views do, as it is told.

Each line on standard input is JSON with `do` and what that takes; each line on standard output is
JSON with what came of it, and how many `seconds` a person would have waited.
"""

import json
import sys
import time
from typing import Any
from uuid import uuid4

import django


def main() -> None:
    django.setup()
    from django.contrib.auth import get_user_model

    from chat.decisions import resolve
    from chat.executors import executor
    from chat.models import ToolCall, Turn
    from chat.submission import send_message, stop_turn

    def do(order: dict[str, Any]) -> dict[str, Any]:
        if order["do"] == "send":
            user = get_user_model().objects.get(username=order["user"])
            return {"turn": str(send_message(user, None, order["text"], uuid4()).pk)}
        if order["do"] == "stop":
            stop_turn(Turn.objects.get(pk=order["turn"]))
        elif order["do"] == "resolve":
            call = ToolCall.objects.get(pk=order["call"])
            resolve(call, call.turn.conversation.user, order["outcome"])
        elif order["do"] == "submit":
            executor().submit(Turn.objects.get(pk=order["turn"]).pk)
        return {}

    executor().start()
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        began = time.monotonic()
        answer = do(json.loads(line))
        print(json.dumps(answer | {"seconds": time.monotonic() - began}), flush=True)


if __name__ == "__main__":
    main()
