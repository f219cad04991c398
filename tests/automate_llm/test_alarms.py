"""Alarms: each rings once, in its time, unless it was taken back."""

import threading
import time

from automate_llm.providers.alarms import Alarms


def test_an_alarm_rings_in_its_time() -> None:
    rung = threading.Event()
    began = time.monotonic()

    Alarms(0.05).ring(rung.set)

    assert rung.wait(5)
    assert time.monotonic() - began >= 0.05


def test_alarms_ring_in_their_order_and_those_taken_back_do_not() -> None:
    alarms, rung, last = Alarms(0.05), [], threading.Event()
    for number in range(4):
        alarm = alarms.ring(lambda number=number: rung.append(number))
        if number == 1:
            alarm.cancel()
    alarms.ring(last.set)

    assert last.wait(5)
    assert rung == [0, 2, 3]


def test_alarms_that_come_after_the_thread_ended_ring_too(monkeypatch) -> None:
    monkeypatch.setattr("automate_llm.providers.alarms.IDLE_SECONDS", 0.01)
    alarms = Alarms(0.01)
    for _ in range(3):
        rung = threading.Event()
        alarms.ring(rung.set)
        assert rung.wait(5)
        threads = [each for each in threading.enumerate() if each.name == "automate-alarms"]
        for thread in threads:
            thread.join(5)


def test_a_hundred_alarms_share_one_thread() -> None:
    alarms = Alarms(1)
    before = threading.active_count()
    for _ in range(100):
        alarms.ring(lambda: None).cancel()

    assert threading.active_count() <= before + 1
