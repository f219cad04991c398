"""Rows of servers behind OAuth, and people's way to an account there."""

import time
from typing import Any
from urllib.parse import urlsplit

import requests
from django.contrib.auth.models import User
from django.test import Client

from automate.models import MCPServer, OAuthToken
from automate_llm.mcp_client import MCPClient
from automate_llm.oauth import Token
from tests.automate_llm.authorizing import token_of
from tests.servers.oauth import OAuthServer

from .making import add_server

ACCOUNTS = "/mcp/accounts/"


def person(name: str = "ann", **fields: Any) -> User:
    """Somebody with a login."""
    return User.objects.create_user(name, password="password", **fields)


def browser_of(user: User) -> Client:
    """This person's browser, on a site that is served by https."""
    client = Client()
    client.force_login(user)
    return client


def add_oauth_server(peer: OAuthServer, slug: str = "shop", **fields: Any) -> MCPServer:
    """The row of a server to which each person connects an account."""
    settings = {"auth_type": "oauth_user", "protocol": "rest", **fields}
    return add_server(slug, peer.url, **settings)


def page(server: MCPServer, name: str) -> str:
    """The address of one of the server's account pages."""
    return f"{ACCOUNTS}{server.slug}/{name}"


def begin(browser: Client, server: MCPServer) -> Any:
    """The answer to the button that connects."""
    return browser.post(page(server, "connect/"), secure=True)


def brought_back(begun: Any) -> str:
    """Where the authorization server sends the browser, after the person said yes."""
    answer = requests.get(begun["Location"], allow_redirects=False, timeout=10)
    parts = urlsplit(answer.headers["Location"])
    assert parts.netloc == "testserver"
    return f"{parts.path}?{parts.query}"


def connect(browser: Client, server: MCPServer) -> Any:
    """The page at the end of the whole way."""
    address = brought_back(begin(browser, server))
    return browser.get(address, secure=True, follow=True)


def words_of(answer: Any) -> list[str]:
    """The messages on a page."""
    return [f"{each.level_tag}: {each.message}" for each in answer.context["messages"]]


def hold(
    peer: OAuthServer, server: MCPServer, user: User | None, *, ended: bool = False, **changes: Any
) -> Token:
    """A token that lies in its row already; `ended` ones have to be renewed first."""
    lifetime = -60 if ended else 3_600
    token = token_of(peer, expires_at=time.time() + lifetime, **changes)
    server.token_store(user).save(token)
    return token


def row_of(server: MCPServer, user: User | None) -> OAuthToken:
    """The row that holds the token."""
    return OAuthToken.objects.get(server=server, user=user)


def call(server: MCPServer, user: User) -> Any:
    """What the server's tool answers to this person."""
    return MCPClient(server.for_user(user)).execute_tool("search", {})
