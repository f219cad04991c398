"""Which scenarios do not concern this client, and the table of all."""

from collections.abc import Iterable, Iterator

from .suite import Outcome

NOT_APPLICABLE: dict[str, str] = {}
"""Scenario → why it does not concern this client: deprecated features only."""

_PROBLEM_CHARACTERS = 300


def verdict(outcome: Outcome) -> str:
    """`passed`, `failed` or `not applicable`; an entry of the list that passes is a failure."""
    if outcome.asked.name in NOT_APPLICABLE:
        return "failed" if outcome.passed else "not applicable"
    return "passed" if outcome.passed else "failed"


def lines(outcome: Outcome) -> Iterator[str]:
    """The outcome's row in the table, and under it why it did not pass."""
    asked, word = outcome.asked, verdict(outcome)
    kind = "" if asked.required else " (optional)"
    yield f"{asked.version}  {asked.name + kind:<54} {word}"
    if word == "not applicable":
        yield f"            {NOT_APPLICABLE[asked.name]}"
    elif word == "failed":
        problems = outcome.problems or ("it passes: take it off the list",)
        yield from (f"            {problem[:_PROBLEM_CHARACTERS]}" for problem in problems)


def summary(outcomes: Iterable[Outcome]) -> str:
    """How many of each."""
    words = [verdict(outcome) for outcome in outcomes]
    return ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(sorted(words)))
