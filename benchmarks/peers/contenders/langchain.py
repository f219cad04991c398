"""LangChain's agent on LangGraph with langchain-mcp-adapters, one session for all turns."""

import asyncio

from langchain.agents import create_agent
from langchain_mcp_adapters.client import MultiServerMCPClient
from langchain_mcp_adapters.tools import load_mcp_tools
from langchain_openai import ChatOpenAI

from .pacing import QUESTION, SYSTEM_PROMPT, addresses, expect_answer, serve


async def main() -> None:
    where = addresses()
    client = MultiServerMCPClient({"shop": {"url": where.mcp, "transport": "streamable_http"}})
    async with client.session("shop") as session:
        model = ChatOpenAI(model="scripted", base_url=where.model, api_key="none", streaming=True)
        tools = await load_mcp_tools(session)
        agent = create_agent(model, tools, system_prompt=SYSTEM_PROMPT)

        async def turn() -> None:
            text = ""
            asked = {"messages": [{"role": "user", "content": QUESTION}]}
            async for chunk, _ in agent.astream(asked, stream_mode="messages"):
                if chunk.type == "AIMessageChunk" and isinstance(chunk.content, str):
                    text += chunk.content
            expect_answer(text)

        await serve(turn)


if __name__ == "__main__":
    asyncio.run(main())
