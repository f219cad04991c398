"""What the demo asks about: its one tool that does something, and none of the others."""

from pathlib import Path

import pytest
from django.contrib.auth.models import User

from automate.models import MCPTool
from automate.policy import Decision, Policy
from config.demo.children import Child
from config.demo.rows import register_servers, sync

EXAMPLES = Path(__file__).parents[2] / "examples"
START_SECONDS = 20


@pytest.mark.django_db(transaction=True)
def test_the_demo_asks_before_an_order_and_reads_without_asking(tmp_path, monkeypatch):
    keys = {"SHOP_TOKEN": "token-of-the-shop", "BRANCHES_KEY": "key-of-the-branches"}
    for name, value in keys.items():
        monkeypatch.setenv(name, value)

    def start(name: str) -> Child:
        script = [str(EXAMPLES / f"{name}_server.py"), "--port", "0", "--exit-with-parent"]
        return Child(name, script, log=tmp_path / f"{name}.log", environment=keys)

    with start("shop") as shop, start("branches") as branches:
        register_servers(shop.address(START_SECONDS), branches.address(START_SECONDS))
        assert all("NOT SYNCED" not in line for line in sync())

    policy = Policy(User.objects.create_superuser("admin"))
    decisions = {tool.name: policy.verdict(tool, {}).decision for tool in MCPTool.objects.all()}
    asked = {name for name, decision in decisions.items() if decision == Decision.ASK}
    assert asked == {"place_order"}
    assert {decisions[name] for name in decisions.keys() - asked} == {Decision.ALLOW}
    assert len(decisions) == 7
