"""How a server is, in one word with an icon, and why."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from automate.models import MCPServer
from automate_llm.breaker import breaker_of

from .panels import Fact, Level

_SHOWN = {
    Level.GOOD: ("good", "✓", _("Well")),
    Level.DOUBTFUL: ("doubtful", "!", _("Doubtful")),
    Level.BAD: ("bad", "✕", _("Failing")),
}
_OFF = ("off", "–", _("Off"))
_UNKNOWN = ("off", "?", _("Not known yet"))


@dataclass(frozen=True, slots=True)
class Health:
    """What is known of a server; without any fact, nothing is."""

    enabled: bool
    facts: tuple[Fact, ...]

    @property
    def level(self) -> Level | None:
        """The worst of all that is known; nothing of a server that is off, or was never asked."""
        if not self.enabled or not self.facts:
            return None
        return max(fact.level for fact in self.facts)

    def badge(self) -> SafeString:
        """The word with its icon, and the facts beneath it."""
        level = self.level
        name, icon, word = _SHOWN[level] if level is not None else _UNKNOWN
        if not self.enabled:
            name, icon, word = _OFF
        lines = format_html_join(
            mark_safe(""), "<li>{}</li>", ((fact.text,) for fact in self.facts)
        )
        return format_html(
            '<span class="automate-badge automate-{}"><span aria-hidden="true">{}</span> {}</span>'
            "{}",
            *(name, icon, word),
            format_html('<ul class="automate-facts">{}</ul>', lines) if lines else "",
        )


def server_health(server: MCPServer, facts: Iterable[Fact]) -> Health:
    """How a server is: by its breaker in this process, its syncs, and what apps know of it."""
    return Health(server.enabled, (*_of_breaker(server), *_of_sync(server), *facts))


def _of_breaker(server: MCPServer) -> Iterator[Fact]:
    breaker = breaker_of(server.slug, server.endpoint_url)
    if breaker.pause:
        yield Fact(gettext("Calls are kept away from it for a moment."), Level.BAD)
    elif failures := breaker.failures:
        words = ngettext("%d failure in a row.", "%d failures in a row.", failures) % failures
        yield Fact(words, Level.DOUBTFUL)


def _of_sync(server: MCPServer) -> Iterator[Fact]:
    if server.last_error:
        words = ngettext(
            "The last sync failed.", "The last %d syncs failed.", max(1, server.failed_syncs)
        )
        yield Fact(words.replace("%d", str(server.failed_syncs)), Level.BAD)
    elif server.last_synced is not None:
        yield Fact(gettext("The last sync went well."))
