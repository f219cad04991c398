"""A process that counts a hundred requests of one person on one day, when it is told to.

    python -m tests.processes.counting_process DATABASE USER

It prints `READY`, and begins at a line on its standard input.
"""

import sys
from datetime import date
from decimal import Decimal

import django


def main() -> None:
    from django.conf import settings

    database, user = sys.argv[1], int(sys.argv[2])
    settings.DATABASES["default"]["NAME"] = database
    django.setup()

    from chat.models import DailyUsage
    from chat.usage import Amount, add_usage

    DailyUsage.objects.exists()
    print("READY", flush=True)
    sys.stdin.readline()
    for _ in range(100):
        add_usage(date(2026, 11, 26), user, Amount(1, 0, Decimal("0.000001")))
        add_usage(date(2026, 11, 26), user, Amount())
    for _ in range(50):
        add_usage(date(2026, 11, 26), user, Amount(0, 1))


if __name__ == "__main__":
    main()
