"""The official conformance suite, where it is installed."""

import pytest

from .report import lines, verdict
from .suite import EARLIER_VERSIONS, REQUIREMENT_SETS, Suite, SuiteMissing, installed


@pytest.fixture(scope="module")
def suite() -> Suite:
    try:
        return installed()
    except SuiteMissing as exc:
        pytest.skip(str(exc))


@pytest.mark.parametrize("version", (*EARLIER_VERSIONS, *REQUIREMENT_SETS))
def test_every_client_scenario_of_a_version_passes(suite: Suite, version: str) -> None:
    outcomes = list(suite.run_all(suite.asked_of_clients(version)))

    failed = [outcome for outcome in outcomes if verdict(outcome) == "failed"]
    assert outcomes
    assert not failed, "\n".join(line for outcome in failed for line in lines(outcome))
