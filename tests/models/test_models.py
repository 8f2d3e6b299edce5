"""Whichever library traces a model client, and however a call ends, what is counted is what the model's server served.

The programs are those of an app: real clients, by hand in a block of `otel_tutor.rag`, or free. The server keeps an account.
"""

import os
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from otel_tutor.demo.model_server import Account
from tests.models.conftest import PACKAGES
from tests.support.receiver import Receiver, values

pytestmark = pytest.mark.models

SECRET = "My name is Ada Lovelace"
START = """
import asyncio, os, sys
import otel_tutor
from otel_tutor.rag import observe_question
otel_tutor.configure()
if "openlit" in sys.argv[2]:
    import openlit
    openlit.init(disable_metrics=True)
address, name = sys.argv[1], sys.argv[2]
ASKED = [{"role": "user", "content": "My name is Ada Lovelace. Why is the sky blue?"}]
"""
OPENAI = """
import openai
client = openai.OpenAI(base_url=address + "/v1", api_key="none", max_retries=0)

def ask(**options):
    return client.chat.completions.create(model="gpt-x", messages=ASKED, **options)

def streamed(**options):
    return ask(stream=True, stream_options={"include_usage": True}, **options)
"""
CASES = {
    "plain": "ask()",
    "stream": "for piece in streamed(): pass",
    "embeddings": "client.embeddings.create(model='emb-x', input=['light', 'water'])",
    "error": """
try:
    ask(extra_headers={"x-tutor-fault": "500"})
except openai.InternalServerError:
    pass
""",
    "time-out": """
try:
    ask(extra_headers={"x-tutor-fault": "slow=2"}, timeout=0.3)
except openai.APITimeoutError:
    pass
""",
    "rate limit, then success": """
client = client.with_options(max_retries=2)
ask(extra_headers={"x-tutor-fault": "429-once"})
""",
    "a block": """
with observe_question(ASKED[0]["content"], "physics") as question:
    with question.generation("gpt-x", "q4") as generation:
        generation.output_tokens = ask().usage.completion_tokens
""",
    "a stream in a block": """
with observe_question(ASKED[0]["content"], "physics") as question:
    for piece in question.generation("gpt-x", "q4").stream(streamed()):
        pass
""",
    "an async stream in a block": """
async def answer():
    client = openai.AsyncOpenAI(base_url=address + "/v1", api_key="none")
    with observe_question(ASKED[0]["content"], "physics") as question:
        options = {"stream": True, "stream_options": {"include_usage": True}}
        stream = await client.chat.completions.create(model="gpt-x", messages=ASKED, **options)
        async for piece in question.generation("gpt-x", "q4").stream(stream):
            pass
asyncio.run(answer())
""",
    "a stream that is left": """
stream = streamed()
next(iter(stream))
stream.close()
""",
}
CASES |= {
    "a stream in a block that is left": """
with observe_question(ASKED[0]["content"], "physics") as question:
    stream = question.generation("gpt-x", "q4").stream(streamed())
    next(stream)
    stream.close()
""",
    "a stream in a block that is dropped": """
with observe_question(ASKED[0]["content"], "physics") as question:
    for piece in question.generation("gpt-x", "q4").stream(streamed()):
        break
""",
    "an async stream in a block that is left": """
async def answer():
    client = openai.AsyncOpenAI(base_url=address + "/v1", api_key="none")
    with observe_question(ASKED[0]["content"], "physics") as question:
        stream = await client.chat.completions.create(model="gpt-x", messages=ASKED, stream=True)
        pieces = question.generation("gpt-x", "q4").stream(stream)
        await anext(pieces)
        await pieces.aclose()
asyncio.run(answer())
""",
}
ANTHROPIC = """
import anthropic
client = anthropic.Anthropic(base_url=address, api_key="none", max_retries=0)
options = {"model": "claude-x", "max_tokens": 500, "messages": ASKED}
"""
CASES |= {
    "tools": """
client.chat.completions.create(
    model="gpt-x",
    messages=ASKED,
    tools=[{"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}],
    tool_choice={"type": "function", "function": {"name": "look_up"}},
).choices[0].message.tool_calls[0]
""",
    "details": """
ask(extra_headers={"x-tutor-usage": "cached=3,reasoning=12"})
for piece in streamed(extra_headers={"x-tutor-usage": "cached=3,reasoning=12"}): pass
""",
    "anthropic, details": ANTHROPIC + """client.messages.create(extra_headers={"x-tutor-usage": "cached=3"}, **options)""",
    "anthropic, stream, details": ANTHROPIC
    + """
for event in client.messages.create(extra_headers={"x-tutor-usage": "cached=3"}, stream=True, **options):
    pass
""",
    "anthropic": ANTHROPIC + "client.messages.create(**options)",
    "anthropic, stream": ANTHROPIC
    + """
for event in client.messages.create(stream=True, **options):
    pass
""",
}
FAILS = {"error", "time-out"}
LEFT = {name for name in CASES if name.endswith(("that is left", "that is dropped"))}
PARTS = {"cached": "cache_read", "reasoning": "reasoning"}  # of the account, in the conventions' words
UNSAID = {("openllmetry", "reasoning"), ("openlit", "reasoning")}  # what a library does not say, or not of each call
# Without a library, a call is counted by its block; anthropic's client traces its calls itself.
BY_HAND = {
    "a block",
    "a stream in a block",
    "an async stream in a block",
    *(name for name in LEFT if "in a block" in name),
    "anthropic",
    "anthropic, stream",
    "anthropic, details",
}
# What cannot be made right here: a stream that is closed early ends no span of these libraries (one in a block is counted
# by its block), and OpenLIT does not say how many tokens of a stream of Anthropic's came from the cache.
WRONG = {
    ("openllmetry", "a stream that is left"),
    ("openlit", "a stream that is left"),
    ("openlit", "anthropic, stream, details"),
}
ALL = [
    (library, case)
    for library in PACKAGES
    for case in CASES
    if (library != "by hand" or case in BY_HAND) and (library, case) not in WRONG
]


