"""Tools as real servers describe them: five parameters, a sentence for each, no two alike."""

from typing import Any

ARGUMENTS = {"query": "blue mugs", "limit": 10, "in_stock": True, "sort": "price"}
"""Arguments that fit every tool here."""

ANSWER = "Seven blue mugs are in stock: three in Leeds, two in York, two in the warehouse."


def tool_list(server: int, count: int) -> list[dict[str, Any]]:
    """What one server lists."""
    return [_tool(server, number) for number in range(count)]


def _tool(server: int, number: int) -> dict[str, Any]:
    area = f"area {server}.{number}"
    return {
        "name": f"search_{number:04}",
        "title": f"Search {area}",
        "description": f"Find the articles of {area} by words, with their price and their stock. "
        "Use it for any question on what there is, how much of it, and where.",
        "inputSchema": {
            "type": "object",
            "properties": {
                "query": {"type": "string", "description": f"Words to look for in {area}."},
                "limit": {
                    "type": "integer",
                    "description": "How many articles at most.",
                    "minimum": 1,
                    "maximum": 100 + number,
                    "default": 10,
                },
                "in_stock": {"type": "boolean", "description": "Only what is there now."},
                "sort": {
                    "type": "string",
                    "enum": ["price", "name", "newest"],
                    "description": "What the articles are ordered by.",
                },
                "labels": {
                    "type": "array",
                    "items": {"type": "string", "maxLength": 40},
                    "description": f"Labels that an article of {area} must have.",
                },
            },
            "required": ["query"],
            "additionalProperties": False,
        },
        "annotations": {"readOnlyHint": True},
    }
