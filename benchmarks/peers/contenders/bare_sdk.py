"""The openai SDK and the official MCP SDK in a loop, and nothing around them."""

import asyncio
import json
from typing import Any

from mcp import Client
from openai import AsyncOpenAI

from .pacing import QUESTION, SYSTEM_PROMPT, addresses, expect_answer, serve


async def main() -> None:
    where = addresses()
    model = AsyncOpenAI(base_url=where.model, api_key="none")
    async with Client(where.mcp) as shop:
        tools: list[Any] = [
            {
                "type": "function",
                "function": {
                    "name": tool.name,
                    "description": tool.description or "",
                    "parameters": tool.input_schema,
                },
            }
            for tool in (await shop.list_tools()).tools
        ]

        async def turn() -> None:
            messages: list[Any] = [
                {"role": "system", "content": SYSTEM_PROMPT},
                {"role": "user", "content": QUESTION},
            ]
            while True:
                text, calls = "", []
                stream = await model.chat.completions.create(
                    model="scripted", messages=messages, tools=tools, stream=True
                )
                async for chunk in stream:
                    delta = chunk.choices[0].delta if chunk.choices else None
                    text += (delta and delta.content) or ""
                    for part in (delta and delta.tool_calls) or ():
                        if part.id and part.function:
                            function = {"name": part.function.name, "arguments": ""}
                            calls.append({"id": part.id, "type": "function", "function": function})
                        if part.function:
                            calls[-1]["function"]["arguments"] += part.function.arguments or ""
                if not calls:
                    expect_answer(text)
                    return
                messages.append({"role": "assistant", "content": text or None, "tool_calls": calls})
                for call in calls:
                    function = call["function"]
                    found = await shop.call_tool(
                        function["name"], json.loads(function["arguments"])
                    )
                    said = found.content[0].text
                    messages.append({"role": "tool", "tool_call_id": call["id"], "content": said})

        await serve(turn)


if __name__ == "__main__":
    asyncio.run(main())
