"""The rows of every page, in every state that a person meets it in: no turn runs."""

import json
import struct
import zlib
from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.contrib.auth.models import Permission
from django.urls import reverse
from django.utils import timezone

from automate.models import MCPPrompt, MCPServer, MCPTool
from automate_llm.content import File
from chat.files import attach_files
from chat.models import Approval, Conversation, Message, Question, ToolCall, ToolGrant, Turn
from chat.sharing import share
from tests.chat.deciding import CONTACT, ORDER, PAGE

Status = ToolCall.Status

ANSWER = """## What is left

There are **7** blue mugs and [3 red ones](https://shop.example/red-mugs).

| Article | Name | Left |
|---|---|--:|
| MUG-BLUE | Blue mug | 7 |
| MUG-RED | Red mug | 3 |

1. Order `MUG-RED` soon.
2. Keep the rest.

```python
def left(stock: dict[str, int]) -> int:
    return sum(stock.values())  # of all colours
```

> Counted this morning.
"""
STOCK = [
    {"sku": f"MUG-{number}", "name": name, "left": number * 3, "sold_out": False, "price": 8.5}
    for number, name in enumerate(("Blue mug", "Red mug", "Green mug", "Grey mug"), 1)
]
NESTED = {
    "branch": {"name": "Harbour", "open": {"saturday": ["10:00", "16:00"], "sunday": None}},
    "staff": [{"name": "Ann", "days": [1, 2, 3]}, {"name": "Bo", "days": [4, 5]}],
    "checked": True,
}


def rows_of_every_page(user: Any) -> dict[str, str]:
    """Make what the pages show for this person; their addresses by name."""
    server = MCPServer.objects.create(
        name="Corner shop", slug="shop", endpoint_url="https://a.example"
    )
    tool = MCPTool.objects.create(
        server=server,
        name="order",
        title="Order articles",
        description="Orders articles for a customer. Asks first.",
        function_name="shop__order",
        input_schema=ORDER,
    )
    _missing_tools(server)
    user.is_staff = True
    user.save()
    talk = _talk(user, tool)
    _earlier_talks(user)
    user.user_permissions.add(Permission.objects.get(codename="add_share"))
    shared = share(talk, with_calls=True, with_files=True)
    return {
        "new": reverse("chat:index"),
        "conversation": _address(talk),
        "answering": _address(_answering(user)),
        "approval": _address(_asking(user, tool)),
        "question": _address(_questioning(user)),
        "failed": _address(_failing(user)),
        "edit": reverse("chat:edit", args=[talk.turns.get().pk]),
        "branches": _address(_branching(user)),
        "inbox": reverse("chat:inbox"),
        "tools": reverse("chat:tools", args=[talk.pk]),
        "prompts": reverse("chat:prompts"),
        "prompt": reverse("chat:prompt", args=[_prompt(server).pk]),
        "manage": reverse("chat:manage", args=[talk.pk]),
        "archived": reverse("chat:archived"),
        "share": reverse("chat:share", args=[talk.pk]),
        "shares": reverse("chat:shares"),
        "shared": reverse("chat:shared", args=[shared.pk, shared.signature]),
        "search": f"{reverse('chat:search')}?q=mug",
        "deleted": f"{reverse('chat:index')}?deleted={_put_away(user).pk}",
        "result": reverse("chat:result", args=[ToolCall.objects.earliest("pk").pk]),
        "accounts": reverse("automate:accounts"),
        "widget": reverse("example"),
        "login": reverse("login"),
        "missing": "/chat/nothing-is-here/",
    }


def _missing_tools(server: MCPServer) -> None:
    """A tool that waits for review, one that is gone, and a server that does not answer."""
    MCPTool.objects.create(server=server, name="refund", review="new", enabled=False)
    MCPTool.objects.create(server=server, name="old", title="Old search", available=False)
    MCPServer.objects.create(
        name="Branches",
        slug="branches",
        endpoint_url="https://b.example",
        last_synced=timezone.now() - timedelta(days=2),
        last_error="Connection error",
    )


def _prompt(server: MCPServer) -> MCPPrompt:
    """One that asks for two texts, beside one that asks for none."""
    MCPPrompt.objects.create(server=server, name="hours", title="Opening hours")
    return MCPPrompt.objects.create(
        server=server,
        name="weekly_report",
        title="Weekly report",
        description="Asks for a report on how the shop did.",
        arguments=[
            {"name": "audience", "title": "For whom", "description": "", "required": True},
            {"name": "category", "title": "", "description": "Only these.", "required": False},
        ],
    )


