"""Full garbage collections where many answers stream at once."""

import gc
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from automate_llm.garbage import MANY_STREAMS, RARELY, SparingCollector


@pytest.fixture(autouse=True)
def usual() -> Iterator[tuple[int, int, int]]:
    """The thresholds of this process, which every test finds again."""
    before = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    yield 700, 10, 10
    gc.set_threshold(*before)


def test_they_are_rare_while_there_are_many_streams_and_usual_again_afterwards() -> None:
    sparing = SparingCollector()

    with ExitStack() as streams:
        for _ in range(MANY_STREAMS):
            streams.enter_context(sparing)
        assert gc.get_threshold() == (700, 10, 10)
        with sparing, sparing:
            assert gc.get_threshold() == (700, 10, RARELY)
        assert gc.get_threshold() == (700, 10, 10)
        with sparing:
            assert gc.get_threshold() == (700, 10, RARELY)

    assert gc.get_threshold() == (700, 10, 10)


def test_a_site_that_has_them_rarer_or_changes_them_meanwhile_keeps_its_own() -> None:
    sparing = SparingCollector()
    gc.set_threshold(5_000, 20, 2 * RARELY)

    with ExitStack() as streams:
        for _ in range(MANY_STREAMS + 1):
            streams.enter_context(sparing)
        assert gc.get_threshold() == (5_000, 20, 2 * RARELY)
    assert gc.get_threshold() == (5_000, 20, 2 * RARELY)

    gc.set_threshold(700, 10, 10)
    with ExitStack() as streams:
        for _ in range(MANY_STREAMS + 1):
            streams.enter_context(sparing)
        gc.set_threshold(900, 9, 9)
    assert gc.get_threshold() == (900, 9, 9)
