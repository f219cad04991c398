"""What the demo model does over a whole turn: chains, mends, answers, and stops."""

import json
from typing import Any

import pytest

from examples.wordmodel.planning import MAX_ROUNDS, reply

from .demo_model_talk import BLUE, BRANCHES, SEARCH, SHOP, STOCK, Talk, stock_of
from .demo_model_tools import JSON, maybe, text, tool


def test_an_id_that_is_missing_is_looked_up_and_then_used():
    talk = Talk(SHOP, {"shop__search_products": BLUE, "shop__check_stock": stock_of})

    said = talk.say("How many blue mugs are in stock?")

    assert talk.calls == [
        ("shop__search_products", {"query": "blue mugs"}),
        ("shop__check_stock", {"sku": "MUG-BLUE"}),
        ("shop__check_stock", {"sku": "MUG-XL"}),
    ]
    assert "**Stock, all together: 59**" in said
    assert "| MUG-BLUE | 42 |" in said


def test_nothing_more_is_called_where_the_look_up_already_answers():
    rows = [{"sku": "MUG-BLUE", "stock": 42}]
    talk = Talk(SHOP, {"shop__search_products": {"products": rows, "found": 1}})

    said = talk.say("How many blue mugs are in stock?")

    assert [name for name, _ in talk.calls] == ["shop__search_products"]
    assert "**Stock: 42**" in said


def test_a_look_up_that_finds_nothing_is_said_and_nothing_is_asked():
    talk = Talk(SHOP, {"shop__search_products": []})

    said = talk.say("How many purple mugs are in stock?")

    assert said == "`search_products` (query: purple mugs) found nothing."


def test_a_choice_is_looked_up_too():
    talk = Talk(
        BRANCHES,
        {
            "branches__find_branches": [{"id": "garden", "city": "Vienna"}],
            "branches__opening_hours": {"branch": "Garden", "hours": {"sunday": "closed"}},
        },
    )

    talk.say("Is the Vienna branch open on sunday?")

    assert talk.calls == [
        ("branches__find_branches", {"city": "Vienna"}),
        ("branches__opening_hours", {"branch": "garden", "day": "sunday"}),
    ]


def test_a_follow_up_goes_to_the_tool_of_the_question_before():
    weather = tool("get_weather", "Get the weather of a city.", city=text("City"))
    talk = Talk([weather], {"get_weather": {"degrees": 9}})
    talk.say("What's the weather in Oslo?")

    talk.say("And in Bergen?")

    assert talk.calls == [("get_weather", {"city": "Oslo"}), ("get_weather", {"city": "Bergen"})]


def test_refused_arguments_are_mended_once():
    forecast = tool("forecast", "Weather forecast.", city="string!", days="integer!")

    def answer(city: str, days: int) -> Any:
        if days > 7:
            return "Error: The arguments do not fit: days: 30 is greater than the maximum of 7"
        return {"sunny": True}

    talk = Talk([forecast], {"forecast": answer})

    said = talk.say("Give me the weather forecast in Oslo for 30 days")

    assert talk.calls == [
        ("forecast", {"city": "Oslo", "days": 30}),
        ("forecast", {"city": "Oslo", "days": 7}),
    ]
    assert "sunny: yes" in said
    assert "do not fit" not in said


def test_arguments_that_stay_refused_are_explained_and_not_sent_for_ever():
    refusal = "Error: The arguments do not fit: city: 'Oslo' is not one of ['OSL', 'BGO']"
    talk = Talk([tool("weather", "Weather of a city.", city="string!")], {"weather": refusal})

    said = talk.say("What's the weather in Oslo?")

    assert len(talk.calls) == 2
    assert "`weather` (city: Oslo) failed" in said
    assert "is not one of" in said


def test_a_failure_is_said_plainly_as_the_words_of_the_tool():
    talk = Talk(
        [tool("supplier_status", "Ask a supplier's system.", supplier="string!")],
        {"supplier_status": "The tool failed: down for *maintenance*"},
    )

    said = talk.say("What is the status of supplier Miller?")

    assert said == (
        "`supplier_status` (supplier: Miller) failed. It said: “down for \\*maintenance\\*”"
    )


def test_the_same_call_is_never_made_twice_in_a_turn():
    talk = Talk([STOCK], {"shop__check_stock": stock_of})

    talk.say("Check the stock of MUG-BLUE, and then check the stock of MUG-BLUE")

    assert talk.calls == [("shop__check_stock", {"sku": "MUG-BLUE"})]


