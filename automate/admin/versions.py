"""The admin of what tools were like: every version, as it was seen, with what people said of it."""

from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from automate.days import local_time
from automate.differences import definition_changes
from automate.models import MCPTool, MCPToolVersion

from . import base
from .showing import folded_json

if TYPE_CHECKING:
    ModelAdmin = base.ModelAdmin[MCPToolVersion]
else:
    ModelAdmin = base.ModelAdmin

MAX_LISTED = 20
"""Versions that the page of a tool lists; a link leads to all of them."""


@admin.register(MCPToolVersion)
class MCPToolVersionAdmin(ModelAdmin):
    """Versions to look at, by everybody who may see tools. Nothing here can be changed."""

    list_display = ("tool", "number", "server", "state", "seen_at")
    list_filter = ("reviews__decision", "trusted", "tool__server")
    list_select_related = ("tool__server",)
    search_fields = ("tool__name", "tool__title", "=definition_hash")
    date_hierarchy = "seen_at"
    show_full_result_count = False
    fields = (
        *("tool_link", "number", "seen_at", "state", "reviews_shown", "hash_shown"),
        *("difference_shown", "definition_shown"),
    )
    readonly_fields = fields

    class Media:
        css: ClassVar[dict[str, list[str]]] = {"all": ["automate/admin.css", "automate/review.css"]}

    def get_queryset(self, request: HttpRequest) -> QuerySet[MCPToolVersion]:
        return MCPToolVersion.objects.with_decision()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Only along with their tool, which the admin could otherwise not delete."""
        match = request.resolver_match
        return match is None or not str(match.url_name).startswith("automate_mcptoolversion_")

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        own, of_tools = "automate.view_mcptoolversion", "automate.view_mcptool"
        return request.user.has_perm(of_tools) or request.user.has_perm(own)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    @admin.display(description=_("server"), ordering="tool__server__name")
    def server(self, version: MCPToolVersion) -> str:
        return str(version.tool.server)

    @admin.display(description=_("tool"))
    def tool_link(self, version: MCPToolVersion) -> str:
        page = "admin:automate_mcptool_change"
        address = reverse(page, args=[version.tool_id], current_app=self.admin_site.name)
        return format_html('<a href="{}">{}</a>', address, version.tool.name)

    @admin.display(description=_("state"))
    def state(self, version: MCPToolVersion) -> str:
        return version_state(version, version.tool)

    @admin.display(description=_("decisions"))
    def reviews_shown(self, version: MCPToolVersion) -> str:
        reviews = version.reviews.select_related("by").order_by("pk")
        rows = [
            (review.get_decision_display(), review.by or "–", _moment(review.at))
            for review in reviews
        ]
        return format_html_join("", "<div>{}: {}, {}</div>", rows) or "–"

    @admin.display(description=_("hash"))
    def hash_shown(self, version: MCPToolVersion) -> str:
        if version.is_intact:
            return format_html("<code>{}</code>", version.definition_hash)
        words = gettext("It does not fit its hash: somebody has changed the row.")
        return format_html(
            '<code>{}</code> <p class="automate-problem">{}</p>', version.definition_hash, words
        )

    @admin.display(description=_("against the version before"))
    def difference_shown(self, version: MCPToolVersion) -> str:
        earlier = MCPToolVersion.objects.filter(tool=version.tool_id, number__lt=version.number)
        before = earlier.order_by("-number").first()
        if before is None:
            return "–"
        return differences_shown(before, version)

    @admin.display(description=_("definition"))
    def definition_shown(self, version: MCPToolVersion) -> str:
        definition = version.definition
        return definition_shown(definition) + folded_json(definition)


def version_state(version: MCPToolVersion, tool: MCPTool) -> str:
    """In words, what became of a version that comes from `with_decision`."""
    if version.decision == "approved":
        return gettext("Approved")
    if version.decision == "rejected":
        return gettext("Rejected")
    if version.trusted:
        return gettext("Taken over without a review")
    if version.number == tool.version:
        return gettext("Awaits review")
    return gettext("Replaced before anybody decided")


def versions_shown(tool: MCPTool, site: str) -> SafeString:
    """The versions of a tool as a list of links, the newest first."""
    found = MCPToolVersion.objects.with_decision().filter(tool=tool).order_by("-number")
    listed = list(found.defer("definition_text")[: MAX_LISTED + 1])
    keys = {version.decided_by_id for version in listed if version.decided_by_id}
    people = get_user_model()._default_manager.in_bulk(keys)
    rows = []
    for version in listed[:MAX_LISTED]:
        decider = people.get(version.decided_by_id)
        state = version_state(version, tool)
        words = gettext("%(state)s by %(who)s") % {"state": state, "who": decider}
        address = reverse(
            "admin:automate_mcptoolversion_change", args=[version.pk], current_app=site
        )
        said = words if decider else state
        rows.append((address, version.number, _moment(version.seen_at), said))
    items = format_html_join(
        "",
        '<li><a href="{}">{}</a> <span>{}</span> <span>{}</span></li>',
        rows,
    )
    every = reverse("admin:automate_mcptoolversion_changelist", current_app=site)
    more = ""
    if len(listed) > MAX_LISTED:
        words = gettext("All versions")
        more = format_html('<a href="{}?tool__id__exact={}">{}</a>', every, tool.pk, words)
    return format_html('<ol class="automate-versions">{}</ol>{}', items, more)


def differences_shown(before: MCPToolVersion, after: MCPToolVersion | MCPTool) -> SafeString:
    """How a later definition differs from an earlier one."""
    later = after.definition() if isinstance(after, MCPTool) else after.definition
    changes = definition_changes(before.definition, later)
    return render_to_string("admin/automate/differences.html", {"changes": changes})


def definition_shown(definition: Any) -> SafeString:
    """A definition as people read it."""
    context = {"definition": definition, "shows_schemas": True}
    return render_to_string("admin/automate/definition.html", context)


def _moment(at: Any) -> str:
    return date_format(local_time(at), "DATETIME_FORMAT")
