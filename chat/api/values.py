"""What the JSON API takes and gives."""

import base64
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, Self
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _
from ninja import Field, Schema

from chat.attachments import Upload
from chat.models import Approval, Attachment, Message, Question, ToolCall, ToolGrant, Turn
from chat.rendering import visible_text

from .tools import LeftOutIn


class ErrorOut(Schema):
    """Why something was not done, as a sentence for a person."""

    error: str


class AttachmentIn(Schema):
    name: str
    data: str = Field(description="The file's bytes in Base64.")

    def upload(self) -> Upload:
        """The file as it would come from a form.

        Raises:
            ValidationError: the data is no Base64.
        """
        try:
            return Upload(self.name, base64.b64decode(self.data, validate=True))
        except ValueError:  # binascii's own error is one
            raise ValidationError(_("The data of an attachment is not Base64.")) from None


ERRORS: Any = {(401, 403, 404, 409, 422): ErrorOut}
"""What every operation may answer instead of what it is for."""


class MessageIn(Schema):
    text: str = ""
    conversation: UUID | None = Field(None, description="Empty: a new conversation.")
    submission: UUID | None = Field(
        None, description="Your own id for it: sent twice, it is one message."
    )
    model: str = Field("", description="Its alias; empty: the conversation's own.")
    parent: UUID | None = Field(
        None, description="The turn that it follows; empty: the last one of the branch shown."
    )
    attachments: list[AttachmentIn] = []
    left_out: LeftOutIn | None = Field(
        None, description="What to go without from now on; empty: no change."
    )


class AgainIn(Schema):
    submission: UUID | None = Field(
        None, description="Your own id for it: sent twice, it is one turn."
    )


class EditIn(AgainIn):
    text: str


class ApprovalIn(Schema):
    scope: Literal["once", "conversation", "always"] = "once"
    arguments: dict[str, Any] | None = Field(
        None, description="Instead of the model's; they are checked against the tool's schema."
    )


class DenialIn(Schema):
    reason: str = Field("", description="What the assistant is told.")


class AnswerIn(Schema):
    action: Literal["accept", "decline", "cancel"]
    content: dict[str, Any] | None = Field(None, description="The form's fields.")


class OutcomeIn(Schema):
    outcome: Literal["done", "failed", "again", "unknown"]


class ApprovalOut(Schema):
    id: int
    status: str
    scope: str
    why: str
    needs_second_person: bool
    asked_by: str
    decided_by: str | None
    reason: str
    expires_at: datetime

    @classmethod
    def of(cls, approval: Approval) -> Self:
        who = approval.decided_by
        return cls(
            id=approval.pk,
            status=approval.status,
            scope=approval.scope,
            why=approval.why,
            needs_second_person=approval.needs_second_person,
            asked_by=str(approval.user),
            decided_by=None if who is None else str(who),
            reason=approval.reason,
            expires_at=approval.expires_at,
        )


class QuestionOut(Schema):
    id: int
    status: str
    mode: str
    message: str
    form: dict[str, Any] = Field(description="A JSON Schema of what may be answered.")
    url: str = Field(description="For the person to open; never fetched by this site.")
    content: dict[str, Any] | None
    expires_at: datetime

    @classmethod
    def of(cls, question: Question) -> Self:
        return cls(
            id=question.pk,
            status=question.status,
            mode=question.mode,
            message=visible_text(question.message),
            form=question.schema,
            url=question.url,
            content=question.content,
            expires_at=question.expires_at,
        )


