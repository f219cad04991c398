"""Words of English, made comparable: split, stripped of their endings, grouped by meaning."""

import re
from functools import lru_cache

WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def word_list(text: str) -> list[str]:
    """The words that stand between blanks."""
    return text.split()


def word_set(text: str) -> frozenset[str]:
    """The same, where only their presence matters."""
    return frozenset(word_list(text))


STOP = word_set(
    "a about all also am an and any anything are as at be been being by can could did do does "
    "doing don't every for from had has have hello hey hi how i i'd i'll i'm i've if in into is "
    "it it's its just kindly let let's like many may me might much my need now of ok okay on or "
    "our out over please shall should so some something tell than thank thanks that that's the "
    "their them then there there's these they this those to too up us very want was we were what "
    "what's when when's where where's which who who's whose why will with would yes you your "
    "today tomorrow yesterday currently right exactly still using use tool via really"
)

READ_VERBS = word_set(
    "analyse analyze calculate check compare compute convert count decode define describe detect "
    "diagnose display estimate evaluate explain fetch find geocode get give google inspect is list "
    "locate look lookup measure preview print query read resolve retrieve return scan search "
    "see show solve summarise summarize tell track translate validate verify view"
)

WRITE_VERBS = word_set(
    "accept add append approve archive assign attach ban block book buy cancel change charge "
    "clear close comment commit complete copy create deactivate delete deploy disable drop edit "
    "email enable execute file finish forward grant import insert install invite issue kill log "
    "mail mark merge message modify move notify open order overwrite patch pay ping place play "
    "post print publish purchase push put record refund register reject remind remove rename "
    "reopen replace reply reschedule reserve reset restart resume revoke rotate run save schedule "
    "send set share ship sign start stop store submit subscribe text transfer trigger turn "
    "unsubscribe update upgrade upload upsert withdraw write erase make raise switch"
)

BOTH_NOUN_AND_VERB = word_set(
    "book charge comment commit email file issue log mail mark message order patch place play "
    "post print record reply reset run schedule set share ship sign start stop store text "
    "transfer trigger"
)

_GROUPS = (
    "search find look lookup query browse seek google",
    "list show display all overview",
    "get fetch read view retrieve detail details contents",
    "create add new make raise",
    "delete remove erase drop",
    "update change edit modify set rename",
    "buy order purchase",
    "cancel abort",
    "send mail email message write",
    "book reserve reservation booking",
    "schedule plan calendar arrange",
    "event meeting appointment calendar agenda",
    "price cost expensive cheap cheapest cheaper",
    "stock available availability inventory left",
    "quantity count number amount",
    "product item article catalogue catalog goods",
    "store shop location branch outlet",
    "hours open opening close closing",
    "weather forecast temperature rain sunny cold warm hot snow wind umbrella",
    "issue ticket bug",
    "customer client contact",
    "file document",
    "folder directory",
    "route direction directions navigate way",
    "convert exchange conversion",
    "calculate compute evaluate sum",
    "employee staff colleague",
    "invoice bill",
    "picture image photo",
    "delivery shipment parcel package shipping track tracking",
    "task todo reminder",
    "pull pr",
    "repository repo",
    "database db sql table",
    "translate translation",
    "restaurant eat dinner food",
    "flight fly plane",
    "hotel accommodation room",
    "company organisation organization business firm",
    "report summary statistics",
    "run execute",
    "pay payment",
    "define definition mean meaning dictionary",
    "recipe cook cooking dish meal ingredient",
    "website webpage page url",
    "error failure fault",
)


_SAME_ORDER = (
    "create add make raise",
    "delete remove erase drop",
    "update change edit modify",
    "buy order purchase",
    "cancel abort",
    "send mail email message write",
    "book reserve",
    "run execute",
    "turn switch",
    "play put",
)
"""Verbs that order the same; far fewer than those that are about the same."""


_WHOLE = word_set("news series species always perhaps")


def split_identifier(name: str) -> list[str]:
    """The words of `snake_case`, `kebab-case` or `camelCase`, in lower case."""
    return [part.casefold() for part in WORD.findall(_CAMEL.sub(" ", name))]


@lru_cache(maxsize=20_000)
def stem(word: str) -> str:
    """A word without its ending: `orders`, `ordered` and `ordering` give one stem."""
    word = word.casefold().replace("’", "'").removesuffix("'s")
    if len(word) <= 3 or word in _WHOLE or not word.isalpha():
        return word
    if word.endswith("ies") and len(word) > 4:
        word = word[:-3] + "y"
    elif word.endswith(("sses", "xes", "ches", "shes")):
        word = word[:-2]
    elif word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for ending in ("ation", "ating", "ated", "ate", "ability"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word.removesuffix(ending) + ("abl" if ending == "ability" else "")
    for ending in ("ing", "ed"):
        kept = word.removesuffix(ending)
        if kept != word and len(kept) >= 3 and re.search("[aeiouy]", kept):
            doubled = kept[-1] == kept[-2] and kept[-1] not in "lsz"
            return kept[:-1] if doubled else kept.removesuffix("e")
    if word.endswith(("tion", "sion")) and len(word) > 6:
        return word[:-3]
    return word[:-1] if word.endswith("e") and len(word) > 3 else word


def _meanings() -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for group in _GROUPS:
        stems = frozenset(stem(word) for word in group.split())
        for one in stems:
            found[one] = found.get(one, frozenset()) | (stems - {one})
    return found


_MEANINGS = _meanings()
GENERIC = frozenset(
    stem(word)
    for word in word_list(
        "get list show display give find search look lookup fetch read view check all new make "
        "create add update set data info information value result name"
    )
)
"""Stems that many tools share; they decide only between tools that are otherwise alike."""


def related(one: str) -> frozenset[str]:
    """Stems that mean about the same."""
    return _MEANINGS.get(one, frozenset())


_ORDERS = [frozenset(stem(word) for word in group.split()) for group in _SAME_ORDER]


def same_order(one: str, other: str) -> bool:
    """Whether two verbs' stems order the same thing to be done."""
    return one == other or any({one, other} <= group for group in _ORDERS)


def same_meaning(one: str, other: str) -> bool:
    """Whether two stems are equal, or mean about the same."""
    return one == other or other in related(one)


def stems(text: str) -> list[str]:
    """The stems of a text's words that carry meaning, in order."""
    return [stem(word) for word in words(text) if word not in STOP]


def words(text: str) -> list[str]:
    """The words of a text, in lower case."""
    return [word.casefold().replace("’", "'") for word in WORD.findall(text)]
