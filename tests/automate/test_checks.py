"""What `manage.py check` says."""

import subprocess
import sys
from decimal import Decimal
from typing import Any

import pytest
from django.core.management import call_command
from django.test import override_settings

from automate.checks import check_secrets, check_settings

from .making import add_server

GOOD = {"MODELS": {"default": {"MODEL": "m"}}}


def said(**settings: Any) -> list[tuple[str, str, str]]:
    with override_settings(AUTOMATE={**GOOD, **settings}):
        return [(each.id or "", each.msg, each.hint or "") for each in check_settings()]


def test_good_settings_are_not_spoken_of() -> None:
    assert said() == []
    assert (
        said(
            MCP_TIMEOUT=5,
            MCP_PRIVATE_HOSTS=["mcp.internal:8080", "127.0.0.1", "::1", "[::1]:8080"],
            EXECUTOR="thread",
            MODELS={
                "default": {
                    "MODEL": "m",
                    "BASE_URL": "",
                    "API_KEY": "env:KEY",
                    "TIMEOUT": 1.5,
                    "LABEL": "A model",
                    "OPTIONS": {"temperature": 0},
                    "PRICE": {"INPUT": 0.25, "OUTPUT": Decimal("2"), "CACHED_INPUT": 0},
                    "CONTEXT_TOKENS": 8_000,
                }
            },
            USER_DAILY_TOKENS=0,
            USER_DAILY_COST=None,
            SITE_DAILY_COST=Decimal("0.5"),
        )
        == []
    )


@override_settings(AUTOMATE=["MODELS"])
def test_settings_that_are_no_dict_are_an_error() -> None:
    assert [each.id for each in check_settings()] == ["automate.E001"]


def test_an_unknown_setting_is_an_error_that_guesses_what_was_meant() -> None:
    [(identifier, message, hint)] = said(MCP_TIMOUT=3)

    assert (identifier, "'MCP_TIMOUT'" in message) == ("automate.E002", True)
    assert hint == "Did you mean 'MCP_TIMEOUT'?"


@pytest.mark.parametrize(
    "wrong",
    [
        {"MCP_TIMEOUT": "5"},
        {"MCP_TIMEOUT": 0},
        {"SYNC_THREADS": 0},
        {"SYNC_THREADS": 2.0},
        {"SYNC_THREADS": True},
        {"SYSTEM_PROMPT": None},
        {"MCP_PRIVATE_HOSTS": "localhost"},
        {"MODELS": [{"MODEL": "m"}]},
        {"MODELS": {"default": "m"}},
        {"USER_DAILY_TOKENS": -1},
        {"USER_DAILY_TOKENS": 1.5},
        {"SITE_DAILY_COST": "5"},
        {"SITE_DAILY_COST": float("nan")},
    ],
)
def test_a_wrong_type_is_an_error_that_names_the_setting(wrong: dict[str, Any]) -> None:
    [(identifier, message, hint)] = said(**wrong)

    assert identifier == "automate.E003"
    assert f"[{next(iter(wrong))!r}]" in message
    assert "default" in hint


@pytest.mark.parametrize(
    ("model", "word"),
    [
        ({}, "MODEL"),
        ({"MODEL": ""}, "MODEL"),
        ({"MODEL": 5}, "text"),
        ({"MODEL": "m", "BASEURL": "x"}, "BASE_URL"),
        ({"MODEL": "m", "TIMEOUT": "x"}, "seconds"),
        ({"MODEL": "m", "OPTIONS": 5}, "dict"),
        ({"MODEL": "m", "PRICE": 5}, "INPUT"),
        ({"MODEL": "m", "CONTEXT_TOKENS": 0}, "at least 1"),
        ({"MODEL": "m", "PRICE": {"INPUT": 1}}, "OUTPUT"),
        ({"MODEL": "m", "PRICE": {"INPUT": 1, "OUTPUT": -1}}, "amount"),
        ({"MODEL": "m", "PRICE": {"INPUT": 1, "OUTPUT": 1, "INPUTS": 1}}, "INPUT"),
    ],
)
def test_a_model_that_cannot_be_asked_is_an_error(model: dict[str, Any], word: str) -> None:
    [(identifier, message, hint)] = said(MODELS={"default": model})

    assert identifier == "automate.E004"
    assert word in message + hint


def test_a_site_without_a_default_model_is_warned() -> None:
    assert [each[0] for each in said(MODELS={"other": {"MODEL": "m"}})] == ["automate.W001"]


def test_an_unknown_executor_is_an_error() -> None:
    [(identifier, _, hint)] = said(EXECUTOR="threads")

    assert (identifier, hint) == ("automate.E005", "Did you mean 'thread'?")


@pytest.mark.parametrize(
    "entry", ["", "http://a", "a/b", "*.a", "10.0.0.0/8", "a:", "a:0", "a:65536", "a b", "u@a"]
)
def test_a_private_host_that_could_never_match_is_an_error(entry: str) -> None:
    [(identifier, message, _)] = said(MCP_PRIVATE_HOSTS=(entry,))

    assert (identifier, repr(entry) in message) == ("automate.E006", True)


@pytest.mark.django_db
def test_a_raw_secret_in_the_database_is_warned_of_and_not_shown() -> None:
    add_server("raw", auth_type="bearer", auth_secret_ref="s3cret-token")
    add_server("referred", auth_type="bearer", auth_secret_ref="env:SHOP_TOKEN")

    [warning] = check_secrets(databases=["default"])

    assert (warning.id, "'raw'" in warning.msg) == ("automate.W002", True)
    assert "s3cret" not in str(warning)


@pytest.mark.django_db
def test_the_secrets_are_looked_at_only_where_the_database_is_asked_about() -> None:
    add_server("raw", auth_type="bearer", auth_secret_ref="s3cret-token")

    assert check_secrets() == []
    call_command("check", "--database", "default", fail_level="ERROR")


def test_the_shipped_settings_are_clean_and_no_model_provider_is_imported() -> None:
    code = (
        "import sys\n"
        "from django.core.management import execute_from_command_line as run\n"
        "run(['manage.py', 'check', '--fail-level', 'WARNING'])\n"
        "assert 'openai' not in sys.modules, 'openai was imported'\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"DJANGO_SETTINGS_MODULE": "config.settings", "PATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "no issues" in done.stdout
