"""The same measure on a second set of tools and prompts, written before they were tried.

These tools have the harder schemas: nested objects, references, lists, nullable alternatives.
At the first run 25 of the 33 prompts were right; what was then mended was mended in general.
"""

from typing import Any

from examples.wordmodel.planning import reply

from .demo_model_tools import JSON, TODAY, maybe, text, tool

ADDRESS = {
    "type": "object",
    "properties": {
        "street": {"type": "string"},
        "city": {"type": "string"},
        "postal_code": {"type": "string"},
    },
    "required": ["city"],
}

TOOLS = [
    tool("jira__searchIssues", "Search Jira tickets with free text.", text=text("Words")),
    tool("jira__getIssue", "Returns one ticket by its key.", issueKey=text("Such as PROJ-12")),
    tool(
        "jira__addComment",
        "Adds a comment to a ticket.",
        issueKey=text("Such as PROJ-12"),
        comment="string!",
    ),
    tool(
        "jira__assignIssue",
        "Assigns a ticket to somebody.",
        issueKey=text("Such as PROJ-12"),
        assignee=text("User name"),
    ),
    tool(
        "hotel_search",
        "Finds hotels in a city that are free between two days.",
        city="string!",
        check_in=text("", format="date"),
        check_out=text("", format="date"),
        guests={"type": "integer", "default": 2},
        max_price_per_night="number",
    ),
    tool(
        "recipe-search",
        "Finds recipes by ingredients.",
        ingredients={
            "type": "array",
            "items": {"type": "string"},
            "!": True,
        },
        vegetarian="boolean",
    ),
    tool(
        "play_music",
        "Plays a song or an artist.",
        query="string!",
        volume={
            "type": "integer",
            "minimum": 0,
            "maximum": 100,
        },
    ),
    tool(
        "smart_light",
        "Turns a lamp on or off.",
        room="string!",
        state={
            "type": "string",
            "enum": ["on", "off"],
            "!": True,
        },
    ),
    tool("set_alarm", "Sets an alarm.", time=text("HH:MM"), label="string"),
    tool("start_timer", "Starts a timer.", minutes="integer!"),
    tool(
        "news_headlines",
        "Returns the latest headlines.",
        topic=maybe("Such as sports"),
        limit={
            "type": "integer",
            "default": 5,
        },
    ),
    tool("define_word", "Looks a word up in the dictionary.", word="string!"),
    tool(
        "employee_directory",
        "Finds employees by name or department.",
        name=maybe(),
        department={
            "anyOf": [
                {"type": "string", "enum": ["sales", "support", "engineering"]},
                {"type": "null"},
            ],
        },
    ),
    tool(
        "vacation_request",
        "Submits a vacation request.",
        start_date=text("", format="date"),
        end_date=text("", format="date"),
        reason="string",
    ),
    tool("server_status", "Shows whether a server is up.", hostname="string!"),
    tool(
        "restart_service", "Restarts a service on a server.", service="string!", hostname="string"
    ),
    tool(
        "get_logs",
        "Returns the last lines of a service's log.",
        service="string!",
        lines={
            "type": "integer",
            "default": 100,
        },
        level={"type": "string", "enum": ["debug", "info", "warning", "error"]},
    ),
    tool(
        "shipping_quote",
        "Calculates the shipping price of a parcel.",
        weight_kg="number!",
        destination={"$ref": "#/$defs/Address", "!": True},
    ),
    tool(
        "get_exchange_rate",
        "Returns the exchange rate of two currencies.",
        base=text("Currency code"),
        quote=text("Currency code"),
    ),
    tool("list_appointments", "Lists the appointments of a day.", day=text("", format="date")),
    tool("find_patient", "Finds a patient by family name.", name="string!"),
    tool("bmi", "Calculates the body mass index.", weight_kg="number!", height_cm="number!"),
    tool(
        "list_products",
        "Lists all products of a category.",
        category={
            "type": "string",
            "enum": ["books", "toys", "garden"],
            "!": True,
        },
        max_price="number",
    ),
    tool("get_order_status", "Returns where an order is.", order_id="string!"),
    tool("cancel_order", "Cancels an order.", order_id="string!", reason="string"),
]
TOOLS[17]["function"]["parameters"]["$defs"] = {"Address": ADDRESS}

