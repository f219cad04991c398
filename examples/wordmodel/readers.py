"""One message, read for one tool's slots: from what is stated outright to what is left over."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from . import families, numbers
from .cues import (
    ABBREVIATED,
    ABOUT,
    BODY,
    CUES,
    FACTS,
    FLAG_WORDS,
    JOINED,
    LISTED,
    NEGATION,
    enumerated,
    is_quick,
)
from .facts import Fact, Kind, Text
from .families import Family, family
from .moments import fill_dates, fill_time
from .names import currency_codes, language
from .phrases import Found, Span, after, free, proper_name, rest_after, subject
from .schema import Path, Slot
from .tools import Tool
from .words import related, same_meaning, split_identifier, stem

Values = Iterator[tuple[Slot, Any]]


class Reader:
    """Reads one message for one tool; what one slot has taken, no other gets."""

    def __init__(
        self, tool: Tool, text: Text, trimmed: Collection[str], claimed: Sequence[Span]
    ) -> None:
        self.tool, self.text = tool, text
        self.trimmed = {*trimmed, *tool.name_stems, *tool.prefix_stems, *related(tool.verb)}
        self.claimed: list[Span] = list(claimed)
        self._taken: dict[Path, tuple[Kind, Fact]] = {}
        self._names: dict[Path, Found] = {}

    def stated(self, wanted: Sequence[Slot]) -> Values:
        """`name: value`, `name=value`, and "name value" where the value has a clear form."""
        for slot in wanted:
            own = r"[\s_-]*".join(re.escape(part) for part in split_identifier(str(slot.path[-1])))
            if not own or slot.path[-1] == 0:
                continue
            match = re.search(
                rf"(?<![\w-]){own}s?(?P<sign>\s*[:=]\s*|\s+(?:is|to be|of|to)?\s*)(?=\S)",
                self.text.text,
                re.IGNORECASE,
            )
            if match and (value := self._after_name(slot, match)) is not None:
                yield slot, value

    def typed(self, wanted: Sequence[Slot]) -> Values:
        """Values whose form says what they are, and choices named by the message."""
        for slot in wanted:
            if slot.choices and (found := self._choice(slot)) is not None:
                yield slot, found
        yield from fill_dates(wanted, self.text, self.claimed)
        for slot in wanted:
            kind = family(slot)
            value: Any = None
            if kind == "boolean":
                value = self._flag(slot)
            elif kind == "time":
                value = fill_time(slot, self.text, self.claimed)
            elif kind == "language":
                value = language(slot, self.text, self.claimed)
            elif kind == "owner":
                repository = next(iter(self.text.of("repository")), None)
                value = repository.value.split("/")[0] if repository else None
            elif kind in FACTS:
                value = self._fact(slot, kind)
            if value is None and isinstance(slot.schema.get("pattern"), str) and not slot.choices:
                value = self._by_pattern(slot)
            if value is not None:
                yield slot, value
        yield from currency_codes(wanted, self.text, self.claimed)

    def numbered(self, wanted: Sequence[Slot]) -> Values:
        """Numbers, each to the slot that the words around it speak for."""
        slots = [slot for slot in wanted if family(slot) == "number"]
        fits = sorted(
            (
                (numbers.fit(slot, fact, self.text), -order, slot, fact)
                for order, slot in enumerate(slots)
                for fact in self._free("number")
            ),
            key=lambda each: each[:2],
            reverse=True,
        )
        filled: set[Path] = set()
        for score, _, slot, fact in fits:
            if score >= 1 and slot.path not in filled and self._is_free(fact):
                filled.add(slot.path)
                self.claimed.append(numbers.span(slot, fact, self.text))
                number = numbers.value(slot, fact, self.text)
                yield slot, [number] if slot.plural else number

    def cued(self, wanted: Sequence[Slot]) -> Values:
        """Words that follow "in", "titled", "saying" and the like, and quotes."""
        for slot in wanted:
            if family(slot) != "body":
                continue
            found = rest_after(self.text, BODY, self.claimed)
            if found := found or rest_after(self.text, r"\S+?(?=:\s)", self.claimed):
                quote = self._quote_in(found)
                yield slot, quote or self._take(found)
        for slot in self._ends_first(wanted):
            kind = family(slot)
            if slot.plural or kind not in CUES:
                continue
            if value := self._cue(slot, kind):
                yield slot, value

    def left_over(self, wanted: Sequence[Slot]) -> Values:
        """What nothing speaks for, given to the slots that must have something."""
        open_kinds = ("query", "text", "title", "body", "person", "place", "channel")
        for slot in sorted(wanted, key=lambda each: family(each) != "number"):
            kind = family(slot)
            value: Any = None
            if slot.needed and kind == "number":
                value = self._any_number(slot)
            elif slot.needed and kind == "id":
                value = self._any_id(slot)
            elif slot.type == "string" and not slot.choices and kind in open_kinds:
                filled = (each for each in self.tool.slots if each not in wanted)
                self.trimmed.update(word for each in filled for word in each.words)
                value = self._words(slot, kind)
            if value is not None:
                yield slot, [value] if slot.plural and not isinstance(value, list) else value

    def whole(self, wanted: Sequence[Slot]) -> Values:
        """The whole of an answer, where just one thing was asked for."""
        if len(wanted) != 1:
            return
        slot, text = wanted[0], self.text.text.strip().rstrip(".!")
        text = re.sub(r"^(it'?s|it is|the \w+ is|that'?s|use|make it)\s+", "", text, flags=re.I)
        if slot.type == "boolean":
            if match := re.match(r"(yes|true|sure|ok|please do|no|false|not)\b", text, re.I):
                yield slot, match[1].lower() not in ("no", "false", "not")
            return
        kind = family(slot)
        if kind == "id" and (len(text.split()) > 2 or "@" in text):
            return
        if slot.type == "string" and text and kind not in ("choice", "email", "url", "date"):
            yield slot, [part for part in JOINED.split(text) if part] if slot.plural else text

    def others(self, values: Mapping[Path, Any]) -> tuple[Slot, list[Any]] | None:
        """A slot whose value is the first of several in the message, and the others."""
        for slot in self.tool.slots:
            if slot.plural or slot.path not in values:
                continue
            if slot.path in self._taken:
                kind, _ = self._taken[slot.path]
                more = [fact.value for fact in self._free(kind)]
                if kind in ("code", "url", "path", "repository") and more:
                    return slot, more
            if slot.path in self._names and (found := self._names[slot.path]):
                rest = self.text.text[found[2] :]
                if more := enumerated(rest):
                    return slot, more
        return None

    def _after_name(self, slot: Slot, match: re.Match[str]) -> Any:
        signed = match["sign"].strip() in (":", "=")
        for fact in self.text.facts:
            if match.end() <= fact.start <= match.end() + 1 and self._is_free(fact):
                value = self._coerced(slot, fact)
                if value is not None:
                    self._claim(fact, match.start())
                    return [value] if slot.plural else value
        if slot.choices or not signed or slot.type != "string":
            return None
        end = re.compile(r"[,;\n]|\s+(?:and\s+)?[\w-]+\s*[:=]\s*\S|$").search(
            self.text.text, match.end()
        )
        raw = self.text.text[match.end() : end.start() if end else None].strip()
        if not raw or family(slot) in ("date", "time"):
            return None
        self.claimed.append((match.start(), match.end() + len(raw)))
        return [part for part in JOINED.split(raw) if part] if slot.plural else raw

    def _coerced(self, slot: Slot, fact: Fact) -> Any:
        """A fact as this slot takes it, if it can."""
        kind = family(slot)
        if slot.choices or kind in ("date", "time", "boolean"):
            return None
        if slot.type in ("integer", "number"):
            return numbers.value(slot, fact, self.text) if fact.kind == "number" else None
        if fact.kind == "number":
            return str(fact.value) if kind == "id" else None
        if fact.kind == "json":
            return fact.value if slot.type in ("object", "array") else None
        if not isinstance(fact.value, str) or slot.type != "string":
            return None
        return fact.value if fact.kind == "quote" or fact.kind in FACTS.get(kind, ()) else None

    def _choice(self, slot: Slot) -> Any:
        found: list[tuple[int, int, int, Any]] = []
        tokens = [token for token in self.text.tokens if free(token.start, token.end, self.claimed)]
        for choice in slot.choices:
            wanted = [stem(word) for word in split_identifier(str(choice))]
            for index in range(len(tokens) - len(wanted) + 1 if wanted else 0):
                part = tokens[index : index + len(wanted)]
                exact = [token.stem for token in part] == wanted
                if len(wanted) == 1 and slot.needed and not exact:
                    exact = same_meaning(part[0].stem, wanted[0])
                if exact and not (part[0].is_stop and not slot.needed):
                    found.append((-len(wanted), part[0].start, part[-1].end, choice))
        if not found:
            return None
        found.sort(key=lambda each: each[:2])
        if slot.plural:
            for _, start, end, _ in found:
                self.claimed.append((start, end))
            return list(dict.fromkeys(each[3] for each in found))
        self.claimed.append(found[0][1:3])
        return found[0][3]

    def _flag(self, slot: Slot) -> bool | None:
        own = [word for word in slot.words if word not in FLAG_WORDS]
        spoken = {token.stem: token for token in self.text.tokens}
        if not own or not all(word in spoken for word in own):
            return None
        return not NEGATION.search(self.text.text[: spoken[own[0]].start].casefold())

    def _fact(self, slot: Slot, kind: Family) -> Any:
        facts = self._free(*FACTS[kind])
        if kind == "person" and slot.needed is False:
            facts = [fact for fact in facts if fact.kind == "handle"]
        if kind == "email" and slot.has_word("cc", "bcc"):
            facts = [
                f for f in facts if re.search(r"\bb?cc:?\s*$", self.text.text[: f.start], re.I)
            ]
        if kind == "repository" and any(family(each) == "owner" for each in self.tool.slots):
            for fact in facts[:1]:
                self._claim(fact)
                return fact.value.split("/", 1)[1]
        if kind == "object" or slot.type not in ("string",):
            facts = [fact for fact in facts if isinstance(fact.value, dict)]
        if slot.plural and kind in ("email", "url", "id", "path") and facts:
            for fact in facts:
                self._claim(fact)
            return [fact.value for fact in facts]
        for fact in facts[:1]:
            self._claim(fact)
            self._taken[slot.path] = fact.kind, fact
            return fact.value
        return None

    def _by_pattern(self, slot: Slot) -> str | None:
        if not is_quick(slot.schema["pattern"]):
            return None
        try:
            pattern = re.compile(slot.schema["pattern"])
        except (re.error, RecursionError, OverflowError):
            return None
        for fact in self.text.facts:
            short = isinstance(fact.value, str) and len(fact.value) <= 64
            if short and self._is_free(fact) and pattern.search(fact.value):
                self._claim(fact)
                return str(fact.value)
        for token in self.text.tokens:
            plain = not token.is_stop and free(token.start, token.end, self.claimed)
            if plain and len(token.text) <= 64 and pattern.fullmatch(token.text):
                self.claimed.append((token.start, token.end))
                return token.text
        return None

    def _cue(self, slot: Slot, kind: Family) -> str | None:
        cue = CUES[kind]
        if kind == "place" and families.is_source(slot):
            cue = "from"
        elif kind == "place" and families.is_target(slot):
            cue = "to|into|towards"
        if kind == "channel" and (match := re.search(r"#([A-Za-z][\w-]*)", self.text.text)):
            self.claimed.append(match.span())
            return match[1]
        if kind in ("title", "person", "text") and slot.needed:
            quote = re.search(rf"(?:{cue})\s*[\"'“]", self.text.text, re.IGNORECASE)
            if quote and (inside := self._quote_in(("", quote.start(), len(self.text.text)))):
                return inside
        own_cue = f"{re.escape(str(slot.path[-1]))}|{cue}"
        strict = kind in ("person", "text") or not slot.needed
        quotes = [(fact.start, fact.end) for fact in self.text.of("quote")]
        taken = [*self.claimed, *quotes]
        found = after(self.text, own_cue, taken, capital=strict)
        found = found or after(self.text, self._nouns(), taken, capital=True)
        if not found or (kind == "text" and not slot.needed):
            return None
        if stem(found[0]) in self.trimmed and not found[0][0].isupper():
            return None
        self._names[slot.path] = found
        return self._take(found)

    def _nouns(self) -> str:
        """The words of the tool's name, before which a name may stand: "the employee Ann"."""
        words = split_identifier(self.tool.name)
        return "|".join(re.escape(word) for word in words if stem(word) != self.tool.verb) or "x^"

    def _any_number(self, slot: Slot) -> int | float | None:
        for fact in self._free("number"):
            number = numbers.value(slot, fact, self.text)
            if number is not None:
                self._claim(fact)
                return number
        return None

    def _any_id(self, slot: Slot) -> str | None:
        for fact in self._free("quote", "number"):
            if fact.kind == "number" and numbers.is_an_amount(fact, self.text):
                continue
            self._claim(fact)
            self._taken[slot.path] = fact.kind, fact
            return str(fact.value)
        for token in self.text.tokens if slot.has_word(*ABBREVIATED) else ():
            whole = token.text.isupper() and 2 <= len(token.text) <= 12
            if whole and free(token.start, token.end, self.claimed) and token.text != "I":
                self.claimed.append((token.start, token.end))
                return token.text
        return None

    def _words(self, slot: Slot, kind: Family) -> Any:
        if kind == "place" and not any(each.needed for each in self.tool.slots):
            name = proper_name(self.text, self.claimed, self.trimmed)
            return self._take(name) if name else None
        if not slot.needed and (kind != "query" or any(s.needed for s in self.tool.slots)):
            return None
        for fact in self._free("quote"):
            self._claim(fact)
            return fact.value
        if kind == "title" and (found := rest_after(self.text, ABOUT, self.claimed)):
            return self._take(found)
        if kind == "query" and "mail" in f"{slot.description} {self.tool.description}".casefold():
            for fact in self._free("email"):
                self._claim(fact)
                return fact.value
        if slot.has_word("text", "sentence", "input") and (found := self._after_the_verb()):
            return self._take(found)
        if slot.plural and (listed := rest_after(self.text, LISTED, self.claimed)):
            return [part for part in JOINED.split(self._take(listed)) if part]
        if kind in ("body", "channel") or (kind == "person" and slot.has_word("user", "account")):
            return None
        others: tuple[Kind, ...] = ("date", "time")
        if kind in ("place", "person"):
            others += ("url", "email", "sql", "sum", "json", "path", "code")
        dates = [(fact.start, fact.end) for fact in self.text.of(*others)]
        found = subject(self.text, [*self.claimed, *dates], self.trimmed)
        if found is None:
            return None
        self._names[slot.path] = found
        return self._take(found)

    def _after_the_verb(self) -> Found | None:
        """All that follows the tool's own verb at the start: "translate where are you"."""
        for token in self.text.tokens[:6]:
            if token.stem == self.tool.verb and not self.tool.finds:
                return rest_after(self.text, re.escape(token.text), self.claimed)
        return None

    def _quote_in(self, stretch: Found) -> str | None:
        for fact in self._free("quote"):
            if stretch[1] <= fact.start <= stretch[2]:
                self._claim(fact)
                return str(fact.value)
        return None

    def _take(self, found: Found) -> str:
        self.claimed.append((found[1], found[2]))
        return found[0]

    def _claim(self, fact: Fact, start: int | None = None) -> None:
        self.claimed.append((fact.start if start is None else start, fact.end))

    def _is_free(self, fact: Fact) -> bool:
        return free(fact.start, fact.end, self.claimed)

    def _free(self, *kinds: Kind) -> list[Fact]:
        return [fact for fact in self.text.of(*kinds) if self._is_free(fact)]

    @staticmethod
    def _ends_first(wanted: Sequence[Slot]) -> list[Slot]:
        """Slots with a cue of their own ("from", "to") before those that take any."""
        tells: Callable[[Slot], bool] = lambda s: families.is_source(s) or families.is_target(s)  # noqa: E731
        return sorted(wanted, key=lambda slot: not tells(slot))
