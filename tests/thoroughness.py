"""How many examples a property is tried on: a fifth in the quick suite, all in `.ci/run`."""

import os

THOROUGH = bool(os.environ.get("AUTOMATE_THOROUGH"))


def examples(number: int) -> int:
    """For Hypothesis' `max_examples`."""
    return number if THOROUGH else number // 5
