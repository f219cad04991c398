"""Tool calls on record as files: CSV for spreadsheets, JSON for programs."""

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

from .models import CallRecordQuerySet
from .schema_fields import json_text

MAX_EXPORTED = 50_000
"""Of one file; narrower filters give the rest."""

_COLUMNS = (
    *("id", "created_at", "origin", "user_name", "conversation", "call", "server_name"),
    *("tool_name", "tool_version", "arguments", "outcome", "error", "milliseconds"),
    *("result_characters", "cost", "permission", "decision"),
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def as_csv(records: CallRecordQuerySet) -> str:
    """One line for each, below a line of names.

    Text that a spreadsheet would take for a formula gets an apostrophe in front, which it shows
    as text.
    Source: OWASP, CSV Injection.
    """
    written = io.StringIO()
    lines = csv.DictWriter(written, _COLUMNS)
    lines.writeheader()
    for row in _rows(records):
        row["arguments"] = "" if row["arguments"] is None else json_text(row["arguments"])
        lines.writerow({name: _cell(value) for name, value in row.items()})
    return written.getvalue()


def as_json(records: CallRecordQuerySet) -> str:
    """An array of objects."""
    return json.dumps([*_rows(records)], ensure_ascii=False, default=str, indent=1)


def _rows(records: CallRecordQuerySet) -> Iterator[dict[str, Any]]:
    for row in records.values(*_COLUMNS)[:MAX_EXPORTED].iterator():
        yield row | {"created_at": row["created_at"].isoformat(), "cost": str(row["cost"])}


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value
