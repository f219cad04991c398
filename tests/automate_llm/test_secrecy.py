import json
import logging
import socket
import traceback

import pytest

from automate_llm.exceptions import MCPClientError
from automate_llm.mcp_client import MCPClient
from tests.servers.raw import chunk, head

from .calling import SECRET, answer_to, call, settled, to

AUTHORIZATIONS = {
    "bearer": {"Authorization": f"Bearer {SECRET}"},
    "key": {"X-API-Key": SECRET},
}
BODY = "pa55word-of-the-server"
ECHO = f"{SECRET} {BODY}"
FIELDS = {"Content-Type": "application/json", "X-Echo": ECHO, "Set-Cookie": f"a={ECHO}"}


def rpc(seen, **parts):
    return json.dumps({"jsonrpc": "2.0", "id": seen.body["id"], **parts}).encode()


def whole(body, status=f"200 {ECHO}", **fields):
    return head(status, {**FIELDS, "Content-Length": str(len(body)), **fields}) + body


ANSWERS = {
    "reason": lambda seen: whole(ECHO.encode(), f"401 {ECHO}"),
    "server error": lambda seen: whole(ECHO.encode(), f"500 {ECHO}"),
    "redirect": lambda seen: whole(b"", f"302 {ECHO}", Location=f"http://{SECRET}.example/{BODY}"),
    "html": lambda seen: whole(f"<p>{ECHO}".encode(), **{"Content-Type": f"text/{SECRET}"}),
    "json": lambda seen: whole(f'{{"{ECHO}": '.encode()),
    "other id": lambda seen: whole(json.dumps({"id": ECHO, "result": {}}).encode()),
    "rpc error": lambda seen: whole(
        rpc(seen, error={"code": -32000, "message": ECHO, "data": ECHO})
    ),
    "rpc error with a status": lambda seen: whole(
        rpc(seen, error={"code": -32602, "message": ECHO}), f"400 {ECHO}"
    ),
    "no http": lambda seen: f"{ECHO}\r\n\r\n".encode(),
    "bad status": lambda seen: f"HTTP/1.1 {ECHO}\r\n\r\n".encode(),
    "bad header": lambda seen: f"HTTP/1.1 200 OK\r\n{ECHO}\r\n\r\n".encode(),
    "worse header": lambda seen: (
        f"HTTP/1.1 200 OK\r\nA: b\r\n : {ECHO}\r\n{ECHO}: x\r\n\r\n".encode()
    ),
    "lengths": lambda seen: f"HTTP/1.1 200 OK\r\nContent-Length: {ECHO}, 5\r\n\r\n{{}}".encode(),
    "chunk": lambda seen: (
        head(headers={**FIELDS, "Transfer-Encoding": "chunked"}) + f"{ECHO}\r\n".encode()
    ),
    "half": lambda seen: (
        head(headers={**FIELDS, "Content-Length": "9999"}) + f'{{"{ECHO}"'.encode()
    ),
    "coding": lambda seen: whole(ECHO.encode(), **{"Content-Encoding": "gzip"}),
    "coding name": lambda seen: whole(ECHO.encode(), **{"Content-Encoding": ECHO}),
    "event": lambda seen: (
        head(headers={"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"})
        + chunk(f"data: {ECHO}\n\n".encode())
    ),
    "result type": lambda seen: whole(rpc(seen, result={"resultType": ECHO})),
}


def seen_of(error):
    """Everything that a log, an admin page or a person may get to see of an error."""
    return "".join([str(error), repr(error), *traceback.format_exception(error)])


@pytest.mark.parametrize("headers", AUTHORIZATIONS.values(), ids=AUTHORIZATIONS)
@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_no_error_and_no_log_shows_a_secret_or_what_the_server_said(
    raw_server, caplog, answer, headers
):
    def script(connection):
        connection.send(answer(connection.read_request()))

    caplog.set_level(logging.DEBUG)
    server = raw_server(script)
    with pytest.raises(MCPClientError) as caught:
        call(settled(server, headers=headers))

    assert server.requests[0].headers[next(iter(headers)).lower()].endswith(SECRET)
    for shown in (seen_of(caught.value), caplog.text):
        assert SECRET not in shown
        assert BODY not in shown


