"""Delete records of tool calls that are older than they are to be kept."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from chat.models import CallRecord


class Command(BaseCommand):
    help = (
        "Deletes the records of tool calls that are older than so many days, some thousands at a "
        "time. Conversations, with the calls in them, stay."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--days", type=int, required=True, help="How long records are kept.")
        parser.add_argument(
            "--dry-run", action="store_true", help="Say how many there are, and delete none."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        days = options["days"]
        if not 1 <= days <= 36_500:
            raise CommandError("--days takes a whole number from 1 to 36500.")
        before = timezone.now() - timedelta(days=days)
        if options["dry_run"]:
            count = CallRecord.objects.filter(created_at__lt=before).count()
            self.stdout.write(f"{count} records are older than {days} days.")
            return
        count = CallRecord.objects.delete_before(before)
        self.stdout.write(self.style.SUCCESS(f"{count} records deleted."))
