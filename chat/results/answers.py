"""A tool's whole answer, told apart into what a person can look at: a value, text, and the rest."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from automate_llm import strict_json
from automate_llm.exceptions import AutomateError
from automate_llm.text import escaped_hidden

LONG = 300_000
"""JSON of more characters is not indented: that takes ten times as long."""

Block = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a tool answered.

    `value` is JSON where `is_json` is true, else it is the text. `text` is what its server wrote,
    empty where that is nothing but the JSON. `others` are the blocks that are neither text nor
    file.
    """

    value: Any
    is_json: bool
    text: str
    others: tuple[Block, ...] = ()


def answer_of(result: Any, otherwise: str) -> Answer:
    """The answer that a call's row holds; `otherwise` is for a row without one."""
    if not isinstance(result, dict):
        return _of_texts([otherwise])
    content = [block for block in result.get("content") or () if isinstance(block, dict)]
    texts = [block["text"] for block in content if block.get("type") == "text"]
    others = tuple(block for block in content if not _is_text_or_file(block))
    if not result.get("has_structured"):
        found = _of_texts(texts)
        return Answer(found.value, found.is_json, found.text, others)
    value, text = result.get("structured"), "\n".join(texts)
    if isinstance(value, str):
        return Answer(value, False, text or value, others)
    return Answer(value, True, "" if _looks_like_json(text) else text, others)


def parsed(text: str) -> Any:
    """The JSON object or array that a text is; nothing where it is none, or not within limits."""
    if not _looks_like_json(text):
        return None
    try:
        return strict_json.loads(text.encode(errors="surrogatepass"))
    except AutomateError:
        return None


def json_of(value: Any) -> str:
    """A value as JSON, indented where it is not very long."""
    compact = json.dumps(value, ensure_ascii=False)
    return compact if len(compact) > LONG else json.dumps(value, ensure_ascii=False, indent=2)


def shown_json(value: Any) -> str:
    """The same with nothing hidden in it, as it is looked at."""
    return escaped_hidden(json_of(value))


def _of_texts(texts: Sequence[str]) -> Answer:
    """Several texts that are all JSON are a list, as servers send the items of one."""
    whole = "\n".join(texts)
    if (value := parsed(whole)) is not None:
        return Answer(value, True, "")
    if len(texts) > 1 and _looks_like_json(texts[-1]):
        values = [parsed(text) for text in texts]
        if None not in values:
            return Answer(values, True, "")
    return Answer(whole, False, whole)


def _looks_like_json(text: str) -> bool:
    return text.lstrip()[:1] in ("{", "[")


def _is_text_or_file(block: Block) -> bool:
    """Files have rows of their own, by which they are shown."""
    return block.get("type") == "text" or "file" in block or "file" in block.get("resource", {})
