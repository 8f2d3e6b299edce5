"""A language model behind HTTP, in the protocols of OpenAI, Anthropic, Google and Ollama, which a tutor calls for nothing.

It is deterministic: its answers come from the corpus (`writing`), its errors from a header of the request (`faults`), its
details of usage from another (`prompt`). `GET /account` says what it has served, so that telemetry can be held against it.
"""

from otel_tutor.demo.model_server.account import Account
from otel_tutor.demo.model_server.app import CHAT_MODEL
from otel_tutor.demo.model_server.serving import serving_model
from otel_tutor.demo.model_server.writing import Library

__all__ = ["CHAT_MODEL", "Account", "Library", "serving_model"]
