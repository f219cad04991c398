"""What the chat pages show: rows gathered in a fixed number of queries, however long they are."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import Prefetch, QuerySet, prefetch_related_objects
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.text import Truncator
from django.utils.translation import gettext as _

from automate.conf import conf
from automate.days import local_day
from automate.models import MCPServer, MCPTool
from automate.secrets import resolve_secret
from automate_llm.exceptions import SecretUnavailable

from .models import (
    Attachment,
    CallFile,
    Conversation,
    Message,
    Question,
    ToolCall,
    ToolCallQuerySet,
    Turn,
)
from .submission import shown_last
from .turn_tree import Choice, Knot, TurnTree

RECENT_CONVERSATIONS = 100
TURNS_AT_ONCE = 20
"""What a page shows of a conversation at first; earlier turns come as the reader goes up."""
SUGGESTIONS = 4


@dataclass(frozen=True, slots=True)
class Period:
    """Conversations that were last used in the same stretch of time."""

    title: str
    conversations: Sequence[Conversation]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A tool that a new conversation can begin with."""

    title: str
    description: str
    draft: str

    @property
    def query(self) -> str:
        """The part of an address that puts the draft into the composer."""
        return urlencode({"draft": self.draft})


@dataclass(frozen=True, slots=True)
class NextStep:
    """What somebody with the right to it should do before the chat can be of use."""

    text: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Places:
    """What else stands in a turn's place: other messages of the person, and other answers."""

    message: Choice | None
    answer: Choice | None


@dataclass(frozen=True, slots=True)
class Branch:
    """The turns that a page shows, each with its messages and their calls, and their places."""

    turns: list[Turn]
    places: Mapping[UUID, Places]
    tree: TurnTree
    is_cut: bool
    """Whether earlier turns of it are left out."""

    def place_of(self, turn: UUID | None) -> int | None:
        """Where in this branch the turn stands, or one in its place; nothing where none does."""
        beside = self.tree.beside(turn) if turn is not None and turn in self.tree else []
        places = (at for at, each in enumerate(self.turns) if each.pk in beside)
        return next(places, None)


def messages() -> QuerySet[Message]:
    """Messages with their tool calls; what a call returned in full stays in the database."""
    found = Message.objects.select_related("summary").order_by("pk")
    attachments = Attachment.objects.select_related("file").defer("text").order_by("pk")
    return found.prefetch_related(
        Prefetch("tool_calls", calls()), Prefetch("attachments", attachments)
    )


def calls() -> ToolCallQuerySet:
    """Tool calls with their files and what people decided, and without their results in full."""
    questions = Question.objects.order_by("pk")
    found = ToolCall.objects.select_related("approval__decided_by", "resolved_by", "tool").defer(
        "result", *(f"tool__{name}" for name in ("description", "input_schema", "output_schema"))
    )
    found = found.prefetch_related(files(), Prefetch("questions", questions))
    return found.order_by("pk")


def branch(
    conversation: Conversation, through: UUID | None = None, most: int | None = None
) -> Branch:
    """The branch that the conversation shows, or the last that was shown through a turn of it.

    With `most`, it is so many of its last turns, and those back to the one that is looked for.
    """
    found = {turn.pk: turn for turn in conversation.turns.order_by("created_at", "pk")}
    tree = TurnTree(map(Knot.of, found.values()))
    if through is not None and through in tree:
        leaf: UUID | None = tree.last_shown(through)
    else:
        leaf = conversation.head_id if conversation.head_id in tree else tree.newest()
    path = tree.path(leaf)
    start = 0 if most is None else max(0, len(path) - most)
    if through in path:
        start = min(start, path.index(through))
    return _branch([found[turn] for turn in path[start:]], tree, is_cut=start > 0)


def earlier(turn: Turn, most: int) -> Branch:
    """The last turns of those that lead to this one."""
    tree = TurnTree.of(turn.conversation_id)
    path = tree.path(turn.parent_id)
    found = Turn.objects.in_bulk(path[-most:])
    return _branch([found[each] for each in path[-most:]], tree, is_cut=len(path) > most)


def _branch(shown: list[Turn], tree: TurnTree, *, is_cut: bool) -> Branch:
    prefetch_related_objects(shown, Prefetch("messages", messages()))
    places = {turn.pk: Places(tree.message(turn.pk), tree.answer(turn.pk)) for turn in shown}
    return Branch(shown, places, tree, is_cut)


def one_turn(turn: Turn) -> tuple[Turn, Mapping[UUID, Places]]:
    """A turn with its messages and their calls, and what else stands in its place."""
    shown = Turn.objects.select_related("conversation").get(pk=turn.pk)
    prefetch_related_objects([shown], Prefetch("messages", messages()))
    tree = TurnTree.of(turn.conversation_id)
    return shown, {turn.pk: Places(tree.message(turn.pk), tree.answer(turn.pk))}


