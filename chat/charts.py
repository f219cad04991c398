"""Small charts for the admin, as shapes that a template draws as SVG."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

WIDTH, HEIGHT = 600, 96
_GAP = 3


@dataclass(frozen=True, slots=True)
class Bar:
    """One day: its whole height, and the part of it at the bottom that went wrong."""

    day: date
    count: int
    wrong: int
    x: float
    y: float
    width: float
    height: float
    wrong_y: float
    wrong_height: float


@dataclass(frozen=True, slots=True)
class Bars:
    """A bar chart in a box of `width` by `height`."""

    bars: Sequence[Bar]
    most: int
    width: int = WIDTH
    height: int = HEIGHT


def bars(days: Sequence[tuple[date, int, int]]) -> Bars:
    """A bar for each day of `(day, count, of these wrong)`, the highest as high as the box."""
    most = max((count for _day, count, _wrong in days), default=0)
    step = WIDTH / max(len(days), 1)
    drawn = []
    for number, (day, count, wrong) in enumerate(days):
        height, wrong_height = _height(count, most), _height(wrong, most)
        drawn.append(
            Bar(
                day,
                count,
                wrong,
                x=round(number * step + _GAP / 2, 2),
                y=round(HEIGHT - height, 2),
                width=round(step - _GAP, 2),
                height=height,
                wrong_y=round(HEIGHT - wrong_height, 2),
                wrong_height=wrong_height,
            )
        )
    return Bars(drawn, most)


def _height(count: int, most: int) -> float:
    """Never so low that it could not be seen."""
    return round(max(count / most * HEIGHT, 2), 2) if count else 0.0
