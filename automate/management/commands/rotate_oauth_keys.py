"""Encrypt what is stored of OAuth under the newest key."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from automate.accounts import reseal_all
from automate_llm.exceptions import MCPClientError


class Command(BaseCommand):
    help = (
        "Encrypts the stored OAuth tokens and registered clients under the first of "
        "AUTOMATE['ENCRYPTION_KEYS']; older keys may go then. What no key opens is left as it is, "
        "and its owner is asked to connect again."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            done, unreadable = reseal_all()
        except MCPClientError as exc:
            raise CommandError(str(exc)) from None
        if options["verbosity"]:
            self.stdout.write(self.style.SUCCESS(f"{done} encrypted under the newest key."))
        if unreadable:
            self.stderr.write(self.style.WARNING(f"{unreadable} cannot be read by any key."))
