"""Names that are somebody else's are told apart by their characters, on every database."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model

from automate.models import MCPServer, MCPTool
from automate.sync import sync_server

NAMES = ["search", "Search", "SEARCH", "searche"]


def test_tools_whose_names_differ_in_case_alone_are_different_tools(
    server: MCPServer, offering: Callable[..., None]
) -> None:
    offering(*NAMES)

    report = sync_server(server)

    assert report.error == ""
    assert sorted(report.added) == sorted(NAMES)
    assert MCPTool.objects.values("function_name").distinct().count() == len(NAMES)
    for name in NAMES:
        assert MCPTool.objects.get(name=name).name == name


@pytest.mark.django_db
def test_words_of_every_script_come_back_as_they_were() -> None:
    text = "Tee 🍵, чай, 茶, شاي, e\u0301 and é"
    user: Any = get_user_model().objects.create_user("ann", first_name=text)

    user.refresh_from_db()

    assert user.first_name == text
