"""From what a model asked for to what its tools answered: parse, check, call, store."""

import json
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import cached_property
from queue import SimpleQueue
from typing import Any

from django.db import transaction
from django.db.models import Subquery
from django.utils import timezone
from django.utils.translation import gettext as _

from automate.catalog import tool_for_call
from automate.conf import Settings
from automate_llm import strict_json
from automate_llm.cancellation import Cancellation
from automate_llm.content import File
from automate_llm.exceptions import (
    AuthorizationRequired,
    CallCancelled,
    InvalidArguments,
    LimitExceeded,
    MCPClientError,
    ProtocolError,
    SchemaError,
)
from automate_llm.mcp_client import MCPClient
from automate_llm.providers.base import RequestedCall
from automate_llm.results import model_text
from automate_llm.validation import validate_arguments, validate_output
from automate_llm.values import Progress, ToolResult

from .events import EventLog
from .files import attach_files, keep_files
from .limits import TurnLimits
from .models import Message, ToolCall, Turn, TurnEvent

Outcome = ToolResult | Exception
_OUTCOME = ("status", "result", "result_text", "error", "warning", "needs_account", "finished_at")
_MAX_ARGUMENT_CHARACTERS = 1_000_000
_PROGRESS_SECONDS = 0.1
"""A server's word on a call's progress that comes sooner after the last one is passed over."""


