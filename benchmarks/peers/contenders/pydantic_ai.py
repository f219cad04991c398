"""pydantic-ai with its own MCP client, one session for all turns."""

import asyncio

from pydantic_ai import Agent
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from .pacing import QUESTION, SYSTEM_PROMPT, addresses, expect_answer, serve


async def main() -> None:
    where = addresses()
    provider = OpenAIProvider(base_url=where.model, api_key="none")
    agent = Agent(
        OpenAIChatModel("scripted", provider=provider),
        instructions=SYSTEM_PROMPT,
        toolsets=[MCPToolset(where.mcp)],
    )

    async def turn() -> None:
        text = ""
        async with agent.run_stream(QUESTION) as result:
            async for piece in result.stream_text(delta=True, debounce_by=None):
                text += piece
        expect_answer(text)

    async with agent:
        await serve(turn)


if __name__ == "__main__":
    asyncio.run(main())
