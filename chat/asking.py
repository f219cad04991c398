"""Rows of what a tool's server asks a person, whichever way it asks."""

from datetime import timedelta
from typing import Any

from django.utils import timezone

from automate_llm.values import InputRequest

from .models import Question, ToolCall
from .schema_forms import with_order

MAX_LEVELS = 30
"""Of objects and arrays in a question's schema. MariaDB holds no JSON of more than 32."""


def can_be_asked(request: InputRequest, key: str = "") -> bool:
    """Whether a row can hold it; what does not fit could not be answered under its own name."""
    return len(key) <= 200 and len(request.url) <= 2000 and _is_within(request.schema, MAX_LEVELS)


def _is_within(value: Any, levels: int) -> bool:
    """Whether no more levels of objects and arrays are in it."""
    match value:
        case dict():
            parts = [*value.values()]
        case list():
            parts = value
        case _:
            return True
    return levels > 0 and all(_is_within(each, levels - 1) for each in parts)


def question_of(
    call: ToolCall, request: InputRequest, *, round_: int, key: str, seconds: float
) -> Question:
    """The question, unsaved, which waits so many seconds for its person."""
    return Question(
        call=call,
        round=round_,
        key=key,
        mode=request.mode,
        message=request.message,
        schema=with_order(request.schema),
        url=request.url,
        expires_at=timezone.now() + timedelta(seconds=seconds),
    )