def _address(conversation: Conversation) -> str:
    return reverse("chat:conversation", args=[conversation.pk])


def add_turn(conversation: Conversation, status: str, question: str, **fields: Any) -> Turn:
    """A turn with its person's message."""
    now = timezone.now()
    is_running = status == Turn.Status.RUNNING
    fields = {
        "started_at": now - timedelta(seconds=4.2),
        "finished_at": None if status in Turn.UNFINISHED else now,
        "occupies": conversation if status in Turn.UNFINISHED else None,
        "lease_owner": uuid4() if is_running else None,
        "lease_until": now + timedelta(hours=1) if is_running else None,
        **fields,
    }
    turn = Turn.objects.create(conversation=conversation, status=status, **fields)
    add_message(turn, question, Message.Role.USER)
    return turn


def add_message(turn: Turn, content: str = "", role: str = Message.Role.ASSISTANT) -> Message:
    return Message.objects.create(
        conversation=turn.conversation, turn=turn, role=role, content=content
    )


def add_call(message: Message, status: str = Status.SUCCEEDED, **fields: Any) -> ToolCall:
    """A call that took 1.2 seconds, or that still goes on."""
    began = timezone.now() - timedelta(seconds=1.2)
    is_over = status not in ToolCall.UNFINISHED
    values = {
        "call_id": str(uuid4()),
        "function_name": "shop__stock",
        "server_name": "Corner shop",
        "title": "Check stock",
        "arguments": {"sku": "MUG-BLUE"},
        "arguments_text": '{"sku": "MUG-BLUE"}',
        "started_at": None if status in (Status.PENDING, Status.WAITING) else began,
        "finished_at": timezone.now() if is_over else None,
        **fields,
    }
    return ToolCall.objects.create(turn=message.turn, message=message, status=status, **values)


def structured(value: Any) -> dict[str, Any]:
    """What a call's row holds where its tool answered with JSON."""
    text = json.dumps(value)
    return {
        "result": {
            "content": [{"type": "text", "text": text}],
            "structured": value,
            "has_structured": True,
            "is_error": False,
        },
        "result_text": text,
    }


def plain(text: str, is_error: bool = False) -> dict[str, Any]:
    """What a call's row holds where its tool answered with text."""
    return {
        "result": {
            "content": [{"type": "text", "text": text}],
            "structured": None,
            "has_structured": False,
            "is_error": is_error,
        },
        "result_text": text,
    }


def _talk(user: Any, tool: MCPTool) -> Conversation:
    """A conversation that is over, with a card of every kind."""
    talk = Conversation.objects.create(user=user, title="What is left of the blue mugs?")
    turn = add_turn(talk, Turn.Status.DONE, "What is left of them?\n\nAnd when do you open?")
    several = add_message(turn, "I look at the stock of every branch.")
    add_call(several, **structured(STOCK))
    add_call(several, title="Opening hours", server_name="Branches", **structured(NESTED))
    add_call(several, title="Read a note", **plain("The delivery comes on Monday.\nTell nobody."))
    picture = add_call(add_message(turn), title="Draw a chart", **plain("A chart."))
    attach_files(picture, [File(_png(), "image/png"), File(b"1,2\n3,4\n", "text/csv")])
    add_call(
        add_message(turn),
        Status.FAILED,
        title="Ask the supplier",
        error="HTTP 503: the server is not available.",
    )
    bad = add_message(turn)
    warned = add_call(
        bad,
        warning="This result does not fit the tool's own output schema: 'left' is missing.",
        **structured({"sku": "MUG-BLUE"}),
    )
    add_call(bad, Status.REFUSED, error="The person did not allow this call: too many.")
    add_call(bad, Status.CANCELLED, error="It was stopped.")
    add_call(add_message(turn), Status.UNKNOWN, error="The connection broke off.")
    add_message(turn, ANSWER)
    approval = Approval.objects.create(
        call=warned,
        user=user,
        tool=tool,
        status=Approval.Status.APPROVED,
        decided_by=user,
        expires_at=timezone.now(),
    )
    ToolGrant.objects.create(
        user=user, tool=tool, approval=approval, definition_hash=tool.definition_hash
    )
    return talk