def test_it_stops_after_a_few_rounds_and_answers_from_what_there_is():
    messages: list[JSON] = [{"role": "user", "content": "Check the stock of MUG-BLUE"}]
    for number in range(MAX_ROUNDS):
        function = {"name": "other", "arguments": json.dumps({"n": number})}
        entry = {"id": str(number), "type": "function", "function": function}
        messages.append({"role": "assistant", "content": None, "tool_calls": [entry]})
        messages.append({"role": "tool", "tool_call_id": str(number), "content": f"{number}"})

    said = reply({"messages": messages, "tools": [STOCK]})

    assert said.calls == ()
    assert "I stop here" in said.text


def test_a_long_list_is_cut_with_a_count_and_its_data_stays_data():
    rows = [{"name": f"a|b *{n}* <i>", "note": "[x](http://y)\nz"} for n in range(37)]
    talk = Talk([SEARCH], {"shop__search_products": rows})

    said = talk.say("Search products for mugs")

    lines = said.splitlines()
    table = [line for line in lines if line.startswith("| a")]
    assert "gave 37 entries" in lines[0]
    assert "These are 10 of 37." in said
    assert len(table) == 10
    assert table[3] == r"| a\|b \*3\* \<i\> | \[x\](http://y) z |"


def test_a_list_that_the_site_cut_off_is_read_as_far_as_it_goes():
    whole = json.dumps([{"name": f"Mug {n}"} for n in range(4)])
    cut = whole[:-5] + "\n[Cut here: this is the first 60 of 70 characters.]"
    talk = Talk([SEARCH], {"shop__search_products": cut})

    said = talk.say("Search products for mugs")

    assert "gave 3 entries" in said
    assert "| Mug 2 |" in said


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("All fine_today", "`probe` says: “All fine\\_today”"),
        ("one\ntwo", "`probe` says:\n\n> one  \n> two"),
        ("", "`probe` gave an empty answer."),
        (17, "`probe` answered: **17**"),
        ({"result": ["a", "b"]}, "`probe` gave 2 entries:\n\n- a\n- b"),
        ({"error": "no power"}, "`probe` failed. It said: “no power”"),
    ],
)
def test_every_form_of_result_has_its_words(answer, told):
    talk = Talk([tool("probe", "Probe the reactor.")], {"probe": answer})

    assert talk.say("Probe the reactor") == told


@pytest.mark.parametrize("words", ["hi", "What can you do?", "which tools do you have"])
def test_small_talk_calls_nothing_and_names_the_tools_in_plain_words(words):
    said = Talk(SHOP, {}).say(words)

    assert "**shop check stock**: Say how many pieces are in stock" in said


def test_without_tools_it_says_what_it_is():
    assert "demo model" in Talk([], {}).say("What's the weather?")


def test_a_message_that_no_tool_fits_is_answered_with_what_there_is():
    said = Talk(SHOP, {}).say("Tell me a joke")

    assert said.startswith("None of my tools")
    assert "shop search products" in said


@pytest.mark.parametrize(
    "parameters",
    [
        None,
        [],
        {"type": "object", "properties": []},
        {"type": "object", "properties": {"": {}, "___": True}, "required": ["", "___", 3]},
        {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]},
        {"type": "object", "properties": {"a": {"$ref": "https://x.example/y"}}},
        {"type": "object", "properties": {"a": {"enum": [None, {}]}}, "required": "a"},
        {"type": "object", "properties": {"a": {"pattern": "(a+)+$"}}, "required": ["a"]},
        {"type": "object", "properties": {"a": {"anyOf": [{"type": "null"}]}}},
        {"type": ["object", "null"], "properties": {"a": {"type": ["null", "integer"]}}},
    ],
)
def test_a_strange_schema_does_not_end_the_turn(parameters):
    strange = {"type": "function", "function": {"name": "mend_clock", "parameters": parameters}}
    request = {
        "messages": [{"role": "user", "content": f"Mend the clock {'a' * 60}!"}],
        "tools": [strange, {}, 7, {"function": {"name": 3}}],
    }

    said = reply(request)

    assert said.calls or said.text


def test_optional_parts_are_left_out_and_nested_ones_are_filled():
    parameters = {
        "type": "object",
        "required": ["to"],
        "properties": {
            "to": {"$ref": "#/$defs/Place"},
            "insurance": {
                "type": "object",
                "properties": {"amount": {"type": "number"}, "policy_id": {"type": "string"}},
                "required": ["amount", "policy_id"],
            },
        },
        "$defs": {
            "Place": {
                "type": "object",
                "properties": {"city": {"type": "string"}, "country": {"type": "string"}},
                "required": ["city"],
            }
        },
    }
    quote = tool("shipping_quote", "Shipping price to a place.", note=maybe())
    quote["function"]["parameters"] = parameters
    talk = Talk([quote], {"shipping_quote": 12})

    talk.say("What is the shipping price to Graz for an amount of 50 euros?")

    assert talk.calls == [("shipping_quote", {"to": {"city": "Graz"}})]
