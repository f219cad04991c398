"""Bring the tools of MCP servers up to date."""

from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.management.base import BaseCommand, CommandError

from automate.models import MCPServer
from automate.sync import SyncReport, sync_servers
from automate.sync_jobs import sync_here

_COLUMNS = ("Server", "Added", "Changed", "Gone", "Returned", "Left out", "Unchanged", "Result")


class Command(BaseCommand):
    help = (
        "Asks the MCP servers that are switched on for their tools, resources and prompts, in "
        "parallel, and stores what they answer. Ends with a status other than 0 if any server "
        "failed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        chosen = parser.add_mutually_exclusive_group()
        chosen.add_argument(
            "--server",
            metavar="SLUG",
            action="append",
            help="Only this server, switched on or not. May be given several times.",
        )
        chosen.add_argument(
            "--all", action="store_true", help="Also the servers that are switched off."
        )
        chosen.add_argument(
            "--due",
            action="store_true",
            help="Only the servers whose list is older than they said that it may be. Run it "
            "every few minutes, by cron for example.",
        )
        parser.add_argument(
            "--user",
            metavar="NAME",
            help="Whose account asks the servers to which each person connects one; else the "
            "account that a member of staff connected first.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["due"]:
            servers = list(MCPServer.objects.due().order_by("slug"))
        else:
            servers = self._chosen(options["server"], everything=options["all"])
        if not servers:
            if options["verbosity"]:
                nothing = "No MCP server is due." if options["due"] else self._nothing_to_do()
                self.stdout.write(nothing)
            return
        say = self._say if options["verbosity"] > 1 else None
        # Where the last run is not done yet, this one leaves its servers to it.
        sync = sync_here if options["due"] else sync_servers
        reports = sync(servers, say, user=_person(options["user"]))
        if options["verbosity"]:
            self._table(reports)
        if failed := [report.slug for report in reports if report.error]:
            raise CommandError(
                f"{len(failed)} of {len(reports)} servers failed: {', '.join(failed)}."
            )

    def _chosen(self, slugs: list[str] | str | None, *, everything: bool) -> list[MCPServer]:
        slugs = [slugs] if isinstance(slugs, str) else slugs  # as `call_command` may pass it
        known = list(MCPServer.objects.order_by("slug"))
        if unknown := sorted(set(slugs or ()) - {server.slug for server in known}):
            raise CommandError(
                f"No MCP server has the slug {', '.join(map(repr, unknown))}. "
                f"Known are: {', '.join(server.slug for server in known) or 'none'}."
            )
        if slugs:
            return [server for server in known if server.slug in slugs]
        return known if everything else [server for server in known if server.enabled]

    def _nothing_to_do(self) -> str:
        if MCPServer.objects.exists():
            return "Every MCP server is switched off. --all asks them all the same."
        return "No MCP server is registered. Add one in the admin, under MCP servers."

    def _say(self, report: SyncReport) -> None:
        self.stdout.write(f"{report.slug}: {report.summary}")
        for what in ("added", "changed", "gone", "returned"):
            for name in getattr(report, what):
                self.stdout.write(f"  {what}: {name}")
        for tool in report.skipped:
            self.stdout.write(f"  left out: {tool.name}, since {tool.reason}")
        beside = {"resource": report.beside.resources, "prompt": report.beside.prompts}
        for kind, changes in beside.items():
            for what in ("added", "changed", "gone", "returned"):
                for name in getattr(changes, what):
                    self.stdout.write(f"  {kind} {what}: {name}")

    def _table(self, reports: Sequence[SyncReport]) -> None:
        rows = [_row(report) for report in reports]
        widths = [max(map(len, column)) for column in zip(_COLUMNS, *rows, strict=True)]
        self.stdout.write(self.style.MIGRATE_HEADING(_line(_COLUMNS, widths)))
        for report, row in zip(reports, rows, strict=True):
            style = self.style.ERROR if report.error else self.style.SUCCESS
            self.stdout.write(style(_line(row, widths)))


def _person(name: str | None) -> AbstractBaseUser | None:
    if name is None:
        return None
    people = get_user_model()
    try:
        return people.objects.get_by_natural_key(name)
    except people.DoesNotExist:
        raise CommandError(f"Nobody has the user name {name!r}.") from None


def _row(report: SyncReport) -> tuple[str, ...]:
    if report.error:
        return (report.slug, *("-" for _ in range(6)), report.error)
    names = report.added, report.changed, report.gone, report.returned, report.skipped
    result = ["ok", f"{report.waiting} awaiting approval" if report.waiting else ""]
    for kind, changes in (("resource", report.beside.resources), ("prompt", report.beside.prompts)):
        kinds = kind if changes.listed == 1 else f"{kind}s"
        waiting = f" ({changes.waiting} new, off)" if changes.waiting else ""
        result.append(f"{changes.listed} {kinds}{waiting}" if changes.listed else "")
    result.append(report.beside.warning)
    words = ", ".join(filter(None, result))
    return (report.slug, *(str(len(each)) for each in names), str(report.unchanged), words)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Names to the left, numbers to the right, and what the result says as long as it is."""
    slug, *numbers, result = cells
    aligned = [cell.rjust(width) for cell, width in zip(numbers, widths[1:-1], strict=True)]
    return "  ".join([slug.ljust(widths[0]), *aligned, result])
