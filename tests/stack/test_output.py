"""The last line of what a program wrote."""

import pytest

from otel_tutor.tools.stack.output import last_line


@pytest.mark.parametrize(
    ("output", "line"),
    [
        ("", "no output"),
        (" \n\n", "no output"),
        ("starting\nfailed: no disk\n\n", "failed: no disk"),
        ("ERROR: no such package\n[notice] a new release of pip is there\n", "ERROR: no such package"),
    ],
)
def test_it_is_the_last_one_with_text_in_it(output: str, line: str) -> None:
    assert last_line(output) == line


def test_a_line_of_the_preferred_kind_comes_first() -> None:
    output = "Error: no such image\nremoving the container\n"

    assert last_line(output, preferred="Error") == "Error: no such image"
    assert last_line("removing\ndone\n", preferred="Error") == "done"
