"""The audit: who asked what, which tools ran with which outcome, and what was used.

Nothing here can be changed.
"""

from . import panels  # noqa: F401  (registers what servers' pages show of calls)
from .conversations import ConversationAdmin, TurnAdmin
from .decisions import ApprovalAdmin, QuestionAdmin, ToolGrantAdmin
from .records import CallRecordAdmin
from .tool_calls import ToolCallAdmin
from .usage import DailyUsageAdmin

__all__ = [
    "ApprovalAdmin",
    "CallRecordAdmin",
    "ConversationAdmin",
    "DailyUsageAdmin",
    "QuestionAdmin",
    "ToolCallAdmin",
    "ToolGrantAdmin",
    "TurnAdmin",
]
