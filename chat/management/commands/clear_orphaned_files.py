"""Delete the files that no conversation has any more."""

from typing import Any

from django.core.management.base import BaseCommand

from chat.files import clear_left_behind


class Command(BaseCommand):
    help = (
        "Deletes files of tools that no conversation has, as a crash may leave them. A deleted "
        "conversation takes its own files with it. Files younger than an hour stay."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        files, strays = clear_left_behind()
        if options["verbosity"]:
            self.stdout.write(
                self.style.SUCCESS(f"Deleted {files} files and {strays} without a row.")
            )
