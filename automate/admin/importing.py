"""Import and export of servers in the admin: a list is looked at before any of it is created."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import ADDITION, LogEntry
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, connection, transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from automate.conf import conf
from automate.databases import statements_of_any_length
from automate.importers import (
    MAX_BYTES,
    Entry,
    ImportProblem,
    entries_of_plain,
    exported,
    read_entries,
)
from automate.models import MCPServer

from . import base

if TYPE_CHECKING:
    ModelAdmin = base.ModelAdmin[MCPServer]
else:
    ModelAdmin = base.ModelAdmin


class ImportForm(forms.Form):
    """A list, pasted or uploaded. What it may hold is never shown again: it may be a secret."""

    text = forms.CharField(
        label=_("Paste it here"),
        required=False,
        strip=False,
        widget=forms.Textarea(
            attrs={
                "rows": 14,
                "spellcheck": "false",
                "autocomplete": "off",
                "class": "vLargeTextField",
            }
        ),
    )
    file = forms.FileField(label=_("Or choose a file"), required=False)

    def clean_file(self) -> str:
        file: Any = self.cleaned_data["file"]
        if file is None:
            return ""
        if (file.size or 0) > MAX_BYTES:
            raise forms.ValidationError(_("It is longer than 1 MB."), code="size")
        try:
            return str(file.read(), "utf-8-sig")
        except UnicodeDecodeError:
            raise forms.ValidationError(_("It is no text in UTF-8."), code="encoding") from None

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if not self.errors:
            try:
                data["entries"] = read_entries(data["file"] or data["text"])
            except ImportProblem as exc:
                self.add_error("file" if data["file"] else "text", str(exc))
        return data


class ImportingAdmin(ModelAdmin):
    """Pages that read other programs' lists of servers, and an action that writes one."""

    change_list_template = "admin/automate/mcpserver/change_list.html"

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.import_view)
        return [path("import/", view, name="automate_mcpserver_import"), *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        links = self._links() if self.has_add_permission(request) else {}
        return super().changelist_view(request, {**links, **(extra_context or {})})

    def import_view(self, request: HttpRequest) -> HttpResponse:
        """The form, then the list as it was read, then the servers."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        if request.method != "POST":
            return self._page(request, form=ImportForm())
        if "chosen" in request.POST:
            return self._create(request)
        form = ImportForm(request.POST, request.FILES)
        if not form.is_valid():
            return self._page(request, form=_emptied(form))
        return self._preview(request, form.cleaned_data["entries"])

    @admin.action(description=_("Export selected servers as JSON"), permissions=["view"])
    def export_servers(self, request: HttpRequest, queryset: QuerySet[MCPServer]) -> HttpResponse:
        text = json.dumps(exported(queryset), indent=2, ensure_ascii=False)
        headers = {"Content-Disposition": 'attachment; filename="mcp-servers.json"'}
        return HttpResponse(text + "\n", content_type="application/json", headers=headers)

    def _create(self, request: HttpRequest) -> HttpResponse:
        """Create those that were not left out, each checked once more; say what is in the way."""
        left_out = set(request.POST.getlist("leave_out"))
        try:
            plain = json.loads(request.POST["chosen"])
            found = entries_of_plain(plain)
        except (ValueError, RecursionError, ImportProblem) as exc:
            words = str(exc) if isinstance(exc, ImportProblem) else gettext("Begin again.")
            self.message_user(request, words, messages.ERROR)
            return HttpResponseRedirect(self._place("import"))
        wanted = [entry for entry in found if entry.slug not in left_out]
        good = [entry for entry in wanted if entry.is_good]
        try:
            with transaction.atomic(), statements_of_any_length(connection):
                rows = MCPServer.objects.bulk_create([entry.row() for entry in good])
                self._log(request, rows)
        except IntegrityError:
            # Somebody took one of the slugs in this very moment.
            return self._preview(request, entries_of_plain(plain))
        self._say(request, len(rows), len(wanted) - len(good))
        if len(good) < len(wanted):
            return self._preview(request, [entry for entry in wanted if not entry.is_good])
        return HttpResponseRedirect(self._place("changelist"))

    def _log(self, request: HttpRequest, rows: Sequence[MCPServer]) -> None:
        stored = MCPServer.objects.filter(slug__in=[row.slug for row in rows])
        if rows and request.user.pk is not None:
            LogEntry.objects.log_actions(
                request.user.pk, stored, ADDITION, [{"added": {"name": "import"}}]
            )

    def _say(self, request: HttpRequest, created: int, refused: int) -> None:
        words = ngettext(
            "%d server is created, switched off. Next: test its connection, then switch it on.",
            "%d servers are created, switched off. Next: test their connections, then switch them "
            "on.",
            created,
        )
        self.message_user(request, words % created, messages.SUCCESS)
        if refused:
            words = ngettext(
                "%d entry could not be created.", "%d entries could not be created.", refused
            )
            self.message_user(request, words % refused, messages.WARNING)

    def _preview(self, request: HttpRequest, entries: Sequence[Entry]) -> HttpResponse:
        good = [entry for entry in entries if entry.is_good]
        return self._page(
            request,
            entries=entries,
            good_count=len(good),
            bad_count=len(entries) - len(good),
            chosen=json.dumps([entry.as_plain() for entry in good]),
        )

    def _page(self, request: HttpRequest, **context: Any) -> HttpResponse:
        name = "import_preview" if "entries" in context else "import"
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": gettext("Import servers"),
            "media": self.media,
            **self._links(),
            **context,
        }
        return TemplateResponse(request, f"admin/automate/mcpserver/{name}.html", context)

    def _links(self) -> dict[str, str]:
        """Where servers come from, beside the form of one; no registry where none is searched."""
        registry = self._place("registry") if conf().MCP_REGISTRY_URL else ""
        return {"import_url": self._place("import"), "registry_url": registry}

    def _place(self, kind: str) -> str:
        return reverse(f"admin:automate_mcpserver_{kind}", current_app=self.admin_site.name)


def _emptied(form: ImportForm) -> ImportForm:
    """The form with its errors, and without the text: it is not to come back in a page."""
    data: Any = form.data.copy()  # type: ignore[attr-defined]
    data["text"] = ""
    form.data = data
    return form
