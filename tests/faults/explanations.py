"""Why each loss happens, and how large it can be; by row."""

from collections.abc import Mapping
from typing import Final

__all__ = ["EXPLANATIONS"]

EXPLANATIONS: Final[Mapping[str, str]] = {}
