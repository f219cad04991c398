"""OAuth 2.1 for MCP servers: who protects a server, what authorizes us there, and for how long.

Source: MCP 2026-07-28, basic/authorization, and the extensions for client credentials, workload
identity and DPoP.
"""

from .authenticator import OAuthAuthenticator
from .authorization import begin_authorization, complete_authorization, revoke
from .clients import client_metadata_document
from .identity import IdentityAssertion
from .stores import MemoryTokenStore, TokenStore
from .values import Binding, Challenge, Client, OAuthConfig, Pending, Token

__all__ = [
    "Binding",
    "Challenge",
    "Client",
    "IdentityAssertion",
    "MemoryTokenStore",
    "OAuthAuthenticator",
    "OAuthConfig",
    "Pending",
    "Token",
    "TokenStore",
    "begin_authorization",
    "client_metadata_document",
    "complete_authorization",
    "revoke",
]
