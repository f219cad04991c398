"""Parts of chat-completions requests, as a client sends them."""

STOCK = {
    "type": "object",
    "properties": {
        "product": {"type": "string", "description": "name of the product"},
        "colour": {"enum": ["red", "blue"]},
    },
    "required": ["product"],
}
ASKED = {"role": "user", "content": "How many blue mugs?"}


def definition(name="stock", parameters=STOCK, description="Pieces in stock"):
    function = {"name": name, "description": description, "parameters": parameters}
    return {"type": "function", "function": function}


def called(name="stock", arguments='{"product": "mug"}', number="1"):
    function = {"name": name, "arguments": arguments}
    call = {"id": f"call_{number}", "type": "function", "function": function}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def result(text, number="1"):
    return {"role": "tool", "tool_call_id": f"call_{number}", "content": text}


def schema_of(request):
    return request["response_format"]["json_schema"]["schema"]
