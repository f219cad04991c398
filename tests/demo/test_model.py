from pathlib import Path

import pytest

from config.demo.model import DEMO_NOTICE, chosen_model
from examples.demo_model import NOTICE


@pytest.mark.parametrize(
    "environment",
    [{"OPENAI_API_KEY": "sk-1"}, {"OPENAI_BASE_URL": "http://127.0.0.1:11434/v1"}],
)
def test_a_model_in_the_environment_always_wins(environment):
    model = chosen_model(Path("some.gguf"), environment)

    assert model.command == ()
    assert "AUTOMATE_NOTICE" not in model.environment


def test_a_server_of_ones_own_needs_no_key():
    model = chosen_model(None, {"OPENAI_BASE_URL": "http://127.0.0.1:11434/v1"})

    assert model.environment["OPENAI_API_KEY"]


def test_a_gguf_file_is_run_by_its_own_program():
    model = chosen_model(Path("/models/Tiny-1B.gguf"), {})

    assert model.command[0].endswith("gguf_model.py")
    assert model.command[1:] == ("--gguf", "/models/Tiny-1B.gguf")
    assert "Tiny-1B.gguf" in model.environment["AUTOMATE_NOTICE"]


def test_without_any_the_demo_model_runs_and_every_page_says_so():
    model = chosen_model(None, {})

    assert model.command[0].endswith("demo_model.py")
    assert model.environment["AUTOMATE_NOTICE"] == DEMO_NOTICE == NOTICE
    assert Path(model.command[0]).is_file()


def test_a_key_never_shows_in_a_repr():
    model = chosen_model(None, {"OPENAI_API_KEY": "sk-very-secret"})

    assert model.environment["OPENAI_API_KEY"] == "sk-very-secret"
    assert "sk-very-secret" not in repr(model)
