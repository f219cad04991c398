"""Long answers and long conversations: what the page's main thread does with them."""

import json
import threading
from collections.abc import Callable
from statistics import median
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import pytest

from chat.models import Conversation, Message, Turn
from tests.servers.scripted_replies import text

from .conftest import Tabs
from .test_chat import until, wait_for_answer

if TYPE_CHECKING:
    from playwright.sync_api import Page

    Send = Callable[[Page, str], None]

pytestmark = pytest.mark.django_db(transaction=True)

LONGEST_TASK = 50
"""Milliseconds of CPU, on cores that take `YARDSTICK_TASK` for what a browser does at once to
show a list; slower ones have as much longer. Other programs on the machine do not count.
"""

YARDSTICK_TASK = 65
YARDSTICK = """() => {
    const box = document.createElement("div");
    box.innerHTML = "<li><b>A point</b> with <code>code</code> and some words".repeat(1000);
    document.body.append(box);
    box.offsetHeight;
    box.remove();
}"""

ROW = "| MUG-1 | **Blue** mug | `blue` | 7 | [seen](https://shop.example/mugs) |\n"
TABLE = f"| a | b | c | d | e |\n|---|---|---|--:|---|\n{ROW * 560}"
LIST = "".join(f"- **{number}** a point with `code` and some words\n" for number in range(900))
PART = "Some **words** of a paragraph, with `code` in it and a [link](https://x.example). " * 2
BLOCKS = f"## Part\n\n{PART}\n\n- one\n- two\n\n```py\nprint(1)\n```\n\n" * 190


class Watched:
    """What the page's main thread does while the block runs, task by task."""

    def __init__(self, page: "Page") -> None:
        self._page = page
        self._browser = page.context.browser
        self.tasks: list[float] = []
        self.limit = 0.0
        self._at_once: list[float] = []

    def __enter__(self) -> "Watched":
        self._measure()
        self._trace()
        return self

    def __exit__(self, *failure: object) -> None:
        self.tasks = self._traced()
        self._measure()
        self.limit = LONGEST_TASK * max(1, median(self._at_once) / YARDSTICK_TASK)

    def _measure(self) -> None:
        """What the machine takes now; what else runs on it may come and go meanwhile."""
        self._trace()
        for _ in range(5):
            self._page.evaluate(YARDSTICK)
        self._at_once += self._traced()[-5:]

    def _trace(self) -> None:
        assert self._browser is not None
        self._browser.start_tracing(page=self._page, categories=["toplevel", "__metadata"])

    def _traced(self) -> list[float]:
        """The milliseconds of the tasks since then, the longest last."""
        assert self._browser is not None
        trace = json.loads(self._browser.stop_tracing())["traceEvents"]
        mains = {
            (each["pid"], each["tid"])
            for each in trace
            if each["name"] == "thread_name" and each["args"]["name"] == "CrRendererMain"
        }
        return sorted(
            each["tdur"] / 1000
            for each in trace
            if each["name"] == "ThreadControllerImpl::RunTask"
            and "tdur" in each
            and (each["pid"], each["tid"]) in mains
        )


def go(page: "Page", path: str) -> None:
    """Open this page, and wait for its modules."""
    page.goto(urljoin(page.url, path))
    page.wait_for_selector("[data-theme-button]:not([hidden])")


def takes_no_long_task(page: "Page", prepare: Callable[[], object], do: Callable[[], None]) -> None:
    """Do it three times, of which two must keep to the limit: most of what else the machine does
    falls on one. Two that agree are enough.
    """
    kept: list[bool] = []
    while kept.count(True) < 2 and kept.count(False) < 2:
        prepare()
        with Watched(page) as watched:
            do()
        kept.append(watched.tasks[-1] < watched.limit)
    assert kept[-1], (watched.tasks[-9:], watched.limit)


def test_a_long_answer_streams_without_a_long_task(page: "Page", model: Any, send: "Send") -> None:
    paragraph = "A sentence of some **words**, with `code` in it and a [link](https://x.example). "
    block = f"## Part\n\n{paragraph * 5}\n\n- one\n- two\n\n```py\nprint('x' * 10)\n```\n\n"
    permits = [threading.Semaphore(0) for _ in range(3)]
    model([text(block * 90, pieces=300).paced(each) for each in permits])
    of_each = iter(permits)

    def read() -> None:
        permit = next(of_each)
        send(page, "Write a lot")
        until(lambda: permit.release(6) or page.locator(".markdown h2").count() > 88)
        permit.release(300)
        wait_for_answer(page)

    takes_no_long_task(page, lambda: go(page, "/chat/"), read)

    assert len(block * 90) > 40_000
    assert page.locator(".markdown h2").count() == 90


def html(page: "Page") -> list[str]:
    """The second answer as the page has it, whatever space is between its elements."""
    return page.inner_html(".turn:nth-child(2) .markdown").replace(">", "> ").split()


@pytest.mark.parametrize(
    ("answer", "part", "count"),
    [(TABLE, "tbody tr", 560), (LIST, "li", 900), (BLOCKS, "h2", 190)],
    ids=["table", "list", "blocks"],
)
def test_a_long_answer_that_comes_at_once_takes_no_long_task(
    page: "Page", model: Any, send: "Send", answer: str, part: str, count: int
) -> None:
    assert 38_000 < len(answer) < 60_000
    model([text("Yes."), text(answer, pieces=2), text("With pleasure.")] * 3)

    def begin() -> None:
        go(page, "/chat/")
        send(page, "Are you there?")
        wait_for_answer(page)

    def read() -> None:
        send(page, "Write a lot")
        until(lambda: page.locator(f".turn:nth-child(2) .markdown {part}").count() == count)
        wait_for_answer(page)
        send(page, "Thank you")  # the long one is the last no more
        wait_for_answer(page)

    takes_no_long_task(page, begin, read)

    shown = html(page)
    page.reload()
    until(lambda: html(page) == shown)


def test_five_hundred_messages_are_scrolled_through_smoothly(tabs: Tabs, user: Any) -> None:
    conversation = Conversation.objects.create(user=user)
    turns: list[Turn] = []
    for _ in range(250):
        parent = turns[-1] if turns else None
        turns.append(Turn.objects.create(conversation=conversation, status="done", parent=parent))
    Message.objects.bulk_create(
        Message(conversation=conversation, turn=turn, role=role, content=content)
        for number, turn in enumerate(turns)
        for role, content in (
            ("user", f"Question {number}."),
            ("assistant", f"Answer {number}\n\n```py\nprint({number})\n```\n\n" + "words " * 80),
        )
    )
    Conversation.objects.update(head=turns[-1])
    address = f"/chat/conversations/{conversation.pk}/"
    page = tabs.open(address)
    turns_shown = page.locator(".turn").count
    assert turns_shown() == 20

    def scroll() -> None:
        while page.locator("[data-earlier]").count():
            before = turns_shown()
            page.evaluate("document.getElementById('scroll').scrollTop = 0")
            until(lambda before=before: turns_shown() > before)
        page.evaluate("""() => new Promise((done) => {
            const area = document.getElementById("scroll");
            const down = () => {
                area.scrollTop += 600;
                if (area.scrollHeight - area.scrollTop - area.clientHeight < 2) done();
                else requestAnimationFrame(down);
            };
            down();
        })""")

    takes_no_long_task(page, lambda: go(page, address), scroll)

    assert turns_shown() == 250
