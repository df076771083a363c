"""Draws with matplotlib and gives SVG for a page: colours are the page's CSS variables, text is text
in the page's font, the same drawing gives the same bytes.

Places are in pixels from the left and the top. Each figure is drawn twice, for a wide and for a
narrow page.
"""

import dataclasses
import html
import io
import re

import matplotlib
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import NullLocator

# Okabe and Ito's palette, that the colour-blind can tell apart: (in light, in dark). The paler ones
# are darker in light, and black is white in dark, so that each stands out from what is behind it.
PALETTE = (
    ("#0072b2", "#3d94d0"), ("#d55e00", "#d55e00"), ("#009e73", "#009e73"),
    ("#b85c90", "#cc79a7"), ("#b98000", "#e69f00"), ("#3392c4", "#7cc8f0"),
    ("#303030", "#e8e8e8"), ("#8f8500", "#f0e442"),
)
BACKGROUND = ("#ffffff", "#15181b")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "h", "p")
DASHES = ((0, ()), (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)), (0, (3, 1)),
          (0, (8, 2)), (0, (3, 1, 1, 1, 1, 1)))
HATCHES = ("", "////", "----", "xxxx")  # lines only: dots make a pattern of many kilobytes
OUTCOMES = (2, 4, 1, 3)  # colours of accepted, sold out, failed, and what is beside them

# What is drawn in these becomes a variable of the page's CSS.
TEXT, MUTED, GRID, PAPER = "#010101", "#020202", "#030303", "#040404"
SERIES = tuple(f"#0a00{number:02x}" for number in range(len(PALETTE)))
VARIABLES = {TEXT: "currentColor", MUTED: "var(--muted)", GRID: "var(--grid)",
             PAPER: "var(--paper)",
             **{color: f"var(--series-{number})" for number, color in enumerate(SERIES)}}

SETTINGS = {
    "svg.fonttype": "none", "svg.hashsalt": "resvd", "text.parse_math": False,
    "font.family": "DejaVu Sans", "axes.unicode_minus": False, "hatch.linewidth": 0.7,
    "hatch.color": PAPER, "axes.edgecolor": MUTED, "axes.labelcolor": TEXT, "text.color": TEXT,
    "xtick.color": MUTED, "ytick.color": MUTED, "xtick.labelcolor": TEXT,
    "ytick.labelcolor": TEXT, "grid.color": GRID, "grid.linewidth": 0.8, "axes.linewidth": 0.8,
    "axes.spines.top": False, "axes.spines.right": False, "axes.facecolor": "none",
    "figure.facecolor": "none", "figure.dpi": 72, "lines.linewidth": 1.6, "lines.markersize": 5,
}
STEPS = (1, 2, 5, 10)  # between ticks
POINTS_A_LETTER = 0.58  # of the font's size: a letter is about that wide


@dataclasses.dataclass(frozen=True)
class Layout:
    """What a page has room for."""

    name: str
    width: int
    font: float
    panels_in_a_row: int


WIDE = Layout("wide", 760, 11, 2)
NARROW = Layout("narrow", 344, 10.5, 1)
LAYOUTS = (WIDE, NARROW)