class CallOut(Schema):
    """A tool call. Of somebody else's, who needs a second person, only what is to be decided."""

    id: int
    turn: UUID | None = None
    conversation: UUID | None = None
    function: str
    title: str
    server: str
    status: str
    arguments: dict[str, Any] | None
    unresolved: bool = Field(description="Whether a person must say what became of it.")
    approval: ApprovalOut | None
    questions: list[QuestionOut] = []
    error: str = ""
    result: str = Field("", description="As the model was given it.")

    @classmethod
    def of(cls, call: ToolCall, user: Any) -> Self:
        try:
            approval = ApprovalOut.of(call.approval)
        except Approval.DoesNotExist:
            approval = None
        shown: dict[str, Any] = {
            "id": call.pk,
            "function": call.function_name,
            "title": call.title,
            "server": call.server_name,
            "status": call.status,
            "arguments": call.arguments,
            "unresolved": call.is_unresolved,
            "approval": approval,
        }
        if call.turn.conversation.user_id == user.pk:
            shown |= {
                "turn": call.turn_id,
                "conversation": call.turn.conversation_id,
                "questions": [QuestionOut.of(each) for each in call.questions.all()],
                "error": call.error,
                "result": call.result_text,
            }
        return cls(**shown)


class AttachmentOut(Schema):
    id: int
    name: str
    media_type: str
    bytes: int
    url: str

    @classmethod
    def of(cls, attachment: Attachment) -> Self:
        return cls(
            id=attachment.pk,
            name=attachment.name,
            media_type=attachment.media_type,
            bytes=attachment.file.size,
            url=reverse("chat:attachment", args=[attachment.pk]),
        )


class MessageOut(Schema):
    id: int
    role: str
    content: str
    interrupted: bool
    attachments: list[AttachmentOut] = []

    @classmethod
    def of(cls, message: Message) -> Self:
        return cls(
            id=message.pk,
            role=message.role,
            content=message.content,
            interrupted=message.interrupted,
            attachments=[AttachmentOut.of(each) for each in message.attachments.all()],
        )


class TurnOut(Schema):
    id: UUID
    conversation: UUID
    parent: UUID | None = Field(description="The turn that it follows; empty: it is the first.")
    beside: list[UUID] = Field(description="All turns with this parent, oldest first.")
    status: str
    model: str = Field(description="The alias of the model that answers.")
    notice: str = Field(description="What the person is told about how it ended.")
    limit: str = Field(description="Which limit ended it; empty: none.")
    prompt_tokens: int
    completion_tokens: int
    cost: Decimal
    messages: list[MessageOut]
    calls: list[CallOut]

    @classmethod
    def of(cls, turn: Turn, calls: list[ToolCall], user: Any) -> Self:
        return cls(
            id=turn.pk,
            conversation=turn.conversation_id,
            parent=turn.parent_id,
            beside=[each.pk for each in _beside(turn)],
            status=turn.status,
            model=turn.model,
            notice=turn.notice,
            limit=turn.limit,
            prompt_tokens=turn.prompt_tokens,
            completion_tokens=turn.completion_tokens,
            cost=turn.cost,
            messages=[MessageOut.of(each) for each in _messages(turn)],
            calls=[CallOut.of(each, user) for each in calls],
        )


def _beside(turn: Turn) -> QuerySet[Turn]:
    same_parent = Turn.objects.filter(conversation=turn.conversation_id, parent=turn.parent_id)
    return same_parent.order_by("created_at", "pk").only("pk")


def _messages(turn: Turn) -> QuerySet[Message]:
    return turn.messages.order_by("pk").prefetch_related("attachments__file")


class WaitingOut(Schema):
    """What needs this person's word: in own conversations, and as the second person of others."""

    own: list[CallOut]
    others: list[CallOut]


class GrantOut(Schema):
    id: int
    tool: str
    server: str
    conversation: UUID | None = Field(description="Empty: in all of them.")
    created_at: datetime
    revoked_at: datetime | None

    @classmethod
    def of(cls, grant: ToolGrant) -> Self:
        return cls(
            id=grant.pk,
            tool=grant.tool.name,
            server=grant.tool.server.name,
            conversation=grant.conversation_id,
            created_at=grant.created_at,
            revoked_at=grant.revoked_at,
        )
