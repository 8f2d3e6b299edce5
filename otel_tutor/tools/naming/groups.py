"""Groups of statements, applied to metrics in the order of the transform processor."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from otel_tutor.tools.naming.editors import METRIC_ONLY, edit
from otel_tutor.tools.naming.metric import Metric, holds
from otel_tutor.tools.naming.parser import parse_condition, parse_statement
from otel_tutor.tools.naming.tree import Condition, NotUnderstoodError, Or, Statement, StatementFailsError, paths

__all__ = ["Group", "apply", "read_groups"]

_LEVELS: Final = ("exemplar", "datapoint", "metric", "scope", "resource")  # the first that occurs in a group is its context
_MOST: Final = 500  # metrics; the Collector would copy without an end


@dataclass(frozen=True, slots=True)
class _Step:
    """A statement, and where it stands, for messages."""

    statement: Statement
    place: str


@dataclass(frozen=True, slots=True)
class Group:
    """Statements of one context behind common conditions. If it propagates errors, one loses all data of an export."""

    level: str
    condition: Condition
    steps: Sequence[_Step]
    propagates: bool


def read_groups(processor: Mapping[str, Any], place: Callable[[str], str]) -> list[Group]:
    """The `metric_statements` of a transform processor; `place` names where a text of it stands."""
    statements = processor.get("metric_statements") or ()
    texts = [entry for entry in statements if isinstance(entry, str)]
    structured = [entry for entry in statements if isinstance(entry, Mapping)]
    entries = [*structured, *([{"statements": texts}] if texts else [])]
    return [_group(entry, place, str(entry.get("error_mode") or processor.get("error_mode"))) for entry in entries]


def _group(entry: Mapping[str, Any], place: Callable[[str], str], error_mode: str) -> Group:
    context = str(entry.get("context") or "").lower()
    conditions = [parse_condition(text, context) for text in _texts(entry.get("conditions"))]
    steps = [_Step(parse_statement(text, context), place(text)) for text in _texts(entry.get("statements"))]
    # Several conditions are alternatives: so the processor reads them.
    condition = Or(tuple(conditions)) if conditions else True
    return Group(context or _level(conditions, steps), condition, steps, error_mode == "propagate")


def _texts(entry: Any) -> list[str]:
    return [entry] if isinstance(entry, str) else [text for text in entry or () if isinstance(text, str)]


def _level(conditions: Iterable[Condition], steps: Iterable[_Step]) -> str:
    """The context that the processor infers from the fields of a group."""
    statements = [step.statement for step in steps]
    fields = {name.partition(".")[0] for part in (*conditions, *statements) for name in paths(part)}
    if any(statement.editor is None or statement.editor.function in METRIC_ONLY for statement in statements):
        fields.add("metric")
    fields = {"scope" if name == "instrumentation_scope" else name for name in fields}
    return next((level for level in _LEVELS if level in fields), "metric")


def apply(group: Group, metrics: Sequence[Metric]) -> list[Metric]:
    """The metrics after a group. What a statement adds comes last, and goes through the group as well."""
    if group.level in {"resource", "scope"}:
        return list(metrics)
    try:
        return _applied(group, metrics)
    except StatementFailsError as error:
        return [_uncertain(metric, f"{error}, and its error_mode drops all data of an export") for metric in metrics]


def _applied(group: Group, metrics: Sequence[Metric]) -> list[Metric]:
    queue, done = list(metrics), list[Metric]()
    while queue:
        first, *added = _run(group, queue.pop(0))
        if added and len(queue) + len(done) >= _MOST:
            first, added = _uncertain(first, f"{group.steps[0].place}: it adds metrics without an end"), []
        done.append(first)
        queue += added
    return done


def _run(group: Group, metric: Metric) -> list[Metric]:
    once = _pass(group, metric)
    if group.level != "datapoint" or once == [metric]:
        return once
    # The group runs for each data point, and the ones behind the first meet a metric that the first has changed.
    again = _pass(group, replace(once[0], attributes=metric.attributes, bounds=metric.bounds))
    if again == once:
        return once
    return [_uncertain(once[0], f"{group.steps[0].place}: the outcome depends on the number of data points")]


def _pass(group: Group, metric: Metric) -> list[Metric]:
    gate = None if group.level == "exemplar" else holds(group.condition, metric)
    added: list[Metric] = []
    for step in group.steps:
        try:
            metric, *more = _execute(step, gate, metric)
        except StatementFailsError as error:
            if group.propagates:
                raise StatementFailsError(f"{step.place}: {error}") from None
            more = []  # the Collector logs it, and goes on
        added += more
    return [metric, *added]


def _execute(step: _Step, gate: bool | None, metric: Metric) -> list[Metric]:
    where = holds(step.statement.where, metric)
    if gate is False or where is False:
        return [metric]
    try:
        if step.statement.editor is None:
            raise NotUnderstoodError("it is not understood")
        outcome = edit(step.statement.editor, metric)
        if outcome != [metric] and not (gate and where):
            raise NotUnderstoodError("whether its condition holds is not known before there are data")
    except NotUnderstoodError as reason:
        return [_uncertain(metric, f"{step.place}: {reason}")]
    return outcome


def _uncertain(metric: Metric, reason: str) -> Metric:
    return replace(metric, uninterpreted=metric.uninterpreted or reason)
