"""Where apps above the registry add to the pages of servers and tools, which know nothing of them.

An app registers functions from its own `admin` module:

    @server_panels.panel
    def last_calls(request: HttpRequest, server: MCPServer) -> Panel | None: ...

    @server_panels.facts
    def call_facts(servers: Sequence[MCPServer]) -> Mapping[int, Fact]: ...

A panel stands below the form of a change page, outside of it, so that it may hold forms. Facts are
asked for once for all rows of a page, and go into the health badge of a server's list and page.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Model
from django.forms import Media
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString

from automate.models import MCPServer, MCPTool

from . import base

if TYPE_CHECKING:
    ModelAdmin = base.ModelAdmin[Any]
else:
    ModelAdmin = base.ModelAdmin

Row = TypeVar("Row", bound=Model)


class Level(IntEnum):
    """How well something is; a badge shows the worst of all that is known."""

    GOOD = 0
    DOUBTFUL = 1
    BAD = 2


@dataclass(frozen=True, slots=True)
class Panel:
    """A part of a change page under a title of its own; `body` is HTML that is escaped already."""

    title: str
    body: SafeString
    media: Media = field(default_factory=Media)
    """Its style sheets and scripts."""


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that is known of a row, in a few words, and what it says of its health."""

    text: str
    level: Level = Level.GOOD


class Panels(Generic[Row]):
    """What apps add to the pages of one model, in the order in which they registered it."""

    def __init__(self) -> None:
        self._makers: list[Callable[[HttpRequest, Row], Panel | None]] = []
        self._finders: list[Callable[[Sequence[Row]], Mapping[Any, Fact]]] = []
        self.list_filters: list[type[admin.SimpleListFilter]] = []
        """Filters that apps add to the list, after its own."""

    def panel(
        self, make: Callable[[HttpRequest, Row], Panel | None]
    ) -> Callable[[HttpRequest, Row], Panel | None]:
        """Add a panel to the change page; `None` leaves it out, as for want of a permission."""
        self._makers.append(make)
        return make

    def facts(
        self, find: Callable[[Sequence[Row]], Mapping[Any, Fact]]
    ) -> Callable[[Sequence[Row]], Mapping[Any, Fact]]:
        """Add a fact to each row of a page, by its key; asked once, by a bounded query."""
        self._finders.append(find)
        return find

    def panels_of(self, request: HttpRequest, row: Row) -> list[Panel]:
        """The panels of this row that this person may see."""
        made = (make(request, row) for make in self._makers)
        return [panel for panel in made if panel is not None]

    def facts_of(self, rows: Sequence[Row]) -> list[list[Fact]]:
        """The facts of each of these rows."""
        found = [find(rows) for find in self._finders] if rows else []
        return [[facts[row.pk] for facts in found if row.pk in facts] for row in rows]


server_panels: Panels[MCPServer] = Panels()
tool_panels: Panels[MCPTool] = Panels()


class PanelledAdmin(ModelAdmin):
    """An admin whose change page has panels below its form, and whose rows have facts.

    The template `admin/automate/change_form.html` draws the panels; one that a model has of its own
    extends it.
    """

    panels: Panels[Any]

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        if obj is not None:
            context["panels"] = self.panels.panels_of(request, obj)
            context["media"] = sum((each.media for each in context["panels"]), context["media"])
        return super().render_change_form(request, context, add, change, form_url, obj)

    def get_list_filter(self, request: HttpRequest) -> Any:
        return [*super().get_list_filter(request), *self.panels.list_filters]

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """The list, with the facts of all its rows at hand."""
        changelist = super().get_changelist_instance(request)
        rows = list(changelist.result_list)
        for row, facts in zip(rows, self.panels.facts_of(rows), strict=True):
            row.facts = facts
        return changelist

    def facts_of(self, row: Any) -> list[Fact]:
        """What is known of this row: from the list that it stands in, or asked for it alone."""
        if not hasattr(row, "facts"):
            [row.facts] = self.panels.facts_of([row])
        facts: list[Fact] = row.facts
        return facts
