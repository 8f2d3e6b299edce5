"""Rows from times: each ratio is of one round, in which all variants had their turn."""

from typing import Literal

from tests.bench.processes import Times
from tests.bench.table import Row, quartiles

__all__ = ["added_row", "whole_row"]

Which = Literal["path", "all"]


def added_row(what: str, peer: str, times: Times, names: tuple[str, str, str], aim: float | None) -> Row:
    """What ours adds to the bare variant, as a share of what the peer adds; names: ours, the peer's, the bare one's."""
    return _row(what, peer, {which: _added(times, names, which) for which in ("path", "all")}, aim)


def whole_row(what: str, peer: str, times: Times, names: tuple[str, str], aim: float | None) -> Row:
    """What ours takes, as a share of what the peer takes; names: ours and the peer's."""
    return _row(what, peer, {which: _whole(times, names, which) for which in ("path", "all")}, aim)


def _added(times: Times, names: tuple[str, str, str], which: Which) -> list[tuple[float, float]]:
    ours, peer, bare = ([each[which] for each in times[name]] for name in names)
    return [(one - none, other - none) for one, other, none in zip(ours, peer, bare, strict=True)]


def _whole(times: Times, names: tuple[str, str], which: Which) -> list[tuple[float, float]]:
    ours, peer = ([each[which] for each in times[name]] for name in names)
    return list(zip(ours, peer, strict=True))


def _row(what: str, peer: str, pairs: dict[Which, list[tuple[float, float]]], aim: float | None) -> Row:
    ratios = {which: [one / other for one, other in of if other > 0] for which, of in pairs.items()}
    low, middle, high = quartiles(ratios["all"])
    return Row(
        what=what,
        peer=peer,
        ours=_microseconds([one for one, _ in pairs["path"]], [one for one, _ in pairs["all"]]),
        theirs=_microseconds([other for _, other in pairs["path"]], [other for _, other in pairs["all"]]),
        value=middle,
        low=low,
        high=high,
        aim=aim,
        path=quartiles(ratios["path"])[1],
    )


def _microseconds(path: list[float], in_all: list[float]) -> str:
    on_path, whole = (f"{quartiles(values)[1] * 1e6:.1f}" for values in (path, in_all))
    return f"{on_path} / {whole} µs"
