"""The table of `docs/mcp.md` is what the tests say, and names nothing that is not there."""

import re
from pathlib import Path

import pytest

from tests.conformance.suite import EARLIER_VERSIONS as EARLIER
from tests.conformance.suite import REQUIREMENT_SETS, SuiteMissing, installed

from .features import COLUMNS, FEATURES, Feature
from .table import ROOT, Peers, cell, collected, lines, peers_in

DOCUMENT = ROOT / "docs" / "mcp.md"


@pytest.fixture(scope="module")
def peers(request: pytest.FixtureRequest) -> Peers:
    """As this run has collected them, where it has the whole folder."""
    items = request.session.items
    folder = {file.name for file in Path(__file__).parent.glob("test_*.py")}
    if folder <= {item.path.name for item in items}:
        return peers_in(item.nodeid for item in items)
    return collected()


def test_the_document_holds_the_table(peers: Peers) -> None:
    assert "\n".join(lines(peers)) in DOCUMENT.read_text()


def test_no_cell_is_empty(peers: Peers) -> None:
    empty = [
        (feature.name, column)
        for feature in FEATURES
        for column in COLUMNS
        if not cell(feature, column, peers)
    ]

    assert empty == []


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.name)
def test_every_named_test_exists(feature: Feature, peers: Peers) -> None:
    named = [*feature.tests, *(test for tests in feature.older.values() for test in tests)]
    own = [test.split("::") for test in feature.own.values()]

    assert [test for test in named if test not in peers] == []
    assert [name for file, name in own if not _defines(ROOT / file, name)] == []


@pytest.mark.parametrize("version", (*EARLIER, *REQUIREMENT_SETS))
def test_every_named_scenario_exists(version: str) -> None:
    try:
        scenarios = {asked.name for asked in installed().asked_of_clients(version)}
    except SuiteMissing as exc:
        pytest.skip(str(exc))
    named = {name for feature in FEATURES for name in feature.scenarios.get(version, ())}

    assert named
    assert named <= scenarios


def _defines(file: Path, function: str) -> bool:
    return re.search(rf"^def {function}\(", file.read_text(), re.MULTILINE) is not None