def _branching(user: Any) -> Conversation:
    """Answers and messages in each other's place, and an answer that stopped at a limit."""
    talk = Conversation.objects.create(user=user, title="Which mugs are there?")
    first = add_turn(talk, Turn.Status.DONE, "Which mugs are there?")
    add_message(first, "Blue ones.")
    again = add_turn(talk, Turn.Status.DONE, "Which mugs are there?", repeats=first)
    add_call(add_message(again), attempts=1, **structured(STOCK))
    add_message(again, "Blue, red, green and grey ones.")
    edited = add_turn(talk, Turn.Status.DONE, "Which mugs are sold?", parent=again)
    add_message(edited, "All.")
    last = add_turn(
        talk,
        Turn.Status.DONE,
        "Write of each",
        parent=again,
        limit=Turn.Limit.LENGTH,
        notice="The model stopped at its length limit; the answer may be incomplete.",
        prompt_tokens=1234,
        completion_tokens=567,
        cost="0.0123",
    )
    add_message(last, "The blue mug is")
    Conversation.objects.filter(pk=talk.pk).update(head=last)
    return talk


def _answering(user: Any) -> Conversation:
    """An answer under way, whose tool runs."""
    talk = Conversation.objects.create(user=user, title="Count everything")
    turn = add_turn(talk, Turn.Status.RUNNING, "Count everything")
    message = add_message(turn, "I count.")
    add_call(message, **plain("done"))
    add_call(message, Status.RUNNING, title="Count", arguments={"where": "all branches"})
    add_call(message, Status.PENDING, title="Report")
    return talk


def _asking(user: Any, tool: MCPTool) -> Conversation:
    """A call that must be allowed."""
    talk = Conversation.objects.create(user=user, title="Order two mugs")
    turn = add_turn(talk, Turn.Status.WAITING, "Order two mugs")
    arguments = {"sku": "MUG-BLUE", "count": 2, "note": "With a bow, please"}
    call = add_call(
        add_message(turn, "I would order them."),
        Status.WAITING,
        tool=tool,
        title=tool.title,
        function_name=tool.function_name,
        arguments=arguments,
        arguments_text="{}",
    )
    Approval.objects.create(
        call=call,
        user=user,
        tool=tool,
        why="Orders over ten euros are asked about.",
        expires_at=timezone.now() + timedelta(hours=23),
    )
    return talk


def _questioning(user: Any) -> Conversation:
    """A call whose server asks two things."""
    talk = Conversation.objects.create(user=user, title="Book a table")
    turn = add_turn(talk, Turn.Status.WAITING, "Book a table")
    call = add_call(add_message(turn), Status.WAITING, title="Book", server_name="Branches")
    common = {"call": call, "expires_at": timezone.now() + timedelta(hours=23)}
    Question.objects.create(key="a", message="Who are you?", schema=CONTACT, **common)
    Question.objects.create(key="b", mode="url", message="Please pay first.", url=PAGE, **common)
    return talk


def _failing(user: Any) -> Conversation:
    """An answer that ended badly."""
    talk = Conversation.objects.create(user=user, title="Try something")
    words = "The model could not be reached. Try again, or tell the operator: 3f2a."
    turn = add_turn(talk, Turn.Status.FAILED, "Try something", notice=words)
    message = add_message(turn, "The first words of")
    message.interrupted = True
    message.save()
    return talk


def _put_away(user: Any) -> Conversation:
    """One conversation in the archive, and one that was deleted, which is returned."""
    now = timezone.now()
    Conversation.objects.create(user=user, title="Old orders of mugs", archived_at=now)
    return Conversation.objects.create(user=user, title="Wrong order", deleted_at=now)


def _earlier_talks(user: Any) -> None:
    for days, title in enumerate(("A" * 80, "Weekly report", "شراء أكواب زرقاء", "Old orders")):
        talk = Conversation.objects.create(user=user, title=title)
        moment = timezone.now() - timedelta(days=days * 9 + 1)
        Conversation.objects.filter(pk=talk.pk).update(updated_at=moment)


def _png(width: int = 480, height: int = 240) -> bytes:
    """A picture of bars."""
    bars = [40, 90, 150, 110, 200, 170]

    def part(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    def pixel(x: int, y: int) -> bytes:
        bar = bars[min(x * len(bars) // width, len(bars) - 1)]
        return b"\x1c\x5a\x5e" if x % 80 > 16 and height - y < bar else b"\xfa\xf9\xf6"

    lines = b"".join(b"\0" + b"".join(pixel(x, y) for x in range(width)) for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [part(b"IHDR", header), part(b"IDAT", zlib.compress(lines)), part(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)
