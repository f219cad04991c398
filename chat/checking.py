"""From what a model asked for to rows of calls: parse, validate, ask the policy, count."""

from collections.abc import Sequence
from datetime import timedelta
from functools import cached_property

from django.db.models import Subquery
from django.utils import timezone
from django.utils.translation import gettext as _

from automate.catalog import tool_for_call
from automate.compiled import CompiledQuery, Place
from automate.conf import Settings
from automate.models import MCPTool
from automate.policy import Decision, Policy, Verdict
from automate_llm.exceptions import InvalidArguments, SchemaError
from automate_llm.providers.base import RequestedCall
from automate_llm.validation import validate_arguments

from .arguments import arguments_hash, canonical, parsed
from .limits import TurnLimits
from .models import Approval, Conversation, Message, ToolCall, ToolGrant, Turn

_conversation = CompiledQuery(
    lambda: (
        Conversation.objects.select_related("user")
        .filter(pk=Place(Conversation, "pk"))
        .only("user", "tools_left_out")  # and all of the person
    )
)


class CallChecker:
    """Turns the calls that a model asks for in one turn into rows, unsaved.

    A row is pending where it may be sent, waiting where a person must allow it, else refused with
    the reason for the model.
    """

    def __init__(self, turn: Turn, limits: TurnLimits, settings: Settings) -> None:
        self._turn = turn
        self._user = turn.conversation.user
        self._left_out = turn.conversation.left_out
        self._limits = limits
        self._settings = settings
        self.uncertain: set[tuple[str, str]] = set()
        """Calls of this run of which nobody knows whether they did their work."""

    def checked(self, requested: Sequence[RequestedCall]) -> tuple[list[ToolCall], list[Approval]]:
        """The rows for these calls, and for the approvals that they need."""
        if not requested:
            return [], []
        self._look_again()
        policy = Policy(self._user)
        approvals: list[Approval] = []
        tools = {
            name: tool_for_call(self._user, name) for name in {each.name for each in requested}
        }
        with self._limits.kept_on_error():
            calls = [self._checked(each, tools[each.name], policy, approvals) for each in requested]
        return calls, approvals

    def _look_again(self) -> None:
        """The person may have lost a right since the turn began, or left out more tools."""
        conversation = _conversation.first(pk=self._turn.conversation_id)
        if conversation is None:  # it went with its person's account
            raise type(self._user).DoesNotExist
        self._user, self._left_out = conversation.user, conversation.left_out

    def checked_again(self, call: ToolCall) -> tuple[str, Approval | None]:
        """Why a call that was allowed earlier may not be sent now, or the approval that it needs.

        Its tool may have changed or gone since, or the person's right to it; asking a person would
        then be of no use. Where the policy has come to ask, or wants a second person by now, one is
        asked.
        """
        self._look_again()
        tool = tool_for_call(self._user, call.function_name)
        if tool is None or tool.pk != call.tool_id or tool.version != call.tool_version:
            return _("The tool has changed, or cannot be used any more. It was not run."), None
        if self._is_left_out(tool):
            return _left_out_words(), None
        verdict = Policy(self._user).verdict(tool, call.arguments or {})
        if verdict.decision == Decision.DENY:
            return _denied(verdict), None
        call.tool = tool
        if verdict.decision == Decision.ASK and not self._is_allowed(call, tool):
            return "", self._approval(call, tool, verdict)
        return "", None

    def _checked(
        self,
        requested: RequestedCall,
        tool: MCPTool | None,
        policy: Policy,
        approvals: list[Approval],
    ) -> ToolCall:
        call = ToolCall(
            turn=self._turn,
            call_id=requested.id[:200],
            function_name=requested.name[:200],
            title=requested.name[:200],
        )
        try:
            call.arguments, call.arguments_text = parsed(requested.arguments)
        except ValueError as exc:
            call.arguments_text = "{}"  # a history with broken JSON is refused by some servers
            self._limits.count_repair()
            return _refused(call, str(exc))
        if tool is None:
            self._limits.count_repair()
            return _refused(
                call, _("There is no tool of this name now. Use only the tools that are listed.")
            )
        call.tool, call.tool_version = tool, tool.version
        call.server_name, call.title = tool.server.name, tool.title or tool.name
        if self._is_left_out(tool):
            self._limits.count_repair()
            return _refused(call, _left_out_words())
        try:
            validate_arguments(tool.input_schema, call.arguments, key=tool.definition_hash)
        except InvalidArguments as exc:
            self._limits.count_repair()
            return _refused(call, _("The arguments do not fit: %(why)s") % {"why": exc})
        except SchemaError as exc:
            return _refused(call, _("The tool cannot be used: %(why)s") % {"why": exc})
        if reason := self._limits.refusal(call.function_name, canonical(call.arguments)):
            return _refused(call, reason)
        verdict = policy.verdict(tool, call.arguments)
        if verdict.decision == Decision.DENY:
            return _refused(call, _denied(verdict))
        if not tool.reads_only and self._is_uncertain(call):
            return _refused(
                call,
                _("Nobody knows whether the same call already did its work. Ask the person first."),
            )
        call.permission = ToolCall.Permission.POLICY
        if verdict.decision == Decision.ASK and self._is_granted(tool):
            call.permission = ToolCall.Permission.GRANT
        elif verdict.decision == Decision.ASK:
            call.permission = ToolCall.Permission.PERSON
            call.status = ToolCall.Status.WAITING
            approvals.append(self._approval(call, tool, verdict))
        return call

    def _is_left_out(self, tool: MCPTool) -> bool:
        return self._left_out.has(tool.pk, tool.server_id)

    def _is_uncertain(self, call: ToolCall) -> bool:
        key = call.function_name, canonical(call.arguments)
        return key in self.uncertain or key in self._uncertain_before

    @cached_property
    def _uncertain_before(self) -> set[tuple[str, str]]:
        """Those of earlier runs on every branch, until the person has written something after them.

        Trying again, or asking for another answer, is no word on what to do about them.
        """
        written = Message.objects.filter(
            conversation_id=self._turn.conversation_id, role=Message.Role.USER, turn__repeats=None
        )
        unknown = ToolCall.objects.filter(
            message__conversation_id=self._turn.conversation_id,
            message_id__gt=Subquery(written.order_by("-pk").values("pk")[:1]),
            status=ToolCall.Status.UNKNOWN,
        )
        return {(call.function_name, canonical(call.arguments)) for call in unknown.defer("result")}

    def _is_allowed(self, call: ToolCall, tool: MCPTool) -> bool:
        """Whether a person's word covers the call as it stands."""
        given = Approval.objects.filter(call=call, status=Approval.Status.APPROVED)
        given = given.filter(arguments_hash=arguments_hash(call.arguments))
        if tool.needs_second_person:
            given = given.filter(needs_second_person=True)
        return given.exists() or self._is_granted(tool)

    def _is_granted(self, tool: MCPTool) -> bool:
        if tool.needs_second_person:
            return False
        grants = ToolGrant.objects.covering(self._user, tool, self._turn.conversation)
        return grants.exists()

    def _approval(self, call: ToolCall, tool: MCPTool, verdict: Verdict) -> Approval:
        return Approval(
            call=call,
            user=self._user,
            tool=tool,
            definition_hash=tool.definition_hash,
            arguments_hash=arguments_hash(call.arguments),
            why=verdict.why[:500],
            needs_second_person=tool.needs_second_person,
            expires_at=timezone.now() + timedelta(seconds=self._settings.APPROVAL_SECONDS),
        )


def _left_out_words() -> str:
    return _("The person has left this tool out of the conversation. It was not run.")


def _denied(verdict: Verdict) -> str:
    if verdict.why:
        return _("This call is not permitted: %(why)s") % {"why": verdict.why}
    return _("This call is not permitted.")


def _refused(call: ToolCall, reason: str) -> ToolCall:
    call.status, call.error = ToolCall.Status.REFUSED, reason[:500]
    call.finished_at = timezone.now()
    return call
