"""Which model answers: the one that was chosen, where its person may have it."""

from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse

from chat.language_models import chosen_model, models_for
from chat.models import Turn
from chat.submission import continue_turn, send_message

from .rows import put

pytestmark = pytest.mark.django_db

MODELS = {
    "dear": {"MODEL": "x", "PERMISSION": "automate_chat.no_budget", "LABEL": "Dear"},
    "default": {"MODEL": "x", "LABEL": "<Quick>"},
    "slow": {"MODEL": "x"},
}


@pytest.fixture(autouse=True)
def models(settings: Any) -> None:
    settings.AUTOMATE = {"MODELS": MODELS}


def grant(user: Any) -> None:
    user.user_permissions.add(Permission.objects.get(codename="no_budget"))


def test_a_person_chooses_among_the_models_that_the_permissions_allow(user: Any) -> None:
    before = [each.alias for each in models_for(user)]
    grant(user)
    allowed = type(user).objects.get(pk=user.pk)

    assert before == ["default", "slow"]
    assert [each.label for each in models_for(allowed)] == ["Dear", "<Quick>", "slow"]


def test_a_choice_holds_for_the_conversation_until_another_or_its_end(
    user: Any, executor: Any, settings: Any
) -> None:
    turn = send_message(user, None, "Hi", uuid4(), model="slow")
    put(turn, Turn.Status.FAILED)
    again = continue_turn(turn, uuid4())
    put(again, Turn.Status.DONE)
    conversation = type(turn.conversation).objects.get(pk=turn.conversation_id)
    kept = chosen_model(user, "", conversation.model)
    settings.AUTOMATE = {"MODELS": {"default": MODELS["default"]}}

    assert (turn.model, again.model, kept) == ("slow", "slow", "slow")
    assert chosen_model(user, "", conversation.model) == "default"


@pytest.mark.parametrize("alias", ["dear", "nothing"])
def test_a_model_that_is_not_ones_own_to_choose_is_refused_and_the_text_stays(
    client: Client, user: Any, executor: Any, alias: str
) -> None:
    client.force_login(user)

    answer = client.post(reverse("chat:send"), {"text": "Precious", "model": alias})

    assert answer.status_code == 422
    assert ">Precious</textarea>" in answer.content.decode()
    assert not Turn.objects.exists()


def test_where_one_may_use_no_model_nothing_is_sent(user: Any, settings: Any) -> None:
    settings.AUTOMATE = {"MODELS": {"default": MODELS["dear"]}}

    with pytest.raises(ValidationError, match="may not use any model"):
        send_message(user, None, "Hi", uuid4())


def test_the_page_offers_the_models_and_keeps_the_one_chosen(
    client: Client, user: Any, executor: Any, settings: Any
) -> None:
    client.force_login(user)
    turn = send_message(user, None, "Hi", uuid4(), model="slow")

    page = client.get(reverse("chat:conversation", args=[turn.conversation_id])).content.decode()
    settings.AUTOMATE = {"MODELS": {"default": MODELS["default"]}}
    alone = client.get(reverse("chat:index")).content.decode()

    assert '<option value="slow" selected>slow</option>' in page
    assert '<option value="default">&lt;Quick&gt;</option>' in page
    assert "Dear" not in page
    assert 'name="model"' not in alone
