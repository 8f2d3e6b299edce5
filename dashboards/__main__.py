"""`python -m dashboards`: write every dashboard as JSON."""

from pathlib import Path
from typing import Final

from dashboards import api, health, overview, pipeline, rag, slo, storage, sync
from dashboards.limits import Limits, read_limits
from dashboards.panels import encode

__all__ = ["BOARDS", "write"]

BOARDS: Final = (overview.BOARD, api.BOARD, rag.BOARD, sync.BOARD, storage.BOARD, slo.BOARD, health.BOARD, pipeline.BOARD)


def write(folder: Path, limits: Limits) -> None:
    """Write a file for each dashboard, named by its uid."""
    for board in BOARDS:
        (folder / f"{board.uid}.json").write_text(encode(board, limits), encoding="utf-8")


if __name__ == "__main__":
    write(Path(__file__).parent / "json", read_limits(Path(__file__).parents[1]))
