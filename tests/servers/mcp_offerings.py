"""Resources and prompts of a test's MCP server, on the official SDK."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    GetPromptRequestParams,
    GetPromptResult,
    ListPromptsResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    PaginatedRequestParams,
    Prompt,
    ReadResourceRequestParams,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
)

Page = PaginatedRequestParams | None


@dataclass
class Offered:
    """What a server offers beside tools; may be changed while it runs.

    `contents` are by address, `messages` by the prompt's name. `page_size` splits the lists.
    Without `templates` the server does not know the method that lists them.
    """

    resources: list[Resource] = field(default_factory=list)
    templates: list[ResourceTemplate] | None = None
    prompts: list[Prompt] | None = field(default_factory=list)
    contents: Mapping[str, list[Any]] = field(default_factory=dict)
    messages: Mapping[str, Callable[[dict[str, str]], list[Any]]] = field(default_factory=dict)
    page_size: int = 1_000

    def handlers(self) -> dict[str, Any]:
        """What the SDK's server is made with."""
        handlers: dict[str, Any] = {
            "on_list_resources": self._list_resources,
            "on_read_resource": self._read_resource,
        }
        if self.templates is not None:
            handlers["on_list_resource_templates"] = self._list_templates
        if self.prompts is not None:
            handlers["on_list_prompts"] = self._list_prompts
            handlers["on_get_prompt"] = self._get_prompt
        return handlers

    async def _list_resources(self, context: Any, params: Page) -> ListResourcesResult:
        page, cursor = self._page(self.resources, params)
        return ListResourcesResult(resources=page, next_cursor=cursor)

    async def _list_templates(self, context: Any, params: Page) -> ListResourceTemplatesResult:
        page, cursor = self._page(self.templates or [], params)
        return ListResourceTemplatesResult(resource_templates=page, next_cursor=cursor)

    async def _list_prompts(self, context: Any, params: Page) -> ListPromptsResult:
        page, cursor = self._page(self.prompts or [], params)
        return ListPromptsResult(prompts=page, next_cursor=cursor)

    async def _read_resource(
        self, context: Any, params: ReadResourceRequestParams
    ) -> ReadResourceResult:
        if params.uri not in self.contents:
            raise MCPError(INVALID_PARAMS, "Resource not found")
        return ReadResourceResult(contents=self.contents[params.uri])

    async def _get_prompt(self, context: Any, params: GetPromptRequestParams) -> GetPromptResult:
        if params.name not in self.messages:
            raise MCPError(INVALID_PARAMS, "Unknown prompt")
        messages = self.messages[params.name](params.arguments or {})
        return GetPromptResult(description="A prompt.", messages=messages)

    def _page(self, entries: list[Any], params: Page) -> tuple[list[Any], str | None]:
        start = int(params.cursor) if params is not None and params.cursor else 0
        end = start + self.page_size
        return entries[start:end], str(end) if end < len(entries) else None
