"""openai-agents with its own MCP client, one session for all turns."""

import asyncio

from agents import Agent, OpenAIChatCompletionsModel, Runner, set_tracing_disabled
from agents.mcp import MCPServerStreamableHttp
from openai import AsyncOpenAI

from .pacing import QUESTION, SYSTEM_PROMPT, addresses, expect_answer, serve


async def main() -> None:
    set_tracing_disabled(True)
    where = addresses()
    client = AsyncOpenAI(base_url=where.model, api_key="none")
    async with MCPServerStreamableHttp(params={"url": where.mcp}, cache_tools_list=True) as shop:
        agent = Agent(
            name="Shop",
            instructions=SYSTEM_PROMPT,
            mcp_servers=[shop],
            model=OpenAIChatCompletionsModel(model="scripted", openai_client=client),
        )

        async def turn() -> None:
            result = Runner.run_streamed(agent, QUESTION)
            async for _ in result.stream_events():
                pass
            expect_answer(result.final_output)

        await serve(turn)


if __name__ == "__main__":
    asyncio.run(main())
