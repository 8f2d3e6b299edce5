"""The panels about models on the dashboard of answers: times, tokens, cost, attempts."""

from typing import Final

from dashboards.limits import cost_per_day, objective
from dashboards.panels import Panel, Query
from dashboards.promql import gauge, mean, quantile, rate

__all__ = ["MODEL_PANELS"]

_SUBJECT: Final = 'subject=~"$subject"'
_MODEL: Final = 'model_name=~"$model"'
_NO_PRICES: Final = "No call has a cost: set prices with configure(prices=...)."


def _cost_per_hour(what: str, label: str, remark: str = "", *narrowed: str) -> Panel:
    return Panel(
        title=f"Cost per hour, by {what}",
        description=f"At the present pace{remark}.",
        kind="lines",
        unit="short",
        queries=(
            Query(
                f"{rate('model_cost_total', _MODEL, *narrowed, by=f'{label}, currency')} * 3600",
                f"{{{{{label}}}}} {{{{currency}}}}",
            ),
        ),
        no_value=_NO_PRICES,
    )


MODEL_PANELS: Final = (
    Panel(
        title="Inference by model, P95",
        description="Time of one call to a model. A dot opens its trace.",
        kind="lines",
        unit="s",
        queries=(
            Query(
                quantile(0.95, "model_inference_duration_seconds", _MODEL, by="model_name, quantization_type"),
                "{{model_name}} {{quantization_type}}",
                exemplars=True,
            ),
        ),
        threshold=objective("model-inference"),
    ),
    Panel(
        title="Time to first token, P95",
        description="Of answers that are streamed.",
        kind="lines",
        unit="s",
        queries=(
            Query(
                quantile(0.95, "gen_ai_client_operation_time_to_first_chunk_seconds", _MODEL, by="model_name"),
                "{{model_name}}",
                exemplars=True,
            ),
        ),
    ),
    Panel(
        title="Tokens",
        description="Tokens each second, read and written.",
        kind="lines",
        unit="short",
        queries=(Query(rate("model_token_count_sum", _MODEL, by="model_name, type"), "{{model_name}} {{type}}"),),
    ),
    Panel(
        title="Tokens per call",
        description="Average of a call, read and written.",
        kind="lines",
        unit="short",
        queries=(Query(mean("model_token_count", _MODEL, by="model_name, type"), "{{model_name}} {{type}}"),),
    ),
    Panel(
        title="Tokens by type",
        description="Tokens each second. Those of the cache are a part of the input, those of reasoning a part of the output.",
        kind="lines",
        unit="short",
        queries=(Query(rate("model_tokens_total", _MODEL, by="model_name, type"), "{{model_name}} {{type}}"),),
    ),
    Panel(
        title="Cost per question",
        description="What the models chosen cost for each question asked.",
        kind="lines",
        unit="short",
        queries=(
            Query(
                f"{rate('model_cost_total', _MODEL, by='job, currency')} / on (job) group_left () "
                f"{rate('rag_queries_total', by='job')}",
                "{{job}} {{currency}}",
            ),
        ),
        no_value=_NO_PRICES,
    ),
    _cost_per_hour("model", "model_name"),
    _cost_per_hour("subject", "subject", "; none is a call outside of a question", _SUBJECT),
    _cost_per_hour("endpoint", "endpoint", "; none is a call outside of a request"),
    Panel(
        title="Cost of the last day",
        description="A warning comes at {threshold:g}, the budget of a day.",
        kind="lines",
        unit="short",
        queries=(Query('job:model_cost:sum1d{job=~"$service"}', "{{job}} {{currency}}"),),
        threshold=cost_per_day(),
        no_value=_NO_PRICES,
    ),
    Panel(
        title="Calls of unknown cost",
        description="Each second, by what is not known: the price of the model, or its tokens.",
        kind="lines",
        unit="reqps",
        queries=(Query(rate("model_cost_unknown_total", _MODEL, by="model_name, reason"), "{{model_name}} {{reason}}"),),
        no_value="The cost of every call is known, or there are no prices.",
    ),
    Panel(
        title="Model calls that fail",
        description="Failed calls each second.",
        kind="lines",
        unit="reqps",
        queries=(
            Query(rate("model_inference_total", _MODEL, 'status!~"success|cancelled"', by="model_name"), "{{model_name}}"),
        ),
        no_value="No call to a model has failed.",
    ),
    Panel(
        title="Requests to models, by status",
        description="Attempts each second: a call that is tried again has several. 429 is a rate limit.",
        kind="lines",
        unit="reqps",
        queries=(Query(rate("model_requests_total", _MODEL, by="model_name, status"), "{{model_name}} {{status}}"),),
        no_value="No client of a model sends by httpx.",
    ),
    Panel(
        title="Wait before another attempt",
        description="Average time between an attempt that failed and the next one.",
        kind="lines",
        unit="s",
        queries=(Query(mean("model_retry_wait_seconds", _MODEL, by="model_name"), "{{model_name}}"),),
        no_value="No request to a model was tried again.",
    ),
    Panel(
        title="Why answers end",
        description="Answers each second. length was cut, content_filter was withheld.",
        kind="lines",
        unit="reqps",
        queries=(
            Query(
                rate("model_finish_reasons_total", _MODEL, by="model_name, finish_reason"),
                "{{model_name}} {{finish_reason}}",
            ),
        ),
    ),
    Panel(
        title="Time between pieces, P95",
        description="Of answers that are streamed: a person reads five words a second.",
        kind="lines",
        unit="s",
        queries=(
            Query(
                quantile(0.95, "gen_ai_client_operation_time_per_output_chunk_seconds", _MODEL, by="model_name"),
                "{{model_name}}",
            ),
        ),
    ),
    Panel(
        title="Memory of models",
        description="What each loaded model occupies in a worker.",
        kind="lines",
        unit="bytes",
        queries=(Query(gauge("max", "model_memory_usage_bytes", _MODEL, by="model_name"), "{{model_name}}"),),
    ),
)
