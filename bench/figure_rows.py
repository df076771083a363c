"""Charts of rows: a label and a bar for each, in one or two panels that share the rows."""

import dataclasses

from matplotlib.ticker import FuncFormatter, MaxNLocator

from figure_canvas import (
    LAYOUTS, MUTED, NARROW, PAPER, STEPS, TEXT, Canvas, drawing, grouped, legend_height, text_width)

LABEL_WIDTH = 232  # of a wide chart
BAR = 11


@dataclasses.dataclass(frozen=True)
class Bar:
    """A part of a row: from `start`, `length` long; a spread has low and high."""

    length: float
    color: str
    start: float = 0.0
    low: float | None = None
    high: float | None = None
    hatch: str = ""

    @property
    def end(self):
        return max(self.start + self.length, self.high or 0)


@dataclasses.dataclass(frozen=True)
class Row:
    """What stands in each panel: bars that follow each other, and the text behind them."""

    label: str
    panels: tuple  # of (bars, text)


@dataclasses.dataclass(frozen=True)
class Chart:
    """`groups` are (heading, rows); `legend` as Canvas.legend wants it."""

    identity: str
    label: str
    titles: tuple  # of the panels
    groups: tuple
    legend: tuple = ()


def places(chart, layout):
    """Where everything is in a panel: (pixels from its top, heading or row), and its height."""
    found, y = [], 0
    label_above = layout.font + 5 if layout is NARROW else 0
    for heading, rows in chart.groups:
        if heading:
            found.append((y + 9, heading))
            y += 20
        for row in rows:
            found.append((y + label_above + 9, row))
            y += label_above + 19
        y += 5
    return found, y


def panel_max(chart, panel):
    ends = [bar.end for _, rows in chart.groups for row in rows for bar in row.panels[panel][0]]
    return max(ends, default=0) or 1


def fit(layout, width, chart, panel):
    """How long the axis must be so that each bar's text has room behind it."""
    longest = panel_max(chart, panel)
    texts = [(max((bar.end for bar in row.panels[panel][0]), default=0), row.panels[panel][1])
             for _, rows in chart.groups for row in rows]
    wanted = longest
    for end, text in texts:
        room = width - text_width(text, layout.font) - 10
        wanted = max(wanted, end * width / max(room, width * 0.2))
    return wanted


def draw_whisker(axes, bar, y):
    """With a rim, so that it is seen on a bar of any color."""
    for color, width, size in ((PAPER, 3.2, 9), (TEXT, 1.2, 7)):
        axes.plot([bar.low, bar.high], [y, y], color=color, linewidth=width, marker="|",
                  markersize=size, markeredgewidth=width, solid_capstyle="butt")


def draw_panel(axes, chart, layout, panel, found, width):
    axes.set(xlim=(0, fit(layout, width, chart, panel)))
    per_pixel = axes.get_xlim()[1] / width
    for y, row in found:
        if isinstance(row, str):
            continue
        bars, text = row.panels[panel]
        for bar in bars:
            axes.barh(y, bar.length, height=BAR, left=bar.start, color=bar.color, hatch=bar.hatch,
                      edgecolor=PAPER, linewidth=0.5)
            if bar.low is not None:
                draw_whisker(axes, bar, y)
        end = max((bar.end for bar in bars), default=0)
        axes.text(end + 6 * per_pixel, y, text, size=layout.font, va="center_baseline")
    axes.xaxis.set_major_locator(MaxNLocator(4 if width < 280 else 6, steps=STEPS))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: grouped(value)))
    axes.grid(axis="x")
    axes.set_yticks([])
    axes.spines["bottom"].set_visible(False)
    axes.spines["left"].set_color(MUTED)
    axes.tick_params(axis="x", length=0)


def draw_labels(canvas, found, left, top, beside):
    for y, row in found:
        if isinstance(row, str):
            canvas.text(left, top + y, row, bold=True)
        elif beside:
            canvas.text(beside, top + y, row.label, right=True)
        else:
            canvas.text(left + 4, top + y - canvas.layout.font - 4, row.label)


def draw_wide(chart, layout):
    """Labels at the left, panels beside each other."""
    found, height = places(chart, layout)
    top = 26
    legend = legend_height(layout, LABEL_WIDTH, chart.legend) + 6 if chart.legend else 0
    canvas = Canvas(layout, top + height + 24 + legend)
    draw_labels(canvas, found, 4, top, LABEL_WIDTH - 8)
    width = (layout.width - LABEL_WIDTH - 12) / len(chart.titles) - 18
    for panel, title in enumerate(chart.titles):
        left = LABEL_WIDTH + panel * (width + 18)
        axes = canvas.axes(left, top, width, height)
        axes.set(ylim=(height, 0))
        canvas.text(left, 12, title, bold=True)
        draw_panel(axes, chart, layout, panel, found, width)
    if chart.legend:
        canvas.legend(LABEL_WIDTH, top + height + 34, chart.legend)
    return canvas


def draw_narrow(chart, layout):
    """Labels above their bars, panels below each other."""
    found, height = places(chart, layout)
    legend = legend_height(layout, 4, chart.legend) + 6 if chart.legend else 0
    each = 26 + height + 26
    canvas = Canvas(layout, each * len(chart.titles) + legend)
    for panel, title in enumerate(chart.titles):
        top = panel * each + 26
        canvas.text(4, top - 14, title, bold=True, color=TEXT)
        draw_labels(canvas, found, 4, top, None)
        width = layout.width - 30  # a number at its end needs room on both sides
        axes = canvas.axes(6, top, width, height)
        axes.set(ylim=(height, 0))
        draw_panel(axes, chart, layout, panel, found, width)
    if chart.legend:
        canvas.legend(4, each * len(chart.titles) + 8, chart.legend)
    return canvas


@drawing
def draw(chart):
    """The chart's SVG in each layout."""
    texts = []
    for layout in LAYOUTS:
        canvas = (draw_narrow if layout is NARROW else draw_wide)(chart, layout)
        texts.append(canvas.svg(f"{chart.identity}-{layout.name}", chart.label))
    return texts
