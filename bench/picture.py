"""Draws results as an SVG: three panels of bars, written by hand, readable on light and on dark pages."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, log10
from xml.sax.saxutils import escape

from bench.results import Results, Summary
from bench.scenarios import BY_NAME
from bench.standins import UNLIMITED

WIDTH = 760
LEFT = 250
RIGHT = 90
BAR = 16
GAP = 6
PANEL_HEAD = 44
MARGIN = 20
STYLE = """
  text { font: 12px ui-sans-serif, system-ui, sans-serif; fill: #57606a }
  .title { font-size: 14px; font-weight: 600; fill: #24292f }
  .value { font-variant-numeric: tabular-nums; fill: #24292f }
  .stageport { fill: #1a7f64 } .ocean { fill: #9aa4af }
  @media (prefers-color-scheme: dark) {
    text { fill: #9da7b1 } .title, .value { fill: #e6edf3 }
    .stageport { fill: #3fb68b } .ocean { fill: #6e7681 }
  }
"""
NAMES = {"stageport": "Stageport", "ocean": "Port's own integration"}


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: what it stands for, how long it is, and what is written at its end."""

    label: str
    value: float
    words: str
    tool: str


@dataclass(frozen=True, slots=True)
class Panel:
    """A few bars on one scale."""

    title: str
    bars: Sequence[Bar]

    @property
    def height(self) -> int:
        """How much room it takes."""
        return PANEL_HEAD + len(self.bars) * (BAR + GAP)


def draw(results: Results) -> str:
    """Return the picture of a benchmark."""
    panels = [panel for panel in panels_of(results) if panel.bars]
    height = MARGIN * 3 + sum(panel.height for panel in panels)
    parts: list[str] = []
    top = MARGIN
    for panel in panels:
        parts += _draw_panel(panel, top)
        top += panel.height
    parts.append(f'<text x="{MARGIN}" y="{height - MARGIN}">{escape(_foot(results))}</text>')
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" aria-label="Benchmark of Stageport">\n<style>{STYLE}</style>\n{body}\n</svg>\n'
    )


def panels_of(results: Results) -> list[Panel]:
    """Choose what is worth a picture: CPU at the largest size, wall time with latency, memory by size."""
    order = [*BY_NAME]
    plain = [one for one in results.summaries() if one.key.limit == str(UNLIMITED)]
    plain.sort(key=lambda one: (order.index(one.key.scenario), [*NAMES].index(one.key.tool)))
    at_once = [one for one in plain if one.key.latency_ms == 0]
    far = [one for one in plain if one.key.latency_ms]
    panels = []
    if at_once:
        size = _shared_size(at_once)
        title = f"CPU for each entity, all processes, {size:,} entities (ms)"
        panels.append(Panel(title, [_cpu_bar(one) for one in at_once if one.key.entities == size]))
    if far:
        size = _shared_size(far)
        latency = far[0].key.latency_ms
        title = f"Wall time, {size:,} entities, both sides answer after {latency} ms (s)"
        panels.append(Panel(title, [_wall_bar(one) for one in far if one.key.entities == size]))
    firsts = [one for one in at_once if one.key.scenario == "first"]
    panels.append(Panel("Peak memory of a first sync, all processes (MB)", [_memory_bar(one) for one in firsts]))
    return panels


def _shared_size(summaries: Sequence[Summary]) -> int:
    """Return the largest size at which both tools were measured, or else the largest."""
    sizes = [{one.key.entities for one in summaries if one.key.tool == tool} for tool in NAMES]
    shared = sizes[0] & sizes[1]
    return max(shared or {one.key.entities for one in summaries})


def _cpu_bar(one: Summary) -> Bar:
    value = one.cpu_per_entity * 1000
    return Bar(_label(one), value, _figure(value), one.key.tool)


def _wall_bar(one: Summary) -> Bar:
    return Bar(_label(one), one.wall, _figure(one.wall), one.key.tool)


def _memory_bar(one: Summary) -> Bar:
    label = f"{one.key.entities:,} entities" + _whose(one)
    return Bar(label, one.peak_pss / 1e6, f"{one.peak_pss / 1e6:.0f}", one.key.tool)


def _label(one: Summary) -> str:
    return BY_NAME[one.key.scenario].title + _whose(one)


def _whose(one: Summary) -> str:
    return "" if one.key.tool == "stageport" else ", Ocean"


def _figure(value: float) -> str:
    """Write a figure with three significant digits at most."""
    if value <= 0:
        return "0"
    return f"{value:.{max(0, 2 - floor(log10(value)))}f}"


def _draw_panel(panel: Panel, top: int) -> list[str]:
    longest = max(bar.value for bar in panel.bars) or 1.0
    parts = [f'<text class="title" x="{MARGIN}" y="{top + 18}">{escape(panel.title)}</text>']
    for number, bar in enumerate(panel.bars):
        y = top + PANEL_HEAD - 14 + number * (BAR + GAP)
        length = max(1.0, bar.value / longest * (WIDTH - LEFT - RIGHT))
        parts += [
            f'<text x="{LEFT - 8}" y="{y + 12}" text-anchor="end">{escape(bar.label)}</text>',
            f'<rect class="{bar.tool}" x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR}" rx="2"/>',
            f'<text class="value" x="{LEFT + length + 6:.1f}" y="{y + 12}">{bar.words}</text>',
        ]
    return parts


def _foot(results: Results) -> str:
    machine = results.machine
    repeats = max((one.repeats for one in results.summaries()), default=0)
    version = machine.versions.get("stageport", "")
    return (
        f"Medians of {repeats}; Stageport {version}, {machine.python}, {machine.cpus} CPUs ({machine.cpu}), "
        f"{results.measured[:10]}"
    )
