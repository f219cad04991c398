"""Tools of many kinds, as a visitor might register them, for the demo model's tests."""

from datetime import date
from typing import Any

TODAY = date(2026, 11, 20)  # a Friday
JSON = dict[str, Any]


def tool(name: str, description: str, /, **parameters: Any) -> JSON:
    """A function definition; a parameter is a type, a schema, or its name with `!` if required."""
    properties = {key.rstrip("_"): _schema(value) for key, value in parameters.items()}
    required = [key for key, schema in properties.items() if schema.pop("!", False)]
    schema = {"type": "object", "properties": properties, "required": required}
    return {
        "type": "function",
        "function": {"name": name, "description": description, "parameters": schema},
    }


def _schema(value: Any) -> JSON:
    if isinstance(value, dict):
        return dict(value)
    return {"type": value.rstrip("!"), "!": value.endswith("!")}


def text(description: str = "", **more: Any) -> JSON:
    return {"type": "string", "description": description, "!": True, **more}


def maybe(description: str = "", **more: Any) -> JSON:
    return {"type": "string", "description": description, **more}


TOOLS = [
    tool(
        "github_list_issues",
        "List the issues of a GitHub repository.",
        owner=text("Owner of the repository"),
        repo=text("Name of the repository"),
        state={"type": "string", "enum": ["open", "closed", "all"], "default": "open"},
        labels={"type": "array", "items": {"type": "string"}},
    ),
    tool(
        "github_create_issue",
        "Create a new issue in a GitHub repository.",
        owner=text("Owner of the repository"),
        repo=text("Name of the repository"),
        title="string!",
        body="string",
    ),
    tool(
        "github_get_pull_request",
        "Get the details of one pull request.",
        owner=text("Owner of the repository"),
        repo=text("Name of the repository"),
        pull_number="integer!",
    ),
    tool(
        "get_current_weather",
        "Get the current weather for a city.",
        city=text("City name, e.g. Paris"),
        unit={"type": "string", "enum": ["celsius", "fahrenheit"]},
    ),
    tool(
        "get_forecast",
        "Weather forecast for the coming days.",
        location=text("City or place"),
        days={"type": "integer", "minimum": 1, "maximum": 14, "default": 3},
    ),
    tool(
        "calendar_list_events",
        "List the events in the calendar between two dates.",
        start_date=text("First day", format="date"),
        end_date=text("Last day", format="date"),
    ),
    tool(
        "calendar_create_event",
        "Create an event in the calendar.",
        title="string!",
        start=text("Start of the event", format="date-time"),
        end=maybe("End of the event", format="date-time"),
        attendees={"type": "array", "items": {"type": "string", "format": "email"}},
    ),
    tool("read_file", "Read the contents of a file.", path=text("Path of the file")),
    tool(
        "write_file",
        "Write text to a file, replacing what is there.",
        path=text("Path of the file"),
        content=text("The new text"),
    ),
    tool("list_directory", "List the files in a directory.", path="string!"),
    tool("search_files", "Search for files by name.", pattern=text("Words of the file's name")),
    tool("query_database", "Run a read-only SQL query.", sql=text("The SELECT statement")),
    tool("list_tables", "List the tables of the database."),
    tool("describe_table", "Describe the columns of a table.", table=text("Name of the table")),
    tool(
        "send_email",
        "Send an email.",
        to=text("Email address of the recipient", format="email"),
        subject="string!",
        body="string!",
        cc=maybe("Copy to", format="email"),
    ),
    tool(
        "search_emails",
        "Search the mailbox for messages.",
        query=text("Words to search for"),
        unread_only="boolean",
    ),
    tool(
        "crm_find_customer",
        "Find customers by name or email address.",
        query=text("Name or email address"),
    ),
    tool("crm_get_customer", "Get one customer with all contacts.", customer_id="string!"),
    tool(
        "crm_create_contact",
        "Create a contact for a customer.",
        name="string!",
        email=text("", format="email"),
        phone="string",
    ),
    tool(
        "maps_directions",
        "Get directions from one place to another.",
        origin=text("Where the trip starts"),
        destination=text("Where the trip ends"),
        mode={"type": "string", "enum": ["driving", "walking", "cycling", "transit"]},
    ),
    tool("maps_geocode", "Turn an address into latitude and longitude.", address="string!"),
    tool(
        "maps_search_nearby",
        "Search for places near a location, such as restaurants or pharmacies.",
        query=text("What to look for"),
        location=text("City or address"),
        radius=maybe("Metres", type="integer"),
    ),
    tool(
        "convert_currency",
        "Convert an amount of money from one currency to another.",
        amount="number!",
        from_currency=text("ISO 4217 code", minLength=3, maxLength=3),
        to_currency=text("ISO 4217 code", minLength=3, maxLength=3),
    ),
    tool("calculate", "Evaluate a mathematical expression.", expression="string!"),
    tool(
        "translate_text",
        "Translate a text into another language.",
        text="string!",
        target_language=text("Language to translate to, such as French"),
    ),
    tool("get_stock_quote", "Get the share price of a company.", symbol=text("Ticker, e.g. AAPL")),
    tool("track_package", "Track a parcel.", tracking_number="string!"),
    tool("fetch_url", "Fetch a web page and return its text.", url=text("", format="uri")),
    tool("web_search", "Search the web.", query="string!", count="integer"),
    tool(
        "slack_post_message",
        "Post a message to a Slack channel.",
        channel=text("Channel name"),
        message="string!",
    ),
    tool(
        "todo_add",
        "Add a task to the to-do list.",
        task="string!",
        due_date=maybe("When it is due", format="date"),
        priority={"anyOf": [{"enum": ["low", "medium", "high"]}, {"type": "null"}]},
    ),
    tool("todo_list", "List the tasks on the to-do list.", done="boolean"),
    tool(
        "book_table",
        "Book a table at a restaurant.",
        restaurant="string!",
        date=text("", format="date"),
        time=text("HH:MM"),
        guests="integer!",
    ),
    tool(
        "search_flights",
        "Search for flights between two airports.",
        from_=text("Airport or city of departure"),
        to=text("Airport or city of arrival"),
        date=text("Day of departure", format="date"),
        passengers={"type": "integer", "default": 1},
    ),
    tool("get_invoice", "Get an invoice by its number.", invoice_number="integer!"),
    tool(
        "list_invoices",
        "List invoices.",
        status={"type": "string", "enum": ["paid", "unpaid", "overdue"]},
        customer="string",
    ),
    tool("delete_user", "Delete a user account.", user_id="string!"),
    tool(
        "set_thermostat",
        "Set the temperature of a room.",
        room={"type": "string", "enum": ["kitchen", "bedroom", "living_room"], "!": True},
        temperature="number!",
    ),
]
