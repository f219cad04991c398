"""What a site may listen to. Receivers run in the thread that did it; a failing one is logged.

`docs/signals.md` says what each is sent with.
"""

from django.dispatch import Signal

turn_started = Signal()
turn_waiting = Signal()
turn_finished = Signal()
call_started = Signal()
call_finished = Signal()
approval_requested = Signal()
approval_decided = Signal()
question_asked = Signal()
question_answered = Signal()
