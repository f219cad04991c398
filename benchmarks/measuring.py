"""CPU and wall time of contenders that take turns, so that a busy machine hits all alike."""

import cProfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from types import TracebackType
from typing import ClassVar, Self


@dataclass(frozen=True, slots=True)
class Sample:
    """What one operation took, in seconds; CPU is that of this process, all threads together."""

    cpu: float
    wall: float


class Stopwatch:
    """Times its `with` block; `sample` is there at its end. A `profile` sees just these blocks."""

    sample: Sample
    profile: ClassVar[cProfile.Profile | None] = None

    def __enter__(self) -> Self:
        if self.profile is not None:
            self.profile.enable()
        self._wall = time.perf_counter()
        self._cpu = time.process_time()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        cpu = time.process_time() - self._cpu
        self.sample = Sample(cpu, time.perf_counter() - self._wall)
        if self.profile is not None:
            self.profile.disable()


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to do the work: `measure` does it once and says what the part that counts took."""

    name: str
    measure: Callable[[], Sample]
    operations: int = 1
    """How often it is done in each round."""


def timed(name: str, operation: Callable[[], object], operations: int = 1) -> Contender:
    """A contender of which everything counts."""

    def measure() -> Sample:
        with Stopwatch() as taken:
            operation()
        return taken.sample

    return Contender(name, measure, operations)


class Results:
    """One median sample for each round of each contender."""

    def __init__(self, rounds: dict[str, list[Sample]]) -> None:
        self._rounds = rounds

    def cpu(self, name: str) -> float:
        """Median CPU seconds of one operation."""
        return median(sample.cpu for sample in self._rounds[name])

    def wall(self, name: str) -> float:
        """Median wall seconds of one operation."""
        return median(sample.wall for sample in self._rounds[name])

    def cpu_ratio(self, name: str, to: str) -> float:
        """The median over the rounds of how many times the other's CPU it took."""
        pairs = zip(self._rounds[name], self._rounds[to], strict=True)
        return median(ours.cpu / theirs.cpu for ours, theirs in pairs)

    def extra_wall(self, name: str, over: str) -> float:
        """The median over the rounds of the wall seconds that it took more."""
        pairs = zip(self._rounds[name], self._rounds[over], strict=True)
        return median(ours.wall - theirs.wall for ours, theirs in pairs)


def interleaved(contenders: Sequence[Contender], rounds: int) -> Results:
    """Let each contender have its go in each round, every round starting with another one."""
    samples: dict[str, list[Sample]] = {each.name: [] for each in contenders}
    for each in contenders:
        each.measure()
    for number in range(rounds):
        start = number % len(contenders)
        for each in (*contenders[start:], *contenders[:start]):
            taken = [each.measure() for _ in range(each.operations)]
            samples[each.name].append(
                Sample(median(one.cpu for one in taken), median(one.wall for one in taken))
            )
    return Results(samples)
