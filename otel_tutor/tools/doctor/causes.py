"""Every cause that the doctor knows, each declared where it is detected, and the page that lists them.

    python -m otel_tutor.tools.doctor.causes

writes `collector/troubleshooting.md`.
"""

from collections.abc import Mapping
from typing import Final

from otel_tutor.settings import shipped_config_dir
from otel_tutor.tools.doctor import collector, path, settings, stores
from otel_tutor.tools.doctor.finding import Cause, Symptom, by_key

__all__ = ["CAUSES", "COMMAND", "render"]

COMMAND: Final = "python -m otel_tutor.tools.doctor.causes"
_GRAFANA: Final = Cause(
    "grafana",  # the doctor does not ask Grafana
    Symptom.NO_DATA_SOURCE,
    "its data source names localhost, which in a container is the container",
    "use http://prometheus:9090, as dashboards/provisioning does",
)
CAUSES: Final[Mapping[str, Cause]] = by_key(
    *(cause for module in (settings, path, collector, stores) for cause in module.CAUSES.values()), _GRAFANA
)
_HEAD: Final = f"""# Troubleshooting

What `otel-tutor doctor` can find, and what to do about it. Made by `{COMMAND}` from the causes that
stand in `otel_tutor/tools/doctor/` where they are detected: edits belong there.

| what you see | why | what to do |
|---|---|---|
"""


def render() -> str:
    """The whole page, in Markdown, by symptom."""
    order = list(Symptom)
    causes = sorted(CAUSES.values(), key=lambda cause: order.index(cause.symptom))
    return _HEAD + "".join(f"| {cause.symptom} | {cause.cause} | {cause.remedy} |\n" for cause in causes)


if __name__ == "__main__":
    (shipped_config_dir() / "collector" / "troubleshooting.md").write_text(render(), encoding="utf-8")
