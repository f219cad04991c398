"""The tools that a message asks for, each with the part of the message that is for it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .arguments import fill
from .facts import Kind, Text
from .families import Family, family
from .intent import clauses, opens_a_request
from .phrases import free
from .ranking import Ranked, rank
from .tools import Tool
from .words import GENERIC, same_meaning, stems

THRESHOLD = 0.55
"""The score below which no tool is taken."""

HINTED = 0.12
"""The score at which a question that fits nothing better goes to a search by words."""

MAX_PARTS = 12
"""Parts of a message that are looked at one by one; a longer one is taken as a whole."""

CANDIDATES = 6
"""How many of the best tools are tried for how well the message fills their arguments."""

BY_FORM = 0.35
"""The score of a tool that no word speaks for, only a value in its form, such as a URL."""

_FORMS: dict[Kind, Family] = {"url": "url", "sql": "sql", "sum": "sum", "path": "path"}
_FOLLOW_UP = re.compile(r"\W*(and|what about|how about|also|now|same)\b", re.IGNORECASE)
_QUESTION = re.compile(r"\b(who|what|when|where|why|which|how)\b", re.IGNORECASE)
_EVERYTHING = frozenset(stems("web internet online google knowledge wikipedia documentation docs"))


@dataclass(frozen=True)
class Step:
    """One thing to do, with the words that ask for it and the stems that chose the tool."""

    tool: Tool
    text: Text
    matched: frozenset[str] = frozenset()


def find_steps(
    tools: Sequence[Tool], text: Text, earlier: Tool | None = None, *, required: bool = False
) -> list[Step]:
    """What a message asks for, in order; `earlier` is what the message before was about."""
    steps = _steps(tools, _groups(tools, text))
    if not steps and earlier and not earlier.writes and _FOLLOW_UP.match(text.text):
        steps = [Step(earlier, text)]
    if not steps and _QUESTION.search(text.text):
        steps = [Step(tool, text) for tool in tools if _searches_everything(tool)][:1]
    if not steps and _QUESTION.search(text.text):
        best = _best([tool for tool in tools if tool.searches_by_words], text)
        steps = [Step(best.tool, text, best.matched)] if best and best.score >= HINTED else []
    if not steps and required:
        steps = [Step(each.tool, text, each.matched) for each in rank(tools, text)[:1]]
    return steps


def names_another_tool(tools: Sequence[Tool], text: Text, asked: Tool) -> bool:
    """Whether a message is a request of its own and no answer to a question about `asked`."""
    if not opens_a_request(text) or len(text.tokens) < 3:
        return False
    return any(step.tool.name != asked.name for step in find_steps(tools, text)[:1])


def _steps(tools: Sequence[Tool], groups: Sequence[Text]) -> list[Step]:
    steps: list[Step] = []
    for group in groups:
        best = _best(tools, group)
        if best and best.score >= THRESHOLD:
            steps.append(Step(best.tool, group, best.matched))
    return steps


def _groups(tools: Sequence[Tool], text: Text) -> list[Text]:
    """The message in parts that each ask for something; mostly it is one part."""
    groups: list[tuple[int, int]] = []
    picked: list[Tool] = []
    parts = clauses(text)
    for clause in parts if len(parts) <= MAX_PARTS else ():
        start, end = clause.tokens[0].start, len(clause.text)
        best = _best(tools, clause)
        sure = best is not None and best.score >= THRESHOLD
        own = (
            best is not None
            and sure
            and (opens_a_request(clause) or _is_named(best, clause, picked))
        )
        if own and best is not None:
            groups.append((start if groups else 0, end))
            picked.append(best.tool)
        elif groups:
            groups[-1] = (groups[-1][0], end)
    if len({tool.name for tool in picked}) < 2 and not _repeated(picked, groups):
        return [text]
    return [text.part(*group) for group in groups]


def _repeated(picked: Sequence[Tool], groups: Sequence[tuple[int, int]]) -> bool:
    """Whether one tool is asked for twice, and can tell the two requests apart."""
    return len(groups) > 1 and bool(picked[0].slots)


def _is_named(best: Ranked, clause: Text, picked: Sequence[Tool]) -> bool:
    """Whether a part without a verb names another tool wholly: "… and my open invoices"."""
    if not picked or best.tool in picked or best.tool.writes:
        return False
    nouns = [each for each in best.tool.name_stems if each not in GENERIC]
    said = stems(clause.text)
    covers = all(any(same_meaning(noun, word) for word in said) for noun in nouns)
    known = any(noun in picked[-1].weights for noun in nouns)
    return bool(nouns) and covers and not known


def _best(tools: Sequence[Tool], text: Text) -> Ranked | None:
    """The tool that fits best, with what the message can fill of it taken into account."""
    candidates = rank(tools, text)[:CANDIDATES]
    known = {each.tool.name for each in candidates}
    for tool in tools:
        if tool.name not in known and not tool.writes and _takes_a_fact_of(tool, text):
            candidates.append(Ranked(tool, BY_FORM, frozenset()))
    weighed = [_weighed(each, text) for each in candidates[: 3 * CANDIDATES]]
    return max(weighed, key=lambda each: each.score, default=None)


def _weighed(each: Ranked, text: Text) -> Ranked:
    """The rank again, with what the tool can make of the values in the message."""
    filled = fill(each.tool, [text])
    telling = text.of("number", "code", "email", "url", "quote", "path", "repository", "sum")
    unused = sum(free(fact.start, fact.end, filled.claimed) for fact in telling)
    lacking = 0.2 + 0.1 * len(filled.missing[:3]) if filled.missing else 0.0
    score = each.score + 0.25 * min(filled.clear, 3) - lacking - 0.1 * min(unused, 3)
    return Ranked(each.tool, score, each.matched)


def _takes_a_fact_of(tool: Tool, text: Text) -> bool:
    """Whether the message has a value in just the form that the tool cannot do without."""
    forms: set[Family] = {_FORMS[fact.kind] for fact in text.facts if fact.kind in _FORMS}
    if any(fact.unit and fact.unit not in "%#" for fact in text.of("number")):
        forms.add("currency")
    return any(slot.needed and family(slot) in forms for slot in tool.slots)


def _searches_everything(tool: Tool) -> bool:
    wide = bool(_EVERYTHING & {*tool.name_stems, *tool.prefix_stems})
    return tool.finds and wide and sum(slot.needed for slot in tool.slots) <= 1
