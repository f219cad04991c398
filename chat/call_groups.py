"""Several calls of one answer, taken together: how many, how long, and whether to look at them."""

from collections.abc import Sequence
from dataclasses import dataclass

from automate_llm.content import RASTER_TYPES

from .models import CallFile, ToolCall

Status = ToolCall.Status

_OPEN = (Status.WAITING, Status.RUNNING, Status.PENDING, Status.UNKNOWN, Status.FAILED)
_TELLING = (*_OPEN, Status.REFUSED, Status.CANCELLED)
"""What the group is shown as: the first of these that one of its calls is."""


@dataclass(frozen=True, slots=True)
class CallGroup:
    """The calls of one answer; `shows_image` where one of them has a picture to look at."""

    calls: Sequence[ToolCall]
    shows_image: bool = False

    @property
    def count(self) -> int:
        """How many calls."""
        return len(self.calls)

    @property
    def status(self) -> str:
        """The status that tells most."""
        statuses = {call.status for call in self.calls}
        return next((each for each in _TELLING if each in statuses), Status.SUCCEEDED)

    @property
    def is_open(self) -> bool:
        """Whether there is something to look at, or something that is not over."""
        return self.shows_image or self.status in _OPEN

    @property
    def not_done(self) -> int:
        """How many calls are over and did not do what they should."""
        return sum(call.finished and call.status != Status.SUCCEEDED for call in self.calls)

    @property
    def seconds(self) -> float | None:
        """From the first beginning to the last end; nothing while a call is not over."""
        begun = [call.started_at for call in self.calls if call.started_at is not None]
        ended = [call.finished_at for call in self.calls if call.finished_at is not None]
        if not begun or not ended or not all(call.finished for call in self.calls):
            return None
        return max(0.0, (max(ended) - min(begun)).total_seconds())

    @property
    def titles(self) -> list[str]:
        """What is called, each once."""
        return list(dict.fromkeys(call.title or call.function_name for call in self.calls))


def group_of(calls: Sequence[ToolCall]) -> CallGroup | None:
    """The group that calls with their files make; one call is none."""
    if len(calls) < 2:
        return None
    return CallGroup(calls, any(file.is_image for call in calls for file in call.files.all()))


def group_of_message(message_id: int) -> CallGroup | None:
    """The group of a stored answer, with no more read than it needs."""
    fields = ("status", "started_at", "finished_at", "title", "function_name")
    calls = list(ToolCall.objects.filter(message=message_id).order_by("pk").only(*fields))
    if len(calls) < 2:
        return None
    images = CallFile.objects.filter(call__message=message_id, media_type__in=RASTER_TYPES)
    return CallGroup(calls, images.exists())
