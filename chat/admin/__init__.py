"""The audit: who asked what, which tools ran with which outcome, and what was used.

Nothing here can be changed.
"""

from . import panels, tool_usage  # noqa: F401  (they add to the pages of servers and tools)
from .conversations import ConversationAdmin, TurnAdmin
from .dashboard import DashboardAdmin
from .decisions import ApprovalAdmin, QuestionAdmin, ToolGrantAdmin
from .records import CallRecordAdmin
from .tool_calls import ToolCallAdmin
from .usage import DailyUsageAdmin

__all__ = [
    "ApprovalAdmin",
    "CallRecordAdmin",
    "ConversationAdmin",
    "DailyUsageAdmin",
    "DashboardAdmin",
    "QuestionAdmin",
    "ToolCallAdmin",
    "ToolGrantAdmin",
    "TurnAdmin",
]
