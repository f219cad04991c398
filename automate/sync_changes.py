"""What a sync changed, as it is kept for the server's page: bounded, until a later one changes."""

from .models import MCPServer, ServerSync
from .sync_plan import SyncReport

MAX_NAMES = 200
"""How many names of each kind of change are kept."""
KINDS = ("added", "changed", "gone", "returned")


def note_changes(server: MCPServer, report: SyncReport) -> None:
    """Keep the names of the tools that came, changed and went; none is no news."""
    found: dict[str, list[str]] = {kind: getattr(report, kind) for kind in KINDS}
    changes = {
        kind: {"count": len(names), "names": names[:MAX_NAMES]}
        for kind, names in found.items()
        if names
    }
    if changes:
        ServerSync.objects.note_changes(server, changes)