PROMPTS: list[tuple[str, list[tuple[str, JSON]]]] = [
    ("Show me ticket PROJ-17", [("jira__getIssue", {"issueKey": "PROJ-17"})]),
    ("Search tickets about slow login", [("jira__searchIssues", {"text": "slow login"})]),
    (
        'Add the comment "Fixed in 2.1" to PROJ-17',
        [("jira__addComment", {"issueKey": "PROJ-17", "comment": "Fixed in 2.1"})],
    ),
    (
        "Please assign PROJ-17 to maria",
        [("jira__assignIssue", {"issueKey": "PROJ-17", "assignee": "maria"})],
    ),
    (
        "Find a hotel in Lisbon from 2026-12-01 to 2026-12-05 under 120 euros",
        [
            (
                "hotel_search",
                {
                    "city": "Lisbon",
                    "check_in": "2026-12-01",
                    "check_out": "2026-12-05",
                    "max_price_per_night": 120,
                },
            )
        ],
    ),
    (
        "What can I cook with tomatoes, basil and rice?",
        [("recipe-search", {"ingredients": ["tomatoes", "basil", "rice"]})],
    ),
    (
        "Find vegetarian recipes with lentils",
        [("recipe-search", {"ingredients": ["lentils"], "vegetarian": True})],
    ),
    ("Play Bohemian Rhapsody", [("play_music", {"query": "Bohemian Rhapsody"})]),
    ("play some jazz at volume 30", [("play_music", {"query": "jazz", "volume": 30})]),
    ("Turn off the light in the kitchen", [("smart_light", {"room": "kitchen", "state": "off"})]),
    ("Set an alarm for 6:30", [("set_alarm", {"time": "06:30"})]),
    ("Start a timer for 10 minutes", [("start_timer", {"minutes": 10})]),
    ("start a timer for an hour and a half", []),
    ("What's in the news about sports?", [("news_headlines", {"topic": "sports"})]),
    ("Show me the top 3 headlines", [("news_headlines", {"limit": 3})]),
    ('Define the word "serendipity"', [("define_word", {"word": "serendipity"})]),
    ("What does ubiquitous mean?", [("define_word", {"word": "ubiquitous"})]),
    ("Who works in engineering?", [("employee_directory", {"department": "engineering"})]),
    ("Find the employee Grace Hopper", [("employee_directory", {"name": "Grace Hopper"})]),
    (
        "I want to submit a vacation request from 21 December to 31 December",
        [("vacation_request", {"start_date": "2026-12-21", "end_date": "2026-12-31"})],
    ),
    ("Is the server web-01 up?", [("server_status", {"hostname": "web-01"})]),
    ("Restart the service nginx", [("restart_service", {"service": "nginx"})]),
    (
        "Show the last 50 error lines of the nginx log",
        [("get_logs", {"service": "nginx", "lines": 50, "level": "error"})],
    ),
    (
        "How much is shipping for 2.5 kg to Vienna?",
        [("shipping_quote", {"weight_kg": 2.5, "destination": {"city": "Vienna"}})],
    ),
    (
        "What is the exchange rate from CHF to USD?",
        [("get_exchange_rate", {"base": "CHF", "quote": "USD"})],
    ),
    ("Which appointments do I have on Monday?", [("list_appointments", {"day": "2026-11-23"})]),
    ("Find the patient Schmidt", [("find_patient", {"name": "Schmidt"})]),
    (
        "What is my BMI at 80 kg and 182 cm?",
        [("bmi", {"weight_kg": 80, "height_cm": 182})],
    ),
    (
        "List garden products up to 25 euros",
        [("list_products", {"category": "garden", "max_price": 25})],
    ),
    ("Where is my order A-1001?", [("get_order_status", {"order_id": "A-1001"})]),
    ("Cancel order A-1001", [("cancel_order", {"order_id": "A-1001"})]),
    ("What happens if I cancel order A-1001?", []),
    ("Good morning", []),
]

MISSES = {"What happens if I cancel order A-1001?"}
"""What it gets wrong today: it looks up the order. It does not cancel it."""


def asked(prompt: str) -> list[tuple[str, Any]]:
    request = {"messages": [{"role": "user", "content": prompt}], "tools": TOOLS}
    return [(call.name, dict(call.arguments)) for call in reply(request, today=TODAY).calls]


def test_at_least_85_percent_are_right_with_harder_schemas_too():
    wrong = {prompt for prompt, calls in PROMPTS if asked(prompt) != calls}

    assert 1 - len(wrong) / len(PROMPTS) >= 0.85
    assert wrong == MISSES
