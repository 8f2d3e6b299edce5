"""How each objective stands, what is left of its budget of 30 days, and how fast that burns."""

from typing import Final

from dashboards.limits import burn_factor
from dashboards.panels import Board, Panel, Query

__all__ = ["BOARD"]

BOARD: Final = Board(
    uid="otel-tutor-slo",
    title="Tutor: objectives",
    description="How each objective stands, what is left of its budget of 30 days, and how fast that burns.",
    panels=(
        Panel(
            title="Budget left",
            description="1 is all of it, 0 none; of the time for which there are data.",
            kind="lines",
            unit="percentunit",
            queries=(
                Query(
                    '1 - slo:error_ratio:rate30d{job=~"$service"} / on (slo) group_left () (1 - slo:target:ratio)',
                    "{{slo}} {{job}}",
                ),
            ),
            threshold=0.0,
            lower_is_bad=True,
        ),
        Panel(
            title="Burn rate over an hour",
            description="1 uses up exactly the budget; a page comes at {threshold:g}.",
            kind="lines",
            unit="short",
            queries=(
                Query(
                    'slo:error_ratio:rate1h{job=~"$service"} / on (slo) group_left () (1 - slo:target:ratio)',
                    "{{slo}} {{job}}",
                ),
            ),
            threshold=burn_factor("1h"),
        ),
        Panel(
            title="Burn rate over six hours",
            description="A page comes at {threshold:g}.",
            kind="lines",
            unit="short",
            queries=(
                Query(
                    'slo:error_ratio:rate6h{job=~"$service"} / on (slo) group_left () (1 - slo:target:ratio)',
                    "{{slo}} {{job}}",
                ),
            ),
            threshold=burn_factor("6h"),
        ),
        Panel(
            title="Good, over five minutes",
            description="The share of events, or of time, that is within the objective.",
            kind="lines",
            unit="percentunit",
            queries=(Query('1 - slo:error_ratio:rate5m{job=~"$service"}', "{{slo}} {{job}}"),),
        ),
        Panel(
            title="Targets",
            description="The share that has to be good.",
            kind="stat",
            unit="percentunit",
            queries=(Query("slo:target:ratio", "{{slo}}"),),
        ),
        Panel(
            title="Thresholds",
            description="What good means, in the unit of each objective.",
            kind="stat",
            unit="short",
            queries=(Query("slo:threshold:value", "{{slo}}"),),
        ),
        Panel(
            title="Uptime",
            description="Whether a worker answers.",
            kind="stat",
            unit="short",
            queries=(Query('min by (job) (job:api:up{job=~"$service"})', "{{job}}"),),
            threshold=1.0,
            lower_is_bad=True,
        ),
    ),
)
