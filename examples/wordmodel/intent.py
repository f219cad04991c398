"""What a person asks for: the parts of a message, its verbs, and whether it is small talk."""

import re
from collections.abc import Iterator
from itertools import zip_longest
from typing import Literal

from .facts import Text, Token
from .words import READ_VERBS, WRITE_VERBS, stem, word_set

_VERBS = frozenset(stem(verb) for verb in READ_VERBS | WRITE_VERBS)
_WRITES = frozenset(stem(verb) for verb in WRITE_VERBS)
_POLITE = word_set(
    "please can could would will you i we i'd i'll let's let us want wants wish to need like love "
    "me my go ahead and then now also kindly just help hey hi hello ok okay yes "
    "sure thanks finally next first after that afterwards try so well again immediately quickly "
    "somebody someone back"
)
_NEW = word_set("a an new another")
_QUESTION = word_set(
    "how what what's which who who's whose when when's where where's why is are was were do does "
    "did has have am"
)
_BOUNDARY = re.compile(r"[.!?](?=\s|$)|;|\n+|,?\s+(?:and then|and also|and|then|plus|also)\s+|,\s+")
_GREETING = re.compile(
    r"\W*(hi|hello|hey|good (morning|afternoon|evening|day)|greetings|yo|howdy|moin|hallo)\b"
    r"(\W+(there|all|everyone|you|again|assistant|bot|how are you( doing)?( today)?))*\W*",
    re.IGNORECASE,
)
_THANKS = re.compile(
    r"\W*(many |ok(ay)?,? |great,? |perfect,? )?"
    r"(thanks?( you)?|thx|cheers|great|perfect|nice|cool|ok(ay)?|bye|goodbye|see you)\b"
    r"(\W+(a lot|so much|very much|you|again|for .*|bye|that'?s all))*\W*",
    re.IGNORECASE,
)
_ABILITIES = re.compile(
    r"\b(what (all )?(can|could) you (do|help)"
    r"|what (are|can) (you|your) (able|capabilities|skills|functions|tools)"
    r"|(what|which) (kind of )?(tools|functions|abilities) (do|can|are)"
    r"|how (can|do|could) you help|what do you (do|know|offer)|who are you|what are you"
    r"|(list|show)( me)? (all )?(your|the|available) tools|your (tools|capabilities))\b"
    r"|^\W*help( me)?\W*$",
    re.IGNORECASE,
)
_REFUSAL = re.compile(
    r"\W*(no|nope|never ?mind|cancel|stop|forget (it|that|about it)|leave it|don't|do not)\b"
    r"(\W+(thanks?|thank you|that|it|please|bother))*\W*",
    re.IGNORECASE,
)

SmallTalk = Literal["greeting", "thanks", "abilities"]


def small_talk(text: str) -> SmallTalk | None:
    """The kind of message that no tool is for, if it is one."""
    if _ABILITIES.search(text) and len(text) < 200:
        return "abilities"
    if _GREETING.fullmatch(text):
        return "greeting"
    return "thanks" if _THANKS.fullmatch(text) else None


def is_refusal(text: str) -> bool:
    """Whether a person takes back what they asked for."""
    return _REFUSAL.fullmatch(text) is not None


def clauses(text: Text) -> list[Text]:
    """The parts of a message that may each ask for something, in order."""
    cuts = [0]
    for match in _BOUNDARY.finditer(text.text):
        inside = any(fact.start <= match.start() < fact.end for fact in text.facts)
        if not inside:
            cuts.append(match.end())
    cuts.append(len(text.text))
    parts = [text.part(start, end) for start, end in zip(cuts, cuts[1:], strict=False)]
    return [part for part in parts if part.tokens]


def opens_a_request(clause: Text) -> bool:
    """Whether a part begins as a question or an order, rather than going on with the last one."""
    for token in clause.tokens:
        word = _plain(token)
        if word in _QUESTION or token.stem in _VERBS:
            return True
        if word not in _POLITE:
            return False
    return False


def ordered_verbs(text: Text) -> list[str]:
    """The stems of the verbs that the message uses as orders: "please send …", "I want to buy".

    A verb counts only at the start of a part, after nothing but polite words; so neither
    "do not send", nor "how many orders did I place?" orders anything.
    """
    return list(dict.fromkeys(_ordered_verbs(text)))


def _ordered_verbs(text: Text) -> Iterator[str]:
    for clause in clauses(text):
        for token, following in zip_longest(clause.tokens, clause.tokens[1:]):
            if token.stem in _VERBS:
                yield token.stem
                if _plain(token) == "open" and following and _plain(following) in _NEW:
                    yield stem("create")
                break
            if _plain(token) not in _POLITE:
                break


def is_write_verb(verb: str) -> bool:
    """Whether a verb's stem sounds as if something changed."""
    return verb in _WRITES


def _plain(token: Token) -> str:
    return token.text.casefold().replace("’", "'")


def is_verb(word: str) -> bool:
    """Whether a stem is one of the verbs that tools are named by."""
    return word in _VERBS
