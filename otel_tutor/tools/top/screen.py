"""The overview as a Textual app: seven panels, alerts, budgets and the slowest traces, live."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Final

from rich.text import Text
from textual import work
from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.containers import Grid
from textual.widgets import Footer, Static
from textual_plotext import PlotextPlot

from otel_tutor.errors import StackError
from otel_tutor.tools.stack.backends import Backends
from otel_tutor.tools.stack.ports import Ports
from otel_tutor.tools.top.overview import HISTORY, Frame, Panel, Reading, read_frame, read_panels, shown

__all__ = ["Top"]

_REFRESH: Final = 5.0  # seconds, as the dashboard
_BAR: Final = "█"


class _Number(Static, can_focus=True):
    """A gauge: its value, and how far that is from where it turns red."""

    def show(self, reading: Reading) -> None:
        """Draw a reading."""
        panel, value = reading.panel, reading.value
        width = max(4, self.size.width - 4)
        filled = 0 if value is None or not panel.highest else round(width * min(1.0, value / panel.highest))
        color = "dim" if value is None else "red" if reading.is_bad else "green"
        self.update(Text.assemble((shown(value, panel.unit), f"bold {color}"), "\n", (_BAR * filled, color)))


class _Curves(PlotextPlot, can_focus=True):
    """Lines over the last quarter of an hour."""

    def show(self, reading: Reading) -> None:
        """Draw a reading."""
        self.plt.clear_figure()
        self.plt.xticks([])
        for name, values in reading.series.items():
            if values:
                self.plt.plot(list(values), label=f"{name} {shown(values[-1], reading.panel.unit)}", marker="braille")
        self.plt.xlabel(f"last {HISTORY // 60} min, {reading.panel.unit}")
        self.refresh()


class _Bars(Static, can_focus=True):
    """A bar for each name."""

    def show(self, reading: Reading) -> None:
        """Draw a reading."""
        counts = sorted(((values[-1], name) for name, values in reading.series.items()), reverse=True)
        most = max([count for count, _ in counts], default=1) or 1
        width = max(4, self.size.width - 24)
        rows = [f"{name[:12]:<12} {_BAR * round(width * count / most)} {count:.0f}" for count, name in counts]
        self.update(Text("\n".join(rows) or "no data"))


_WIDGETS: Final[Mapping[str, type[_Number | _Curves | _Bars]]] = {"gauge": _Number, "timeseries": _Curves, "barchart": _Bars}


_LISTS: Final = {
    "alerts": "Alerts",
    "budgets": "Budgets",
    "traces": "Slowest traces",
    "lines": "Log lines of the slowest trace",
}


class Top(App[None]):
    """What `otel-tutor top` shows, until q is pressed."""

    TITLE = "otel_tutor"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    Grid { grid-size: 4; grid-rows: 4 1fr 1fr; }
    Grid > * { border: round $surface-lighten-2; border-title-color: $text; padding: 0 1; height: 100%; }
    Grid > *:focus { border: round $accent; }
    _Curves, _Bars, #list { column-span: 2; }
    #status { height: 1; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        ("q", "quit", "Quit"),
        ("right,down,j", "app.focus_next", "Next"),
        ("left,up,k", "app.focus_previous", "Previous"),
        ("a", "list('alerts')", "Alerts"),
        ("b", "list('budgets')", "Budgets"),
        ("t", "list('traces')", "Slow traces"),
        ("l", "lines", "Its log lines"),
        ("o", "deeper", "Where to go deeper"),
    ]

    def __init__(self, configuration: Path, ports: Ports) -> None:
        super().__init__()
        self._panels = read_panels(configuration)
        self._ports = ports
        self._prometheus, self._jaeger = (f"http://localhost:{ports[name]}" for name in ("prometheus", "jaeger"))
        self._frame: Frame | None = None
        self._listed = "alerts"
        self._lines: list[str] = []
        self._widgets: dict[int, _Number | _Curves | _Bars] = {}

    def compose(self) -> ComposeResult:
        """The panels in the dashboard's order, then the list, then one line on the state of it all."""
        with Grid():
            for number, panel in enumerate(self._panels):
                widget = self._widgets[number] = _WIDGETS[panel.kind](id=f"panel-{number}")
                widget.border_title = panel.title
                yield widget
            yield Static(id="list")
        yield Static("reading", id="status")
        yield Footer()

    def on_mount(self) -> None:
        """Begin to read."""
        self.set_interval(_REFRESH, self._read)
        self._read()

    def on_resize(self) -> None:
        """Draw again: bars are as wide as the widget."""
        if self._frame:
            self.call_after_refresh(self._show, self._frame)

    @work(thread=True, exclusive=True)
    def _read(self) -> None:
        try:
            with Backends(self._ports) as backends:
                frame = read_frame(backends, self._panels)
        except StackError as error:
            self.call_from_thread(self._say, f"{error}; what is shown is old", bad=True)
        else:
            self.call_from_thread(self._show, frame)

    def _say(self, line: str, *, bad: bool = False) -> None:
        self.query_one("#status", Static).update(Text(line, "bold red" if bad else "dim"))

    def _show(self, frame: Frame) -> None:
        self._frame = frame
        for number, reading in enumerate(frame.readings):
            self._widgets[number].show(reading)
        self._show_list(frame)
        firing = f"{len(frame.alerts)} alerts fire" if frame.alerts else "no alert fires"
        self._say(f"{firing}; Prometheus at {self._prometheus}", bad=bool(frame.alerts))
        if self._listed == "lines":  # they arrive after their trace, and another trace may be the slowest now
            self._read_lines()

    def _show_list(self, frame: Frame) -> None:
        lists: Mapping[str, Sequence[str]] = {
            "alerts": frame.alerts or ["none"],
            "budgets": [
                *([f"{name:<16} {left:>7.1%} left" for name, left in sorted(frame.budgets.items())] or ["no data yet"]),
                *(f"cost of models   {cost}" for cost in frame.costs),
            ],
            "traces": [f"{shown(root.duration, 's'):>8} {root.name} {root.tags['trace_id']}" for root in frame.slowest]
            or ["none"],
            "lines": self._lines,
        }
        widget = self.query_one("#list", Static)
        widget.border_title = _LISTS[self._listed]
        widget.update(Text("\n".join(lists[self._listed]), overflow="ellipsis", no_wrap=True))

    def action_list(self, name: str) -> None:
        """Show another list."""
        self._listed = name
        if self._frame:
            self._show_list(self._frame)

    def action_lines(self) -> None:
        """Show what was logged in the slowest trace."""
        self.action_list("lines")
        self._read_lines()

    @work(thread=True, exclusive=True, group="lines")
    def _read_lines(self) -> None:
        slow = self._frame.slowest if self._frame else ()
        try:
            with Backends(self._ports) as backends:
                records = backends.logs_of_trace(slow[0].tags["trace_id"]) if slow else []
        except StackError as error:
            self.call_from_thread(self._say, str(error), bad=True)
        else:
            lines = [f"{record['_time'][11:19]} {record['_msg']}" for record in records] or ["none"]
            self.call_from_thread(self._show_lines, lines)

    def _show_lines(self, lines: list[str]) -> None:
        """Another list may have been asked for while these were read: it stays."""
        self._lines = lines
        self.action_list(self._listed)

    def action_deeper(self) -> None:
        """Show the address where more is to be found about what has the focus."""
        number = getattr(self.focused, "id", None) or ""
        panels: dict[str, Panel] = {f"panel-{index}": panel for index, panel in enumerate(self._panels)}
        slow = self._frame.slowest if self._frame else ()
        if slow and self._listed in {"traces", "lines"}:
            self._say(f"{self._jaeger}/api/traces/{slow[0].tags['trace_id']}")
        elif number in panels:
            expression = panels[number].queries[0][0].replace("$service", ".*")
            self._say(f"{self._prometheus}/api/v1/query?query={expression}")
