"""Further clients, with each library that traces them, several at once, and by hand: what is counted is what was served."""

import functools
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from otel_tutor.demo.model_server import Account
from tests.models.clients import ABSENT, CASES, NO_TOKENS, PACKAGES, PROGRAMS, SEVERAL_CALLS, TRACED_BY
from tests.models.test_models import START, run, served, totals
from tests.support.environments import environment
from tests.support.receiver import Receiver, values

pytestmark = pytest.mark.models

AROUND = """
def failing(call, error):
    try:
        call()
    except error:
        return
    raise AssertionError("it did not fail")

pieces, response = (), None
"""
FREE = "\nfor piece in pieces:\n    pass\n"
FAILING_BLOCK = """
def failing(call, error):  # the failure has to pass the block
    call()

try:
    with observe_question(TEXT, "physics") as question, question.generation("model-x"):
        {call}
except Exception:
    pass
"""
WHOLE_BLOCK = """
with observe_question(TEXT, "physics") as question, question.generation("model-x") as generation:
    {call}
    generation.read(response)
"""
BLOCKS = {
    "plain": WHOLE_BLOCK,
    "stream": """
with observe_question(TEXT, "physics") as question:
    {call}
    for piece in question.generation("model-x").stream(pieces):
        pass
""",
    "left": """
with observe_question(TEXT, "physics") as question:
    {call}
    stream = question.generation("model-x").stream(pieces)
    next(stream)
    stream.close()
""",
    "tools": WHOLE_BLOCK,
    "rate limit": WHOLE_BLOCK,
    "error": FAILING_BLOCK,
    "time-out": FAILING_BLOCK,
}
PROGRAM_OF = {"left": "stream"}  # which program a block has, where it is not that of its name
OUTCOMES = {"error": "error", "time-out": "error", "left": "cancelled"}
SEVERAL = "several"
PREFIX = "openai/"  # what litellm is asked for
INFERENCES = {"chat", "generate_content"}  # the second is the conventions' word for Google's


@pytest.fixture(scope="session")
def traced() -> Callable[[str, str], Path]:
    """The interpreter with a client and a library that traces it."""

    def make(client: str, library: str) -> Path:
        libraries = TRACED_BY if library == SEVERAL else {library: TRACED_BY.get(library, {})}
        packages = {package for by_client in libraries.values() for package in by_client.get(client, ())}
        extras = "http,models" if "opentelemetry" in libraries else "http"
        return environment(
            f"client-{client}-{library.replace(' ', '-')}", *PACKAGES[client], *sorted(packages), extras=extras
        )

    return functools.cache(make)


def libraries_of(client: str) -> list[str]:
    return [library for library, clients in TRACED_BY.items() if client in clients]


ALL = [
    (client, library, case)
    for client in PROGRAMS
    for library in [*libraries_of(client), *([SEVERAL] if len(libraries_of(client)) > 1 else [])]
    for case in CASES
    if (client, case) not in ABSENT
]


BY_HAND = [
    (client, case)
    for client, (_, programs) in PROGRAMS.items()
    for case in BLOCKS
    if PROGRAM_OF.get(case, case) in programs and (client, case) not in SEVERAL_CALLS
]


def chats_of(account: Account) -> Counter[str]:
    return Counter({name: n for (kind, name), n in served(account, "calls", "kind", "model").items() if kind == "chat"})


@pytest.mark.parametrize(("client", "library", "case"), ALL)
def test_what_is_counted_is_what_was_served(
    client: str, library: str, case: str, traced: Callable[[str, str], Path], model: str, account: Account, arrived: Receiver
) -> None:
    start, programs = PROGRAMS[client]
    run(traced(client, library), program_of(start) + programs[case] + FREE, model, library, arrived)

    outcomes = {"left": {"success", "cancelled"}}.get(case, {OUTCOMES.get(case, "success")})
    chats = chats_of(account)
    counted = totals(arrived, "gen_ai.client.operations", "gen_ai.request.model", "tutor.outcome")
    assert served(account, "calls", "kind"), "the program has called nothing"
    assert Counter(name.removeprefix(PREFIX) for name, _ in counted.elements()) == chats
    assert {outcome for _, outcome in counted} <= outcomes
    if case != "left" and (client, case) not in NO_TOKENS:  # whose tokens the client never gets
        tokens = totals(arrived, "gen_ai.client.token.usage", "gen_ai.request.model", "gen_ai.token.type")
        by_name = {(name.removeprefix(PREFIX), kind): number for (name, kind), number in tokens.items()}
        assert by_name == served(account, "tokens", "model", "type")
    spans = [span.name for span in arrived.spans if values(span).get("gen_ai.operation.name") in INFERENCES]
    assert Counter(name.split()[1].removeprefix(PREFIX) for name in spans) == chats


def test_agents_and_tools_have_series_of_their_own(
    traced: Callable[[str, str], Path], model: str, arrived: Receiver
) -> None:
    start, programs = PROGRAMS["langchain"]
    run(traced("langchain", "opentelemetry"), program_of(start) + programs["tools"], model, "opentelemetry", arrived)

    (tool,) = arrived.points["gen_ai.execute_tool.duration"]
    assert tool.count == 1
    assert sum(point.count for point in arrived.points["gen_ai.invoke_agent.duration"]) >= 1
    assert {span.name for span in arrived.spans} >= {"execute_tool look_up", "chat model-x"}


@pytest.mark.parametrize(("client", "case"), BY_HAND)
def test_a_call_by_hand_is_what_was_served(
    client: str, case: str, traced: Callable[[str, str], Path], model: str, account: Account, arrived: Receiver
) -> None:
    start, programs = PROGRAMS[client]
    program = program_of(start) + BLOCKS[case].format(call=indented(programs[PROGRAM_OF.get(case, case)]))
    run(traced(client, "by hand"), program, model, "by hand", arrived)

    calls = {("model-x", OUTCOMES.get(case, "success")): 1}
    assert totals(arrived, "gen_ai.client.operations", "gen_ai.request.model", "tutor.outcome") == calls
    if case != "left":  # whose tokens the client never gets
        tokens = totals(arrived, "gen_ai.client.token.usage", "gen_ai.request.model", "gen_ai.token.type")
        assert tokens == served(account, "tokens", "model", "type")


def indented(lines: str) -> str:
    return lines.strip().replace("\n", "\n    ")


def program_of(start: str) -> str:
    return START + AROUND + start
