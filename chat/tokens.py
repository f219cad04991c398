"""How many tokens a text has: estimated, by what a model's server counted for earlier ones.

No tokenizer is asked: each model has its own, and the servers of most say what they counted. What
was sent and what was counted are both kept on the turn, so that a conversation in Japanese, or one
of code, is measured by its own earlier turns.
"""

from automate_llm.providers.base import ModelRequest, Usage

from .context import entry_size
from .models import Turn

CHARACTERS_PER_TOKEN = 3.0
"""Until something was counted: a little below English text, about what JSON has."""

_LEAST, _MOST = 0.5, 8.0
_TURNS = 5


def request_characters(request: ModelRequest) -> int:
    """The characters of a request that make its tokens."""
    return len(request.tools) + sum(entry_size(dict(entry)) for entry in request.messages)


def characters_per_token(turn: Turn) -> float:
    """What the model's server counted in this conversation's latest turns."""
    counted = Turn.objects.filter(
        conversation_id=turn.conversation_id, model=turn.model, prompt_characters__gt=0
    )
    latest = counted.order_by("-created_at").values_list("prompt_characters", "prompt_tokens")
    sizes = list(latest[:_TURNS])
    tokens = sum(tokens for _characters, tokens in sizes)
    if not tokens:
        return CHARACTERS_PER_TOKEN
    ratio = sum(characters for characters, _tokens in sizes) / tokens
    return min(max(ratio, _LEAST), _MOST)


def estimated_usage(request: ModelRequest, written: int, ratio: float) -> Usage:
    """What a request used whose server did not say, or whose answer broke off.

    `written` are the characters of the answer.
    """
    return Usage(round(request_characters(request) / ratio), round(written / ratio))
