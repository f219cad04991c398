"""The translations that come with the package: complete, compiled, and fit for their places."""

import gettext
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po

ROOT = Path(__file__).parent.parent
APPS = ("automate", "chat")
LANGUAGES = ("ar", "de")
CATALOGS = [(app, language) for app in APPS for language in LANGUAGES]

UNWANTED = ("DJANGO_SETTINGS_MODULE", "PYTHONPATH")

_PLACE = re.compile(r"%\(\w+\)[sd]|%[sd%]|</?\w+[^>]*>")


def folder(app: str, language: str) -> Path:
    return ROOT / app / "locale" / language / "LC_MESSAGES"


def catalog(app: str, language: str) -> Catalog:
    with (folder(app, language) / "django.po").open("rb") as source:
        return read_po(source, locale=language)


def messages(app: str, language: str) -> Iterator[tuple[Message, list[str], list[str]]]:
    """Each message with its originals and its translations."""
    for message in catalog(app, language):
        if message.id:
            several = isinstance(message.id, list | tuple)
            originals = list(message.id) if several else [str(message.id)]
            written: Any = message.string
            yield message, originals, list(written) if several else [written]


@pytest.mark.parametrize(("app", "language"), CATALOGS)
def test_every_text_is_translated_with_what_stands_in_it(app: str, language: str) -> None:
    for message, originals, translations in messages(app, language):
        assert all(translations) and not message.fuzzy, originals
        wanted = [sorted(_PLACE.findall(each)) for each in originals]
        for translation in translations:
            assert sorted(_PLACE.findall(translation)) in wanted, (originals, translation)
            assert translation.startswith("\n") == originals[0].startswith("\n"), originals
            assert translation.endswith("\n") == originals[0].endswith("\n"), originals


@pytest.mark.parametrize(("app", "language"), CATALOGS)
def test_what_is_compiled_is_what_is_written(app: str, language: str) -> None:
    with (folder(app, language) / "django.mo").open("rb") as compiled:
        found: Any = gettext.GNUTranslations(compiled)
    for message, originals, translations in messages(app, language):
        key = f"{message.context}\x04{originals[0]}" if message.context else originals[0]
        if len(originals) == 1:
            assert found._catalog[key] == translations[0], originals
        else:
            forms = [found._catalog[key, number] for number in range(len(translations))]
            assert forms == translations, originals


@pytest.mark.parametrize("app", APPS)
def test_no_text_of_the_sources_is_missing(app: str, tmp_path: Path) -> None:
    if shutil.which("xgettext") is None:
        pytest.skip("xgettext is missing: install gettext")
    copy = tmp_path / app
    shutil.copytree(ROOT / app, copy, ignore=shutil.ignore_patterns("__pycache__", "*.mo"))
    command = [sys.executable, "-P", "-m", "django", "makemessages", "-l=de", "--no-location"]
    # No settings are needed, and a path of "." would lead to our own modules.
    kept = {name: value for name, value in os.environ.items() if name not in UNWANTED}
    ran = subprocess.run(command, cwd=copy, env=kept, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    with (copy / "locale/de/LC_MESSAGES/django.po").open("rb") as source:
        now = read_po(source, locale="de")
    missing = [message.id for message in now if message.id and not all_of(message.string)]
    assert missing == []
    assert set(now.obsolete) == set()


def all_of(written: Any) -> bool:
    return all(written) if isinstance(written, list | tuple) else bool(written)
