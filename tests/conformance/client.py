"""The client that the suite starts: `python -m tests.conformance.client SERVER_URL`.

It uses nothing but what the library offers everybody. The suite says in the environment which
scenario it plays, at which protocol version, and with which credentials.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests

from automate_llm.exceptions import AuthorizationRequired, InputRequired
from automate_llm.mcp_client import MCPClient
from automate_llm.oauth import (
    Client,
    IdentityAssertion,
    MemoryTokenStore,
    OAuthAuthenticator,
    OAuthConfig,
    begin_authorization,
    complete_authorization,
)
from automate_llm.values import Connection, InputAnswer

_METADATA_DOCUMENT = "https://conformance-test.local/client-metadata.json"
_CALLBACK = "http://localhost:3000/callback"
_AUTHORIZATIONS = 3


@dataclass(frozen=True)
class Scenario:
    """What the suite asks for."""

    name: str
    version: str
    url: str
    context: Mapping[str, Any] = field(default_factory=dict)

    def connection(self) -> Connection:
        """The server, as an operator would enter it."""
        return Connection(
            slug="conformance",
            endpoint_url=self.url,
            protocol="mcp",
            timeout=20,
            private_hosts=frozenset({"localhost", "127.0.0.1"}),
        )


def main(url: str, environment: Mapping[str, str]) -> None:
    """Play one scenario; a failure is an exception."""
    scenario = Scenario(
        environment["MCP_CONFORMANCE_SCENARIO"],
        environment["MCP_CONFORMANCE_PROTOCOL_VERSION"],
        url,
        json.loads(environment.get("MCP_CONFORMANCE_CONTEXT", "{}")),
    )
    if scenario.name.startswith("auth/"):
        _play_authorized(scenario)
    else:
        _PLAYS.get(scenario.name, _call_first_tool)(scenario)


def _call_first_tool(scenario: Scenario) -> None:
    client = MCPClient(scenario.connection())
    for tool in client.discover_tools()[:1]:
        client.execute_tool(tool["name"], {"a": 2, "b": 3})


def _list_tools(scenario: Scenario) -> None:
    MCPClient(scenario.connection()).discover_tools()


def _call_every_tool(scenario: Scenario) -> None:
    client = MCPClient(scenario.connection())
    for tool in client.discover_tools():
        client.execute_tool(tool["name"], {})


def _call_what_the_suite_says(scenario: Scenario) -> None:
    client = MCPClient(scenario.connection())
    schemas = {tool["name"]: tool["input_schema"] for tool in client.discover_tools()}
    for call in scenario.context["toolCalls"]:
        name = call["name"]
        client.execute_tool(name, call["arguments"], input_schema=schemas[name])


def _accept_defaults(scenario: Scenario) -> None:
    client = MCPClient(scenario.connection())
    for tool in client.discover_tools():
        client.call(tool["name"], {}, on_question=lambda request: InputAnswer("accept"))


def _answer_questions(scenario: Scenario) -> None:
    client = MCPClient(scenario.connection())
    waiting: list[tuple[str, InputRequired]] = []
    for tool in client.discover_tools():
        try:
            client.call(tool["name"], {}, asks=True)
        except InputRequired as asked:
            waiting.append((tool["name"], asked))
    for name, asked in waiting:
        answers = {key: InputAnswer("accept", {"confirmed": True}) for key in asked.requests}
        client.call(name, {}, input_responses=answers, request_state=asked.request_state)


def _echo_a_schema(scenario: Scenario) -> None:
    client = MCPClient(scenario.connection())
    schemas = {tool["name"]: tool["input_schema"] for tool in client.discover_tools()}
    client.execute_tool("json_schema_echo", {"schema": schemas["json_schema_2020_12_tool"]})


def _play_authorized(scenario: Scenario) -> None:
    connection, config = scenario.connection(), _config(scenario)
    store = MemoryTokenStore(account="a person")
    client = MCPClient(
        replace(connection, authenticator=OAuthAuthenticator(connection, config, store))
    )

    def patiently(work: Callable[[], object]) -> None:
        for _ in range(_AUTHORIZATIONS):
            try:
                work()
                return
            except AuthorizationRequired as required:
                address, pending = begin_authorization(
                    connection, config, challenge=required.challenge, token=store.get()
                )
                answer = _callback_after(address)
                store.save(complete_authorization(connection, config, pending, answer))
        work()

    patiently(client.discover_tools)
    patiently(lambda: client.execute_tool("test-tool", {}))


def _callback_after(address: str) -> dict[str, str]:
    """What a browser brings back; the suite's authorization server asks nobody."""
    answer = requests.get(address, allow_redirects=False, timeout=10)
    return dict(parse_qsl(urlsplit(answer.headers["Location"]).query))


def _config(scenario: Scenario) -> OAuthConfig:
    context = scenario.context
    client_id = context.get("client_id", "")
    match scenario.name:
        case "auth/client-credentials-jwt":
            return OAuthConfig(
                grant="client_credentials",
                client_id=client_id,
                private_key=context["private_key_pem"],
                signing_algorithm=context.get("signing_algorithm", ""),
            )
        case "auth/client-credentials-basic":
            return OAuthConfig(
                grant="client_credentials",
                client_id=client_id,
                client_secret=context["client_secret"],
            )
        case "auth/wif-jwt-bearer":
            return OAuthConfig(
                grant="jwt_bearer",
                client_id=client_id,
                assertion=lambda exchange, audience, resource: context["valid_jwt"],
            )
        case "auth/enterprise-managed-authorization":
            provider = Client(context["idp_issuer"], context["idp_client_id"])
            return OAuthConfig(
                grant="jwt_bearer",
                client_id=client_id,
                client_secret=context["client_secret"],
                assertion=IdentityAssertion(
                    scenario.connection(),
                    context["idp_token_endpoint"],
                    provider,
                    lambda: context["idp_id_token"],
                ),
            )
    return OAuthConfig(
        grant="authorization_code",
        client_id=client_id,
        client_secret=context.get("client_secret", ""),
        client_metadata_url=_METADATA_DOCUMENT,
        redirect_uri=_CALLBACK,
    )


_PLAYS: dict[str, Callable[[Scenario], None]] = {
    "request-metadata": _list_tools,
    "json-schema-ref-no-deref": _list_tools,
    "json-schema-2020-12-preservation": _echo_a_schema,
    "http-standard-headers": _call_every_tool,
    "http-invalid-tool-headers": _call_every_tool,
    "http-custom-headers": _call_what_the_suite_says,
    "sep-2322-client-request-state": _answer_questions,
    "elicitation-sep1034-client-defaults": _accept_defaults,
    "sse-retry": _call_every_tool,
}

if __name__ == "__main__":
    main(sys.argv[1], os.environ)
