"""The command `otel-tutor` and the stack it runs: needs the extra `stack`."""

import importlib.util
import sys
from typing import Final

__all__ = ["NEEDED", "main"]

# What the extra `stack` installs, by import name.
NEEDED: Final = ("click", "dotenv", "httpx2", "humanize", "rich", "supervisor", "tenacity", "yaml")


def main() -> None:
    """Run the command line, or print the line that installs it."""
    if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        sys.exit(f"otel-tutor: the command needs {', '.join(missing)}: pip install 'otel-tutor[stack]'")
    from otel_tutor.tools.cli import main as run

    run()