class Dispatcher:
    """The tool calls of one turn. All its rows are written by the thread that runs the turn."""

    def __init__(
        self,
        turn: Turn,
        log: EventLog,
        limits: TurnLimits,
        cancellation: Cancellation,
        settings: Settings,
    ) -> None:
        self._turn = turn
        self._user = turn.conversation.user
        self._log = log
        self._limits = limits
        self._cancellation = cancellation
        self._settings = settings
        self._at_once = max(1, settings.PARALLEL_CALLS)
        self._progress_at: dict[int, float] = {}

    def prepare(self, requested: Sequence[RequestedCall]) -> list[ToolCall]:
        """The rows for calls, unsaved: pending, or refused with the reason for the model."""
        if requested:
            # The person may have lost an account or a right since the turn began.
            self._user = type(self._user)._default_manager.get(pk=self._user.pk)
        return [self._prepared(each) for each in requested]

    def _prepared(self, requested: RequestedCall) -> ToolCall:
        call = ToolCall(
            turn=self._turn,
            call_id=requested.id[:200],
            function_name=requested.name[:200],
            title=requested.name[:200],
        )
        try:
            call.arguments, call.arguments_text = _parsed(requested.arguments)
        except ValueError as exc:
            call.arguments_text = "{}"  # a history with broken JSON is refused by some servers
            self._limits.count_repair()
            return self._refused(call, str(exc))
        tool = tool_for_call(self._user, requested.name)
        if tool is None:
            self._limits.count_repair()
            return self._refused(
                call, _("There is no tool of this name now. Use only the tools that are listed.")
            )
        call.tool, call.tool_version = tool, tool.version
        call.server_name, call.title = tool.server.name, tool.title or tool.name
        try:
            validate_arguments(tool.input_schema, call.arguments, key=tool.definition_hash)
        except InvalidArguments as exc:
            self._limits.count_repair()
            return self._refused(call, _("The arguments do not fit: %(why)s") % {"why": exc})
        except SchemaError as exc:
            return self._refused(call, _("The tool cannot be used: %(why)s") % {"why": exc})
        if reason := self._limits.refusal(call.function_name, _canonical(call)):
            return self._refused(call, reason)
        if not _read_only(call) and (call.function_name, _canonical(call)) in self._uncertain:
            return self._refused(
                call,
                _("Nobody knows whether the same call already did its work. Ask the person first."),
            )
        return call

    def begin(self, calls: list[ToolCall]) -> None:
        """Mark the calls that `run` sends at once as under way, so that the rows say so.

        They must be stored before `run`; each further call is marked and stored when its turn
        comes.
        """
        pending = [call for call in calls if call.status == ToolCall.Status.PENDING]
        for call in pending[: self._at_once]:
            _mark_running(call)

    @cached_property
    def _uncertain(self) -> set[tuple[str, str]]:
        """The calls of which nobody knows whether they did their work.

        Those of an earlier turn count until the person has written something after them: trying
        again is no word on what to do about them.
        """
        written = Message.objects.filter(
            conversation_id=self._turn.conversation_id, role=Message.Role.USER
        )
        unknown = ToolCall.objects.filter(
            message__conversation_id=self._turn.conversation_id,
            message_id__gt=Subquery(written.order_by("-pk").values("pk")[:1]),
            status=ToolCall.Status.UNKNOWN,
        )
        return {(call.function_name, _canonical(call)) for call in unknown.defer("result")}

    def run(self, calls: list[ToolCall]) -> None:
        """Make every call that was not refused, several at a time; store each outcome at once."""
        wanted = [call for call in calls if not call.finished]
        if len(wanted) == 1:
            call = wanted[0]
            self._store(call, self._outcome(call, lambda word: self._progress(call, word)))
        elif wanted:
            self._run_in_parallel(wanted)

    def _run_in_parallel(self, wanted: list[ToolCall]) -> None:
        news: SimpleQueue[tuple[ToolCall, Outcome | Progress]] = SimpleQueue()
        waiting: Iterator[ToolCall] = iter(wanted)

        def report(call: ToolCall) -> None:
            try:
                news.put((call, self._outcome(call, lambda word: news.put((call, word)))))
            except Exception as exc:  # carried to the turn's thread, which raises it
                news.put((call, exc))

        def start_next() -> int:
            call = next(waiting, None)
            if call is None:
                return 0
            if call.status == ToolCall.Status.PENDING:
                self._begin(call)
            name = f"automate-call-{call.pk}"
            threading.Thread(target=report, args=(call,), name=name, daemon=True).start()
            return 1

        under_way = sum(start_next() for _ in range(self._at_once))
        while under_way:
            call, word = news.get()
            if isinstance(word, Progress):
                self._progress(call, word)
            else:
                self._store(call, word)
                under_way += start_next() - 1

    def _begin(self, call: ToolCall) -> None:
        """Commit that the call is under way; only then may its request leave."""
        _mark_running(call)
        with transaction.atomic():
            call.save(update_fields=["status", "started_at"])
            self._log.append(TurnEvent.Kind.CALL, call=call.pk)

    def _outcome(self, call: ToolCall, on_progress: Any) -> Outcome:
        """What came of the call. Touches the network and no row but an account's token."""
        if call.tool is None or call.arguments is None:
            return MCPClientError(_("The tool is gone."))
        client = MCPClient(call.tool.server.for_user(self._user))
        try:
            return client.call(
                call.tool.name,
                call.arguments,
                cancellation=self._cancellation,
                on_progress=on_progress,
                input_schema=call.tool.input_schema,
            )
        except MCPClientError as exc:
            return exc

    def _store(self, call: ToolCall, outcome: Outcome) -> None:
        call.finished_at = timezone.now()
        files: tuple[File, ...] = ()
        if isinstance(outcome, ToolResult):
            failed = outcome.is_error
            call.status = ToolCall.Status.FAILED if failed else ToolCall.Status.SUCCEEDED
            outcome, files = keep_files(outcome)
            call.result = asdict(outcome)
            call.result_text = model_text(outcome, self._settings.MAX_RESULT_CHARACTERS)
            call.error = _("The tool reported a failure.") if failed else ""
            call.warning = "" if failed else _misfit(call, outcome)
        else:
            self._store_failure(call, outcome)
        with transaction.atomic():
            call.save(update_fields=_OUTCOME)
            attach_files(call, files)
            self._log.append(TurnEvent.Kind.CALL, call=call.pk)

    def _store_failure(self, call: ToolCall, error: Exception) -> None:
        if not isinstance(error, MCPClientError):
            raise error
        uncertain = error.may_have_run
        call.error = str(error)[:400]
        call.needs_account = isinstance(error, AuthorizationRequired)
        if uncertain:
            call.error = f"{call.error} {_('The tool may have done its work.')}"[:500]
        if isinstance(error, CallCancelled):
            call.status = ToolCall.Status.CANCELLED
        elif uncertain:
            call.status = ToolCall.Status.UNKNOWN
            self._uncertain.add((call.function_name, _canonical(call)))
        else:
            call.status = ToolCall.Status.FAILED

    def _progress(self, call: ToolCall, progress: Progress) -> None:
        now = time.monotonic()
        if now - self._progress_at.get(call.pk, 0.0) < _PROGRESS_SECONDS:
            return
        self._progress_at[call.pk] = now
        self._log.append(TurnEvent.Kind.PROGRESS, call=call.pk, **asdict(progress))

    def _refused(self, call: ToolCall, reason: str) -> ToolCall:
        call.status, call.error = ToolCall.Status.REFUSED, reason[:500]
        call.finished_at = timezone.now()
        return call


def _mark_running(call: ToolCall) -> None:
    call.status, call.started_at = ToolCall.Status.RUNNING, timezone.now()


def _misfit(call: ToolCall, result: ToolResult) -> str:
    """How the result differs from what its tool promised; the call has succeeded all the same."""
    if call.tool is None or call.tool.output_schema is None:
        return ""
    problems: Sequence[str] = [_("it has no structured content.")]
    if result.has_structured:
        key = call.tool.definition_hash
        problems = validate_output(call.tool.output_schema, result.structured, key=key)
    if not problems:
        return ""
    words = _("This result does not fit the tool's own output schema: %(why)s")
    return (words % {"why": " ".join(problems)})[:500]


def _parsed(text: str) -> tuple[dict[str, Any], str]:
    """The arguments as an object, and as JSON that is surely valid; no text is an empty object."""
    if len(text) > _MAX_ARGUMENT_CHARACTERS:
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


def _canonical(call: ToolCall) -> str:
    return json.dumps(call.arguments, sort_keys=True, separators=(",", ":"))


def _read_only(call: ToolCall) -> bool:
    return bool(call.tool and call.tool.annotations.get("readOnlyHint") is True)
