"""An authorization server's refusals, in words of our own."""

from automate_llm.exceptions import AuthorizationFailed

from .documents import Document, text

_MEANINGS = {
    "invalid_request": "it calls the request invalid",
    "invalid_client": "it does not accept the client or its secret",
    "invalid_grant": "the authorization has ended, was used before, or was taken back",
    "unauthorized_client": "the client may not be authorized in this way",
    "unsupported_grant_type": "it does not know this kind of authorization",
    "unsupported_response_type": "it gives no authorization codes",
    "invalid_scope": "it does not grant the rights (scopes) that were asked for",
    "invalid_target": "it does not know the server as a resource",
    "access_denied": "the request was denied",
    "server_error": "it failed inside",
    "temporarily_unavailable": "it is busy; try again later",
    "invalid_redirect_uri": "it does not take this site's redirect address",
    "invalid_client_metadata": "it does not take what this site says of itself",
    "invalid_dpop_proof": "it does not accept the proof of possession (DPoP)",
    "use_dpop_nonce": "it asks for one nonce (DPoP) after another",
    "login_required": "a person must log in",
    "consent_required": "a person must consent",
    "interaction_required": "a person must answer",
}


def refusal(document: Document, what: str) -> AuthorizationFailed:
    """The error for an answer that is no success; its own words are not repeated."""
    if document.content is None:
        kind = document.content_type or "nothing"
        shown = kind if kind.isascii() and kind.isprintable() and len(kind) <= 60 else "something"
        return AuthorizationFailed(
            f"{what}: HTTP {document.status_code} with {shown} instead of JSON. Is the address "
            "that of an authorization server?"
        )
    code = text(document.content.get("error"))
    if code in _MEANINGS:
        return AuthorizationFailed(f"{what}: {_MEANINGS[code]} ({code}).", code)
    return AuthorizationFailed(f"{what}: HTTP {document.status_code}.")


def refused_by_person(code: str, what: str) -> AuthorizationFailed:
    """The error for an authorization response that carries one."""
    if code in _MEANINGS:
        return AuthorizationFailed(f"{what}: {_MEANINGS[code]} ({code}).", code)
    return AuthorizationFailed(f"{what}.")
