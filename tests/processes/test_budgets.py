"""A daily budget is counted over all processes."""

import subprocess
import sys
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection

from chat.models import DailyUsage

pytestmark = pytest.mark.django_db(transaction=True)


def test_processes_that_begin_a_day_together_lose_no_token(user: Any) -> None:
    command = [sys.executable, "-m", "tests.processes.counting_process"]
    name = str(connection.settings_dict["NAME"])
    processes = [
        subprocess.Popen(
            [*command, name, str(user.pk)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for each in processes:
        assert each.stdout is not None and each.stdout.readline() == "READY\n"
    for each in processes:
        assert each.stdin is not None
        each.stdin.write("go\n")
        each.stdin.flush()
    for each in processes:
        each.communicate(timeout=60)

    assert [each.returncode for each in processes] == [0, 0, 0]
    row = DailyUsage.objects.get(user=user)
    assert (row.prompt_tokens, row.completion_tokens) == (300, 150)
    assert row.cost == Decimal("0.000300")
