import json

import pytest
from jsonschema import Draft202012Validator

from examples.localmodel.reply import ReplyDecoder
from examples.localmodel.schema import engine_schema, reply_format
from examples.localmodel.tools import Call, Tool, describe
from examples.localmodel.turn import MAX_CALLS, ConstrainedTurn
from tests.examples.chat_requests import ASKED, STOCK, called, definition, result, schema_of


def turn(*messages, tools=(), context=4096, **fields):
    body = {"messages": list(messages) or [ASKED], "tools": list(tools), **fields}
    return ConstrainedTurn.from_request(body, context)


def branches(constrained):
    """The tools that may be called, and whether an answer may be given."""
    schema = schema_of(constrained.engine_request())
    tools = [b["properties"]["tool"]["const"] for b in schema["anyOf"] if "tool" in b["properties"]]
    return tools, len(tools) < len(schema["anyOf"])


def read(*parts):
    decoder = ReplyDecoder()
    return [decoder.feed(part) for part in parts], decoder.call()


def test_only_a_call_of_a_given_tool_or_an_answer_fits_the_schema():
    schema = reply_format([Tool("stock", "", STOCK)])["json_schema"]["schema"]

    fits = Draft202012Validator(schema).is_valid

    assert fits({"tool": "stock", "arguments": {"product": "mug", "colour": "blue"}})
    assert fits({"answer": "12"})
    assert not fits({"tool": "other", "arguments": {"product": "mug"}})
    assert not fits({"tool": "stock", "arguments": {"colour": "blue"}})
    assert not fits({"tool": "stock", "arguments": {"product": "mug", "colour": "green"}})
    assert not fits({"tool": "stock", "arguments": {"product": "mug", "size": 1}})
    assert not fits({"answer": "12", "tool": "stock"})


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ({"type": "foo"}, {}),
        (True, {}),
        ({"type": "string", "pattern": "^(?=a)b$"}, {"type": "string"}),
        ({"type": "string", "maxLength": 10_000_000}, {"type": "string"}),
        ({"type": "string", "format": "date"}, {"type": "string", "format": "date"}),
        ({"type": "string", "format": "email"}, {"type": "string"}),
        ({"type": "integer", "minimum": 1}, {"type": "integer", "minimum": 1}),
        ({"type": "integer", "minimum": 0.5}, {"type": "integer"}),
        ({"type": ["string", "null"]}, {"type": ["string", "null"]}),
        (
            {"oneOf": [{"type": "string"}, {"const": 0}]},
            {"anyOf": [{"type": "string"}, {"const": 0}]},
        ),
        ({"allOf": [{"type": "string"}, {"minLength": 2}]}, {}),
        ({"not": {}}, {}),
        ({"$ref": "https://example.com/schema"}, {}),
        ({"$ref": "#/$defs/missing"}, {}),
        ({"$ref": "#/$defs/itself"}, {}),
        ({"$ref": "#"}, {"$ref": "#/$defs/t"}),
        ({"$ref": "#/$defs/size"}, {"$ref": "#/$defs/t.size"}),
        ({"type": "array", "maxItems": 3}, {"type": "array", "items": {}, "maxItems": 3}),
    ],
)
def test_what_the_grammar_converter_refuses_is_left_out(theirs, ours):
    definitions = {"size": {"type": "integer"}, "itself": {"$ref": "#/$defs/itself"}}

    schema = engine_schema({"properties": {"a": theirs}, "$defs": definitions}, "t")

    assert schema["properties"] == {"a": ours}


def test_definitions_of_two_tools_do_not_meet():
    def tool(name, kind):
        parameters = {"properties": {"a": {"$ref": "#/$defs/x"}}, "$defs": {"x": {"type": kind}}}
        return Tool(name, "", parameters)

    schema = reply_format([tool("one", "string"), tool("two", "integer")])["json_schema"]["schema"]

    fits = Draft202012Validator(schema).is_valid
    assert fits({"tool": "one", "arguments": {"a": "x"}})
    assert fits({"tool": "two", "arguments": {"a": 1}})
    assert not fits({"tool": "two", "arguments": {"a": "x"}})


def test_a_schema_that_nests_for_ever_is_cut():
    deep = {"type": "string"}
    for _ in range(500):
        deep = {"type": "array", "items": deep}

    assert len(json.dumps(engine_schema({"properties": {"a": deep}}, "t"))) < 2000


def test_an_answer_is_shown_while_it_arrives():
    assert read('{"ans', 'wer": "Twel', "ve", '."', "}") == (["", "Twel", "ve", ".", ""], None)


