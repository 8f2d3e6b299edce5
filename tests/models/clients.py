"""Programs with real clients of models: each call that an app makes, in the words of each client."""

from typing import Final

__all__ = ["ABSENT", "CASES", "NO_TOKENS", "PACKAGES", "PROGRAMS", "SEVERAL_CALLS", "TRACED_BY"]

CASES: Final = ("plain", "stream", "left", "tools", "embeddings", "rate limit", "error", "time-out")
# Of each client, what an environment needs beside it.
PACKAGES: Final = {
    "ollama": ("ollama",),
    "google-genai": ("google-genai<3",),
    "litellm": ("litellm",),
    "langchain": ("langchain", "langchain-openai"),
    "llama-index": ("llama-index-core>=0.14.19", "llama-index-llms-openai-like"),
}
# What traces each client. OpenTelemetry's own instrumentations are those of the extra `models`.
TRACED_BY: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "opentelemetry": {
        "google-genai": (),
        "langchain": (),
        "llama-index": (),
    },
    "openllmetry": {
        "ollama": ("opentelemetry-instrumentation-ollama",),
        "google-genai": ("opentelemetry-instrumentation-google-generativeai",),
        "langchain": ("opentelemetry-instrumentation-langchain", "opentelemetry-instrumentation-openai"),
        "llama-index": ("opentelemetry-instrumentation-llamaindex", "opentelemetry-instrumentation-openai"),
    },
    "openinference": {
        "google-genai": ("openinference-instrumentation-google-genai",),
        "litellm": ("openinference-instrumentation-litellm", "openinference-instrumentation-openai"),
        "langchain": ("openinference-instrumentation-langchain", "openinference-instrumentation-openai"),
        "llama-index": ("openinference-instrumentation-llama-index", "openinference-instrumentation-openai"),
    },
}
# What a client does not do.
ABSENT: Final = {
    ("ollama", "rate limit"): "it does not try again by itself",
    ("google-genai", "left"): "it reads the rest of a stream that is closed",
    ("litellm", "left"): "it keeps the connection of a stream that is closed",
    ("llama-index", "embeddings"): "its embeddings are packages of their own",
    ("llama-index", "left"): "it keeps the connection of a stream that is closed",
}
# What a block is not, which is one call.
SEVERAL_CALLS: Final = {("langchain", "tools"): "an agent calls again", ("llama-index", "tools"): "an engine may call again"}
# Whose tokens of embeddings are not known: the library does not say them, or the server does not say them to its client.
NO_TOKENS: Final = {("ollama", "embeddings"), ("google-genai", "embeddings")}
_TEXT = 'TEXT = ASKED[0]["content"]\n'
_TOOL = """
TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {
    "type": "object", "properties": {"pupil": {"type": "string"}}, "required": ["pupil"]}}}
"""
PROGRAMS: Final = {
    "ollama": (
        _TEXT
        + _TOOL
        + """
import httpx, ollama

def ask(fault="", timeout=30, **options):
    client = ollama.Client(host=address, headers={"x-tutor-fault": fault}, timeout=timeout)
    return client.chat(model="model-x", **{"messages": ASKED, **options})
""",
        {
            "plain": "response = ask()",
            "stream": "pieces = ask(stream=True)",
            "left": "stream = ask(stream=True); next(stream); stream.close()",
            "tools": """
response = ask(messages=[{"role": "user", "content": "look_up Ada"}], tools=[TOOL])
assert response.message.tool_calls
""",
            "embeddings": "ollama.Client(host=address).embed(model='emb-x', input=['light', 'water'])",
            "error": "failing(lambda: ask('500'), ollama.ResponseError)",
            "time-out": "failing(lambda: ask('slow=2', timeout=0.3), httpx.ReadTimeout)",
        },
    ),
    "google-genai": (
        _TEXT
        + """
import httpx
from google import genai
from google.genai import errors, types

def client(fault="", timeout=30_000, attempts=1):
    options = types.HttpOptions(base_url=address, headers={"x-tutor-fault": fault}, timeout=timeout,
                                retry_options=types.HttpRetryOptions(attempts=attempts, initial_delay=0.01))
    global held
    held = genai.Client(api_key="none", http_options=options)  # a client that no one holds is closed
    return held

def ask(*args, **options):
    return client(*args).models.generate_content(model="model-x", contents=TEXT, **options)

LOOK_UP = types.FunctionDeclaration(name="look_up", parameters=types.Schema(
    type="OBJECT", properties={"pupil": types.Schema(type="STRING")}))
ANY = types.ToolConfig(function_calling_config=types.FunctionCallingConfig(mode="ANY"))
""",
        {
            "plain": "response = ask()",
            "stream": "pieces = client().models.generate_content_stream(model='model-x', contents=TEXT)",
            "tools": """
config = types.GenerateContentConfig(tools=[types.Tool(function_declarations=[LOOK_UP])], tool_config=ANY)
response = ask(config=config)
assert response.function_calls
""",
            "embeddings": "client().models.embed_content(model='emb-x', contents=['light', 'water'])",
            "rate limit": "response = ask('429-once', 30_000, 3)",
            "error": "failing(lambda: ask('500'), errors.ServerError)",
            "time-out": "failing(lambda: ask('slow=2', 300), httpx.TimeoutException)",
        },
    ),
    "litellm": (
        _TEXT
        + _TOOL
        + """
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm

def ask(fault="", **options):
    given = {"messages": ASKED, "max_retries": 0, "timeout": 30, **options}
    return litellm.completion(model="openai/model-x", api_base=address + "/v1", api_key="none",
                              extra_headers={"x-tutor-fault": fault}, **given)
""",
        {
            "plain": "response = ask()",
            "stream": "pieces = ask(stream=True, stream_options={'include_usage': True})",
            "tools": """
response = ask(messages=[{"role": "user", "content": "look_up Ada"}], tools=[TOOL])
assert response.choices[0].message.tool_calls
""",
            "embeddings": """
litellm.embedding(model="openai/emb-x", input=["light", "water"], api_base=address + "/v1", api_key="none")
""",
            "rate limit": "response = ask('429-once', max_retries=2)",
            "error": "failing(lambda: ask('500'), litellm.InternalServerError)",
            "time-out": "failing(lambda: ask('slow=2', timeout=0.3), litellm.Timeout)",
        },
    ),
    "langchain": (
        _TEXT
        + """
import openai
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

def llm(fault="", **options):
    return ChatOpenAI(model="model-x", base_url=address + "/v1", api_key="none", stream_usage=True,
                      default_headers={"x-tutor-fault": fault}, **{"max_retries": 0, **options})
""",
        {
            "plain": "response = llm().invoke(TEXT)",
            "stream": "pieces = llm().stream(TEXT)",
            "left": "stream = llm().stream(TEXT); next(stream); stream.close()",
            "tools": """
from langchain.agents import create_agent

def look_up(pupil: str) -> str:
    "Look up a pupil."
    return "Ada is good at physics."

create_agent(llm(), [look_up]).invoke({"messages": [{"role": "user", "content": "look_up Ada"}]})
""",
            "embeddings": """
OpenAIEmbeddings(model="emb-x", base_url=address + "/v1", api_key="none", check_embedding_ctx_length=False).embed_documents(
    ["light", "water"]
)
""",
            "rate limit": "response = llm('429-once', max_retries=2).invoke(TEXT)",
            "error": "failing(lambda: llm('500').invoke(TEXT), openai.InternalServerError)",
            "time-out": "failing(lambda: llm('slow=2', timeout=0.3).invoke(TEXT), openai.APITimeoutError)",
        },
    ),
    "llama-index": (
        _TEXT
        + """
import openai
from llama_index.core import Document, SummaryIndex
from llama_index.core.llms import ChatMessage
from llama_index.llms.openai_like import OpenAILike

def llm(fault="", **options):
    given = {"max_retries": 0, "timeout": 30, **options}
    return OpenAILike(model="model-x", api_base=address + "/v1", api_key="none", is_chat_model=True,
                      is_function_calling_model=True, default_headers={"x-tutor-fault": fault},
                      additional_kwargs={}, **given)

MESSAGES = [ChatMessage(role="user", content=TEXT)]
""",
        {
            "plain": "response = llm().chat(MESSAGES)",
            "stream": "pieces = llm().stream_chat(MESSAGES, stream_options={'include_usage': True})",
            "tools": """
index = SummaryIndex.from_documents([Document(text="Violet light has a short wavelength.")])
index.as_query_engine(llm=llm()).query(TEXT)
""",
            "rate limit": "response = llm('429-once', max_retries=3).chat(MESSAGES)",
            "error": "failing(lambda: llm('500').chat(MESSAGES), openai.InternalServerError)",
            "time-out": "failing(lambda: llm('slow=2', timeout=0.3).chat(MESSAGES), openai.APITimeoutError)",
        },
    ),
}
