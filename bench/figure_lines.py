"""Charts of lines: small panels with the same subjects in each, and one legend for all of them."""

import dataclasses

from matplotlib.ticker import FuncFormatter, MaxNLocator

from figure_canvas import (
    LAYOUTS, MUTED, STEPS, Canvas, drawing, grouped, legend_height, log_limits, set_log)

PANEL_HEIGHT = {"wide": 230, "narrow": 210}


@dataclasses.dataclass(frozen=True)
class Line:
    """Points of one subject, how it looks, and which of its points are marked as broken."""

    points: tuple  # (x, y)
    look: dict
    broken: tuple = ()


@dataclasses.dataclass(frozen=True)
class Panel:
    """With its own scales."""

    title: str
    x_label: str
    lines: tuple
    x_is_log: bool = False
    y_is_log: bool = False
    limit: float | None = None  # a line across
    y_top: float | None = None


@dataclasses.dataclass(frozen=True)
class Chart:
    identity: str
    label: str
    panels: tuple
    legend: tuple  # as Canvas.legend wants it


def thousands(value, _=None):
    """A tick's label where there is little room: 500, 2k, 1.5M."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}"
    return grouped(value)


def set_scales(axes, panel):
    xs = [x for line in panel.lines for x, _ in line.points]
    ys = [y for line in panel.lines for _, y in line.points if y is not None]
    for axis, is_log, values in ((axes.xaxis, panel.x_is_log, xs),
                                 (axes.yaxis, panel.y_is_log, ys + [panel.limit])):
        if is_log:
            set_log(axis, *log_limits(values))
        else:
            axis.set_major_locator(MaxNLocator(5, steps=STEPS))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(thousands))
    if not panel.y_is_log:
        highest = max(ys, default=0) or 1
        axes.set(ylim=(0, panel.y_top or highest * 1.08))


def draw_panel(axes, panel):
    set_scales(axes, panel)
    axes.grid(axis="both")
    if panel.limit is not None:
        axes.axhline(panel.limit, color=MUTED, linewidth=1, linestyle=(0, (1, 2)))
    for line in panel.lines:
        shown = [(x, float("nan") if y is None else y) for x, y in line.points]
        # About eight markers a line: enough to tell it by, few enough to see it.
        every = max(1, len(shown) // 8)
        axes.plot([x for x, _ in shown], [y for _, y in shown], markevery=every, **line.look)
        axes.plot([x for x, _ in line.broken], [y for _, y in line.broken], linestyle="none",
                  marker="x", markersize=11, markeredgewidth=2, color=line.look["color"])


def draw_in(chart, layout):
    height = PANEL_HEIGHT[layout.name]
    in_a_row = min(layout.panels_in_a_row, len(chart.panels))
    rows = -(-len(chart.panels) // in_a_row)
    each = height + 68
    top = rows * each
    canvas = Canvas(layout, top + legend_height(layout, 8, chart.legend) + 4)
    room = layout.width / in_a_row
    for number, panel in enumerate(chart.panels):
        left = (number % in_a_row) * room
        above = (number // in_a_row) * each
        canvas.text(left + 6, above + 10, panel.title, bold=True)
        axes = canvas.axes(left + 46, above + 24, room - 62, height)
        draw_panel(axes, panel)
        canvas.text(left + room - 16, above + 24 + height + 27, panel.x_label, right=True,
                    color=MUTED)
    canvas.legend(8, top + 8, chart.legend)
    return canvas


@drawing
def draw(chart):
    """The chart's SVG in each layout."""
    return [draw_in(chart, layout).svg(f"{chart.identity}-{layout.name}", chart.label)
            for layout in LAYOUTS]
