"""What collects metrics and exports them, and goes on whatever happens."""

import logging
from typing import Final

from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

from otel_tutor.errors import is_failure
from otel_tutor.recording.guard import EXPORT_FAILING
from otel_tutor.recording.reentry import catch_up, held
from otel_tutor.recording.state import state
from otel_tutor.recording.values import to_text

__all__ = ["SteadyReader"]

_log: Final = logging.getLogger("otel_tutor")


class SteadyReader(PeriodicExportingMetricReader):
    """The SDK's reader. A collection that fails would end its thread, and with it all metrics of the process."""

    def collect(self, timeout_millis: float = 10_000) -> None:  # type: ignore[misc]  # the SDK has its readers go on
        """Collect and export, measurements that were put off included."""
        try:
            catch_up()
            with held():  # while it collects, this thread has the locks of every instrument
                super().collect(timeout_millis)
        except BaseException as error:
            if not is_failure(error):
                raise
            if state.may_log_export():
                _log.warning("%s: metrics were not collected: %s: %s", EXPORT_FAILING, type(error).__name__, to_text(error))
