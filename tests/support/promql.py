"""What a PromQL expression reads and which labels it leaves, as Prometheus itself parses it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx2

Node = Mapping[str, Any]


@dataclass(frozen=True)
class Selector:
    """A series that is read, the labels it is chosen by, and over how many seconds, if over a range."""

    name: str
    labels: frozenset[str]
    seconds: float | None


def parse(prometheus: str, expression: str) -> Node:
    answer = httpx2.get(f"{prometheus}/api/v1/parse_query", params={"query": expression}).json()
    assert answer["status"] == "success", f"{expression}: {answer.get('error')}"
    node: Node = answer["data"]
    return node


def selectors(node: Node) -> Iterator[Selector]:
    kind = node.get("type")
    if kind in ("vectorSelector", "matrixSelector"):
        chosen = frozenset(matcher["name"] for matcher in node["matchers"] if matcher["name"] != "__name__")
        yield Selector(node["name"], chosen, node["range"] / 1000 if kind == "matrixSelector" else None)
    for child in children(node):
        yield from selectors(child)


def children(node: Node) -> Iterator[Node]:
    for key in ("expr", "lhs", "rhs", "param"):
        if isinstance(node.get(key), dict):
            yield node[key]
    yield from node.get("args") or ()


def grouped(node: Node) -> Iterator[tuple[frozenset[str], list[Selector]]]:
    """The labels that each aggregation keeps, and what it is of."""
    if node.get("type") == "aggregation" and not node.get("without"):
        yield frozenset(node.get("grouping") or ()), list(selectors(node["expr"]))
    for child in children(node):
        yield from grouped(child)


def left(node: Node, inventory: Mapping[str, set[str]]) -> set[str]:
    """The labels that the result can have."""
    kind = node["type"]
    if kind in ("vectorSelector", "matrixSelector"):
        return set(inventory.get(node["name"], ()))
    if kind == "aggregation":
        grouping = set(node.get("grouping") or ())
        return left(node["expr"], inventory) - grouping if node.get("without") else grouping
    if kind == "call":
        kept = set().union(*(left(argument, inventory) for argument in node.get("args") or ()))
        return kept - {"le"} if node["func"]["name"] == "histogram_quantile" else kept
    if kind == "binaryExpr":
        return _of_two(node, left(node["lhs"], inventory), left(node["rhs"], inventory))
    return set().union(*(left(child, inventory) for child in children(node)))


def _of_two(node: Node, first: set[str], second: set[str]) -> set[str]:
    matching = node.get("matching") or {}
    if node["op"] == "or":
        return first | second
    if node["op"] in ("and", "unless") or not second or matching.get("card") == "many-to-one":
        return first | set(matching.get("include") or ())
    if not first or matching.get("card") == "one-to-many":
        return second | set(matching.get("include") or ())
    return set(matching["labels"]) if matching.get("on") else first & second
