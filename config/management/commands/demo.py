"""`manage.py demo`: the whole product on this machine, with nothing to configure."""

import tempfile
from argparse import ArgumentParser
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from config.demo.check import CheckFailed, check_one_turn
from config.demo.children import ChildFailed
from config.demo.data import FolderInUse, demo_folder
from config.demo.model import Model, chosen_model
from config.demo.processes import RunningDemo, running_demo
from config.demo.rows import USERNAME

PROMPTS = [
    "How many blue mugs are in stock?",
    "When is the harbour branch open on Saturday?",
    "Show me the sales report of the last 30 days",
]

# What the child processes import and the product does not.
NEEDED = ["mcp", "uvicorn"]


class Command(BaseCommand):
    help = (
        "Runs the site with two MCP servers and a model as child processes, and says how to log "
        "in. Ctrl-C ends it all."
    )
    # The processes that it starts bring their own settings and check them.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=8000, help="the first port to try")
        parser.add_argument("--gguf", type=Path, metavar="FILE", help="run this model file")
        parser.add_argument("--fresh", action="store_true", help="wipe its data first")
        parser.add_argument(
            "--data",
            type=Path,
            default=settings.BASE_DIR / ".demo",
            metavar="DIRECTORY",
            help="where data and logs go (.demo/)",
        )
        parser.add_argument(
            "--check",
            action="store_true",
            help="run one turn with a tool call on fresh data, say what was checked, and end",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        self.quiet = options["verbosity"] == 0
        if missing := [name for name in NEEDED if find_spec(name) is None]:
            raise CommandError(
                f"The demo needs {' and '.join(missing)}. Install its extra: "
                'pip install -e ".[demo]"'
            )
        gguf: Path | None = options["gguf"]
        if gguf is not None and not gguf.is_file():
            raise CommandError(f"There is no file {str(gguf)!r}.")
        model = chosen_model(gguf)
        if gguf is not None and not model.command:
            self.stderr.write("OPENAI_API_KEY or OPENAI_BASE_URL is set and wins over --gguf.")
        try:
            if options["check"]:
                self.check_in_fresh_directory(model)
            else:
                with demo_folder(options["data"], fresh=options["fresh"]):
                    self.run_until_interrupted(options["data"], model, options["port"])
        except (FolderInUse, ChildFailed, CheckFailed) as exc:
            raise CommandError(str(exc)) from exc
        except KeyboardInterrupt:
            self.say("\nThe demo has ended.")

    def check_in_fresh_directory(self, model: Model) -> None:
        """Run the check on data of its own, so that a visitor's conversations stay untouched."""
        with (
            tempfile.TemporaryDirectory(prefix="automate-demo-") as directory,
            running_demo(Path(directory), model, port=0) as demo,
        ):
            for line in demo.synced:
                self.say(f"checked: synced {line}")
            if demo.not_synced:
                raise CheckFailed(f"Not synced: {'; '.join(demo.not_synced)}")
            for fact in check_one_turn(demo.address, USERNAME, demo.password, model, PROMPTS[0]):
                self.say(f"checked: {fact}")
        self.say(self.style.SUCCESS("The demo works."))

    def run_until_interrupted(self, directory: Path, model: Model, port: int) -> None:
        """Serve until Ctrl-C, or until the site ends by itself."""
        self.say("Starting the demo …")
        with running_demo(directory, model, port) as demo:
            self.introduce(demo, model, directory)
            demo.site.wait()
            raise ChildFailed(f"The site ended by itself. {demo.site.last_words()}")

    def introduce(self, demo: RunningDemo, model: Model, directory: Path) -> None:
        """Say where it is, how to log in, and what to try."""
        password = (
            f"{demo.password}  (shown this once)"
            if demo.password
            else "as shown at the first start; --fresh begins anew with another"
        )
        servers = "\n           ".join([*demo.synced, *demo.not_synced])
        prompts = "\n".join(f"  {prompt}" for prompt in PROMPTS)
        self.say(
            f"\n"
            f"Address    {self.style.SUCCESS(demo.address)}\n"
            f"Admin      {demo.address}admin/\n"
            f"Widget     {demo.address}example/\n"
            f"Login      {USERNAME}\n"
            f"Password   {password}\n"
            f"Model      {model.name}\n"
            f"Servers    {servers}\n"
            f"\nTry:\n{prompts}\n"
            f"\nCtrl-C ends it. Data and logs are in {directory}."
        )

    def say(self, text: str) -> None:
        """Print it at once, also into a pipe."""
        if not self.quiet:
            self.stdout.write(text)
            self.stdout.flush()
