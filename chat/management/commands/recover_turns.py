"""Put the turns of dead processes back in line."""

from typing import Any

from django.core.management.base import BaseCommand

from chat.executors import executor, stop_executor
from chat.executors.remote import RemoteExecutor
from chat.sweeping import sweep


class Command(BaseCommand):
    help = (
        "Sweeps once: takes the turns of dead processes back, ends approvals that nobody gave in "
        "time, removes conversations that were deleted, and hands turns that were forgotten to the "
        "executor. Every process with an executor does the same by itself; this is for a timer of "
        "the system, or for a look by hand."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        here = executor()
        if here.in_process:
            here.stop()  # a turn that began here would end with this command
        swept = sweep()
        handed_over = 0
        if isinstance(here, RemoteExecutor):
            handed_over = here.hand_over(swept.queued)
        stop_executor()
        if options["verbosity"]:
            self.stdout.write(
                self.style.SUCCESS(
                    f"{swept.recovered} recovered, {swept.expired} expired, "
                    f"{swept.purged} removed, {len(swept.queued)} in line, "
                    f"{handed_over} of them handed over again."
                )
            )
