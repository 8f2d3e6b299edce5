"""The tutor's two models: one in its process, and one behind HTTP that is asked with OpenAI's client."""

import threading
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Final, Protocol

import openai
from openai.types.chat import ChatCompletionMessageParam

from otel_tutor.demo.corpus import Passage
from otel_tutor.demo.embedding import QUANTIZATION, EmbeddingModel
from otel_tutor.demo.faults import (
    FAILING_GENERATION,
    NEW_MODEL,
    RATE_LIMITED,
    SLOW_GENERATION,
    SLOW_GENERATION_SECONDS,
    Faults,
)
from otel_tutor.demo.generation import Answer, GenerationError, Generator, input_tokens, quoted
from otel_tutor.demo.model_server import CHAT_MODEL, Account, Library, serving_model
from otel_tutor.demo.model_server.faults import FAULT_HEADER
from otel_tutor.demo.text import count_tokens
from otel_tutor.rag import Generation

__all__ = ["LocalModel", "Model", "RemoteModel", "is_for_remote"]

_REMOTE_SHARE: Final = 4  # every fourth question, by its text: the same question always has the same model
_REMOTE_REMAINDER: Final = 2
_NEW_CHAT_MODEL: Final = "tutor-chat-2"


class Model(Protocol):
    """Writes answers, and notes their tokens on the generation that observes it."""

    quantization: str
    provider: str | None  # None for one in this process

    @property
    def name(self) -> str:
        """As in `gen_ai.request.model`."""

    def answer(self, question: str, passages: Sequence[Passage], generation: Generation) -> Answer:
        """The answer. Raises GenerationError without passages that fit, and OpenAIError for a call that failed."""

    def pieces(self, question: str, passages: Sequence[Passage], generation: Generation) -> Iterator[str]:
        """The answer in pieces, each as soon as it is there. Raises as `answer` does."""


def is_for_remote(question: str) -> bool:
    """Whether the model behind HTTP answers this question, where no model is named."""
    return zlib.crc32(question.encode()) % _REMOTE_SHARE == _REMOTE_REMAINDER


class LocalModel:
    """Chooses sentences in this process."""

    quantization = QUANTIZATION
    provider: str | None = None

    def __init__(self, model: EmbeddingModel, faults: Faults) -> None:
        self._name = model.name
        self._generator = Generator(model)
        self._faults = faults

    @property
    def name(self) -> str:
        """The model's name."""
        return self._name

    def answer(self, question: str, passages: Sequence[Passage], generation: Generation) -> Answer:
        """The answer, in the order of the passages."""
        generation.input_tokens = input_tokens(question, passages)
        self._be_faulty()
        answer = self._generator.generate(question, passages)
        generation.output_tokens = answer.output_tokens
        return answer

    def pieces(self, question: str, passages: Sequence[Passage], generation: Generation) -> Iterator[str]:
        """Its sentences, the weightiest first."""
        generation.input_tokens, generation.output_tokens = input_tokens(question, passages), 0
        self._be_faulty()
        for sentence in self._generator.write(question, passages):
            generation.output_tokens += count_tokens(sentence)
            yield sentence + " "

    def _be_faulty(self) -> None:
        if self._faults.is_on(SLOW_GENERATION):
            time.sleep(SLOW_GENERATION_SECONDS)
        if self._faults.is_on(FAILING_GENERATION):
            raise GenerationError(f"the fault {FAILING_GENERATION} is on")


class RemoteModel:
    """Asks a server with OpenAI's protocol, which it starts in a thread of this process when it is asked first."""

    quantization = "none"
    provider: str | None = "openai"  # by its protocol

    def __init__(self, library: Library, account: Account, faults: Faults) -> None:
        self._library = library
        self._account = account
        self._faults = faults
        self._held = ExitStack()
        self._lock = threading.Lock()
        self._client: openai.OpenAI | None = None

    @property
    def name(self) -> str:
        """The model that is asked: with the fault, one whose price no one has written down."""
        return _NEW_CHAT_MODEL if self._faults.is_on(NEW_MODEL) else CHAT_MODEL

    def answer(self, question: str, passages: Sequence[Passage], generation: Generation) -> Answer:
        """The answer in one response."""
        completion = self._connected().chat.completions.create(
            model=self.name, messages=_messages(question, passages), extra_headers=self._headers()
        )
        generation.read(completion)
        text = completion.choices[0].message.content or ""
        return Answer(text=text, sources=quoted(text, passages), output_tokens=generation.output_tokens or 0)

    def pieces(self, question: str, passages: Sequence[Passage], generation: Generation) -> Iterator[str]:
        """The answer as the server sends it; the usage comes last."""
        with self._connected().chat.completions.create(
            model=self.name,
            messages=_messages(question, passages),
            stream=True,
            stream_options={"include_usage": True},
            extra_headers=self._headers(),
        ) as chunks:
            for chunk in chunks:
                generation.read(chunk)  # the stream that is observed is one of texts
                for choice in chunk.choices:
                    if choice.delta.content:
                        yield choice.delta.content

    def close(self) -> None:
        """Close its connections and stop the server."""
        with self._lock:
            self._held.close()
            self._client = None

    def _connected(self) -> openai.OpenAI:
        with self._lock:
            if self._client is None:
                url = self._held.enter_context(serving_model(self._library, self._account))
                # The environment's proxies are for the internet; the server is next door, and checks no key.
                http_client = self._held.enter_context(openai.DefaultHttpxClient(trust_env=False))
                self._client = openai.OpenAI(base_url=f"{url}/v1", api_key="none", http_client=http_client)
            return self._client

    def _headers(self) -> Mapping[str, str]:
        """The tutor's faults become faults of the server, so that its client has to bear them."""
        faults = {
            FAILING_GENERATION: "500",
            SLOW_GENERATION: f"slow={SLOW_GENERATION_SECONDS}",
            RATE_LIMITED: "429-once",
        }
        on = [asked for fault, asked in faults.items() if self._faults.is_on(fault)]
        return {FAULT_HEADER: ",".join(on)} if on else {}


def _messages(question: str, passages: Sequence[Passage]) -> list[ChatCompletionMessageParam]:
    if not passages:  # the model would answer from what it knows
        raise GenerationError("no sentence of the 0 passages found has to do with the question")
    items = [f"- {passage.text}" for passage in passages]
    system = "\n".join(["Answer the student in sentences of these passages.", *items])
    return [{"role": "system", "content": system}, {"role": "user", "content": question}]
