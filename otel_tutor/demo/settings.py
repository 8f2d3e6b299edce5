"""Where a tutor keeps its files, read from the environment by the process that serves it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from otel_tutor.settings import data_folder

__all__ = ["DATA_VARIABLE", "Settings"]

DATA_VARIABLE: Final = "OTEL_TUTOR_DEMO_DATA"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One directory that all worker processes of one tutor share."""

    data: Path

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """The directory `OTEL_TUTOR_DEMO_DATA` names; without it, one of the user's own data directories."""
        named = environ.get(DATA_VARIABLE, "").strip()
        return cls(data=Path(named) if named else data_folder() / "demo" / "tutor")

    @property
    def database(self) -> Path:
        """The tutor's own database."""
        return self.data / "tutor.db"

    @property
    def central(self) -> Path:
        """The database that stands for the school's central one; the outbox is moved there."""
        return self.data / "central.db"

    @property
    def model_account(self) -> Path:
        """What the model behind HTTP has served, in all worker processes."""
        return self.data / "model-account.db"

    @property
    def faults(self) -> Path:
        """The directory in which a file switches a fault on."""
        return self.data / "faults"

    @property
    def reporter_lock(self) -> Path:
        """Held by the one worker that reports what is true of all of them."""
        return self.data / "sessions.lock"
