"""A trace as a tree of spans, and what it lacks."""

from collections.abc import Iterator, Sequence
from typing import Final

from otel_tutor.tools.stack.backends import Span

__all__ = ["gaps", "tree"]

_ENTRIES: Final = {"server", "consumer"}  # kinds of spans whose parents may be in a system that sends its own elsewhere


def tree(spans: Sequence[Span]) -> Iterator[tuple[int, Span]]:
    """Spans with their depth, parents before children; a span whose parent is missing is a root."""
    known = {span.span_id for span in spans}

    def walk(parent: str | None, depth: int) -> Iterator[tuple[int, Span]]:
        for span in spans:
            if (span.parent_id if span.parent_id in known else None) == parent:
                yield depth, span
                yield from walk(span.span_id, depth + 1)

    yield from walk(None, 0)


def gaps(spans: Sequence[Span], steps: Sequence[str] = ()) -> list[str]:
    """What a trace lacks: its root, the parents of spans, and each of `steps` that no span is named after or begins with.

    A trace without a root began outside of what Jaeger has, where its first spans are those of servers or consumers.
    """
    known = {span.span_id for span in spans}
    roots = [span for span in spans if span.parent_id is None]
    orphans = [span for span in spans if span.parent_id is not None and span.parent_id not in known]
    if not roots:
        orphans = [span for span in orphans if span.tags.get("span.kind") not in _ENTRIES]
    lines = [f"the parent {span.parent_id} of {span.name}" for span in orphans]
    if not roots and (orphans or not spans):
        lines.insert(0, "its root")
    if len(roots) > 1:
        lines.append(f"what joins its {len(roots)} roots")
    return lines + [step for step in steps if not any(f"{span.name} ".startswith(f"{step} ") for span in spans)]
