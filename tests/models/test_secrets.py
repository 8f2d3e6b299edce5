"""What people write to models stays in the process, whichever library traces the client: forty secrets, and every store.

The secrets are in all that a prompt and an answer are made of. The libraries run at their defaults, which record content.
"""

import json
import os
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from otel_tutor.tools.stack.polling import wait_for
from tests.models.conftest import PACKAGES
from tests.support.stack import Running

pytestmark = pytest.mark.models

ARRIVAL = 60  # seconds
NUMBER = 40
MARK = "planted"
SERVICE = "secretive"

# Each `plant()` is another secret; the names of things have them as well.
PROGRAM = """
import asyncio, itertools, json, os, sys
import otel_tutor
otel_tutor.configure(service_name="secretive")
address, name = sys.argv[1], sys.argv[2]
if "openlit" in name:
    import openlit
    openlit.init()
import anthropic, openai
from otel_tutor.rag import observe_question

numbers = itertools.count(1)

def plant(text="{}"):
    return text.format(f"planted{next(numbers):02d}")

def passages():  # the server answers with sentences of these
    first = plant("Answer with these.\\n- A steel ship floats because of {} in water.")
    return first + plant("\\n- A ship of steel floats by {}.")

def parts():
    return [{"type": "text", "text": plant("Why does a steel ship float, {}?")}, {"type": "text", "text": plant()}]

def schema():
    values = [plant(), plant()]
    return {"type": "object", "description": plant(), "properties": {"pupil": {"enum": values, "description": plant()}}}

client = openai.OpenAI(base_url=address + "/v1", api_key="none", max_retries=0)
aclient = openai.AsyncOpenAI(base_url=address + "/v1", api_key="none", max_retries=0)
claude = anthropic.Anthropic(base_url=address, api_key="none", max_retries=0)

def messages():
    return [{"role": "system", "content": passages()}, {"role": "user", "content": parts()}]

tools = [{"type": "function", "function": {"name": "look_up", "description": plant(), "parameters": schema()}}]
asked = client.chat.completions.create(
    model="gpt-x", messages=messages(), tools=tools, tool_choice={"type": "function", "function": {"name": "look_up"}}
)
call = asked.choices[0].message.tool_calls[0]
assert "planted" in call.function.arguments, call
answer = client.chat.completions.create(
    model="gpt-x",
    messages=[*messages(), asked.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": plant()}],
    stop=[plant()],
    user=plant(),
    metadata={"pupil": plant()},
)
assert "planted" in answer.choices[0].message.content, answer
for chunk in client.chat.completions.create(model="gpt-x", messages=messages(), stream=True):
    pass
client.embeddings.create(model="emb-x", input=[plant(), plant()])

async def ask():
    async for chunk in await aclient.chat.completions.create(model="gpt-x", messages=messages(), stream=True):
        pass

asyncio.run(ask())
try:
    client.chat.completions.create(model="gpt-x", messages=messages(), extra_headers={"x-tutor-fault": "500"})
except openai.InternalServerError:
    pass
options = {"model": "claude-x", "max_tokens": 500, "metadata": {"user_id": plant()}}
tool = {"name": "look_up", "description": plant(), "input_schema": schema()}

def ask_claude(**more):
    return claude.messages.create(system=passages(), messages=[{"role": "user", "content": parts()}], **options, **more)

ask_claude(tools=[tool])
for event in ask_claude(stream=True):
    pass
with observe_question(plant(), "physics") as question:
    with question.retrieval() as retrieval:
        retrieval.documents = 1
    with question.generation("gpt-x"):
        client.chat.completions.create(model="gpt-x", messages=messages())
    question.evaluate("relevance", 1.0, explanation=plant())
print(next(numbers) - 1)
"""


def everything(running: Running) -> dict[str, str]:
    """All that each store has, as text, and the Collector's log."""
    jaeger, victorialogs = running.backends.jaeger, running.backends.victorialogs
    now = int(time.time() * 1e6)
    window = {"service": SERVICE, "limit": "1000", "start": str(now - int(3.6e9)), "end": str(now)}
    series = {"match[]": '{__name__=~".+"}'}
    return {
        "Jaeger": httpx2.get(f"{jaeger}/api/traces", params=window, trust_env=False).text,
        "VictoriaLogs": httpx2.get(
            f"{victorialogs}/select/logsql/query", params={"query": "*", "limit": "100000"}, trust_env=False
        ).text,
        "Prometheus": httpx2.get(f"{running.backends.prometheus}/api/v1/series", params=series, trust_env=False).text,
        "the Collector's log": "".join(path.read_text() for path in running.stack.data.rglob("*collector*.log")),
    }


def calls_in(running: Running) -> int:
    """Spans of calls that Jaeger has."""
    spans = [span for trace in json.loads(everything(running)["Jaeger"])["data"] for span in trace["spans"]]
    return sum(span["operationName"].startswith(("chat ", "embeddings ")) for span in spans)


def around(text: str) -> set[str]:
    """What is before each secret that a store has, which names the attribute that it is in."""
    return {text[found.start() - 150 : found.end() + 5] for found in re.finditer(MARK, text)}


@pytest.mark.timeout(600)
def test_forty_secrets_are_in_no_store_whichever_libraries_trace(
    running: Running, python: Callable[[str], Path], model: str
) -> None:
    environment = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": running.otlp, "NO_PROXY": "*"}
    planted = {}
    for library in PACKAGES:
        command = [str(python(library)), "-c", PROGRAM, model, library]
        result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment)
        assert result.returncode == 0, (library, result.stderr)
        planted[library] = int(result.stdout.split()[-1])
    arrived = wait_for(lambda: calls_in(running), lambda calls: calls >= 8 * (len(PACKAGES) - 1), seconds=ARRIVAL)

    assert min(planted.values()) >= NUMBER
    assert arrived >= 8 * (len(PACKAGES) - 1)
    assert {store: around(text) for store, text in everything(running).items() if MARK in text} == {}
