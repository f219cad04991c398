"""The model's next step: calls to make, or the words that end the turn."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from . import answers
from .arguments import Filled, fill
from .chaining import Lookup, choose_lookup, found_values, is_answered_by
from .conversation import Call, Exchange, read_exchange
from .facts import Text, read
from .intent import is_refusal, ordered_verbs, small_talk
from .repair import repaired
from .results import read_result
from .steps import Step, find_steps, names_another_tool
from .tools import Tool, read_tools

MAX_ROUNDS = 4
"""Rounds of calls after one message; then the answer is put together from what there is."""

MAX_CALLS = 5
"""Calls of one round."""


@dataclass(frozen=True)
class PlannedCall:
    """A call that the model asks for."""

    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Reply:
    """What the model says: calls, or text."""

    text: str = ""
    calls: tuple[PlannedCall, ...] = ()


@dataclass
class _Outcome:
    """How far one step is: calls to make now, or what keeps it from going on."""

    calls: list[PlannedCall] = field(default_factory=list)
    note: str = ""


def reply(request: Mapping[str, Any], today: date | None = None) -> Reply:
    """Decide on the answer to a chat-completions request, which must have `messages`."""
    messages = [each for each in request["messages"] if isinstance(each, Mapping)]
    choice = request.get("tool_choice")
    tools = read_tools(request.get("tools")) if choice != "none" else []
    exchange = read_exchange(messages)
    forced = _forced(choice, tools)
    planned = _Turn(exchange, tools, today or date.today(), forced, required=choice == "required")
    answer = planned.reply()
    if answer.calls and request.get("parallel_tool_calls") is False:
        return Reply(answer.text, answer.calls[:1])
    return answer


def _forced(choice: object, tools: Sequence[Tool]) -> Tool | None:
    function = choice.get("function") if isinstance(choice, Mapping) else None
    name = function.get("name") if isinstance(function, Mapping) else None
    return next((tool for tool in tools if tool.name == name), None)


class _Turn:
    def __init__(
        self,
        exchange: Exchange,
        tools: Sequence[Tool],
        today: date,
        forced: Tool | None,
        *,
        required: bool,
    ) -> None:
        self.exchange, self.tools = exchange, tools
        self.forced, self.required = forced, required
        self._drop_an_abandoned_question(today)
        self.texts = [read(text, today) for text in self.exchange.texts]

    def reply(self) -> Reply:
        """The calls that are open, else the answer from those that were made."""
        if not self.texts or not self.texts[-1].text.strip():
            return Reply("Your message has no words in it. " + self._abilities())
        said = self.exchange.texts[-1]
        fresh = not (self.exchange.calls or self.forced or self.required)
        if fresh and (talk := self._small_talk(said)):
            return Reply(talk)
        if self.exchange.asked_about and is_refusal(said):
            return Reply("All right, I leave it at that.")
        steps = self._steps()
        outcomes = [self._outcome(step) for step in steps]
        calls = list({_key(call): call for each in outcomes for call in each.calls}.values())
        if calls and self.exchange.rounds < MAX_ROUNDS:
            return Reply(calls=tuple(calls[:MAX_CALLS]))
        notes = [each.note for each in outcomes if each.note]
        if calls:
            notes.append("I stop here: these were as many rounds of calls as I make in one go.")
        told = answers.describe_results(
            self.exchange.texts[0], self.exchange.new_calls, [step.tool.name for step in steps]
        )
        parts = [told, *dict.fromkeys(notes)] if told else list(dict.fromkeys(notes))
        return Reply("\n\n".join(parts) or self._no_tool())

    def _steps(self) -> list[Step]:
        if self.forced:
            return [Step(self.forced, self.texts[0])]
        asked = self._tool(self.exchange.asked_about)
        if asked and (not asked.writes or self._ordered(asked)):
            return [Step(asked, self.texts[0])]
        earlier = self._tool(self.exchange.earlier_tool)
        return find_steps(self.tools, self.texts[0], earlier, required=self.required)

    def _ordered(self, tool: Tool) -> bool:
        verbs = (verb for text in self.texts for verb in ordered_verbs(text))
        return any(tool.asked_for_by(verb) for verb in verbs)

    def _outcome(self, step: Step) -> _Outcome:
        made = [call for call in self.exchange.calls if call.name == step.tool.name]
        if made and (mended := self._mended(step, made)):
            return mended
        texts = [step.text, *self.texts[1:]]
        filled = fill(step.tool, texts)
        sets = [filled.arguments, *filled.others]
        if filled.missing:
            found = self._chained(step, filled, texts)
            if isinstance(found, _Outcome):
                return found
            sets = found
        return _Outcome([c for each in sets if (c := self._open_call(step.tool, each))])

    def _chained(
        self, step: Step, filled: Filled, texts: Sequence[Text]
    ) -> _Outcome | list[dict[str, Any]]:
        """Fill what is missing from the results of other tools, or look it up first."""
        known, problem = found_values(step, filled, self.exchange.calls, self.tools)
        if problem:
            return _Outcome(note=problem)
        if known:
            if not step.tool.writes and is_answered_by(step, self.exchange, self.tools):
                return _Outcome()
            sets = [fill(step.tool, texts, known=each) for each in known[:MAX_CALLS]]
            if not sets[0].missing:
                return [each.arguments for each in sets]
            return _Outcome(note=answers.ask_for(step.tool, sets[0].missing))
        lookup = choose_lookup(step, filled, self.tools)
        if lookup and (call := self._open_call(lookup.tool, lookup.arguments)):
            return _Outcome([call])
        if lookup and self._came_back_empty(lookup):
            return _Outcome()
        return _Outcome(note=answers.ask_for(step.tool, filled.missing))

    def _came_back_empty(self, lookup: Lookup) -> bool:
        """Whether a look-up found nothing or failed; its own words then are the answer."""
        results = [read_result(c) for c in self.exchange.calls if c.name == lookup.tool.name]
        return len(self.texts) == 1 and not any(result.rows for result in results)

    def _mended(self, step: Step, made: Sequence[Call]) -> _Outcome | None:
        """Another try where the last call was refused for its arguments; one, not more."""
        last = read_result(made[-1])
        if not last.blames_arguments or sum(read_result(c).blames_arguments for c in made) > 1:
            return None
        arguments = repaired(step.tool, made[-1].arguments, last.text, self.texts)
        call = self._open_call(step.tool, arguments) if arguments is not None else None
        return _Outcome([call]) if call else None

    def _open_call(self, tool: Tool, arguments: Mapping[str, Any]) -> PlannedCall | None:
        """The call, unless this very one was made already."""
        call = PlannedCall(tool.name, arguments)
        made = {_key(PlannedCall(each.name, each.arguments)) for each in self.exchange.calls}
        return None if _key(call) in made else call

    def _drop_an_abandoned_question(self, today: date) -> None:
        """Take the newest message alone where it does not answer what was asked back."""
        exchange = self.exchange
        asked = self._tool(exchange.asked_about)
        if not exchange.asked_about:
            return
        newest = read(exchange.texts[-1], today)
        if asked is None or names_another_tool(self.tools, newest, asked):
            new = exchange.new_calls
            self.exchange = Exchange([exchange.texts[-1]], new, new, exchange.rounds)

    def _tool(self, name: str) -> Tool | None:
        return next((tool for tool in self.tools if tool.name == name), None)

    def _small_talk(self, said: str) -> str:
        kind = small_talk(said)
        if kind == "greeting":
            return "Hello! " + self._abilities()
        if kind == "thanks":
            return "You are welcome."
        return self._abilities() if kind else ""

    def _abilities(self) -> str:
        if not self.tools:
            return "I am a demo model that picks tools by words, and I was given no tools."
        told = answers.describe_tools(self.tools)
        return f"I pick tools by the words of your message. These I have:\n\n{told}"

    def _no_tool(self) -> str:
        if not self.tools:
            return self._abilities()
        told = answers.describe_tools(self.tools, 8)
        return (
            "None of my tools seems to be for that, by the words of your message. "
            f"A tool that changes something runs only when you order it. These I have:\n\n{told}"
        )


def _key(call: PlannedCall) -> tuple[str, str]:
    return call.name, json.dumps(call.arguments, sort_keys=True)
