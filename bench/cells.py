"""Cells and tables of the Markdown report."""


def number(value, digits=None):
    if value is None:
        return "–"
    if digits is None:
        digits = 0 if abs(value) >= 100 else 2
    return f"{value:,.{digits}f}"


def ratio_digits(entry):
    """Of a comparison: a hundredth is two digits of nothing, and a goal missed by little must not
    look reached."""
    value, goal = entry["ratio"]["median"], entry.get("goal")
    near = goal is not None and value != goal and round(value, 2) == round(goal, 2)
    return 4 if value < 0.1 or near else 2


def judged_text(entry):
    """The value that a goal was held against: a ratio's, or a case's own."""
    if "ratio" in entry:
        return number(entry["ratio"]["median"], ratio_digits(entry))
    return number(entry["value"], 4 if 0 < entry["value"] < 1 else 0)


def median_of(found, field, digits=None):
    return number(found[field]["median"], digits) if field in found else "–"


def range_of(spread, digits=None):
    return (f"{number(spread['lower_quartile'], digits)}–{number(spread['upper_quartile'], digits)}"
            f" ({number(spread['min'], digits)}–{number(spread['max'], digits)})")


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |"]
    lines.append("|" + "|".join(" --- " if i == 0 else " ---: " for i in range(len(header))) + "|")
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return lines + [""]
