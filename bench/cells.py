"""Cells and tables of the Markdown report."""


def number(value, digits=None):
    if value is None:
        return "–"
    if digits is None:
        digits = 0 if abs(value) >= 100 else 2
    return f"{value:,.{digits}f}"


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
