"""What a web process without its web server can be told to do, as the views do it."""

from typing import Any
from uuid import UUID, uuid4

from django.contrib.auth import get_user_model

from chat.decisions import approve, resolve
from chat.executors import executor
from chat.models import Approval, ToolCall, Turn
from chat.submission import send_message, stop_turn


def carry_out(order: dict[str, Any]) -> dict[str, Any]:
    """Do what stands under `do`; returns what a page would have shown of it."""
    if order["do"] == "send":
        user = get_user_model().objects.get(username=order["user"])
        submission = UUID(order["submission"]) if "submission" in order else uuid4()
        return {"turn": str(send_message(user, None, order["text"], submission).pk)}
    if order["do"] == "stop":
        stop_turn(Turn.objects.get(pk=order["turn"]))
    elif order["do"] == "approve":
        approval = Approval.objects.get(pk=order["approval"])
        approve(approval, approval.user)
    elif order["do"] == "resolve":
        call = ToolCall.objects.get(pk=order["call"])
        resolve(call, call.turn.conversation.user, order["outcome"])
    elif order["do"] == "submit":
        executor().submit(UUID(order["turn"]))
    else:
        raise ValueError(f"Nobody knows how to do {order['do']!r}.")
    return {}
