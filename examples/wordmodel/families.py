"""What kind of value a slot wants, by its format, its name and its description."""

import re
from typing import Literal

from .schema import Slot
from .words import stem

Family = Literal[
    "choice", "boolean", "number", "object", "email", "url", "date", "time", "sql", "sum",
    "repository", "owner", "path", "language", "currency", "channel", "id", "body", "title",
    "person", "place", "query", "text",
]  # fmt: skip


def _stemmed(text: str) -> frozenset[str]:
    return frozenset(stem(word) for word in text.split())


_BY_NAME: tuple[tuple[Family, frozenset[str]], ...] = (
    ("email", _stemmed("email mail recipient cc bcc attendee invitee participant")),
    ("url", _stemmed("url uri link website webpage href homepage")),
    ("sql", _stemmed("sql")),
    ("sum", _stemmed("expression formula equation calculation")),
    ("repository", _stemmed("repo repository")),
    ("path", _stemmed("path file filename filepath directory folder dir")),
    ("language", _stemmed("language lang locale")),
    ("currency", _stemmed("currency")),
    ("channel", _stemmed("channel hashtag")),
    ("id", _stemmed("id ids sku uuid guid isbn iata ticker barcode sha symbol ean vin")),
    ("date", _stemmed("date day datetime deadline due since until checkin checkout birthday")),
    ("body", _stemmed("body message comment note content description details reason")),
    ("title", _stemmed("title subject headline heading")),
    ("query", _stemmed("query q search term keyword keywords phrase question topic prompt")),
    ("place", _stemmed(
        "city location place address country region town street area origin destination "
        "airport station venue state district neighbourhood neighborhood near store branch"
    )),
    ("person", _stemmed(
        "person user username assignee customer contact author member employee owner name "
        "client colleague guest reviewer account"
    )),
    ("text", _stemmed("text")),
)  # fmt: skip
_ID_ENDS = _stemmed("id code key number ref reference no num nr")
_DATE_TEXT = re.compile(r"YYYY|ISO.?8601|\b(date|day)\b", re.IGNORECASE)
_DATE_ENDS = _stemmed("start end from to begin after before when")
_STARTS = _stemmed("start from since after begin checkin first earliest arrival")
_ENDS = _stemmed("end to until before checkout last latest finish till")
_SOURCES = _stemmed("from source origin start departure base")
_TARGETS = _stemmed("to target destination end arrival dest into")
_FORMATS: dict[object, Family] = {
    "email": "email", "idn-email": "email", "uri": "url", "url": "url", "uri-reference": "url",
    "iri": "url", "date": "date", "date-time": "date", "time": "time", "uuid": "id",
}  # fmt: skip


def family(slot: Slot) -> Family:
    """The kind of value that a slot wants."""
    if slot.choices:
        return "choice"
    if slot.type in ("integer", "number"):
        return "number"
    if slot.type in ("boolean", "object"):
        return "boolean" if slot.type == "boolean" else "object"
    if stated := _FORMATS.get(slot.schema.get("format")):
        return stated
    return _by_words(slot)


def _by_words(slot: Slot) -> Family:
    own, said = slot.words, slot.description.casefold()
    if "sql" in said and own[-1] in _stemmed("query statement sql"):
        return "sql"
    if own[-1] in _SOURCES | _TARGETS and len(own) == 1:
        return _of_endpoint(said)
    if own[-1] in _DATE_ENDS and (_DATE_TEXT.search(said) or "dat" in own or "date" in own):
        return "date"
    if len(own) > 1 and own[-1] in _ID_ENDS:
        return "id"
    if own[-1] == stem("owner") and ("repo" in said or "github" in said or "organi" in said):
        return "owner"
    if own[-1] == stem("time") and "date" not in said:
        return "time"
    for each in reversed(own):
        for kind, names in _BY_NAME:
            if each in names:
                return "date" if kind in ("body", "text") and "yyyy" in said else kind
    if own[-1] in _ID_ENDS:
        return "id"
    if own[-1] in _SOURCES | _TARGETS | _stemmed("symbol"):
        return _of_endpoint(said)
    return "date" if re.search(r"yyyy-mm|iso.?8601", said) else "text"


def _of_endpoint(said: str) -> Family:
    """What a bare `from` or `to` means, by its description."""
    for word, kind in (
        ("currency", "currency"), ("language", "language"), ("mail", "email"), ("date", "date"),
        ("yyyy", "date"), ("iso 8601", "date"),
    ):  # fmt: skip
        if word in said:
            return kind  # type: ignore[return-value]  # each is a Family; the tuple widens them
    return "place"


def is_source(slot: Slot) -> bool:
    """Whether it is where something comes from, or begins."""
    return bool(_SOURCES & set(slot.words))


def is_target(slot: Slot) -> bool:
    """Whether it is where something goes, or ends."""
    return bool(_TARGETS & set(slot.words))


def is_start(slot: Slot) -> bool:
    """Whether it is the first day or moment of a stretch."""
    return bool(_STARTS & {*slot.words, "".join(slot.words)})


def is_end(slot: Slot) -> bool:
    """Whether it is the last day or moment of a stretch."""
    return bool(_ENDS & {*slot.words, "".join(slot.words)})
