"""What good means: the kinds of objectives, each with its events and errors as PromQL."""

from dataclasses import dataclass

__all__ = ["GaugeObjective", "HistogramObjective", "Objective", "RatioObjective"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """A share (`target`) of events or of time that has to be good. What good means is for each kind to say, as PromQL."""

    slo: str
    title: str
    target: float
    pages: bool
    threshold: float | None = None

    @property
    def events(self) -> str:
        """All events per second, by job."""
        raise NotImplementedError

    @property
    def errors(self) -> str:
        """Those that were not good, per second, by job."""
        raise NotImplementedError

    @property
    def bad(self) -> str:
        """Of a gauge: 1 while it is out of bounds, else 0."""
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RatioObjective(Objective):
    """Events of a counter of which some failed."""

    counter: str
    failed: str  # label matchers of those

    @property
    def events(self) -> str:
        """The counter's events."""
        return f"sum by (job) (rate({self.counter}[5m]))"

    @property
    def errors(self) -> str:
        """The failed ones; 0 where there was none yet."""
        return f"sum by (job) (rate({self.counter}{{{self.failed}}}[5m])) or 0 * {self.events}"


@dataclass(frozen=True, slots=True, kw_only=True)
class HistogramObjective(Objective):
    """Measurements of a histogram, good up to a threshold."""

    histogram: str

    @property
    def events(self) -> str:
        """All measurements."""
        return f"sum by (job) (rate({self.histogram}_count[5m]))"

    @property
    def errors(self) -> str:
        """The measurements above the bucket of the threshold."""
        good = f'sum by (job) (rate({self.histogram}_bucket{{le="{self.threshold}"}}[5m]))'
        return f"clamp_min({self.events} - {good}, 0)"


@dataclass(frozen=True, slots=True, kw_only=True)
class GaugeObjective(Objective):
    """The time a gauge is within a bound: at most `threshold`, or at least `at_least`. An event is a second."""

    gauge: str
    at_least: float | None = None

    @property
    def events(self) -> str:
        """One a second, where the gauge is known."""
        return f"0 * {self.errors} + 1"

    @property
    def errors(self) -> str:
        """The share of each second out of bounds."""
        return f'avg_over_time(slo:bad:bool{{slo="{self.slo}"}}[5m])'

    @property
    def bad(self) -> str:
        """1 while it is out of bounds; without the Collector nothing is known of a gauge that has to be high enough."""
        if self.at_least is None:
            return f"{self.gauge} > bool {self.threshold}"
        return f"({self.gauge} < bool {self.at_least}) and on () collector:up == 1"
