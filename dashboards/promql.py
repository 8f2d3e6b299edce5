"""PromQL that panels share: what there is of the services and workers that the reader has chosen."""

from collections.abc import Sequence
from typing import Final

__all__ = ["WORKERS", "gauge", "mean", "narrowed", "quantile", "rate"]


def narrowed(name: str, series: str, label: str = "") -> tuple[str, str]:
    """A variable: the values that a label, of the same name unless it is given, has in the services chosen."""
    return name, f'label_values({series}{{job=~"$service"}}, {label or name})'


WORKERS: Final = narrowed("instance", "process_uptime_seconds")


def gauge(how: str, series: str, *matchers: str, by: str) -> str:
    """What a gauge stands at: its `sum`, `min` or `max` by these labels."""
    return f"{how} by ({by}) ({_chosen(series, matchers)})"


def rate(counter: str, *matchers: str, by: str = "") -> str:
    """What a counter gains each second, summed by these labels."""
    grouping = f" by ({by}) " if by else ""
    return f"sum{grouping}(rate({_chosen(counter, matchers)}[$__rate_interval]))"


def mean(histogram: str, *matchers: str, by: str) -> str:
    """The average of what a histogram measures."""
    return f"{rate(f'{histogram}_sum', *matchers, by=by)} / {rate(f'{histogram}_count', *matchers, by=by)}"


def quantile(share: float, histogram: str, *matchers: str, by: str) -> str:
    """What this share of the measurements stays under."""
    return f"histogram_quantile({share}, {rate(f'{histogram}_bucket', *matchers, by=f'le, {by}')})"


def _chosen(series: str, matchers: Sequence[str]) -> str:
    chosen = ",".join(('job=~"$service"', 'instance=~"$instance"', *matchers))
    return f"{series}{{{chosen}}}"