@dataclasses.dataclass(frozen=True)
class Style:
    """How one subject looks in every figure of a page: colour is never the only difference."""

    number: int

    @property
    def color(self):
        return SERIES[self.number % len(SERIES)]

    @property
    def marker(self):
        return MARKERS[self.number % len(MARKERS)]

    @property
    def hatch(self):
        """Of bars: what has the color of another has its own hatch."""
        return HATCHES[self.number // len(SERIES) % len(HATCHES)]

    @property
    def dash(self):
        return DASHES[self.number % len(DASHES)]


def grouped(value):
    """A tick's label: 1,000 or 2.5."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:g}"


def text_width(text, size):
    return len(text) * size * POINTS_A_LETTER


class Canvas:
    """One figure in one layout."""

    def __init__(self, layout, height):
        self.layout = layout
        self.height = height
        self.figure = Figure(figsize=(layout.width / 72, height / 72), dpi=72)
        self.figure.patch.set_visible(False)
        FigureCanvasSVG(self.figure)

    def axes(self, left, top, width, height):
        found = self.figure.add_axes((left / self.layout.width,
                                      1 - (top + height) / self.height,
                                      width / self.layout.width, height / self.height))
        found.tick_params(labelsize=self.layout.font, length=3)
        found.patch.set_visible(False)
        found.set_axisbelow(True)
        return found

    def text(self, left, top, text, bold=False, color=TEXT, right=False):
        self.figure.text(left / self.layout.width, 1 - top / self.height, text, color=color,
                         size=self.layout.font, va="center_baseline", ha="right" if right else "left",
                         weight="bold" if bold else "normal")

    def legend(self, left, top, entries):
        """`entries`: (text, how a line or a box looks). Flows over as many lines as it needs."""
        size = self.layout.font
        for x, y, (text, look) in legend_places(self.layout, left, entries):
            at = top + y
            self.draw_key(left + x, at, look)
            self.text(left + x + 34, at, text)
        return size

    def draw_key(self, left, top, look):
        width, height = self.layout.width, self.height
        if "hatch" in look:
            self.figure.add_artist(Rectangle(
                ((left + 8) / width, 1 - (top + 5) / height), 20 / width, 10 / height, **look))
            return
        self.figure.add_artist(Line2D(
            [left / width, (left + 14) / width, (left + 28) / width], [1 - top / height] * 3,
            markevery=[1], **look))

    def svg(self, identity, label):
        """`identity` begins all ids in it; `label` says what is seen to those who do not see."""
        text = io.StringIO()
        self.figure.savefig(text, format="svg", metadata={
            "Date": None, "Creator": None, "Format": None, "Type": None})
        return for_page(text.getvalue(), self.layout, self.height, identity, label)


def legend_places(layout, left, entries):
    """(x, y, entry) of each, in lines that are not wider than the layout."""
    x, y, line = 0, 0, layout.font * 1.6
    for text, look in entries:
        width = 34 + text_width(text, layout.font) + 10
        if x and left + x + width > layout.width:
            x, y = 0, y + line
        yield x, y, (text, look)
        x += width


def legend_height(layout, left, entries):
    return max((y for _, y, _ in legend_places(layout, left, entries)), default=0) + (
        layout.font * 1.6)


def drawing(function):
    """Draws with the settings of this file, whatever the user's own are."""
    def wrapped(*arguments, **named):
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(SETTINGS)
            return function(*arguments, **named)
    return wrapped


def set_log(axis, low, high):
    """1, 10, 100; and 2 and 5 between them where there are few decades."""
    axis.axes.set(**{f"{axis.axis_name}scale": "log"})
    decades = [10.0 ** power for power in range(-4, 8)]
    steps = (1,) if high / low > 300 else (1, 2, 5)
    ticks = [step * decade for decade in decades for step in steps
             if low <= step * decade <= high * 1.0001]
    axis.set_ticks(ticks)
    axis.set_minor_locator(NullLocator())
    axis.axes.set(**{f"{axis.axis_name}lim": (low, high)})


def log_limits(values):
    """Around all of them."""
    known = [value for value in values if value and value > 0]
    return (min(known) / 1.3, max(known) * 1.3) if known else (1, 10)


# --- from matplotlib's SVG to the page's ----------------------------------------------------------


def for_page(text, layout, height, identity, label):
    """Without its own fonts and styles, and without all that only makes it longer."""
    text = text[text.index("<svg"):]
    text = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>", "", text,
                  flags=re.DOTALL)
    text = re.sub(r"<defs>\s*</defs>", "", text)
    text = text.replace("xlink:href=", "href=")
    text = with_own_ids(text, identity)
    text = re.sub(r"<[^>]*>", lambda match: shorter_tag(match[0]), text)
    text = without_bare_groups(text)
    text = re.sub("|".join(VARIABLES), lambda match: VARIABLES[match[0]], text)
    text = re.sub(r"\s*\n\s*", "\n", text).strip()
    opening = (f'<svg class="{layout.name}" viewBox="0 0 {layout.width} {height:g}" role="img" '
               f'aria-label="{html.escape(label)}">')
    return opening + text[text.index(">") + 1:]


def shorter_tag(tag):
    """The font is the page's; a hundredth of a pixel is seen by nobody."""
    tag = re.sub(r"font-family: [^;\"]*;? ?", "", tag)
    tag = re.sub(r' transform="rotate\(-0 [^"]*"', "", tag)
    return re.sub(r"(\.\d\d)\d+", r"\1", tag)


def with_own_ids(text, identity):
    """Only ids that are used, each with a name that no other figure of the page has."""
    used = dict.fromkeys(one or other for one, other in
                         re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', text))
    names = {name: f"{identity}-{number}" for number, name in enumerate(used)}
    text = re.sub(r' id="([^"]+)"',
                  lambda match: f' id="{names[match[1]]}"' if match[1] in names else "", text)
    return re.sub(r'(href="#|url\(#)([^")]+)', lambda match: match[1] + names[match[2]], text)


def without_bare_groups(text):
    """Groups that say nothing are left out, their content is not."""
    parts, kept = [], []
    for part in re.split(r"(<g(?: [^>]*)?>|</g>)", text):
        if part.startswith("<g"):
            kept.append(part != "<g>")
            part = part if kept[-1] else ""
        elif part == "</g>":
            part = part if kept.pop() else ""
        parts.append(part)
    return "".join(parts)
