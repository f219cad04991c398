"""Conversations, turns, tool calls and what people say of them, as rows."""

from chat.files import CallFile, StoredFile

from .attachments import Attachment, AttachmentQuerySet
from .calls import ToolCall, ToolCallQuerySet
from .conversations import Conversation, ConversationQuerySet, Message, Summary
from .decisions import Approval, ApprovalQuerySet, Question, QuestionQuerySet, ToolGrant
from .events import TurnEvent
from .operations import DailyUsage, Worker, WorkerQuerySet
from .records import CallRecord, CallRecordQuerySet, Dashboard
from .shares import Share, ShareQuerySet
from .turns import Turn, TurnQuerySet, lease

__all__ = [
    "Approval",
    "ApprovalQuerySet",
    "Attachment",
    "AttachmentQuerySet",
    "CallFile",
    "CallRecord",
    "CallRecordQuerySet",
    "Conversation",
    "ConversationQuerySet",
    "DailyUsage",
    "Dashboard",
    "Message",
    "Question",
    "QuestionQuerySet",
    "Share",
    "ShareQuerySet",
    "StoredFile",
    "Summary",
    "ToolCall",
    "ToolCallQuerySet",
    "ToolGrant",
    "Turn",
    "TurnEvent",
    "TurnQuerySet",
    "Worker",
    "WorkerQuerySet",
    "lease",
]