def test_escapes_survive_any_split():
    answer = 'A "quote" \\ tab\t new\nline é € 😀 \ud83d lone'
    text = json.dumps({"answer": answer})

    parts, call = read(*text)

    assert "".join(parts) == answer.replace("\ud83d", "\ufffd")
    assert call is None


def test_a_call_is_given_only_when_it_is_whole():
    text = '{\n  "tool": "stock", "arguments": {"product": "a \\"b\\""}}'

    parts, call = read(*text)
    cut_parts, cut = read(*text[:-1])

    assert call == Call("stock", {"product": 'a "b"'})
    assert cut is None
    assert "".join(parts + cut_parts) == ""


def test_text_that_is_no_object_is_an_answer():
    assert read("Twelve", " mugs") == (["Twelve", " mugs"], None)


def test_the_engine_gets_no_tool_roles_and_the_roles_alternate():
    constrained = turn(
        {"role": "system", "content": "Be kind."},
        {"role": "assistant", "content": "Hello!"},
        {"role": "user", "content": "Hi"},
        {"role": "user", "content": [{"type": "text", "text": "How many mugs?"}]},
        called(),
        result("12"),
        called(arguments='{"product": "cup"}', number="2"),
        result("3", number="2"),
        tools=[definition()],
    )

    request = constrained.engine_request()

    roles = [message["role"] for message in request["messages"]]
    assert roles == ["system", *["user", "assistant"] * 3, "user"]
    assert "tools" not in request
    assert "Be kind." in request["messages"][0]["content"]
    assert request["messages"][3]["content"] == "Hi\n\nHow many mugs?"
    assert json.loads(request["messages"][4]["content"]) == {
        "tool": "stock",
        "arguments": {"product": "mug"},
    }
    assert "Result of stock:\n12" in request["messages"][5]["content"]


def test_tools_are_described_by_signature():
    assert describe(Tool("stock", "Pieces\n in stock", STOCK)) == (
        '- stock(product: string, colour?: "red"|"blue"): Pieces in stock\n'
        "    product: name of the product"
    )


def test_without_tools_the_model_writes_freely():
    assert "response_format" not in turn().engine_request()


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", (["stock", "price"], True)),
        ("required", (["stock", "price"], False)),
        ({"type": "function", "function": {"name": "price"}}, (["price"], False)),
    ],
)
def test_tool_choice_is_enforced(choice, expected):
    constrained = turn(tools=[definition(), definition("price")], tool_choice=choice)

    assert branches(constrained) == expected


def test_tool_choice_none_leaves_no_tool():
    assert "response_format" not in turn(tools=[definition()], tool_choice="none").engine_request()


def test_a_tool_without_parameters_is_called_once_a_turn():
    tools = [definition("now", {"type": "object", "properties": {}}), definition()]

    after = turn(ASKED, called("now", "{}"), result("noon"), tools=tools)
    next_turn = turn(ASKED, called("now", "{}"), result("noon"), ASKED, tools=tools)

    assert branches(after) == (["stock"], True)
    assert branches(next_turn) == (["now", "stock"], True)


def test_a_model_that_only_calls_has_to_answer_in_the_end():
    made = [m for n in range(MAX_CALLS) for m in (called(number=str(n)), result("12", str(n)))]

    one_less = turn(ASKED, *made[2:], tools=[definition()])
    at_the_limit = turn(ASKED, *made, tools=[definition()])

    assert branches(one_less) == (["stock"], True)
    assert branches(at_the_limit) == ([], True)


def test_tools_that_do_not_fit_are_left_out_but_the_wanted_one_stays():
    tools = [definition(f"tool{n}", description=f"Do thing {n} " * 20) for n in range(100)]
    tools.append(definition("find_mugs", description="Find blue mugs " * 20))

    constrained = turn(tools=tools)

    names, _ = branches(constrained)
    assert "find_mugs" in names
    assert len(names) < len(tools)
    assert len(constrained.engine_messages()[0]["content"]) < 4096 * 3


def test_a_conversation_too_long_loses_its_oldest_part_and_keeps_the_question():
    old = [m for _ in range(9) for m in (ASKED, {"role": "assistant", "content": "old " * 500})]
    constrained = turn(*old, {"role": "user", "content": "And cups?"}, called(), result("7"))

    shorter = constrained.shortened(8000, 2000)

    text = json.dumps(shorter.engine_messages())
    assert "And cups?" in text
    assert "Result of stock:\\n7" in text
    assert len(text) < len(json.dumps(constrained.engine_messages())) / 3


def test_a_question_too_long_cannot_be_cut():
    assert turn({"role": "user", "content": "x" * 100_000}).shortened(33_000, 4000) is None
