"""Daily budgets: counted over all workers, checked before each request, refused in words."""

import threading
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import DatabaseError, connection
from django.test import Client

from automate_llm.providers.base import Usage
from chat import budgets
from chat.answer_writer import AnswerWriter
from chat.budgets import Price, price_of
from chat.engine import run_turn
from chat.models import DailyUsage, Turn
from chat.usage import Amount, add_usage
from tests.servers.mcp_sdk import Offer
from tests.servers.scripted_replies import calls, chunk, raw_chunks, text, usage_chunk

pytestmark = pytest.mark.django_db

DAY = date(2026, 11, 26)
PRICES = {"INPUT": 1000, "OUTPUT": Decimal("2000.5"), "CACHED_INPUT": 100}


def finished(turn: Turn) -> Turn:
    run_turn(turn.pk)
    turn.refresh_from_db()
    return turn


def priced(server: Any, settings: Any) -> None:
    settings.AUTOMATE["MODELS"]["default"]["PRICE"] = PRICES


def used(user: Any) -> tuple[int, int, Decimal]:
    row = DailyUsage.objects.get(user=user)
    return row.prompt_tokens, row.completion_tokens, row.cost


def test_every_request_of_a_turn_counts_for_its_person_and_day(
    model: Any, ask: Any, shop: Any, settings: Any, user: Any
) -> None:
    shop(Offer("echo"))
    priced(model([calls(("shop__echo", {})), text("Done now.")]), settings)

    turn = finished(ask())

    tokens = turn.prompt_tokens, turn.completion_tokens
    assert tokens[0] == 24
    cost = (tokens[0] * 1000 + tokens[1] * Decimal("2000.5")) / 1_000_000
    assert turn.cost == cost.quantize(Decimal("0.000001"))
    assert used(user) == (*tokens, turn.cost)
    assert DailyUsage.objects.get().day == budgets.today()


def test_without_prices_tokens_are_counted_and_nothing_costs(
    model: Any, ask: Any, user: Any
) -> None:
    model([text("Hello there.")])

    assert finished(ask()).cost == 0
    assert used(user) == (12, 2, 0)


@pytest.mark.django_db(transaction=True)
def test_an_answer_that_cannot_be_stored_counts_once_all_the_same(
    model: Any, ask: Any, user: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*parts: Any) -> None:
        raise DatabaseError("The disk is full.")

    model([text("Hello there."), text("Hello there.")])
    with monkeypatch.context() as patch:
        patch.setattr(AnswerWriter, "_store", fail)
        failed = finished(ask())
    assert failed.status == Turn.Status.FAILED
    assert used(user) == (12, 2, 0)

    assert finished(ask()).status == Turn.Status.DONE
    assert used(user) == (24, 4, 0)


def test_what_the_models_server_had_cached_costs_its_own_price(
    model: Any, ask: Any, settings: Any
) -> None:
    counted = usage_chunk(1000, 10)
    counted["usage"]["prompt_tokens_details"] = {"cached_tokens": 800}
    server = model([raw_chunks([chunk({"content": "Hi."}), chunk({}, "stop"), counted])])
    priced(server, settings)

    turn = finished(ask())

    assert turn.cost == Decimal("0.2") + Decimal("0.08") + Decimal("0.020005")


def test_more_cached_tokens_than_were_read_make_nothing_cheaper() -> None:
    price = Price(input=Decimal(10), output=Decimal(0), cached_input=Decimal(1))

    assert price.of(Usage(1_000_000, 0, 5_000_000)) == 1


def test_any_number_that_a_server_claims_can_be_stored(
    model: Any, ask: Any, settings: Any, user: Any
) -> None:
    counted = usage_chunk(2**60, 2**60)
    server = model([raw_chunks([chunk({"content": "Hi."}), chunk({}, "stop"), counted])])
    settings.AUTOMATE["MODELS"]["default"]["PRICE"] = {"INPUT": 10**9, "OUTPUT": 10**9}

    assert server.requests == []
    assert finished(ask()).status == Turn.Status.DONE
    assert used(user)[0] == 2**31 - 1


@pytest.mark.parametrize(
    ("setting", "limit", "word"),
    [
        ("USER_DAILY_TOKENS", 14, "You have used all the tokens"),
        ("USER_DAILY_COST", 0.001, "You have used all the money"),
        ("SITE_DAILY_TOKENS", 14, "This site has used all the tokens"),
        ("SITE_DAILY_COST", 0.001, "This site has used all the money"),
    ],
)
def test_a_used_up_budget_ends_the_turn_in_words_and_keeps_everything(
    model: Any, ask: Any, settings: Any, setting: str, limit: float, word: str
) -> None:
    settings.TIME_ZONE = "Europe/Berlin"
    server = model([text("One answer.")], **{setting: limit})
    priced(server, settings)
    first = finished(ask("First"))

    second = finished(ask("Second", conversation=first.conversation))

    assert first.status == Turn.Status.DONE
    assert second.status == Turn.Status.FAILED
    assert second.notice.startswith(word)
    assert "midnight (Europe/Berlin)" in second.notice
    assert [each.content for each in second.messages.all()] == ["Second"]
    assert len(server.requests) == 1


