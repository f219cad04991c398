"""Makes the model requests of a turn: within the day's budgets, counted when they have ended."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property

from django.db import Error as DatabaseError

from automate.conf import Settings
from automate_llm.cancellation import Cancellation
from automate_llm.exceptions import ModelCancelled, ModelStreamBroken
from automate_llm.providers.base import Completed, ModelRequest, OnText, Usage

from .budgets import Spending
from .connections import lasting, let_go_of_database
from .context import ModelMessage
from .language_models import provider_for
from .limits import TurnLimits
from .models import Turn
from .tokens import characters_per_token, estimated_usage, request_characters
from .tracing import Span, Tracer

logger = logging.getLogger(__name__)


class Requester:
    """The model of one turn.

    Raises:
        ModelRefused: it is not configured, or its key cannot be had.
    """

    def __init__(
        self,
        turn: Turn,
        limits: TurnLimits,
        cancellation: Cancellation,
        settings: Settings,
        tracer: Tracer,
    ) -> None:
        self._turn = turn
        self._tracer = tracer
        self._limits = limits
        self._cancellation = cancellation
        self._spending = Spending(turn, settings)
        self._provider = provider_for(turn.model)

    def answer(self, request: ModelRequest, on_text: OnText) -> Completed:
        """Stream one answer: `on_text` is given its text piece by piece, in whichever thread has
        read it; the whole is returned. Whoever stores it does so in `storing`.

        Raises:
            BudgetSpent: a budget of this day is used up; nothing was sent.
            ModelError: in one of its forms.
        """
        lasting(self._spending.check)
        let_go_of_database()
        with self._tracer.request(self._turn, request) as span:
            return self._streamed(request, on_text, span)

    def text(self, messages: list[ModelMessage]) -> str:
        """What the model says to these messages, without tools and unseen by the person.

        Raises:
            BudgetSpent, ModelError: as for an answer.
        """
        answer = self.answer(ModelRequest(messages=messages), lambda text: None)
        self._store()
        return answer.text

    @contextmanager
    def storing(self) -> Iterator[Callable[[], None]]:
        """For the block in which an answer is stored: gives what its transaction ends with, so
        that what the answer used is stored by no other.

        Where the block fails, it is stored all the same: it was used.
        """
        try:
            yield self._spending.store
        except BaseException:  # raised on
            try:
                self._store()
            except DatabaseError:  # the first error is the one to tell
                logger.warning("What an answer used could not be stored", exc_info=True)
            raise
        self._spending.settle()

    def _streamed(self, request: ModelRequest, on_text: OnText, span: Span) -> Completed:
        written = 0

        def take(text: str) -> None:
            nonlocal written
            if not written:
                span.text_came()
            written += len(text)
            on_text(text)

        try:
            completed = self._provider.answer(request, self._cancellation, take)
        except (ModelCancelled, ModelStreamBroken):
            # Its server goes on counting what it had read and written until then.
            self._count(request, Usage(), written)
            self._store()
            raise
        span.answered(completed, self._count(request, completed.usage, written))
        return completed

    def _count(self, request: ModelRequest, usage: Usage, written: int) -> Usage:
        if not usage.prompt_tokens and not usage.completion_tokens:
            usage = estimated_usage(request, written, lasting(lambda: self._ratio))
        self._turn.prompt_characters += request_characters(request)
        self._limits.count_usage(usage)
        self._spending.count(usage)
        return usage

    def _store(self) -> None:
        """Store what was used, by itself."""
        lasting(self._spending.store)
        self._spending.settle()

    @cached_property
    def _ratio(self) -> float:
        return characters_per_token(self._turn)
