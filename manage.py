#!/usr/bin/env python
"""Django's command-line utility for the runnable site."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        from django.core.management import execute_from_command_line
    except ImportError as exc:
        raise SystemExit(
            "Django is not installed in this Python. Create the virtual environment first:\n"
            '  python3 -m venv .venv && .venv/bin/pip install -e ".[demo]"'
        ) from exc
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
