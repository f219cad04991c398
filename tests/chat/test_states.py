"""Whatever happens in whatever order, turns and calls change state only as their tables say."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from automate.models import MCPServer, MCPTool
from automate_llm.values import InputAnswer
from chat.arguments import arguments_hash
from chat.decisions import AlreadyDecided, answer, approve, deny, expire_overdue, resolve
from chat.events import EventLog
from chat.models import Approval, Conversation, Message, Question, ToolCall, Turn
from chat.recovery import close_calls, recover_abandoned
from chat.submission import TurnInProgress, continue_turn, stop_turn
from chat.sweeping import sweep
from tests.thoroughness import examples

from .rows import let_lease_run_out

pytestmark = pytest.mark.django_db

CALL = ToolCall.Status
WORKERS = st.sampled_from(["a", "b"])


class Turns(RuleBasedStateMachine):
    """Two workers, a person and time, all doing what they may at any moment."""

    calls = Bundle("calls")

    def __init__(self) -> None:
        super().__init__()
        self.user = get_user_model().objects.create_user(uuid4().hex)
        self.conversation = Conversation.objects.create(user=self.user)
        server = MCPServer.objects.create(name="S", slug=uuid4().hex[:20], endpoint_url="x:")
        self.tools = {
            effect: MCPTool.objects.create(server=server, name=effect or "unsaid", effect=effect)
            for effect in MCPTool.Effect.values
        }
        self.turn = Turn.objects.create(conversation=self.conversation)
        self.owners: dict[str, Any] = {}
        self.held: dict[str, dict[int, ToolCall]] = {"a": {}, "b": {}}
        self.seen_turns = {self.turn.pk: self.turn.status}
        self.seen_calls: dict[int, str] = {}
        self.sent: dict[int, int] = {}
        self.asked_again: dict[int, int] = {}

    # The workers.

    @rule(worker=WORKERS)
    def claim(self, worker: str) -> None:
        owner = uuid4()
        if self.turn.claim(owner):
            self.owners[worker] = owner
            # What this worker knows of the calls from now on, whatever others do to them.
            self.held[worker] = {call.pk: call for call in self.turn.tool_calls.all()}

    @rule(worker=WORKERS)
    def renew(self, worker: str) -> None:
        Turn.objects.held_by([self._owner(worker)]).renew()

    @rule(worker=WORKERS, status=st.sampled_from([Turn.Status.DONE, Turn.Status.FAILED]))
    def finish(self, worker: str, status: Turn.Status) -> None:
        if self.turn.finish(self._owner(worker), status):
            close_calls(self.turn, EventLog(self.turn.pk))

    @rule(worker=WORKERS)
    def wait(self, worker: str) -> None:
        self.turn.wait(self._owner(worker))

    @rule(
        target=calls,
        worker=WORKERS,
        effect=st.sampled_from(MCPTool.Effect.values),
        asks=st.booleans(),
    )
    def want_call(self, worker: str, effect: str, asks: bool) -> Any:
        if not self.turn.checkpoint(self._owner(worker)):
            return None
        message = Message.objects.create(
            conversation=self.conversation, turn=self.turn, role=Message.Role.ASSISTANT
        )
        tool = self.tools[effect]
        call = ToolCall.objects.create(
            turn=self.turn,
            message=message,
            call_id=uuid4().hex,
            function_name=tool.function_name,
            tool=tool,
            tool_version=tool.version,
            arguments={},
            status=CALL.WAITING if asks else CALL.PENDING,
        )
        if asks:
            Approval.objects.create(
                call=call,
                user=self.user,
                tool=tool,
                definition_hash=tool.definition_hash,
                arguments_hash=arguments_hash({}),
                expires_at=timezone.now() + timedelta(hours=1),
            )
        self.held[worker][call.pk] = call
        return call.pk

    @rule(worker=WORKERS, pk=calls)
    def send(self, worker: str, pk: int | None) -> None:
        call = self.held[worker].get(pk)
        if call is None or not self.turn.checkpoint(self._owner(worker)):
            return
        if call.move(CALL.RUNNING, attempts=call.attempts + 1):
            self.sent[call.pk] = self.sent.get(call.pk, 0) + 1

    @rule(worker=WORKERS, pk=calls, status=st.sampled_from(CALL.values))
    def store_outcome(self, worker: str, pk: int | None, status: str) -> None:
        """What came of it, or any nonsense that a fault in the code might try."""
        call = self.held[worker].get(pk)
        if call is None or call.status == CALL.UNKNOWN:
            return
        # Back to pending and out of waiting lead the person's and the sweep's words alone.
        if status not in (CALL.PENDING, CALL.RUNNING, CALL.WAITING):
            call.move(CALL(status), finished_at=timezone.now())

    @rule(worker=WORKERS, pk=calls)
    def ask_back(self, worker: str, pk: int | None) -> None:
        call = self.held[worker].get(pk)
        if call is None or call.status != CALL.RUNNING:
            return
        if not call.move(CALL.WAITING, question_rounds=call.question_rounds + 1):
            return
        Question.objects.create(
            call=call,
            round=call.question_rounds,
            key="name",
            expires_at=timezone.now() + timedelta(hours=1),
        )
        # An answered question goes on with the same work; the server knows it by its state.
        self.sent[call.pk] -= 1

    # The person.

    @rule(pk=calls, allows=st.booleans())
    def decide(self, pk: int | None, allows: bool) -> None:
        approval = Approval.objects.filter(call_id=pk).first()
        if approval is None:
            return
        try:
            if allows:
                approve(approval, self.user)
            else:
                deny(approval, self.user, "No.")
        except AlreadyDecided:
            return

    @rule(pk=calls)
    def answer_question(self, pk: int | None) -> None:
        for question in Question.objects.filter(call_id=pk):
            try:
                answer(question, self.user, InputAnswer("decline"))
            except AlreadyDecided:
                continue

    @rule(pk=calls, outcome=st.sampled_from(["done", "failed", "again", "unknown"]))
    def say_what_became(self, pk: int | None, outcome: str) -> None:
        call = ToolCall.objects.filter(pk=pk).first()
        if call is None or (outcome == "again" and call.turn.status != Turn.Status.WAITING):
            return
        try:
            resolve(call, self.user, outcome)
        except AlreadyDecided:
            return
        if outcome == "again":
            self.asked_again[call.pk] = self.asked_again.get(call.pk, 0) + 1

    @rule()
    def stop(self) -> None:
        stop_turn(self.turn)

    @rule()
    def try_again(self) -> None:
        try:
            self.turn = continue_turn(self.turn, uuid4())
        except TurnInProgress:
            return
        self.seen_turns[self.turn.pk] = self.turn.status

    # Time.

    @rule(recovers=st.booleans())
    def lease_runs_out(self, recovers: bool) -> None:
        let_lease_run_out()
        if recovers:
            recover_abandoned()

    @rule(worker=WORKERS, effect=st.sampled_from(MCPTool.Effect.values))
    def die_in_a_call(self, worker: str, effect: str) -> None:
        """What most often goes wrong, in one step, so that every run gets far."""
        self.claim(worker)
        pk = self.want_call(worker, effect, asks=False)
        self.send(worker, pk)
        self.lease_runs_out(recovers=True)

    @rule(worker=WORKERS)
    def go_on(self, worker: str) -> None:
        """Take the turn and send all that is in line."""
        self.claim(worker)
        for pk, call in self.held[worker].items():
            if call.status == CALL.PENDING:
                self.send(worker, pk)

    @rule()
    def sweep(self) -> None:
        sweep()

    @rule()
    def deadlines_pass(self) -> None:
        past = timezone.now() - timedelta(seconds=1)
        Approval.objects.update(expires_at=past)
        Question.objects.update(expires_at=past)
        expire_overdue()

    # What always holds.

    @invariant()
    def every_change_stands_in_a_table(self) -> None:
        for turn in Turn.objects.filter(pk__in=self.seen_turns):
            assert _leads(Turn.WAYS, self.seen_turns[turn.pk], turn.status), turn
            self.seen_turns[turn.pk] = turn.status
        for call in ToolCall.objects.filter(turn__in=self.seen_turns):
            before = self.seen_calls.get(call.pk, call.status)
            assert _leads(ToolCall.WAYS, before, call.status), (before, call)
            self.seen_calls[call.pk] = call.status

    @invariant()
    def a_conversation_has_one_unfinished_turn_at_most(self) -> None:
        assert self.conversation.turns.unfinished().count() <= 1

    @invariant()
    def nothing_is_sent_twice_unasked(self) -> None:
        for call in ToolCall.objects.filter(pk__in=self.sent).select_related("tool"):
            if not call.tool.may_run_twice:
                assert self.sent[call.pk] <= 1 + self.asked_again.get(call.pk, 0), call

    @invariant()
    def a_turn_that_is_over_leaves_no_call_open(self) -> None:
        over = Turn.objects.filter(pk__in=self.seen_turns).exclude(status__in=Turn.UNFINISHED)
        assert not ToolCall.objects.unfinished().filter(turn__in=over).exists()
        waiting = Approval.Status.WAITING
        assert not Approval.objects.filter(call__turn__in=over, status=waiting).exists()

    def _owner(self, worker: str) -> Any:
        return self.owners.get(worker, uuid4())


def _leads(ways: Any, origin: str, to: str) -> bool:
    """Whether some way along the table leads there: one rule may take several steps."""
    reached, new = {origin}, {origin}
    while new:
        new = {each for at in new for each in ways.get(at, ())} - reached
        reached |= new
    return to in reached


def test_turns_and_calls_change_state_only_as_their_tables_say() -> None:
    run_state_machine_as_test(
        Turns,
        settings=settings(
            max_examples=examples(15),
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize("status", Turn.Status.values)
def test_a_turns_state_moves_to_no_state_that_its_table_lacks(status: str, user: Any) -> None:
    for origin in Turn.Status.values:
        allowed = Turn.Status(status) in Turn.WAYS.get(Turn.Status(origin), ())
        turn = Turn(status=origin, conversation=Conversation.objects.create(user=user))
        if origin == Turn.Status.RUNNING:
            turn.lease_owner, turn.lease_until = uuid4(), timezone.now()
        turn.save()
        lease = {"lease_owner": uuid4(), "lease_until": timezone.now()}
        fields = lease if status == Turn.Status.RUNNING else {}

        moved = Turn.objects.filter(pk=turn.pk).move(Turn.Status(status), **fields)

        assert bool(moved) == allowed, (origin, status)


def test_the_state_of_a_stored_row_is_not_overwritten(user: Any) -> None:
    turn = Turn.objects.create(conversation=Conversation.objects.create(user=user))
    turn.status = Turn.Status.DONE

    with pytest.raises(ValueError, match="transitions"):
        turn.save()
    with pytest.raises(ValueError, match="transitions"):
        turn.save(update_fields=["status"])


def test_a_turn_that_goes_on_moves_in_no_index() -> None:
    renewed = {"lease_until", *Turn()._used()}
    indexed = {name for index in Turn._meta.indexes for name in index.fields}
    indexed |= {field.name for field in Turn._meta.fields if field.db_index or field.unique}

    assert "status" in indexed
    assert renewed.isdisjoint(indexed)
