"""`python -m dashboards`: every dashboard anew, as JSON."""

from pathlib import Path
from typing import Final

from dashboards import api, health, overview, pipeline, rag, slo, storage, sync
from dashboards.panels import encode

__all__ = ["BOARDS", "write"]

BOARDS: Final = (overview.BOARD, api.BOARD, rag.BOARD, sync.BOARD, storage.BOARD, slo.BOARD, health.BOARD, pipeline.BOARD)


def write(folder: Path) -> None:
    """Write a file a dashboard, named by its uid."""
    for board in BOARDS:
        (folder / f"{board.uid}.json").write_text(encode(board), encoding="utf-8")


if __name__ == "__main__":
    write(Path(__file__).parent / "json")
