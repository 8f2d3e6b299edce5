"""The Collector alone, with a folder's files, and the families on its page for Prometheus: the fixture `collect`."""

import re
import subprocess
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest

from otel_tutor.catalogue import Instrument
from otel_tutor.tools.stack.configuration import collector_files
from otel_tutor.tools.stack.native.build import Binaries
from otel_tutor.tools.stack.native.programs import Layout, stack_environment
from otel_tutor.tools.stack.polling import wait_for
from otel_tutor.tools.stack.ports import LOOPBACK
from otel_tutor.tools.stack.readiness import answers
from tests.support.catalogue import record_every_instrument
from tests.support.ports import unused_ports

__all__ = ["Collect", "Page", "collect"]


@dataclass
class Page:
    """A family as the exporter shows it."""

    type: str
    meaning: str = ""
    labels: set[str] = field(default_factory=set)
    bounds: set[float] = field(default_factory=set)


Collect = Callable[..., Mapping[str, Page]]


@pytest.fixture
def collect(binaries: Binaries, tmp_path: Path) -> Collect:
    """Start a Collector on a folder, record every instrument, and read the families that come out."""

    def run(configuration: Path, *more: Instrument) -> Mapping[str, Page]:
        ports = unused_ports()
        command = [str(binaries["otelcol"]), *(f"--config={path}" for path in collector_files(configuration))]
        log = (tmp_path / "collector.log").open("w", encoding="utf-8")
        layout = Layout(binaries=binaries, configuration=configuration, data=tmp_path / "data", ports=ports)
        process = subprocess.Popen(command, env=stack_environment(layout), stdout=log, stderr=log)
        try:
            ready = f"http://{LOOPBACK}:{ports['collector-health']}"
            assert wait_for(lambda: answers(ready), bool, seconds=30), (tmp_path / "collector.log").read_text()
            record_every_instrument(f"http://{LOOPBACK}:{ports['otlp']}", *more)
            page = f"http://{LOOPBACK}:{ports['metrics']}/metrics"
            return _families(wait_for(lambda: httpx2.get(page).text, lambda text: "# TYPE" in text, seconds=20))
        finally:
            process.kill()
            process.wait()
            log.close()

    return run


def _families(text: str) -> Mapping[str, Page]:
    families = {name: Page(kind) for name, kind in re.findall(r"^# TYPE (\S+) (\w+)$", text, re.MULTILINE)}
    meanings: Mapping[str, str] = defaultdict(str, re.findall(r"^# HELP (\S+) (.*)$", text, re.MULTILINE))
    for name, page in families.items():
        page.meaning = meanings[name]
        for labels in re.findall(rf"^{name}(?:_bucket|_sum|_count)?\{{(.*)\}} ", text, re.MULTILINE):
            pairs = dict(re.findall(r'(\w+)="([^"]*)"', labels))
            page.labels |= pairs.keys() - {"job", "instance", "le"}
            page.bounds |= {float(pairs["le"])} if "le" in pairs else set()
    return families
