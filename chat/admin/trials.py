"""The admin's page where a tool is tried with arguments of one's own, or a past call run again."""

import uuid
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext

from automate.admin.panels import Panel, tool_panels
from automate.models import MCPTool
from automate.policy import Decision
from automate_llm.redaction import REDACTED
from chat.arguments import arguments_hash
from chat.models import CallRecord
from chat.results.previews import preview_of
from chat.schema_forms import SchemaForm
from chat.trials import TrialRefused, run_trial, verdict_on

MAY_TRY = "automate_chat.try_tool"

_PREFIX = "arguments"


def try_tool(request: HttpRequest, tool_id: int) -> HttpResponse:
    """A form made from the tool's schema, and what came of it."""
    return _page(request, _tool(request, tool_id), {}, CallRecord.Origin.TRIAL)


def run_again(request: HttpRequest, record_id: int) -> HttpResponse:
    """The same, with the arguments of a call on record; what was secret must be typed again."""
    may_see = request.user.has_perm("automate_chat.view_callrecord")
    record = get_object_or_404(CallRecord, pk=record_id, tool__isnull=False) if may_see else None
    if record is None or record.tool_id is None:
        raise PermissionDenied
    tool = _tool(request, record.tool_id)
    return _page(request, tool, _known(record.arguments), CallRecord.Origin.REPLAY, record)


def _tool(request: HttpRequest, tool_id: int) -> MCPTool:
    if not request.user.has_perm(MAY_TRY):
        raise PermissionDenied
    return get_object_or_404(MCPTool.objects.select_related("server"), pk=tool_id)


def _page(
    request: HttpRequest,
    tool: MCPTool,
    value: dict[str, Any],
    origin: CallRecord.Origin,
    record: CallRecord | None = None,
) -> HttpResponse:
    data = request.POST if request.method == "POST" else None
    key = tool.definition_hash
    form = SchemaForm(tool.input_schema, value, data, prefix=_PREFIX, asks=True, key=key)
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": gettext("Try this tool") if record is None else gettext("Run this call again"),
        "opts": MCPTool._meta,
        "original": tool,
        "tool": tool,
        "record": record,
        "has_changed": record is not None and record.tool_version != tool.version,
        "form": form,
        "submission": uuid.uuid4(),
    }
    if data is not None and form.is_valid():
        context |= _run(request, tool, form.object, origin)
    else:
        context |= _verdict(request, tool, value)
    return TemplateResponse(request, "admin/automate_chat/try_tool.html", context)


def _run(
    request: HttpRequest, tool: MCPTool, arguments: dict[str, Any], origin: CallRecord.Origin
) -> dict[str, Any]:
    try:
        submission = uuid.UUID(request.POST.get("submission", ""))
    except ValueError:
        return {"refused": gettext("The page is out of date: send it once more.")}
    confirmed = request.POST.get("confirmed") == arguments_hash(arguments)
    try:
        asks = verdict_on(request.user, tool, arguments).decision == Decision.ASK
        if asks and not confirmed:
            return {"asked": arguments, "asked_hash": arguments_hash(arguments)}
        trial = run_trial(
            request.user, tool, arguments, submission, confirmed=confirmed, origin=origin
        )
    except TrialRefused as refusal:
        return {"refused": str(refusal)}
    return {"trial": trial, "preview": preview_of(trial.text)}


def _verdict(request: HttpRequest, tool: MCPTool, arguments: dict[str, Any]) -> dict[str, Any]:
    """What the policy says before anything is sent, so that nobody fills in a form in vain."""
    try:
        verdict_on(request.user, tool, arguments)
    except TrialRefused as refusal:
        return {"refused": str(refusal), "is_closed": True}
    return {}


def _known(arguments: Any) -> dict[str, Any]:
    """The recorded arguments that may be used again as they are."""
    if not isinstance(arguments, dict):
        return {}
    return {name: each for name, each in arguments.items() if not _lacks(each) and name != "…"}


def _lacks(value: Any) -> bool:
    match value:
        case str():
            return value == REDACTED or "… (" in value or value == "…"
        case dict():
            return "…" in value or any(map(_lacks, value.values()))
        case list():
            return any(map(_lacks, value))
    return False


@tool_panels.panel
def trial_link(request: HttpRequest, tool: MCPTool) -> Panel | None:
    """The way to the page from a tool's own."""
    if not request.user.has_perm(MAY_TRY):
        return None
    address = reverse("admin:automate_chat_callrecord_try", args=[tool.pk])
    words = gettext("Call it with arguments of your own, as the chat would for you.")
    link = format_html('<a class="button" href="{}">{}</a>', address, gettext("Try this tool"))
    return Panel(gettext("Try this tool"), format_html("<p>{}</p><p>{}</p>", words, link))
