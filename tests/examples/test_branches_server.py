from pathlib import Path

import pytest
import requests

from config.demo.children import Child

SCRIPT = Path(__file__).parents[2] / "examples" / "branches_server.py"
KEY = "a-key-for-the-branches"


def some_branches(directory: Path) -> Child:
    return Child(
        "The branches",
        [str(SCRIPT), "--port", "0", "--exit-with-parent"],
        log=directory / "branches.log",
        environment={"BRANCHES_KEY": KEY},
    )


@pytest.fixture(scope="module")
def branches(tmp_path_factory):
    with some_branches(tmp_path_factory.mktemp("branches")) as child:
        yield child.address(20)


@pytest.fixture
def client():
    with requests.Session() as session:
        session.headers["X-API-Key"] = KEY
        yield session


def test_the_list_describes_each_tool_by_a_schema(branches, client):
    tools = client.get(f"{branches}/tools", timeout=5).json()["tools"]

    assert [tool["name"] for tool in tools] == ["find_branches", "opening_hours"]
    assert all(tool["description"] and tool["inputSchema"]["properties"] for tool in tools)


def test_a_tool_is_executed(branches, client):
    request = {"tool": "opening_hours", "arguments": {"branch": "station", "day": "sunday"}}

    answer = client.post(f"{branches}/execute", json=request, timeout=5)

    assert answer.json() == {
        "result": {"branch": "Main Station", "hours": {"sunday": "10:00-18:00"}}
    }


@pytest.mark.parametrize(
    ("arguments", "ids"),
    [
        ({}, ["harbour", "old-town", "station", "garden"]),
        ({"city": "hamburg"}, ["harbour", "old-town"]),
        ({"city": "Hamburg", "service": "repairs"}, ["old-town"]),
        ({"city": "Lisbon"}, []),
    ],
)
def test_branches_are_found_by_city_and_service(branches, client, arguments, ids):
    request = {"tool": "find_branches", "arguments": arguments}

    found = client.post(f"{branches}/execute", json=request, timeout=5).json()["result"]

    assert [branch["id"] for branch in found] == ids


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[]", 400),
        (b'{"tool": "nope"}', 404),
        (b'{"tool": "opening_hours"}', 422),
        (b'{"tool": "opening_hours", "arguments": {"branch": "moon"}}', 422),
        (b'{"tool": "opening_hours", "arguments": {"branch": 1}}', 422),
        (b'{"tool": "find_branches", "arguments": {"town": "Berlin"}}', 422),
    ],
)
def test_a_bad_request_gets_a_sentence_and_the_connection_lives_on(branches, client, body, status):
    answer = client.post(f"{branches}/execute", data=body, timeout=5)

    assert answer.status_code == status
    assert answer.json()["error"].endswith(".")
    assert client.get(f"{branches}/tools", timeout=5).status_code == 200


@pytest.mark.parametrize("headers", [{}, {"X-API-Key": "wrong"}])
def test_without_the_key_it_answers_401(branches, headers):
    answer = requests.get(f"{branches}/tools", headers=headers, timeout=5)

    assert answer.status_code == 401


def test_another_path_is_404(branches, client):
    assert client.get(f"{branches}/nothing", timeout=5).status_code == 404


def test_it_ends_when_its_parent_does(tmp_path):
    child = some_branches(tmp_path)
    child.address(20)

    child.stop()

    assert child.exit_code == 0
