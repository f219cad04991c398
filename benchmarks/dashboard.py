"""`python -m benchmarks.dashboard`: the admin's dashboard over a million calls.

Fills the database of `DATABASE_URL`, which it must find empty, or SQLite in a temporary folder.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

SERVERS, TOOLS, CALLS, DAYS = 100, 5_000, 1_000_000, 30
ROUNDS = 7


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dashboard", description=__doc__)
    parser.add_argument("--calls", type=int, default=CALLS)
    parser.add_argument("--plans", action="store_true", help="print the slowest query's plan")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="automate-dashboard-") as directory:
        os.environ.setdefault("DATABASE_URL", f"sqlite:///{Path(directory) / 'db.sqlite3'}")
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
        import django

        django.setup()
        _measure(options)


def _measure(options: argparse.Namespace) -> None:
    from django.conf import settings
    from django.core.management import call_command
    from django.db import connection
    from django.test import Client

    settings.ALLOWED_HOSTS = ["testserver"]
    call_command("migrate", verbosity=0)
    client = Client()
    client.force_login(_fill(options.calls))
    for address in (
        "/admin/automate_chat/dashboard/",
        "/admin/automate/mcptool/1/change/",
        "/admin/automate_chat/callrecord/",
    ):
        client.get(address)
        watch = _Watch()
        with connection.execute_wrapper(watch):
            response = client.get(address)
        assert response.status_code == 200, (address, response.status_code)
        began = time.process_time()
        seconds = [_timed(client, address) for _round in range(ROUNDS)]
        cpu = (time.process_time() - began) / ROUNDS
        taken, sql, parameters = max(watch.queries, key=lambda query: query[0])
        print(
            f"{connection.vendor} {options.calls:,} calls {address}: {len(watch.queries)} queries, "
            f"median {1000 * statistics.median(seconds):.0f} ms, of our CPU {1000 * cpu:.0f} ms, "
            f"slowest query {1000 * taken:.0f} ms",
            flush=True,
        )
        if options.plans:
            _print_plan(sql, parameters)


class _Watch:
    """Every statement, with how long it took."""

    def __init__(self) -> None:
        self.queries: list[tuple[float, str, Any]] = []

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        began = time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            self.queries.append((time.perf_counter() - began, sql, params))


def _timed(client: Any, address: str) -> float:
    began = time.perf_counter()
    client.get(address)
    return time.perf_counter() - began


def _fill(calls: int) -> Any:
    from datetime import timedelta

    from django.contrib.auth import get_user_model
    from django.db import connection
    from django.utils import timezone

    from automate.models import MCPServer, MCPTool
    from chat.budgets import today
    from chat.models import CallRecord, DailyUsage

    user = get_user_model().objects.create_superuser("admin", password=None)
    MCPServer.objects.bulk_create(
        MCPServer(name=f"Server {n}", slug=f"s{n}", endpoint_url="https://mcp.example.com/")
        for n in range(SERVERS)
    )
    servers = list(MCPServer.objects.all())
    MCPTool.objects.bulk_create(
        MCPTool(server=servers[n % SERVERS], name=f"tool{n}", function_name=f"f{n}")
        for n in range(TOOLS)
    )
    first = MCPTool.objects.order_by("pk").values_list("pk", flat=True)[0]
    CallRecord(user=user, user_name="admin", tool_name="tool", outcome="failed").save()
    table = CallRecord._meta.db_table
    fields = [f.column for f in CallRecord._meta.concrete_fields if f.column != "id"]
    now = timezone.now()
    numbers = {
        "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %s) ",
        "postgresql": "WITH n(i) AS (SELECT generate_series(1::bigint, %s)) ",
    }[connection.vendor]
    own = {
        "tool_id": f"{first} + (i * 7919) %% {TOOLS}",
        "outcome": "CASE WHEN i %% 10 = 0 THEN 'failed' ELSE 'succeeded' END",
        "milliseconds": "(i * 104729) %% 3000",
        "created_at": {
            "sqlite": "strftime('%%Y-%%m-%%d %%H:%%M:%%f', %s, '-' || (i * 2.592) || ' seconds')",
            "postgresql": "CAST(%s AS timestamptz) - i * interval '2.592 seconds'",
        }[connection.vendor],
    }
    chosen = ", ".join(own.get(name, f"r.{name}") for name in fields)
    if connection.vendor == "sqlite":
        insert = (
            f"INSERT INTO {table} ({', '.join(fields)}) {numbers} "
            f"SELECT {chosen} FROM n, (SELECT * FROM {table} LIMIT 1) r"
        )
    else:
        insert = (
            f"{numbers} INSERT INTO {table} ({', '.join(fields)}) "
            f"SELECT {chosen} FROM n, (SELECT * FROM {table} LIMIT 1) r"
        )
    moment = now.strftime("%Y-%m-%d %H:%M:%S") if connection.vendor == "sqlite" else now
    with connection.cursor() as cursor:
        cursor.execute(insert, [calls, moment])
        cursor.execute("ANALYZE")
    DailyUsage.objects.bulk_create(
        DailyUsage(day=today() - timedelta(days=n), user=user, prompt_tokens=1_000, cost="0.1")
        for n in range(DAYS)
    )
    return user


def _print_plan(sql: str, parameters: Any) -> None:
    from django.db import connection

    explain = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN ANALYZE"
    print(sql)
    with connection.cursor() as cursor:
        cursor.execute(f"{explain} {sql}", parameters)
        for row in cursor.fetchall():
            print("   ", row[-1])


if __name__ == "__main__":
    main()
