"""Which model the demo talks to."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"

DEMO_NOTICE = (
    "Demo model: picks tools by words, it is not an AI. Set OPENAI_API_KEY for a real assistant"
)


@dataclass(frozen=True)
class Model:
    """A model, and the child process that runs it where `command` is not empty.

    `environment` is for the web process. `seconds` is how long the child may take to start.
    `may_be_wrong` is true of a model so small that a check can only look at its answer's shape.
    """

    name: str
    environment: Mapping[str, str] = field(repr=False)
    command: tuple[str, ...] = ()
    seconds: float = 20.0
    may_be_wrong: bool = False

    @property
    def notice(self) -> str:
        """What every page says about it."""
        return self.environment.get("AUTOMATE_NOTICE", "")


def chosen_model(gguf: Path | None, environment: Mapping[str, str] = os.environ) -> Model:
    """The operator's own model where the environment names one, else a GGUF file, else ours."""
    if environment.get("OPENAI_API_KEY") or environment.get("OPENAI_BASE_URL"):
        name = environment.get("OPENAI_MODEL") or "gpt-5-mini"
        where = environment.get("OPENAI_BASE_URL") or "OpenAI"
        return Model(
            f"{name} at {where} (OPENAI_MODEL names another)",
            # A server of one's own mostly wants no key, but the client always sends one.
            {"OPENAI_API_KEY": environment.get("OPENAI_API_KEY") or "none"},
        )
    if gguf is not None:
        return Model(
            f"{gguf.name}, run on this machine",
            {
                "OPENAI_API_KEY": "local",
                "OPENAI_MODEL": gguf.stem,
                # Of the 8,192 that it is started with; tools and the answer need the rest.
                "OPENAI_CONTEXT_TOKENS": "4000",
                "AUTOMATE_NOTICE": f"Local model: {gguf.name}",
            },
            (str(EXAMPLES / "gguf_model.py"), "--gguf", str(gguf.resolve())),
            seconds=180.0,
            may_be_wrong=True,
        )
    return Model(
        "the demo model, which picks tools by words and is not an AI. "
        "Set OPENAI_API_KEY for a real assistant.",
        {
            "OPENAI_API_KEY": "demo",
            "OPENAI_MODEL": "demo-model",
            "AUTOMATE_NOTICE": DEMO_NOTICE,
        },
        (str(EXAMPLES / "demo_model.py"),),
    )
