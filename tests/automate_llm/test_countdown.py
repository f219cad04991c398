"""Seconds that run down, unless they are held."""

import math
import threading

from automate_llm.countdown import Countdown


def passes(countdown: Countdown) -> bool:
    """Whether time passes there; two looks at a steady clock are never at one moment for long."""
    before = countdown.left()
    return any(countdown.left() < before for _ in range(100_000))


def test_time_passes_until_it_is_held_and_goes_on_after_the_last_hold() -> None:
    countdown = Countdown(60)
    assert passes(countdown)
    with countdown.held():
        with countdown.held():
            assert not passes(countdown)
        assert not passes(countdown)
    assert passes(countdown)


def test_what_was_held_is_not_counted() -> None:
    countdown = Countdown(60)
    with countdown.held():
        before = countdown.left()
        passes(Countdown(60))

    assert math.isclose(countdown.left(), before, abs_tol=0.01)


def test_one_threads_hold_is_every_threads() -> None:
    countdown, is_held, over = Countdown(60), threading.Event(), threading.Event()

    def hold() -> None:
        with countdown.held():
            is_held.set()
            over.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    assert is_held.wait(10)
    assert not passes(countdown)
    over.set()
    thread.join()
    assert passes(countdown)


def test_it_says_how_long_its_end_is_gone() -> None:
    assert Countdown(-1).left() < -0.9