def run(python: Path, program: str, model: str, library: str, arrived: Receiver) -> str:
    """What the program prints; it has ended, and exported."""
    environment = {
        **os.environ,
        "OTEL_EXPORTER_OTLP_ENDPOINT": arrived.address,
        "OTEL_METRIC_EXPORT_INTERVAL": "3600000",
        "NO_PROXY": "*",
    }
    command = [str(python), "-c", START + program, model, library]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment)
    assert result.returncode == 0, result.stderr
    return result.stdout


def totals(arrived: Receiver, metric: str, *keys: str) -> Counter[tuple[str, ...]]:
    """The value of each series; the process exports once, as it ends. Of a histogram it is the sum."""
    series: Counter[tuple[str, ...]] = Counter()
    for point in arrived.points.get(metric, []):
        labels = values(point)
        series[tuple(labels[key] for key in keys)] = int(getattr(point, "sum", 0) or getattr(point, "as_double", 0))
    return series


def served(account: Account, table: str, *columns: str) -> Counter[tuple[str, ...]]:
    """A table of the server's account, without attempts that it told the client to repeat."""
    rows: Counter[tuple[str, ...]] = Counter()
    for row in account.read()[table]:
        if row.get("status") != "429":
            rows[tuple(str(row[column]) for column in columns)] += int(str(row["count"]))
    return rows


@pytest.mark.parametrize(("library", "case"), ALL)
def test_what_is_counted_is_what_was_served(
    library: str, case: str, python: Callable[[str], Path], model: str, account: Account, arrived: Receiver
) -> None:
    run(python(library), OPENAI + CASES[case], model, library, arrived)

    outcomes = {"error"} if case in FAILS else {"success", "cancelled"} if case in LEFT else {"success"}
    chats = {name: count for (kind, name), count in served(account, "calls", "kind", "model").items() if kind == "chat"}
    calls = totals(arrived, "gen_ai.client.operations", "gen_ai.request.model", "tutor.outcome")
    assert Counter(name for name, _ in calls.elements()) == chats
    assert {outcome for _, outcome in calls} <= outcomes
    says_tokens = library != "by hand" or "anthropic" in case
    if says_tokens and case not in LEFT:  # whose tokens the client never gets
        tokens = totals(arrived, "gen_ai.client.token.usage", "gen_ai.request.model", "gen_ai.token.type")
        by_type = served(account, "tokens", "model", "type")
        assert tokens == {key: count for key, count in by_type.items() if key[1] in {"input", "output"}}
        if case.endswith("details"):
            parts = totals(arrived, "model.tokens", "gen_ai.request.model", "gen_ai.token.type") - tokens
            said = {(name, PARTS[kind]): count for (name, kind), count in by_type.items() if kind in PARTS}
            for unsaid in [key for key in said if (library, key[1]) in UNSAID]:
                del parts[unsaid], said[unsaid]
            assert parts == said
    spans = Counter(span.name for span in arrived.spans if values(span).get("gen_ai.operation.name") == "chat")
    assert spans == {f"chat {name}": count for name, count in chats.items()}
    assert SECRET not in f"{arrived.spans} {arrived.log_records} {arrived.metrics}"
