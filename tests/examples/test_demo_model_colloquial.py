"""Where the demo model is weak: everyday phrasings that share few words with the definitions.

All tools of both other sets are offered at once, and only the first tool is asked for. At the
first run 11 of the 22 were right. The rest of the distance is what a real model is for.
"""

from examples.wordmodel.planning import reply

from .demo_model_tools import TODAY, TOOLS
from .test_demo_model_other_tools import TOOLS as OTHER_TOOLS

PROMPTS = {
    "What will the weather be like in Hamburg?": "get_forecast",
    "is it cold in Helsinki right now": "get_current_weather",
    "please email bob@example.com about the invoice: it is overdue": "send_email",
    "what's on my agenda on 5 December": "calendar_list_events",
    "open the file config/app.yml": "read_file",
    "show all closed issues in acme/website": "github_list_issues",
    "drive from Bonn to Trier": "maps_directions",
    "how many dollars are 30 pounds": "convert_currency",
    "sum 4+5*6": "calculate",
    "How do you say thank you in Japanese?": "translate_text",
    "TSLA stock price": "get_stock_quote",
    "track parcel AB123456": "track_package",
    "google the best pizza in Naples": "web_search",
    "remind me to call mum tomorrow": "todo_add",
    "hotels in Rome from 1 December to 4 December": "hotel_search",
    "comment on PROJ-9: looks good": "jira__addComment",
    "set a timer for five minutes": "start_timer",
    "lights on in the bathroom": "smart_light",
    "latest news on climate": "news_headlines",
    "list overdue invoices of Miller": "list_invoices",
    "Which places sell sushi near Camden?": "maps_search_nearby",
    "what does the log of postgres say": "get_logs",
}

MISSES = {
    "What will the weather be like in Hamburg?",
    "is it cold in Helsinki right now",
    "How do you say thank you in Japanese?",
    "google the best pizza in Naples",
    "remind me to call mum tomorrow",
    "set a timer for five minutes",
    "lights on in the bathroom",
}
"""What it gets wrong today: three times it calls another tool that only reads, else none."""


def first_tool(prompt: str) -> str:
    messages = [{"role": "user", "content": prompt}]
    said = reply({"messages": messages, "tools": TOOLS + OTHER_TOOLS}, today=TODAY)
    return said.calls[0].name if said.calls else ""


def test_two_thirds_of_everyday_phrasings_find_their_tool():
    wrong = {prompt for prompt, name in PROMPTS.items() if first_tool(prompt) != name}

    assert 1 - len(wrong) / len(PROMPTS) >= 0.66
    assert wrong == MISSES
