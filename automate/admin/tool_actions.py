"""What an operator does to many tools at once."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from automate.models import MCPTool, MCPToolQuerySet, ToolRule

from .review_queue import MAX_AT_ONCE

if TYPE_CHECKING:
    from .reviews import ReviewAdmin as Base
else:
    Base = object

Effect = MCPTool.Effect


class ToolActions(Base):
    """The actions in the list of tools. Those that decide on definitions lead to their review."""

    actions: Any = (
        *("review", "enable", "disable", "ask_first", "allow"),
        *("mark_as_reading", "mark_as_repeatable", "mark_as_writing", "mark_as_destroying"),
        "leave_effect_to_server",
    )

    @admin.action(description=_("Approve or reject selected tools…"), permissions=["review"])
    def review(self, request: HttpRequest, queryset: QuerySet[MCPTool]) -> HttpResponse:
        chosen = queryset.filter(available=True).order_by("server__name", "name", "pk")
        keys = list(chosen.values_list("pk", flat=True)[: MAX_AT_ONCE + 1])
        if len(keys) > MAX_AT_ONCE:
            words = gettext("At most %d tools are decided on at once: these come first.")
            self.message_user(request, words % MAX_AT_ONCE, messages.WARNING)
        listed = ",".join(map(str, keys[:MAX_AT_ONCE]))
        return HttpResponseRedirect(self.review_address(f"tools={listed}" if listed else ""))

    @admin.action(description=_("Enable selected tools"), permissions=["change"])
    def enable(self, request: HttpRequest, queryset: QuerySet[MCPTool]) -> None:
        rows = _rows(queryset)
        count = rows.enable()
        self._say(request, ngettext("%d tool enabled.", "%d tools enabled.", count) % count)
        if waiting := rows.awaiting_review().count():
            words = ngettext(
                "%d of them waits for approval.", "%d of them wait for approval.", waiting
            )
            self.message_user(request, words % waiting, messages.WARNING)

    @admin.action(description=_("Disable selected tools"), permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet[MCPTool]) -> None:
        count = _rows(queryset).disable()
        self._say(request, ngettext("%d tool disabled.", "%d tools disabled.", count) % count)

    @admin.action(description=_("Ask before each call"), permissions=["rule"])
    def ask_first(self, request: HttpRequest, queryset: QuerySet[MCPTool]) -> None:
        self._rule(request, queryset, ToolRule.Decision.ASK)

    @admin.action(description=_("Allow without asking"), permissions=["rule"])
    def allow(self, request: HttpRequest, queryset: QuerySet[MCPTool]) -> None:
        self._rule(request, queryset, ToolRule.Decision.ALLOW)

    @admin.action(description=_("Mark as: only reads"), permissions=["change"])
    def mark_as_reading(self, request: HttpRequest, queryset: QuerySet[MCPTool]) -> None:
        self._mark(request, queryset, Effect.READ_ONLY)

    @admin.action(description=_("Mark as: may safely run twice"), permissions=["change"])
    def mark_as_repeatable(self, request: HttpRequest, queryset: QuerySet[MCPTool]) -> None:
        self._mark(request, queryset, Effect.IDEMPOTENT)

    @admin.action(description=_("Mark as: changes something"), permissions=["change"])
    def mark_as_writing(self, request: HttpRequest, queryset: QuerySet[MCPTool]) -> None:
        self._mark(request, queryset, Effect.WRITE)

    @admin.action(description=_("Mark as: destroys something"), permissions=["change"])
    def mark_as_destroying(self, request: HttpRequest, queryset: QuerySet[MCPTool]) -> None:
        self._mark(request, queryset, Effect.DESTRUCTIVE)

    @admin.action(description=_("Mark as: does what its server says"), permissions=["change"])
    def leave_effect_to_server(self, request: HttpRequest, queryset: QuerySet[MCPTool]) -> None:
        self._mark(request, queryset, Effect.UNSAID)

    def has_rule_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perms(("automate.add_toolrule", "automate.delete_toolrule"))

    def _rule(
        self, request: HttpRequest, queryset: QuerySet[MCPTool], decision: ToolRule.Decision
    ) -> None:
        tools = list(queryset)
        count = ToolRule.objects.decide_for_everybody(tools, decision)
        words = ngettext(
            "%d tool has its rule for everybody.", "%d tools have their rule for everybody.", count
        )
        self._say(request, words % count)
        if ToolRule.objects.stricter_than(decision, tools).exists():
            self.message_user(
                request,
                _("Other rules are stricter for some of them, or for some people, and win."),
                messages.WARNING,
            )

    def _mark(
        self, request: HttpRequest, queryset: QuerySet[MCPTool], effect: MCPTool.Effect
    ) -> None:
        count = _rows(queryset).update(effect=effect)
        self._say(request, ngettext("%d tool marked.", "%d tools marked.", count) % count)

    def _say(self, request: HttpRequest, words: str) -> None:
        self.message_user(request, words, messages.SUCCESS)


def _rows(queryset: QuerySet[MCPTool]) -> MCPToolQuerySet:
    """The chosen rows by their keys: what the list filtered by may change with them."""
    return MCPTool.objects.filter(pk__in=list(queryset.order_by().values_list("pk", flat=True)))
