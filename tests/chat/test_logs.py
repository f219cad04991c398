"""Lines of the log that belong to a turn say so."""

import json
import logging
import logging.config
import re
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from chat.engine import run_turn
from chat.logs import JSONFormatter, TurnFilter, logged_with
from tests.servers.mcp_sdk import Offer
from tests.servers.scripted_replies import calls, text

pytestmark = pytest.mark.django_db

OBSERVABILITY = Path(__file__).parent.parent.parent / "docs/observability.md"


@pytest.fixture
def lines() -> Iterator[Any]:
    """What the root logger writes from here on, each line parsed."""
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(TurnFilter())
    handler.setFormatter(JSONFormatter())
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.setLevel(level)
    root.removeHandler(handler)


def test_a_line_of_any_library_in_a_turn_carries_its_ids(
    model: Any, ask: Any, lines: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*parts: Any) -> Any:
        logging.getLogger("some.library").warning("All is %s", "odd")
        raise RuntimeError

    model([text("Hi.")])
    monkeypatch.setattr("chat.engine.compacted", explode)
    turn = ask()

    run_turn(turn.pk)

    (odd,) = [line for line in lines() if line["logger"] == "some.library"]
    assert odd["message"] == "All is odd"
    assert odd["level"] == "WARNING"
    assert (odd["turn_id"], odd["conversation_id"]) == (str(turn.pk), str(turn.conversation_id))
    assert "call_id" not in odd
    (ours,) = [line for line in lines() if line["logger"] == "chat.engine"]
    assert ours["turn_id"] == str(turn.pk)
    assert "RuntimeError" in ours["exception"]


@pytest.mark.parametrize("count", [1, 3])
def test_a_line_in_a_calls_thread_carries_the_call_too(
    model: Any, ask: Any, shop: Any, lines: Any, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    from automate_llm.mcp_client import MCPClient

    original = MCPClient.call

    def call(self: MCPClient, name: str, arguments: Any, **options: Any) -> Any:
        logging.getLogger("some.client").info("number %s", arguments["number"])
        return original(self, name, arguments, **options)

    shop(Offer("echo"))
    monkeypatch.setattr(MCPClient, "call", call)
    model([calls(*[("shop__echo", {"number": n}) for n in range(count)]), text("Done.")])
    turn = ask()

    run_turn(turn.pk)

    made = {str(each.pk): f"number {each.arguments['number']}" for each in turn.tool_calls.all()}
    of_calls = [line for line in lines() if line["logger"] == "some.client"]
    assert {line["call_id"]: line["message"] for line in of_calls} == made
    assert {line["turn_id"] for line in of_calls} == {str(turn.pk)}


def test_outside_of_a_turn_the_ids_are_empty_and_any_format_works(lines: Any) -> None:
    with logged_with(turn_id="t"), logged_with(call_id="c"):
        logging.getLogger("x").info("in")
    logging.getLogger("x").info("out")

    inside, outside = lines()
    assert (inside["turn_id"], inside["call_id"]) == ("t", "c")
    assert outside.keys() == {"time", "level", "logger", "message"}


def test_the_documented_configuration_works(capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = re.findall(r"```python\n(LOGGING.*?)```", OBSERVABILITY.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(block, names)
    configuration = names["LOGGING"]
    configuration["root"] = {"handlers": []}
    configuration["loggers"] = {"documented": {"handlers": ["console"], "level": "INFO"}}

    for formatter, expected in (("json", '"message": "Hello"'), ("line", "documented []: Hello")):
        configuration["handlers"]["console"]["formatter"] = formatter
        logging.config.dictConfig(configuration)
        logging.getLogger("documented").info("Hello")
        assert expected in capsys.readouterr().err
    logging.getLogger("documented").handlers.clear()
