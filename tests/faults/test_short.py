"""Two faults of the matrix, shortened: nothing is lost, nothing is there twice, and the counters account for all of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_tutor.tools.stack.native.build import Binaries
from otel_tutor.tools.stack.native.stack import NativeStack
from tests.faults.rows import SHORT, Row
from tests.faults.run import run_row
from tests.faults.scene import stack_of

Stack = tuple[NativeStack, dict[str, int]]


@pytest.fixture(scope="module")
def stack(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    assert binaries
    with stack_of(tmp_path_factory.mktemp("faults") / "stack") as running:
        yield running


@pytest.mark.parametrize("row", SHORT, ids=lambda row: str(row.name))
def test_what_was_answered_is_stored_once(stack: Stack, tmp_path: Path, row: Row) -> None:
    result = run_row(row, *stack, tmp_path, rate=60)

    assert result["errors"] == 0
    for signal in ("logs", "spans"):
        assert (result["signals"][signal]["lost"], result["signals"][signal]["duplicated"]) == (0, 0)
    for count in ("counter", "histogram"):
        assert result["signals"][count]["stored"] == result["signals"]["logs"]["stored"]
    assert [line["difference"] for line in result["account"]] == [0] * len(result["account"])
    assert result["printed"] <= 1
