"""What students and models wrote, in the attributes of other libraries: it stays in the process unless it is asked for.

Libraries add attributes with every release. So a text in one of their namespaces stays here unless its name is known to be
about something else: a model, an id, a reason. Numbers pass. The Collector drops the names that are known to hold texts.
"""

import functools
import re
from collections.abc import Mapping
from typing import Any, Final

from opentelemetry.sdk.trace import Event, ReadableSpan

from otel_tutor.pipeline.changed_span import changed
from otel_tutor.pipeline.genai import is_about_models
from otel_tutor.recording.content import ASKED_FOR

__all__ = ["CONTENT", "span_without_content", "without_content"]

# Names that hold texts, in any span or event; `collector/privacy.yaml` has the same pattern.
CONTENT: Final = (
    "^(gen_ai[.](prompt|completion)([.][0-9]|$)"
    "|gen_ai[.](input|output)[.]messages|gen_ai[.](system_instructions|tool[.]definitions|tool[.]description)"
    "|gen_ai[.]tool[.]call[.](arguments|result)|gen_ai[.]retrieval[.](query[.]text|documents)|gen_ai[.]content[.]"
    "|gen_ai[.]tool[.](args|input|output|parameters|result)|gen_ai[.](request[.])?user$|gen_ai[.]request[.]stop_sequences"
    "|gen_ai[.]evaluation[.]explanation|gen_ai[.]agent[.](description|instructions|actual_output|goal|memory|thinking)"
    "|gen_ai[.](execution|framework[.]pipeline)[.](input|output)|gen_ai[.]framework[.]query[.]text"
    "|(input|output)[.]value$|llm[.](input_messages|output_messages|prompts|completions|tools|prompt_template)([.]|$)"
    "|llm[.](invocation_parameters|function_call)|embedding[.](embeddings[.]|text$)|retrieval[.]documents[.]|reranker[.]"
    "|tool[.](parameters|description|json_schema)|traceloop[.]entity[.](input|output)|db[.]query[.]result"
    "|langfuse[.](observation|trace)[.](input|output|metadata)|mlflow[.]span(Inputs|Outputs)"
    "|gen_ai[.](user|system|assistant|tool|choice)[.](message|content)|gen_ai[.]choice)"
)
# Namespaces of these libraries alone, and those that an app may have as well: there, only spans about models are looked at.
_NAMESPACES: Final = re.compile(r"(gen_ai|llm|traceloop|openinference|langfuse|mlflow)[.]")
_COMMON_NAMESPACES: Final = re.compile(
    r"(input|output|tool|tool_call|message|embedding|retrieval|reranker|document|prompt|metadata|agent|graph)([.]|$)"
)
# Texts that are no content: names of models, tools and steps, ids, versions, reasons, types.
_KNOWN: Final = (
    r"gen_ai[.]((operation|agent|tool|data_source|prompt|workflow|evaluation|application|framework|model)[._]?"
    r"(name|id|version|type|call[.]id)"
    r"|provider[.]name|system|framework|environment|endpoint|sdk[.]version|output[.]type|token[.]type|conversation[.]id"
    r"|evaluation[.]score[.]label|request[.](model|encoding_formats|type|service_tier|reasoning_effort|reasoning[.]level)"
    r"|response[.](model|id|finish_reasons?|service_tier|system_fingerprint|status)|completion[.][0-9]+[.]finish_reason"
    r"|openai[.].*(service_tier|system_fingerprint|api[.]type)|(usage|cost|server)[.].*)"
    r"|llm[.](model_name|provider|system|request[.](type|model)|finish_reason|response[.](model|finish_reason|stop_reason)"
    r"|(token_count|usage|cost)[.].*)"
    r"|openinference[.]span[.]kind|traceloop[.](span[.]kind|(entity|workflow)[.](name|path|version)|association[.].*)"
    r"|langfuse[.](environment|release|version|observation[.](type|model[.]name|level)|(trace|observation)[.]name)"
    r"|mlflow[.]span(Type|FunctionName)|mlflow[.]traceRequestId"
    r"|(input|output)[.]mime_type|tool[.](name|id)|tool_call[.](id|function[.]name)|(embedding|reranker)[.]model_name"
    r"|(prompt|agent)[.](id|name|version)|graph[.]node[.](id|name|parent_id)|document[.](id|mime_type)"
)


def without_content(
    attributes: Mapping[str, Any] | None, *, captures: bool = False, about_models: bool | None = None
) -> Mapping[str, Any] | None:
    """`attributes` without what people and models wrote: the same object where there is nothing of it.

    about_models: whether they are of something that is about models; None to see it from them. What was asked for (captures)
    stays, marked as such.
    """
    if not attributes:
        return attributes
    if about_models is None:
        about_models = is_about_models(attributes)
    texts = {key for key, value in attributes.items() if _is_content(key, value, about_models)}
    if not texts:
        return attributes
    if captures:
        return {**attributes, ASKED_FOR: True}
    return {key: value for key, value in attributes.items() if key not in texts}


@functools.cache
def _pattern(text: str) -> re.Pattern[str]:
    """Compiled when it is needed: it takes milliseconds, and an app may call no model."""
    return re.compile(text)


def _is_content(key: str, value: Any, about_models: bool) -> bool:
    if _pattern(CONTENT).match(key):
        return True
    theirs = _NAMESPACES.match(key) or (about_models and _COMMON_NAMESPACES.match(key))
    return bool(theirs) and _has_text(value) and not _pattern(_KNOWN).fullmatch(key)


def _has_text(value: Any) -> bool:
    if isinstance(value, bool | int | float | None):
        return False
    return not isinstance(value, list | tuple) or any(map(_has_text, value))


def span_without_content(span: ReadableSpan, captures: bool) -> ReadableSpan:
    """The span without what people and models wrote in it and its events: itself where there is nothing of it."""
    bare = functools.partial(without_content, captures=captures, about_models=is_about_models(span.attributes))
    attributes = bare(span.attributes)
    events = [Event(event.name, bare(event.attributes), event.timestamp) for event in span.events]
    pairs = zip(events, span.events, strict=True)
    if attributes is span.attributes and all(new.attributes is old.attributes for new, old in pairs):
        return span
    return changed(span, attributes=attributes, events=events)
