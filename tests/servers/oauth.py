"""An MCP server of the simple dialect and the authorization server that protects it, in one."""

import base64
import hashlib
import itertools
import json
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from .recording import Seen


@dataclass(frozen=True)
class Reply:
    """An answer: text goes as HTML, everything else as JSON."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


Route = Callable[[Seen], Reply]


class OAuthServer:
    """Serves from the moment it is made until `stop`, or the end of its `with` block.

    Everything may be changed while it runs: the two metadata documents, `clients` (id → secret),
    `scope` (what a call needs), `lifetime` of a token in seconds, what the authorization
    response says (`response`), and each of `routes` by method and path. Refresh tokens are good
    for one use; a second use ends everything that came from the first.
    """

    def __init__(self) -> None:
        self.requests: list[Seen] = []
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._challenges: dict[str, str] = {}
        self.tokens: dict[str, str] = {}
        self.refresh_tokens: dict[str, bool] = {}
        self.clients: dict[str, str] = {}
        self.scope = ""
        self.lifetime = 3_600
        self.response: dict[str, str] = {}
        self._http = _HTTP(self)
        self.issuer = f"http://127.0.0.1:{self._http.server_port}"
        self.url = f"{self.issuer}/api"
        self.metadata: dict[str, Any] = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "registration_endpoint": f"{self.issuer}/register",
            "revocation_endpoint": f"{self.issuer}/revoke",
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "none"],
        }
        self.resource_metadata: dict[str, Any] = {
            "resource": self.url,
            "authorization_servers": [self.issuer],
        }
        self.routes: dict[tuple[str, str], Route] = {
            ("GET", "/.well-known/oauth-protected-resource/api"): lambda seen: Reply(
                200, self.resource_metadata
            ),
            ("GET", "/.well-known/oauth-authorization-server"): lambda seen: Reply(
                200, self.metadata
            ),
            ("POST", "/register"): self._register,
            ("GET", "/authorize"): self._authorize,
            ("POST", "/token"): self._token,
            ("POST", "/revoke"): self._revoke,
            ("GET", "/api/tools"): lambda seen: self._guarded(seen, {"tools": []}),
            ("POST", "/api/execute"): lambda seen: self._guarded(seen, {"result": "done"}),
        }
        self._thread = threading.Thread(
            target=lambda: self._http.serve_forever(poll_interval=0.005), name="OAuth server"
        )
        self._thread.start()

    def to(self, path: str) -> list[Seen]:
        """The requests to this path, oldest first; a form's fields are the body."""
        return [each for each in self.requests if urlsplit(each.path).path == path]

    def grants(self) -> list[str]:
        """The kinds of authorization that the token endpoint was asked for."""
        return [each.body["grant_type"] for each in self.to("/token")]

    def issue(self, scope: str = "") -> dict[str, Any]:
        """A new access token with a refresh token, as the token endpoint gives them."""
        with self._lock:
            number = next(self._numbers)
            access, refresh = f"access-token-{number}", f"refresh-token-{number}"
            self.tokens[access] = scope
            self.refresh_tokens[refresh] = True
        return {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": self.lifetime,
            "refresh_token": refresh,
            "scope": scope,
        }

    def answer(self, seen: Seen) -> Reply:
        """Record the request, and answer it by its route."""
        self.requests.append(seen)
        route = self.routes.get((seen.method, urlsplit(seen.path).path))
        return route(seen) if route is not None else Reply(404, {"error": "nothing here"})

    def _guarded(self, seen: Seen, content: dict[str, Any]) -> Reply:
        token = seen.headers.get("authorization", "").removeprefix("Bearer ")
        where = f'resource_metadata="{self.issuer}/.well-known/oauth-protected-resource/api"'
        if token not in self.tokens:
            scope = f', scope="{self.scope}"' if self.scope else ""
            return Reply(401, {}, {"WWW-Authenticate": f"Bearer {where}{scope}"})
        if self.scope not in ("", *self.tokens[token].split()):
            challenge = f'Bearer error="insufficient_scope", scope="{self.scope}", {where}'
            return Reply(403, {}, {"WWW-Authenticate": challenge})
        return Reply(200, content)

    def _register(self, seen: Seen) -> Reply:
        client_id = f"client-{len(self.clients) + 1}"
        self.clients[client_id] = "client-secret-of-a-registration"
        content = {"client_id": client_id, "client_secret": self.clients[client_id]}
        return Reply(201, {**content, "token_endpoint_auth_method": "client_secret_basic"})

    def _authorize(self, seen: Seen) -> Reply:
        asked = dict(parse_qsl(urlsplit(seen.path).query))
        code = f"code-{next(self._numbers)}"
        self._challenges[code] = asked["code_challenge"]
        parameters = {"code": code, "state": asked["state"], **self.response}
        return Reply(302, {}, {"Location": f"{asked['redirect_uri']}?{urlencode(parameters)}"})

    def _token(self, seen: Seen) -> Reply:
        form = seen.body
        if not self._authenticated(seen):
            return Reply(401, {"error": "invalid_client"})
        match form["grant_type"]:
            case "authorization_code":
                digest = hashlib.sha256(form["code_verifier"].encode()).digest()
                challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
                if self._challenges.pop(form["code"], "") != challenge:
                    return Reply(400, {"error": "invalid_grant"})
            case "refresh_token":
                if not self._used_once(form["refresh_token"]):
                    return Reply(400, {"error": "invalid_grant"})
        return Reply(200, self.issue(form.get("scope", "")))

    def _used_once(self, refresh_token: str) -> bool:
        with self._lock:
            if self.refresh_tokens.get(refresh_token):
                self.refresh_tokens[refresh_token] = False
                return True
            # Somebody has a copy: nothing that came from it is good any more.
            self.refresh_tokens.clear()
            self.tokens.clear()
            return False

    def _revoke(self, seen: Seen) -> Reply:
        self.refresh_tokens.pop(seen.body["token"], None)
        return Reply(200, {})

    def _authenticated(self, seen: Seen) -> bool:
        basic = seen.headers.get("authorization", "").removeprefix("Basic ")
        if basic:
            client_id, _, secret = base64.b64decode(basic).decode().partition(":")
            return self.clients.get(unquote(client_id)) == unquote(secret)
        return not self.clients.get(seen.body.get("client_id", ""))

    def stop(self) -> None:
        """Cut every connection and wait for the threads. A second call does nothing."""
        self._http.shutdown()
        self._thread.join()
        self._http.cut_connections()
        self._http.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


class _HTTP(ThreadingHTTPServer):
    daemon_threads = False  # so that server_close waits for them
    request_queue_size = 64

    def __init__(self, owner: OAuthServer) -> None:
        self.owner = owner
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def cut_connections(self) -> None:
        """End the wait of every handler that still reads."""
        with self._lock:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:  # the client was faster
                    continue

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news here."""


class _Handler(BaseHTTPRequestHandler):
    server: _HTTP
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: Any) -> None:
        return

    def _serve(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        form = "form-urlencoded" in headers.get("content-type", "")
        body: Any = dict(parse_qsl(content.decode())) if form else json.loads(content or b"null")
        reply = self.server.owner.answer(Seen(self.command, self.path, headers, body))
        html = isinstance(reply.body, str)
        data = reply.body.encode() if html else json.dumps(reply.body).encode()
        self.send_response(reply.status)
        self.send_header("Content-Type", "text/html" if html else "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)
