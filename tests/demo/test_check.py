from contextlib import ExitStack

import pytest
from django.contrib.auth import get_user_model

from config.demo.check import CheckFailed, check_one_turn
from config.demo.model import Model
from tests.servers.scripted_model import ScriptedModel
from tests.servers.scripted_replies import calls, status, text

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def check(live_server, settings):
    """Check the site with a model that follows a script; returns the facts."""
    get_user_model().objects.create_superuser("admin", password="right")
    with ExitStack() as running:

        def run(script, password="right", *, may_be_wrong=False, notice="", shown_notice=""):
            server = running.enter_context(ScriptedModel(script))
            settings.AUTOMATE = {
                "MODELS": {"default": {"MODEL": "scripted", "BASE_URL": server.base_url}},
                "NOTICE": shown_notice,
            }
            model = Model("scripted", {"AUTOMATE_NOTICE": notice}, may_be_wrong=may_be_wrong)
            facts = check_one_turn(live_server.url, "admin", password, model, "How many?")
            return list(facts)

        yield run


def test_an_answer_without_a_tool_call_fails_the_check(check):
    with pytest.raises(CheckFailed, match="No tool call succeeded"):
        check(text("There are 59."))


def test_a_call_that_failed_fails_the_check(check):
    with pytest.raises(CheckFailed, match="No tool call succeeded"):
        check([calls(("no_such_tool", {})), text("There are 59.")])


def test_a_turn_that_failed_fails_the_check(check):
    with pytest.raises(CheckFailed, match="The turn ended as"):
        check(status(400, {"error": {"message": "no"}}))


def test_a_wrong_password_fails_the_check(check):
    with pytest.raises(CheckFailed, match="The login was refused"):
        check(text("Hello"), password="wrong")


def test_a_page_without_the_notice_fails_the_check(check):
    with pytest.raises(CheckFailed, match="lacks the notice"):
        check(text("Hello"), notice="Not an AI & not wise", shown_notice="")


def test_of_a_model_that_may_be_wrong_only_an_answer_is_asked(check):
    facts = check(
        text("About a dozen."),
        may_be_wrong=True,
        notice="Tiny & wrong",
        shown_notice="Tiny & wrong",
    )

    assert "the pages say: Tiny & wrong" in facts
    assert facts[-1] == "the answer, after a reload: 'About a dozen.'"


def test_a_site_that_is_not_there_fails_the_check():
    model = Model("none", {})

    with pytest.raises(CheckFailed, match="did not answer: ConnectionError"):
        list(check_one_turn("http://127.0.0.1:1/", "admin", "right", model, "Hello"))