def test_a_budget_that_is_used_up_between_two_requests_keeps_the_calls_that_were_made(
    model: Any, ask: Any, shop: Any
) -> None:
    peer = shop(Offer("echo"))
    server = model([calls(("shop__echo", {}))], USER_DAILY_TOKENS=5)

    turn = finished(ask())

    assert (turn.status, len(server.requests), len(peer.calls())) == (Turn.Status.FAILED, 1, 1)
    assert turn.tool_calls.get().status == "succeeded"


def test_the_next_day_opens_again(model: Any, ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model([text("One."), text("Two.")], USER_DAILY_TOKENS=5)
    monkeypatch.setattr(budgets, "today", lambda: DAY)
    conversation = finished(ask()).conversation
    assert finished(ask(conversation=conversation)).status == Turn.Status.FAILED

    monkeypatch.setattr(budgets, "today", lambda: date(2026, 11, 27))

    assert finished(ask(conversation=conversation)).status == Turn.Status.DONE


def test_a_person_with_the_permission_goes_on_and_still_counts(
    model: Any, ask: Any, user: Any
) -> None:
    model([text("One."), text("Two.")], USER_DAILY_TOKENS=5)
    user.user_permissions.add(Permission.objects.get(codename="no_budget"))
    finished(ask())

    assert finished(ask()).status == Turn.Status.DONE
    assert used(user)[0] == 24


def test_what_others_used_counts_for_the_site_and_not_for_me(
    model: Any, ask: Any, settings: Any
) -> None:
    other = get_user_model().objects.create_user("ben")
    DailyUsage.objects.create(day=budgets.today(), user=other, prompt_tokens=1000)
    model([text("One.")], USER_DAILY_TOKENS=500)
    assert finished(ask()).status == Turn.Status.DONE

    settings.AUTOMATE = {**settings.AUTOMATE, "SITE_DAILY_TOKENS": 500}

    assert "This site" in finished(ask()).notice


def test_without_a_budget_a_request_costs_one_statement_and_no_query(
    model: Any, ask: Any, django_assert_max_num_queries: Any
) -> None:
    model([text("One."), text("Two.")])
    finished(ask())
    turn = ask()

    with django_assert_max_num_queries(100) as asked:
        finished(turn)

    about = [each["sql"] for each in asked.captured_queries if "dailyusage" in each["sql"]]
    assert [sql.split()[0] for sql in about] == ["UPDATE"]


def test_a_day_is_the_sites_own_whatever_zone_a_request_activates(settings: Any) -> None:
    from django.utils import timezone

    settings.TIME_ZONE = "Pacific/Kiritimati"
    with timezone.override("Pacific/Pago_Pago"):
        there = budgets.today()

    assert there == timezone.localdate(timezone=timezone.get_default_timezone())
    assert there > timezone.localdate(timezone=timezone.get_fixed_timezone(-11 * 60))


def test_a_model_without_a_price_has_none(model: Any, settings: Any) -> None:
    from automate.conf import conf

    model([])

    assert price_of("default", conf()) is None
    assert price_of("gone", conf()) is None


@pytest.mark.django_db(transaction=True)
def test_threads_that_begin_a_day_together_lose_no_token(user: Any) -> None:
    together = threading.Barrier(8, timeout=10)

    def add() -> None:
        try:
            together.wait()
            for _ in range(20):
                add_usage(DAY, user.pk, Amount(3, 2, Decimal("0.000001")))
        finally:
            connection.close()

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert used(user) == (480, 320, Decimal("0.000160"))


def test_the_admin_lists_days_with_the_totals_of_what_is_listed(
    user: Any, admin_client: Client
) -> None:
    other = get_user_model().objects.create_user("ben")
    DailyUsage.objects.create(day=DAY, user=user, prompt_tokens=1000, cost=Decimal("0.5"))
    DailyUsage.objects.create(day=DAY, user=other, completion_tokens=234, cost=Decimal("0.25"))
    address = "/admin/automate_chat/dailyusage/"

    everything = admin_client.get(address).content.decode()
    one = admin_client.get(address, {"q": "ben"}).content.decode()

    assert "1234 tokens, cost 0.7500" in everything
    assert "234 tokens, cost 0.2500" in one
    assert "1234" not in one


def test_a_member_of_staff_needs_the_permission_to_see_usage(user: Any, client: Client) -> None:
    user.is_staff = True
    user.save()
    client.force_login(user)
    address = "/admin/automate_chat/dailyusage/"
    assert client.get(address).status_code == 403

    user.user_permissions.add(Permission.objects.get(codename="view_dailyusage"))

    assert client.get(address).status_code == 200