def turn_of_message(conversation: Conversation, message_id: str) -> UUID | None:
    """The turn of this message of the conversation; nothing where it has none of that number."""
    if not (message_id.isascii() and message_id.isdigit() and len(message_id) < 19):
        return None
    found = conversation.messages.filter(pk=int(message_id))
    return found.values_list("turn_id", flat=True).first()


def files() -> "Prefetch[str]":
    """The files of calls."""
    return Prefetch("files", CallFile.objects.select_related("file"))


def turns(conversation: Conversation) -> list[Turn]:
    """The turns of the branch that is shown, in order, with their messages and their calls."""
    return branch(conversation).turns


def may_go_on(turn: Turn) -> bool:
    """Whether what it left can be taken up, and nothing came after it where it is shown."""
    return turn.may_go_on and shown_last(turn.conversation) == turn


def history(user: Any, limit: int | None = RECENT_CONVERSATIONS) -> tuple[list[Period], bool]:
    """This person's list, pinned ones first, and whether there are more than the limit."""
    own = Conversation.objects.owned_by(user).current()
    pinned = list(own.filter(pinned_at__isnull=False).order_by("-pinned_at"))
    rows, is_cut = _cut(own.filter(pinned_at=None).order_by("-updated_at"), limit)
    periods = [Period(title, list(group)) for title, group in groupby(rows, _period)]
    return [Period(_("Pinned"), pinned), *periods] if pinned else periods, is_cut


def archived(
    user: Any, limit: int | None = RECENT_CONVERSATIONS
) -> tuple[list[Conversation], bool]:
    """What this person has put away, and whether there is more than the limit."""
    return _cut(Conversation.objects.owned_by(user).archived(), limit)


def deleted(user: Any, conversation_id: str) -> Conversation | None:
    """The conversation that a page offers to bring back; nothing where that is not possible."""
    try:
        wanted = UUID(conversation_id)
    except ValueError:
        return None
    return Conversation.objects.restorable_by(user).filter(pk=wanted).first()


def _cut(found: QuerySet[Conversation], limit: int | None) -> tuple[list[Conversation], bool]:
    rows = list(found if limit is None else found[: limit + 1])
    is_cut = limit is not None and len(rows) > limit
    return rows[:limit], is_cut


def _period(conversation: Conversation) -> str:
    day, today = local_day(conversation.updated_at), local_day(timezone.now())
    if day >= today:
        return _("Today")
    if day == today - timedelta(days=1):
        return _("Yesterday")
    if day > today - timedelta(days=7):
        return _("Last 7 days")
    if day > today - timedelta(days=30):
        return _("Last 30 days")
    return _("Older")


def suggestions() -> list[Suggestion]:
    """A few usable tools, from as many servers as possible."""
    usable = MCPTool.objects.usable().select_related("server")
    by_server: dict[int, list[MCPTool]] = {}
    for tool in usable.defer("input_schema", "output_schema")[:100]:
        by_server.setdefault(tool.server_id, []).append(tool)
    chosen: list[MCPTool] = []
    while len(chosen) < SUGGESTIONS and any(by_server.values()):
        chosen.extend(tools.pop(0) for tools in by_server.values() if tools)
    return [_suggestion(tool) for tool in chosen[:SUGGESTIONS]]


def _suggestion(tool: MCPTool) -> Suggestion:
    title = tool.title or _readable(tool.name)
    sentence = tool.description.split("\n", 1)[0].split(". ", 1)[0]
    return Suggestion(
        title=title,
        description=Truncator(sentence).chars(90),
        draft=_("Use “%(tool)s”: ") % {"tool": title},
    )


def _readable(name: str) -> str:
    words = re.sub(r"[\W_]+", " ", name).strip() or name
    return words[:1].upper() + words[1:]


def next_steps() -> list[NextStep]:
    """What is missing before the assistant can answer, or can use a tool; empty when all is set."""
    steps = []
    if problem := _model_problem():
        steps.append(NextStep(problem))
    servers = MCPServer.objects.enabled()
    if not servers.exists():
        steps.append(NextStep(_("Add an MCP server."), _admin("mcpserver", "add")))
    elif not MCPTool.objects.usable().exists():
        if MCPTool.objects.awaiting_review().exists():
            step = NextStep(_("Review the tools that wait for it."), _admin("mcptool"))
        else:
            step = NextStep(_("Sync the tools of a server."), _admin("mcpserver"))
        steps.append(step)
    return steps


def _model_problem() -> str:
    model = conf().MODELS.get("default", {})
    if not model.get("MODEL"):
        return _('Name a model in the setting AUTOMATE["MODELS"]["default"].')
    key = model.get("API_KEY", "")
    if model.get("BASE_URL"):
        return ""
    try:
        resolve_secret(key)
    except SecretUnavailable as problem:
        return _("Give the model's API key. %(problem)s") % {"problem": problem}
    return ""


def _admin(model: str, page: str = "changelist") -> str:
    try:
        return reverse(f"admin:automate_{model}_{page}")
    except NoReverseMatch:
        return ""
