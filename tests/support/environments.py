"""Environments with other packages beside otel_tutor, kept in the cache and brought up to date at each run."""

import subprocess
import sys
from pathlib import Path

from otel_tutor.tools.stack.files import cache_folder

__all__ = ["environment"]

REPOSITORY = Path(__file__).parents[2]


def environment(name: str, *packages: str, extras: str = "http") -> Path:
    """The interpreter of an environment with the newest release of these packages, and otel_tutor from this checkout."""
    folder = cache_folder() / "environments" / f"{name}-{sys.version_info.major}.{sys.version_info.minor}"
    uv, python = [sys.executable, "-m", "uv"], folder / "bin" / "python"
    if not python.exists():
        subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
    wanted = ["--editable", f"{REPOSITORY}[{extras}]", "fastapi", "httpx", *packages]
    subprocess.run([*uv, "pip", "install", "--quiet", "--upgrade", "--python", str(python), *wanted], check=True)
    return python
