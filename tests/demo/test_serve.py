import socket

import pytest

from automate.models import MCPServer
from config.demo.rows import make_account, register_servers, sync
from config.demo.serve import free_listener
from tests.servers.mcp_sdk import Offer


def test_the_first_free_port_from_a_given_one_is_taken():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with free_listener(port) as listener:
            assert port < listener.getsockname()[1] < port + 100


@pytest.mark.django_db
def test_an_account_is_made_once(django_user_model):
    password = make_account()

    assert django_user_model.objects.get(username="admin").check_password(password)
    assert make_account() == ""


@pytest.mark.django_db
def test_a_later_start_moves_the_servers_and_leaves_the_rest_alone():
    register_servers("http://127.0.0.1:1/mcp", "http://127.0.0.1:2/api")
    MCPServer.objects.filter(slug="shop").update(name="My shop", enabled=False)
    register_servers("http://127.0.0.1:3/mcp", "http://127.0.0.1:4/api")

    shop, branches = MCPServer.objects.order_by("-slug")
    assert (shop.name, shop.enabled, shop.endpoint_url) == (
        "My shop",
        False,
        "http://127.0.0.1:3/mcp",
    )
    assert branches.endpoint_url == "http://127.0.0.1:4/api"
    assert [shop.auth_secret_ref, branches.auth_secret_ref] == [
        "env:SHOP_TOKEN",
        "env:BRANCHES_KEY",
    ]


@pytest.mark.django_db(transaction=True)
def test_the_sync_is_a_real_one(sdk_server, rest_server, monkeypatch):
    shop = sdk_server(Offer("search"), Offer("order"), token="shop-token")
    branches = rest_server([], api_key="other-key")
    monkeypatch.setenv("SHOP_TOKEN", "shop-token")
    monkeypatch.setenv("BRANCHES_KEY", "wrong-key")
    register_servers(shop.url, branches.url)

    lines = sync()

    assert lines[0] == "SYNCED Corner shop: 2 tools"
    assert lines[1].startswith("NOT SYNCED Branches: HTTP 401")
