"""How often the demo model picks the right tool with the right arguments, of tools it never saw.

All tools are offered at once for each prompt. A prompt counts only if the calls are exactly the
expected ones. What it gets wrong is listed in `MISSES`, so that the rate stays an honest one.
"""

from examples.wordmodel.planning import reply

from .demo_model_tools import JSON, TODAY, TOOLS

GH = {"owner": "acme", "repo": "website"}

PROMPTS: list[tuple[str, list[tuple[str, JSON]]]] = [
    ("What's the weather in Paris?", [("get_current_weather", {"city": "Paris"})]),
    (
        "Tell me the current weather in New York in fahrenheit",
        [("get_current_weather", {"city": "New York", "unit": "fahrenheit"})],
    ),
    (
        "Give me the forecast for Berlin for the next 5 days",
        [("get_forecast", {"location": "Berlin", "days": 5})],
    ),
    (
        "weather in Rome and Madrid",
        [("get_current_weather", {"city": "Rome"}), ("get_current_weather", {"city": "Madrid"})],
    ),
    ("List the open issues of acme/website", [("github_list_issues", {**GH, "state": "open"})]),
    (
        'Create an issue in acme/website titled "Login is broken"',
        [("github_create_issue", {**GH, "title": "Login is broken"})],
    ),
    (
        "Show me pull request #42 of acme/website",
        [("github_get_pull_request", {**GH, "pull_number": 42})],
    ),
    (
        "What is in my calendar tomorrow?",
        [("calendar_list_events", {"start_date": "2026-11-21", "end_date": "2026-11-21"})],
    ),
    (
        "Which events do I have from 3 December to 2026-12-09?",
        [("calendar_list_events", {"start_date": "2026-12-03", "end_date": "2026-12-09"})],
    ),
    (
        "List my events of next week",
        [("calendar_list_events", {"start_date": "2026-11-23", "end_date": "2026-11-29"})],
    ),
    (
        'Create an event "Lunch with Bo" next Monday at 12:30 with bo@example.com',
        [
            (
                "calendar_create_event",
                {
                    "title": "Lunch with Bo",
                    "start": "2026-11-23T12:30:00Z",
                    "attendees": ["bo@example.com"],
                },
            )
        ],
    ),
    ("Read the file src/main.py", [("read_file", {"path": "src/main.py"})]),
    ("Show me what is in README.md", [("read_file", {"path": "README.md"})]),
    (
        'Write "hello world" to notes.txt',
        [("write_file", {"path": "notes.txt", "content": "hello world"})],
    ),
    ("Which files are in the directory /var/log?", [("list_directory", {"path": "/var/log"})]),
    ("Find files named budget", [("search_files", {"pattern": "budget"})]),
    (
        "Run SELECT name FROM users WHERE age > 30",
        [("query_database", {"sql": "SELECT name FROM users WHERE age > 30"})],
    ),
    ("What tables does the database have?", [("list_tables", {})]),
    ("Describe the table customers", [("describe_table", {"table": "customers"})]),
    (
        'Send an email to ann@example.com with subject "Hello" saying I will be late',
        [
            (
                "send_email",
                {"to": "ann@example.com", "subject": "Hello", "body": "I will be late"},
            )
        ],
    ),
    (
        "to: bob@example.com, subject: Invoice, body: Please pay. Send this email",
        [("send_email", {"to": "bob@example.com", "subject": "Invoice", "body": "Please pay"})],
    ),
    (
        "Search my emails for the contract from Miller",
        [("search_emails", {"query": "contract from Miller"})],
    ),
    (
        "Find unread emails about holidays",
        [("search_emails", {"query": "holidays", "unread_only": True})],
    ),
    ("Find the customer Jane Miller", [("crm_find_customer", {"query": "Jane Miller"})]),
    (
        "Which customer has the address jane@miller.example?",
        [("crm_find_customer", {"query": "jane@miller.example"})],
    ),
    ("Get customer C-1042", [("crm_get_customer", {"customer_id": "C-1042"})]),
    (
        "Create a contact named Otto Falk with email otto@falk.example",
        [("crm_create_contact", {"name": "Otto Falk", "email": "otto@falk.example"})],
    ),
    (
        "How do I get from Berlin to Munich by transit?",
        [
            (
                "maps_directions",
                {"origin": "Berlin", "destination": "Munich", "mode": "transit"},
            )
        ],
    ),
    (
        "Walking directions from the Louvre to Notre Dame",
        [
            (
                "maps_directions",
                {"origin": "Louvre", "destination": "Notre Dame", "mode": "walking"},
            )
        ],
    ),
    (
        "Geocode 10 Downing Street, London",
        [("maps_geocode", {"address": "10 Downing Street, London"})],
    ),
    (
        "Find pharmacies near Alexanderplatz",
        [("maps_search_nearby", {"query": "pharmacies", "location": "Alexanderplatz"})],
    ),
    (
        "Convert 100 USD to EUR",
        [
            (
                "convert_currency",
                {"amount": 100, "from_currency": "USD", "to_currency": "EUR"},
            )
        ],
    ),
    (
        "How much is 49.90 euros in yen?",
        [
            (
                "convert_currency",
                {"amount": 49.9, "from_currency": "EUR", "to_currency": "JPY"},
            )
        ],
    ),
    ("What is 12 * (3 + 4)?", [("calculate", {"expression": "12 * (3 + 4)"})]),
    (
        'Translate "good morning" to French',
        [("translate_text", {"text": "good morning", "target_language": "French"})],
    ),
    (
        "translate where is the station into Spanish",
        [("translate_text", {"text": "where is the station", "target_language": "Spanish"})],
    ),
    ("What is the share price of AAPL?", [("get_stock_quote", {"symbol": "AAPL"})]),
    (
        "Where is my parcel 1Z999AA10123456784?",
        [("track_package", {"tracking_number": "1Z999AA10123456784"})],
    ),
    ("Fetch https://example.com/news", [("fetch_url", {"url": "https://example.com/news"})]),
    (
        "Search the web for django async views",
        [("web_search", {"query": "django async views"})],
    ),
    ("Who invented the telephone?", [("web_search", {"query": "invented the telephone"})]),
    (
        "Post a message to #general saying the build is green",
        [("slack_post_message", {"channel": "general", "message": "the build is green"})],
    ),
    (
        "Add a task: water the plants, due tomorrow, priority high",
        [
            (
                "todo_add",
                {"task": "water the plants", "due_date": "2026-11-21", "priority": "high"},
            )
        ],
    ),
    ("What are my tasks?", [("todo_list", {})]),
    (
        "Book a table at Luigi's for 4 guests on 24 December at 7pm",
        [
            (
                "book_table",
                {"restaurant": "Luigi's", "date": "2026-12-24", "time": "19:00", "guests": 4},
            )
        ],
    ),
    (
        "Search flights from London to Lisbon on 2026-12-20 for two passengers",
        [
            (
                "search_flights",
                {"from": "London", "to": "Lisbon", "date": "2026-12-20", "passengers": 2},
            )
        ],
    ),
    ("Show invoice 2045", [("get_invoice", {"invoice_number": 2045})]),
    ("Which invoices are overdue?", [("list_invoices", {"status": "overdue"})]),
    ("Delete user u-17", [("delete_user", {"user_id": "u-17"})]),
    (
        "Set the bedroom to 19.5 degrees",
        [("set_thermostat", {"room": "bedroom", "temperature": 19.5})],
    ),
    (
        "List the tables and show me invoice 7",
        [("list_tables", {}), ("get_invoice", {"invoice_number": 7})],
    ),
    (
        "What's the weather in Oslo and how do I get from Oslo to Bergen?",
        [
            ("get_current_weather", {"city": "Oslo"}),
            ("maps_directions", {"origin": "Oslo", "destination": "Bergen"}),
        ],
    ),
    ("Do not delete user u-17", []),
    ("Hello!", []),
    ("What can you do?", []),
    ("Thanks a lot!", []),
    ("Tell me a joke", []),
    ("I love rainy days", []),
]

MISSES = {"to: bob@example.com, subject: Invoice, body: Please pay. Send this email"}
"""What it gets wrong today."""


def asked(prompt: str) -> list[tuple[str, JSON]]:
    request = {"messages": [{"role": "user", "content": prompt}], "tools": TOOLS}
    return [(call.name, dict(call.arguments)) for call in reply(request, today=TODAY).calls]


def test_the_corpus_is_as_varied_as_it_says():
    assert len(TOOLS) >= 30
    assert len(PROMPTS) >= 40


def test_at_least_85_percent_of_the_prompts_give_exactly_the_right_calls():
    wrong = {prompt for prompt, calls in PROMPTS if asked(prompt) != calls}

    assert 1 - len(wrong) / len(PROMPTS) >= 0.85
    assert wrong == MISSES
