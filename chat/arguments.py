"""The arguments of a call: read from a model's text, and told apart from others."""

import hashlib
import json
from typing import Any

from django.utils.translation import gettext as _

from automate_llm import strict_json
from automate_llm.exceptions import LimitExceeded, ProtocolError

MAX_CHARACTERS = 1_000_000


def parsed(text: str) -> tuple[dict[str, Any], str]:
    """The arguments as an object, and as JSON that is surely valid; no text is an empty object.

    Raises:
        ValueError: they are none; its message is for whoever wrote them.
    """
    if len(text) > MAX_CHARACTERS:
        raise ValueError(_("The arguments are longer than 1 MB."))
    try:
        arguments = strict_json.loads((text.strip() or "{}").encode(errors="surrogatepass"))
        if not isinstance(arguments, dict):
            raise ValueError(_("The arguments are not a JSON object."))
        if not strict_json.storable(arguments):
            raise ValueError(_("The arguments hold a number or a character that JSON lacks."))
        return arguments, json.dumps(arguments, ensure_ascii=False)
    except LimitExceeded:
        raise ValueError(_("The arguments are nested too deep, or hold too much.")) from None
    except ProtocolError:
        raise ValueError(_("The arguments are not valid JSON. Write one JSON object.")) from None


def canonical(arguments: Any) -> str:
    """Arguments as text that is the same for the same values."""
    return json.dumps(arguments, sort_keys=True, separators=(",", ":"))


def arguments_hash(arguments: Any) -> str:
    """A SHA-256 that is the same for the same arguments, whatever the order of their keys."""
    return hashlib.sha256(canonical(arguments).encode()).hexdigest()
