"""The objectives of `alerts/slos.yaml`, and the rules that are made of them: `alerts/rules/slos.yaml`.

    python -m otel_tutor.tools.objectives

writes those.
"""

from otel_tutor.tools.objectives.file import Burn, Objectives, read_objectives
from otel_tutor.tools.objectives.kinds import GaugeObjective, HistogramObjective, Objective, RatioObjective
from otel_tutor.tools.objectives.rules import render, write_rules

__all__ = [
    "Burn",
    "GaugeObjective",
    "HistogramObjective",
    "Objective",
    "Objectives",
    "RatioObjective",
    "read_objectives",
    "render",
    "write_rules",
]
