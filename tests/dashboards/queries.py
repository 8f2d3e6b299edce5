"""The panels and their queries, and a query as it is asked once its variables have values."""

import re
from typing import Final

import pytest

from dashboards.__main__ import BOARDS

PANELS: Final = [(board, panel) for board in BOARDS for panel in board.panels]
QUERIES: Final = [
    pytest.param(panel, query, id=f"{board.uid.removeprefix('otel-tutor-')}-{panel.title}-{number}")
    for board, panel in PANELS
    for number, query in enumerate(panel.queries)
]


def filled(expression: str) -> str:
    """Over the last quarter of an hour; of what can be chosen everything."""
    expression = expression.replace("$__rate_interval", "15m").replace("$__range", "1h")
    return re.sub(r"\$\w+", ".*", expression)
