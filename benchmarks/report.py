"""What a benchmark has to say: its contenders, and the table that comes of them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from .measuring import Contender, Results

COLUMNS = ("", "CPU ms", "wall ms", "compared", "goal", "")


@dataclass(frozen=True, slots=True)
class Goal:
    """A limit, and the value that is held to it."""

    text: str
    value: float
    limit: float

    @property
    def verdict(self) -> str:
        """Whether the value is within the limit."""
        return "met" if self.value <= self.limit else "MISSED"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    name: str
    cpu: float
    wall: float
    compared: str = ""
    goal: Goal | None = None

    def cells(self) -> tuple[str, ...]:
        goal = (self.goal.text, self.goal.verdict) if self.goal else ("", "")
        return (self.name, _milliseconds(self.cpu), _milliseconds(self.wall), self.compared, *goal)


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Contenders whose peers are running, and how their results become rows."""

    title: str
    contenders: Sequence[Contender]
    ours: Contender
    """The one that `--profile` looks at."""
    rounds: int
    rows: Callable[[Results], list[Row]]
    note: str = ""


def row(results: Results, name: str, compared: str = "", goal: Goal | None = None) -> Row:
    """A contender's medians."""
    return Row(name, results.cpu(name), results.wall(name), compared, goal)


def table(rows: Sequence[Row]) -> Iterator[str]:
    """The lines of a Markdown table with aligned columns."""
    return aligned([COLUMNS, *(each.cells() for each in rows)], numbers=slice(1, 3))


def aligned(cells: Sequence[Sequence[str]], numbers: slice = slice(1, None)) -> Iterator[str]:
    """The lines of a Markdown table, the first of which is its head; `numbers` are columns."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    rightward = range(len(widths))[numbers]
    for number, line in enumerate(cells):
        padded = (
            text.rjust(width) if at in rightward else text.ljust(width)
            for at, (text, width) in enumerate(zip(line, widths, strict=True))
        )
        yield f"| {' | '.join(padded)} |"
        if number == 0:
            yield f"|{'|'.join('-' * (width + 2) for width in widths)}|"


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:,.2f}" if seconds < 1 else f"{seconds * 1000:,.0f}"
