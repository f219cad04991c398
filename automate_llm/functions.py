"""What the model is shown of a tool: its name, its description and a copy of its schema.

The same tool gives the same bytes, and properties stay in the server's order, which models read.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from .provider_schemas import provider_schema
from .text import clean_text

__all__ = [
    "MAX_DESCRIPTION_BYTES",
    "MAX_NAME",
    "clean_text",
    "definitions_array",
    "function_definition",
    "function_name",
    "provider_schema",
]

MAX_NAME = 64
MAX_DESCRIPTION_BYTES = 4_096

_PLAIN = re.compile(r"[a-z_][a-z0-9_-]*")
_HASHED = re.compile(r".*_[0-9a-f]{8}", re.DOTALL)
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")


def function_name(slug: str, tool_name: str) -> str:
    """The name that the model calls a tool by: `slug__tool`, or that with a hash of both.

    At most 64 of `[A-Za-z0-9_-]`, starting with a letter or `_`, which is what every provider
    takes. The plain form stands only where it reads back to one pair: no other characters, no
    capitals (some databases compare without case), no second place to split at, and nothing that
    looks like our hash. Every other pair gets 32 bits of a hash over both.
    """
    plain = f"{slug}__{tool_name}"
    if (
        len(plain) <= MAX_NAME
        and _PLAIN.fullmatch(plain)
        and "__" not in slug
        and not slug.endswith("_")
        and slug
        and tool_name
        and not _HASHED.fullmatch(plain)
    ):
        return plain
    pair = f"{len(slug)}:{slug}{tool_name}".encode(errors="surrogatepass")
    suffix = hashlib.blake2b(pair, digest_size=4).hexdigest()
    safe = _UNSAFE.sub("_", plain)
    if not safe[0].isalpha():
        safe = f"_{safe}"
    return f"{safe[: MAX_NAME - 9]}_{suffix}"


def function_definition(
    function_name: str, description: str, input_schema: Mapping[str, Any]
) -> bytes:
    """A tool as one entry of OpenAI's `tools`, as compact JSON.

    Raises:
        SchemaError: the schema is one that `check_schema` refuses.
    """
    return json.dumps(
        {
            "type": "function",
            "function": {
                "name": function_name,
                "description": clean_text(description, MAX_DESCRIPTION_BYTES),
                "parameters": provider_schema(input_schema),
            },
        },
        ensure_ascii=False,
        allow_nan=False,
        separators=(",", ":"),
    ).encode(errors="replace")


def definitions_array(definitions: Iterable[bytes]) -> bytes:
    """The `tools` of a request, out of prepared entries, in the order given."""
    return b"[" + b",".join(definitions) + b"]"
