"""The installer asks for exact releases, once, and a peer that is not there says how it comes."""

import re
import shutil
from pathlib import Path

import pytest

from . import installation
from .installation import NPM, NPM_PACKAGES, PeerMissing, environments, install, program


def _pretend(name: str, contents: str) -> None:
    (installation.folder() / name).mkdir(parents=True)
    installation._stamp(name, contents)


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No peer is installed, and nothing can be."""
    monkeypatch.setenv("AUTOMATE_PEERS_DIR", str(tmp_path))
    monkeypatch.setattr(installation, "_run", _refuse)
    return tmp_path


def _refuse(*arguments: object) -> None:
    raise AssertionError(arguments)


@pytest.mark.parametrize("name", environments())
def test_every_release_is_an_exact_one(name: str) -> None:
    lines = environments()[name].read_text().splitlines()

    assert lines
    assert [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []


def test_what_is_not_there_is_asked_for_with_the_command(empty: Path) -> None:
    with pytest.raises(PeerMissing, match=r"python -m tests\.peers --install"):
        program("commands", "python")


def test_what_is_there_is_not_installed_again(empty: Path) -> None:
    for name, path in environments().items():
        _pretend(name, path.read_text())
    _pretend(NPM, installation._npm_packages())

    assert list(install()) == []


def test_another_release_is_installed_anew(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, path in environments().items():
        _pretend(name, path.read_text())
    _pretend(NPM, "{}")
    asked: list[object] = []
    monkeypatch.setattr(installation, "_run", lambda *arguments: asked.extend(arguments))
    monkeypatch.setattr(shutil, "which", lambda name: name)

    assert list(install()) == [NPM]
    assert {f"{name}@{version}" for name, version in NPM_PACKAGES.items()} <= set(asked)
