"""Dashboards, shipped or the user's: each file is read as Grafana would, its PromQL is checked by promtool."""

import json
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from otel_tutor.errors import StackError
from otel_tutor.tools.stack.native.build import Binaries

__all__ = ["check_dashboards"]

_VARIABLE: Final = re.compile(r"\$(?:\{\w+(?::\w+)?\}|\w+)")
_DURATION: Final = re.compile(rf"(\[|offset ){_VARIABLE.pattern}")


def check_dashboards(binaries: Binaries, source: Path) -> None:
    """Check every file of `dashboards/json`. Raises StackError with the first mistake."""
    uids: dict[str, Path] = {}
    for path in sorted((source / "dashboards" / "json").glob("*.json")):
        board = _read(path)
        uid = board.get("uid")
        if uid in uids:
            raise StackError(f"{path}: its uid {uid!r} is that of {uids[uid].name}: give it another")
        if uid:
            uids[uid] = path
        _check_queries(binaries, path, board)


def _read(path: Path) -> Mapping[str, Any]:
    try:
        board = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise StackError(f"{path} line {error.lineno}: not valid JSON: {error.msg}; fix that line") from None
    except (OSError, UnicodeError) as error:
        raise StackError(f"{path}: cannot be read: {error}") from None
    if not isinstance(board, dict) or not board.get("title") or not isinstance(board.get("panels"), list):
        raise StackError(f"{path}: it needs a title and panels, as Grafana's JSON export has them")
    return board


def _check_queries(binaries: Binaries, path: Path, board: Mapping[str, Any]) -> None:
    """As recording rules, the only form in which promtool takes an expression without asking a server."""
    queries = list(_queries(board["panels"]))
    rules = [{"record": f"panel:{number}", "expr": _concrete(expr)} for number, (_, expr) in enumerate(queries)]
    if not rules:
        return
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:
        yaml.safe_dump({"groups": [{"name": "board", "rules": rules}]}, file)
        file.flush()
        command = [str(binaries["promtool"]), "check", "rules", "--lint=none", file.name]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        objection = next((line for line in answer.stderr.splitlines() if "panel:" in line), answer.stderr.strip())
        number = re.search(r'"?panel:(\d+)', objection)
        title = queries[int(number[1])][0] if number else "?"
        raise StackError(f"{path}: panel {title!r}: {objection.rpartition('could not parse expression: ')[2].strip()}")


def _queries(panels: list[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Title and expression of every Prometheus target, rows opened."""
    for panel in panels:
        yield from _queries(panel.get("panels", []))
        for target in panel.get("targets", []):
            kind = target.get("datasource") or panel.get("datasource") or {}
            if isinstance(kind, dict) and kind.get("type") == "prometheus" and target.get("expr"):
                yield panel.get("title", ""), target["expr"]


def _concrete(expr: str) -> str:
    """The expression with a value for each variable: a duration where one belongs, a number elsewhere."""
    return _VARIABLE.sub("1", _DURATION.sub(r"\g<1>1m", expr))
