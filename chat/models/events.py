"""The logs of turns."""

from django.db import models

from .turns import Turn


class TurnEvent(models.Model):
    """One line of a turn's log, which browsers read from any point.

    Kinds and their data: `text` (`message`, `text`), `message` (`message`), `call` (`call`),
    `progress` (`call`, `progress`, `total`, `message`), `waiting` (nothing), `status` (`status`),
    always the last. The text of a finished turn stands in its messages; its `text` events are then
    deleted.
    """

    class Kind(models.TextChoices):
        TEXT = "text"
        MESSAGE = "message"
        CALL = "call"
        PROGRESS = "progress"
        WAITING = "waiting"
        STATUS = "status"

    # The constraint's index begins with the turn; one of its own would be written for each event.
    turn = models.ForeignKey(Turn, on_delete=models.CASCADE, related_name="events", db_index=False)
    seq = models.PositiveIntegerField()
    kind = models.CharField(max_length=10, choices=Kind.choices)
    data = models.JSONField(default=dict)

    class Meta:
        ordering = ["seq"]
        constraints = [
            models.UniqueConstraint(fields=["turn", "seq"], name="chat_event_seq"),
        ]

    def __str__(self) -> str:
        return f"{self.seq} {self.kind}"
