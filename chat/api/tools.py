"""What the JSON API takes and gives of a conversation's tools."""

from typing import Self

from ninja import Field, Schema

from automate.availability import Availability, KnownServer
from automate.policy import Scope
from chat.left_out import scope_of


class LeftOutIn(Schema):
    """Keys of what the conversation is to go without from now on."""

    servers: list[int] = []
    tools: list[int] = []

    def scope(self) -> Scope:
        """The same as a value."""
        return scope_of({"servers": self.servers, "tools": self.tools})


class ToolOut(Schema):
    id: int
    name: str
    title: str
    state: str
    words: str = Field(description="What stands in its way.")
    left_out: bool


class ServerOut(Schema):
    id: int
    name: str
    state: str
    words: str
    left_out: bool
    tools: list[ToolOut]
    not_permitted: int = Field(description="Tools that are not named.")

    @classmethod
    def of(cls, known: KnownServer, left_out: Scope) -> Self:
        return cls(
            id=known.row.pk,
            name=known.row.name,
            state=known.state,
            words=str(known.state.label),
            left_out=known.row.pk in left_out.servers,
            tools=[
                ToolOut(
                    id=each.row.pk,
                    name=each.row.name,
                    title=each.row.title,
                    state=each.state,
                    words=str(each.state.label),
                    left_out=each.row.pk in left_out.tools,
                )
                for each in known.tools
            ],
            not_permitted=known.hidden,
        )


class ToolsOut(Schema):
    servers: list[ServerOut]
    not_permitted: int = Field(description="Servers that are not named.")

    @classmethod
    def of(cls, found: Availability, left_out: Scope) -> Self:
        return cls(
            servers=[ServerOut.of(each, left_out) for each in found.servers],
            not_permitted=found.hidden,
        )
