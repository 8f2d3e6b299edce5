"""The units that panels use."""

from typing import Final

__all__ = ["UNITS"]

# Grafana's ids of value formats, and what each writes; `make test-grafana` asks Grafana's own list.
UNITS: Final = {
    "short": "a number, 1 K for a thousand",
    "percent": "0-100",
    "percentunit": "0.0-1.0",
    "bytes": "1 KiB for 1024",
    "Bps": "bytes each second",
    "s": "seconds",
    "reqps": "requests each second",
    "ops": "operations each second",
    "cpm": "counts each minute",
}
