"""An empty database of its own for each examination."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

DEFAULT_URL = "postgresql://postgres@127.0.0.1:5432/postgres"
VENDORS = ("sqlite", "postgresql")


def missing(vendor: str) -> str:
    """Why this database cannot be had here; empty where it can."""
    if vendor == "sqlite":
        return ""
    import psycopg

    try:
        psycopg.connect(_url(), connect_timeout=3).close()
    except psycopg.OperationalError as exc:
        return f"PostgreSQL is not there: {exc}"
    return ""


def _url() -> str:
    return os.environ.get("AUTOMATE_TEST_DATABASE_URL") or DEFAULT_URL


@contextmanager
def database(vendor: str, directory: Path) -> Iterator[tuple[str, str]]:
    """Its `DATABASE_URL`, empty for SQLite, and its name; gone after the block."""
    if vendor == "sqlite":
        yield "", str(directory / "exam.sqlite3")
        return
    import psycopg
    from psycopg import sql

    url = _url()
    name = f"automate_exam_{uuid4().hex[:8]}"
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield urlsplit(url)._replace(path=f"/{name}").geturl(), name
        finally:
            drop = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
            admin.execute(drop)
