"""The functions that a request offers, and which of them change something."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from .families import family
from .schema import Slot, slots
from .words import (
    BOTH_NOUN_AND_VERB,
    GENERIC,
    READ_VERBS,
    WRITE_VERBS,
    same_order,
    split_identifier,
    stem,
    stems,
    word_list,
    word_set,
    words,
)

_WRITES = frozenset(stem(verb) for verb in WRITE_VERBS)
_READS = frozenset(stem(verb) for verb in READ_VERBS)
_DOING = frozenset(map(stem, ("place", "create", "submit", "add", "post", "put", "open")))
_NOUN_PHRASE = word_set("where which what when how who the all current details status a an")
_FINDERS = frozenset(stem(verb) for verb in word_list("search find list lookup query geocode"))


@dataclass(frozen=True)
class Tool:
    """One function definition."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    prefix: int = 0
    """How many words at the start of the name say only whose tool it is."""

    @cached_property
    def slots(self) -> list[Slot]:
        """What it takes."""
        return slots(self.parameters)

    @cached_property
    def name_stems(self) -> list[str]:
        """The stems of its name, less the prefix that its neighbours share."""
        return [stem(word) for word in split_identifier(self.name)[self.prefix :]]

    @cached_property
    def prefix_stems(self) -> frozenset[str]:
        """The stems of the part that says whose tool it is."""
        return frozenset(stem(word) for word in split_identifier(self.name)[: self.prefix])

    @cached_property
    def first_sentence(self) -> str:
        """The start of its description, on one line."""
        line = " ".join(self.description.split())
        return line.split(". ")[0].rstrip(".")[:160]

    @cached_property
    def description_stems(self) -> frozenset[str]:
        """The stems of its description."""
        return frozenset(stems(self.description))

    @cached_property
    def verb(self) -> str:
        """The stem of what it does: the first verb of its name, else of its description."""
        named = [word for word in self._name_words if word in READ_VERBS | WRITE_VERBS]
        return stem(named[0]) if named else self._described_verb

    @cached_property
    def writes(self) -> bool:
        """Whether its name or description sounds as if it changed or sent something.

        A word that may be a noun, as in `order_status`, is settled by how the description begins.
        """
        named = [word for word in self._name_words if word in READ_VERBS | WRITE_VERBS]
        if named and (named[0] in READ_VERBS or named[0] not in BOTH_NOUN_AND_VERB):
            return named[0] in WRITE_VERBS
        if self._described_verb:
            return self._described_verb in _WRITES
        begins = words(self.description)[:1]
        return bool(named) and not (begins and begins[0] in _NOUN_PHRASE)

    @property
    def _name_words(self) -> list[str]:
        return split_identifier(self.name)[self.prefix :]

    @cached_property
    def _described_verb(self) -> str:
        """The stem of the verb that the description begins with: "Return …", "Returns …"."""
        first, second = [*words(self.description)[:2], "", ""][:2]
        if second == "up":  # "Add up", "Look up"
            return ""
        if first.endswith("ing") or stem(first) not in _READS | _WRITES:
            return ""
        return stem(first)

    @cached_property
    def weights(self) -> dict[str, float]:
        """How much each stem says for this tool, by the best place where it stands."""
        weights: dict[str, float] = {}

        def note(found: Iterable[str], weight: float) -> None:
            for each in found:
                value = weight * (0.35 if each in GENERIC else 1.0)
                weights[each] = max(weights.get(each, 0.0), value)

        note(self.name_stems, 1.0)
        note(self.prefix_stems, 0.55)
        note(stems(self.first_sentence), 0.55)
        note(self.description_stems, 0.4)
        for slot in self.slots:
            note(slot.words, 0.4)
            note(slot.described_words, 0.2)
            for choice in slot.choices:
                if isinstance(choice, str):
                    note((stem(word) for word in split_identifier(choice)), 0.5)
        return weights

    @property
    def finds(self) -> bool:
        """Whether it looks things up, so that its result may name what another tool needs."""
        return self.verb in _FINDERS

    @cached_property
    def searches_by_words(self) -> bool:
        """Whether it cannot do without words to search for, which may be any."""
        return self.finds and any(s.needed and family(s) == "query" for s in self.slots)

    def asked_for_by(self, verb: str) -> bool:
        """Whether a verb of the message orders what this tool does.

        The tool's verb is the first of its name; where that only says "do", as in `place_order`,
        the next one counts too. In `cancel_order` it does not: who orders, does not cancel.
        """
        own = [stem(word) for word in self._name_words if word in WRITE_VERBS]
        if not own:
            own = [self.verb]
        elif own[0] not in _DOING:
            own = own[:1]
        return any(same_order(verb, each) for each in own)


def read_tools(definitions: object) -> list[Tool]:
    """The usable functions of a request's `tools`; anything else in the list is left out."""
    found: dict[str, str] = {}
    for entry in definitions if isinstance(definitions, list) else []:
        function = entry.get("function") if isinstance(entry, Mapping) else None
        if isinstance(function, Mapping) and isinstance(function.get("name"), str):
            found[function["name"]] = json.dumps(function)
    firsts = Counter(split_identifier(name)[:1][0] for name in found if split_identifier(name))
    return [_read_tool(text, _prefix(name, firsts)) for name, text in found.items()]


@lru_cache(maxsize=4096)
def _read_tool(text: str, prefix: int) -> Tool:
    function = json.loads(text)
    description = function.get("description")
    parameters = function.get("parameters")
    return Tool(
        function["name"],
        description if isinstance(description, str) else "",
        parameters if isinstance(parameters, dict) else {},
        prefix,
    )


def _prefix(name: str, firsts: Counter[str]) -> int:
    """How many words of a name, such as `shop` in `shop_find_order`, stand for its server."""
    if "__" in name.strip("_"):
        return len(split_identifier(name.split("__", 1)[0]))
    split = split_identifier(name)
    if len(split) < 2 or stem(split[0]) in _READS | _WRITES:
        return 0
    tells = any(stem(word) not in GENERIC | _READS | _WRITES for word in split[1:])
    return 1 if tells and firsts[split[0]] > 1 else 0