@pytest.mark.parametrize("headers", AUTHORIZATIONS.values(), ids=AUTHORIZATIONS)
def test_a_refused_connection_shows_no_secret(caplog, headers):
    caplog.set_level(logging.DEBUG)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"
    with pytest.raises(MCPClientError) as caught:
        call(settled(None, url=url, headers=headers))

    assert SECRET not in seen_of(caught.value) + caplog.text


@pytest.mark.parametrize("end", ["\r\nX-Evil: 1", "\n", "é", "\0"])
def test_a_secret_that_cannot_be_sent_is_not_quoted(raw_server, caplog, end):
    caplog.set_level(logging.DEBUG)
    with pytest.raises(MCPClientError) as caught:
        call(settled(raw_server(lambda connection: None), headers={"X-API-Key": SECRET + end}))

    assert SECRET not in seen_of(caught.value) + caplog.text


def test_a_password_in_the_address_is_not_quoted(caplog):
    caplog.set_level(logging.DEBUG)
    with pytest.raises(MCPClientError) as caught:
        call(settled(None, url=f"http://anna:{SECRET}@127.0.0.1:1/mcp"))

    assert SECRET not in seen_of(caught.value) + caplog.text


@pytest.mark.parametrize("headers", AUTHORIZATIONS.values(), ids=AUTHORIZATIONS)
def test_a_result_that_quotes_the_credential_comes_without_it(raw_server, headers):
    def script(connection):
        seen = connection.read_request()
        token = seen.body["params"]["_meta"]["progressToken"]
        progress = {"progress": 1, "progressToken": token, "message": f"using {SECRET}"}
        result = answer_to(
            seen,
            text=f"Your key is {SECRET}.",
            structuredContent={SECRET: [f"Bearer {SECRET}", {"deep": SECRET}]},
        )
        messages = [{"method": "notifications/progress", "params": progress}, result]
        body = "".join(f"data: {json.dumps(each)}\n\n" for each in messages).encode()
        connection.respond(body, headers={"Content-Type": "text/event-stream"})

    heard = []
    result = call(settled(raw_server(script), headers=headers), on_progress=heard.append)

    assert SECRET not in repr(result) + repr(heard)
    assert result.text == "Your key is [redacted]."
    assert heard[0].message == "using [redacted]"


def test_a_failure_of_the_tool_that_quotes_the_credential_comes_without_it(raw_server):
    def script(connection):
        seen = connection.read_request()
        connection.respond(answer_to(seen, text=f"bad key {SECRET}", isError=True))

    connection = settled(raw_server(script), headers=AUTHORIZATIONS["key"])
    with pytest.raises(MCPClientError, match=r"bad key \[redacted\]") as caught:
        MCPClient(connection).execute_tool("tool", {})

    assert SECRET not in seen_of(caught.value)


@pytest.mark.parametrize("headers", AUTHORIZATIONS.values(), ids=AUTHORIZATIONS)
def test_a_connection_does_not_show_its_credential(headers):
    assert SECRET not in repr(to(None, url="http://shop.example/", headers=headers))


@pytest.mark.parametrize(
    ("headers", "secrets"),
    [
        ({}, ()),
        (AUTHORIZATIONS["bearer"], (SECRET,)),
        (AUTHORIZATIONS["key"], (SECRET,)),
        ({"Authorization": "Bearer a"}, ()),
        ({"X-API-Key": "short"}, ()),
    ],
)
def test_a_credential_too_short_to_be_one_blots_out_no_text(headers, secrets):
    assert to(None, url="http://shop.example/", headers=headers).secrets == secrets
