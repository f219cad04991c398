"""`tools/call` in every version: its parameters, and what its answer comes to."""

from collections.abc import Mapping
from typing import Any

from automate_llm.exceptions import MCPClientError, ProtocolError
from automate_llm.exchange import Exchange
from automate_llm.values import ToolResult

from . import jsonrpc
from .base import ToolCall
from .protocol import MODERN_VERSIONS, tool_result, with_progress_token
from .questions import input_required
from .tasks import Ask, Task


def call_params(call: ToolCall, version: str, token: int) -> dict[str, Any]:
    """The parameters of the request; `token` is its id, which names its progress too.

    Raises:
        MCPClientError: the call goes on with answers that only a modern server can take.
    """
    params: dict[str, Any] = {"name": call.name, "arguments": call.arguments}
    if call.input_responses is not None or call.request_state is not None:
        if version not in MODERN_VERSIONS:
            raise MCPClientError(
                "The server changed its protocol while somebody answered; nothing was sent. "
                "Call the tool anew."
            )
        if call.input_responses is not None:
            params["inputResponses"] = _answers(call)
        if call.request_state is not None:
            params["requestState"] = call.request_state
    if call.trace_context:
        # Not in HTTP headers: those would speak of the request that carries it, which may be
        # another one than this message's. Source: MCP 2026-07-28, basic/index, "_meta".
        params["_meta"] = dict(call.trace_context)
    return with_progress_token(params, token)


def outcome(
    response: jsonrpc.Response, call: ToolCall, version: str, ask: Ask, exchange: Exchange
) -> ToolResult:
    """The tool's result, which may be a while in coming.

    Raises:
        InputRequired: a person must answer first.
        RPCError, ProtocolError: there is none.
    """
    result: Mapping[str, Any] = response.unwrap()
    if version in MODERN_VERSIONS:
        if result.get("resultType") == "task":
            result = Task(ask, exchange, result.get("taskId")).result(result, call.on_progress)
        if result.get("resultType") == "input_required":
            raise input_required(result)
    return tool_result(result)


def continued(call: ToolCall, version: str, ask: Ask, exchange: Exchange) -> ToolResult:
    """The result of a task that the call became before, once its questions are answered.

    Raises:
        InputRequired: a person must answer more.
        RPCError, ProtocolError: there is no result.
    """
    if version not in MODERN_VERSIONS:
        raise ProtocolError("The server has no tasks any more.", may_have_run=True)
    task = Task(ask, exchange, call.task_id)
    if call.input_responses is not None:
        task.answer(_answers(call))
    return tool_result(task.result(None, call.on_progress, call.input_responses or ()))


def _answers(call: ToolCall) -> dict[str, Any]:
    return {key: answer.as_result() for key, answer in (call.input_responses or {}).items()}
