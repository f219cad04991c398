"""Which secrets of the machine a server may be sent, whoever edits its row."""

from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from automate.models import MCPServer
from automate.secrets import resolve_private_key, resolve_secret
from automate_llm.exceptions import SecretUnavailable

OWN = "a-key-of-the-site-itself"


def bearer(reference: str) -> MCPServer:
    return MCPServer(
        name="Shop",
        slug="shop",
        endpoint_url="https://shop.example/mcp",
        auth_type="bearer",
        auth_secret_ref=reference,
    )


def refused(reference: str) -> str:
    with pytest.raises(SecretUnavailable) as caught:
        bearer(reference).connection()
    return str(caught.value)


def test_a_site_says_which_references_its_servers_may_hold(
    settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings.AUTOMATE = {"SECRET_REFERENCES": ["env:MCP_*", f"file:{tmp_path}/mcp_*"]}
    for name in ("MCP_SHOP", "OTHER"):
        monkeypatch.setenv(name, f"value of {name}")
        (tmp_path / name.lower()).write_text("from a file")

    for reference in ("env:MCP_SHOP", f"file:{tmp_path}/mcp_shop", "a secret itself"):
        bearer(reference).clean_fields()
        assert bearer(reference).connection().headers["Authorization"].startswith("Bearer ")
    (tmp_path / "mcp_folder").mkdir()
    climbing = f"file:{tmp_path}/mcp_folder/../other"
    for reference in ("env:OTHER", f"file:{tmp_path}/other", climbing, "env:mcp_shop"):
        with pytest.raises(ValidationError, match="does not allow this reference"):
            bearer(reference).clean_fields()
        words = refused(reference)
        assert reference in words and "SECRET_REFERENCES" in words and "value of" not in words
    with pytest.raises(SecretUnavailable, match="SECRET_REFERENCES"):
        resolve_private_key("env:OTHER")


@pytest.mark.filterwarnings("ignore:The EMAIL_HOST_PASSWORD setting is deprecated")
@pytest.mark.parametrize(
    "own",
    [
        {"SECRET_KEY": OWN},
        {"SECRET_KEY_FALLBACKS": ["older", OWN]},
        {"EMAIL_HOST_PASSWORD": OWN},
        {"MAILERS": {"default": {"BACKEND": "x"}, "b": {"OPTIONS": {"password": OWN}}}},
        {"AUTOMATE": {"MODELS": {"default": {"MODEL": "m", "API_KEY": "env:OWN"}}}},
        {"AUTOMATE": {"MODELS": {"default": {"MODEL": "m", "API_KEY": OWN}}}},
        {"AUTOMATE": {"ENCRYPTION_KEYS": ["env:NOT_SET_HERE", "env:OWN"]}},
    ],
)
def test_a_key_of_the_site_itself_is_sent_to_no_server(
    settings: Any, monkeypatch: pytest.MonkeyPatch, own: dict[str, Any]
) -> None:
    for name, value in own.items():
        setattr(settings, name, value)
    for name in ("OWN", "COPY"):
        monkeypatch.setenv(name, OWN)
    monkeypatch.setenv("WITHIN", f"postgresql://site:{OWN}@db/site")
    monkeypatch.setenv("ELSE", "a-key-of-a-server")

    assert bearer("env:ELSE").connection().headers["Authorization"] == "Bearer a-key-of-a-server"
    for reference in ("env:OWN", "env:COPY", "env:WITHIN"):
        words = refused(reference)
        assert reference in words and OWN not in words
    assert OWN not in refused(OWN)
    assert resolve_secret("env:OWN") == OWN

    settings.AUTOMATE = {**getattr(settings, "AUTOMATE", {}), "SECRET_REFERENCES": ["env:OWN"]}
    assert bearer("env:OWN").connection().headers["Authorization"] == f"Bearer {OWN}"


def test_a_password_of_the_database_is_sent_to_no_server(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(settings.DATABASES, "other", {"PASSWORD": OWN})
    monkeypatch.setitem(settings.DATABASES, "short", {"PASSWORD": "a"})
    monkeypatch.setenv("DATABASE_URL", f"postgresql://site:{OWN}@db/site")
    monkeypatch.setenv("ELSE", "has an a in it")

    assert OWN not in refused("env:DATABASE_URL")
    assert bearer("env:ELSE").connection().headers["Authorization"] == "Bearer has an a in it"
