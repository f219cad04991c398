"""The page on which people approve and reject definitions of tools."""

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from automate.reviewing import Decision, decide

from . import base
from .review_queue import KINDS, MAX_AT_ONCE, Asked, counts_by_server, items_of, shown_in

if TYPE_CHECKING:
    ModelAdmin = base.ModelAdmin[Any]
else:
    ModelAdmin = base.ModelAdmin


class ReviewAdmin(ModelAdmin):
    """An admin of tools with a page for what waits; deciding takes a permission of its own."""

    def get_urls(self) -> list[URLPattern]:
        own = path(
            "review/", self.admin_site.admin_view(self.review_view), name="automate_mcptool_review"
        )
        return [own, *super().get_urls()]

    def has_review_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("automate.review_mcptool")

    def review_address(self, query: str = "") -> str:
        """Where the queue is, or the part of it that a query names."""
        address = reverse("admin:automate_mcptool_review", current_app=self.admin_site.name)
        return f"{address}?{query}" if query else address

    def review_view(self, request: HttpRequest) -> HttpResponse:
        """Show what waits, and take decisions on what was shown."""
        may_decide = self.has_review_permission(request)
        if not may_decide and (request.method == "POST" or not self.has_view_permission(request)):
            raise PermissionDenied
        asked = Asked.of(request.GET)
        if request.method == "POST":
            self._decide(request)
            # All of a server are decided on: what is left of the queue comes next.
            query = "" if asked.is_confirmation else request.GET.urlencode()
            return HttpResponseRedirect(self.review_address(query))
        page = asked.page(request.GET.get("p"))
        items = items_of(page.object_list)
        counts = counts_by_server()
        context = {
            **self.admin_site.each_context(request),
            "title": _("Review of tools"),
            "opts": self.opts,
            "media": self.media,
            "asked": asked,
            "page": page,
            "items": items,
            "shown": " ".join(item.shown for item in items),
            "kinds": [(kind, label, sum(row[kind] for row in counts)) for kind, label in _labels()],
            "servers": counts,
            "one_server": next((row for row in counts if row["server"] == asked.server), None),
            "may_decide": may_decide,
            "may_view": self.has_view_permission(request),
            "max_at_once": MAX_AT_ONCE,
        }
        return TemplateResponse(request, "admin/automate/mcptool/review.html", context)

    def _decide(self, request: HttpRequest) -> None:
        """Take the decision of a button: on its own tool, or on all that are chosen."""
        decision = Decision.APPROVED if "approve" in request.POST else Decision.REJECTED
        only = request.POST.get("approve") or request.POST.get("reject")
        shown = shown_in([only] if only else request.POST.getlist("chosen"))
        if not shown:
            words = gettext("Nothing was decided: choose at least one tool.")
            self.message_user(request, words, messages.WARNING)
            return
        decided = decide(shown, decision, request.user)
        count = len(decided.tools)
        if decision == Decision.APPROVED:
            words = ngettext("%d tool is approved.", "%d tools are approved.", count)
        else:
            words = ngettext("%d tool is rejected.", "%d tools are rejected.", count)
        if count:
            self.message_user(request, words % count, messages.SUCCESS)
        if decided.passed_over:
            words = ngettext(
                "%d tool was not decided on: it has changed or gone since this page was opened.",
                "%d tools were not decided on: they have changed or gone since this page was "
                "opened.",
                decided.passed_over,
            )
            self.message_user(request, words % decided.passed_over, messages.ERROR)


def _labels() -> list[tuple[str, str]]:
    labels = {
        "waiting": gettext("All that waits"),
        "new": gettext("New"),
        "changed": gettext("Changed"),
        "rejected": gettext("Rejected"),
    }
    return [(kind, labels[kind]) for kind in KINDS]
