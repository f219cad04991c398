"""Keep the tools of MCP servers up to date while it runs."""

import signal
from typing import Any

from django.core.management.base import BaseCommand

from automate.listening import Listeners
from automate.sync import SyncReport
from automate_llm.cancellation import Cancellation


class Command(BaseCommand):
    help = (
        "Listens to the MCP servers that are switched on and say when their tools change, and "
        "syncs those; also, every minute, the ones that are due. Runs until it is stopped."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        verbose = options["verbosity"] > 0
        earlier = signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            Listeners(self._say if verbose else lambda report: None).run(Cancellation())
        except KeyboardInterrupt:
            if verbose:
                self.stdout.write("Stopped.")
        finally:
            signal.signal(signal.SIGTERM, earlier)

    def _say(self, report: SyncReport) -> None:
        style = self.style.ERROR if report.error else self.style.SUCCESS
        self.stdout.write(style(f"{report.slug}: {report.summary}"))
