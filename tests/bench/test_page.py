"""The report page, from a made-up document that has every scenario, and from the results that are
kept."""

import copy
import html.parser
import json
import pathlib
import re
import subprocess
import sys

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "bench"), str(pathlib.Path(__file__).resolve().parent)]

import figure_data
import page
import page_tables
import readme_tables
import report
import study
from made_up import BREAKS_AT, ODD_NAME, case_of, made_up, numbers_in, numbers_of, written

KEPT = sorted((TOP / "bench" / "results").glob("*/*.json"))
VOID = {"meta", "link", "br", "hr", "img", "input"}

# --- reading a page -------------------------------------------------------------------------------


class Page(html.parser.HTMLParser):
    """Fails where tags are not balanced; collects what the tests ask for."""

    def __init__(self, text):
        super().__init__()
        self.open = []
        self.tags = []  # (tag, attributes), in order
        self.texts = {}  # section's id: all text in it
        self.summary = ""
        self.rows = set()  # texts of row headers
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        assert len(dict(attrs)) == len(attrs), f"an attribute twice: {attrs}"
        if tag not in VOID:
            self.open.append((tag, dict(attrs)))
        if tag == "th":
            self.row = ""

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert tag not in VOID and self.open, tag
        opened, attributes = self.open.pop()
        assert opened == tag, f"{tag} closes {opened}"
        if tag == "th" and attributes["scope"] == "row":
            self.rows.add(self.row)

    def handle_data(self, text):
        inside = {attributes.get("id") for tag, attributes in self.open if tag == "section"}
        for section in inside:
            self.texts[section] = self.texts.get(section, "") + text + "\n"
        if any(tag == "th" for tag, _ in self.open):
            self.row += text

    def all(self, tag):
        return [attributes for found, attributes in self.tags if found == tag]


@pytest.fixture(scope="module")
def needs_plots():
    pytest.importorskip("matplotlib", reason="matplotlib is not there: "
                        "pip install -r tools/bench-requirements.txt")


@pytest.fixture(scope="module")
def document():
    return made_up()


@pytest.fixture(scope="module")
def text(needs_plots, document):
    return page.html(document)


@pytest.fixture(scope="module")
def found(text):
    return Page(text)


# --- the page -------------------------------------------------------------------------------------


def check_structure(found):
    ids = [attributes["id"] for _, attributes in found.tags if "id" in attributes]
    assert len(ids) == len(set(ids)), "an id twice"
    assert found.all("html")[0]["lang"] == "en"
    assert len(found.all("title")) == 1 and len(found.all("h1")) == 1
    assert len(found.all("caption")) == len(found.all("table"))
    assert len(found.all("figcaption")) == len(found.all("figure"))
    assert len(found.all("svg")) == 2 * len(found.all("figure"))
    for attributes in found.all("svg"):
        assert attributes["role"] == "img" and len(attributes["aria-label"]) > 20
    for attributes in found.all("th"):
        assert attributes["scope"] in ("row", "col")
    for attributes in found.all("a"):
        assert attributes["href"][1:] in ids
    for attributes in found.all("section"):
        assert attributes["aria-labelledby"] in ids
    levels = [int(tag[1]) for tag, _ in found.tags if re.fullmatch("h[1-6]", tag)]
    assert all(deeper <= level + 1 for level, deeper in zip(levels, levels[1:]))


def check_stands_alone(text, found):
    """Nothing is asked of a network or of another file; what is named within it is there."""
    assert "://" not in text and "@import" not in text and "data:" not in text
    for tag in ("script", "link", "img", "iframe", "object", "embed", "base"):
        assert found.all(tag) == []
    ids = {attributes["id"] for _, attributes in found.tags if "id" in attributes}
    for _, attributes in found.tags:
        assert not attributes.keys() & {"src", "srcset", "xlink:href"}
        assert attributes.get("href", "#").startswith("#")
        for value in attributes.values():
            for target in re.findall(r"url\(([^)]*)\)", value or ""):
                assert target[0] == "#" and target[1:] in ids
    for attributes in found.all("use"):
        assert attributes["href"][1:] in ids
    style = text[text.index("<style>"):text.index("</style>")]
    assert "url(" not in style


def check_keys(document, found):
    """Each case has its row, in the section of its scenario."""
    for entry in figure_data.entries(document):
        assert page_tables.case_title(entry) in found.rows, entry
        assert f"scenario-{entry.scenario}" in found.texts


def test_the_page_is_well_formed(found):
    check_structure(found)


def test_the_page_stands_alone(text, found):
    check_stands_alone(text, found)


def test_every_case_is_on_the_page(document, found):
    check_keys(document, found)
    assert len(figure_data.entries(document)) > 100


def test_the_page_of_a_whole_run_is_small(text):
    assert len(text.encode()) < 3_000_000


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_results_that_are_kept_have_their_page(needs_plots, path):
    kept = json.loads(path.read_text())
    text = page.html(kept)
    found = Page(text)
    check_structure(found)
    check_stands_alone(text, found)
    check_keys(kept, found)
    assert found.all("figure")
    # A closed loop had the name of the open one before.
    assert "hot" not in figure_data.scenarios(kept) or kept["schema"] >= 4


def test_results_are_kept():
    assert KEPT


def test_names_are_escaped(text, found):
    assert "<b>" not in text and "<made-up>" not in text and "<nothing>" not in text
    assert "<20>" not in text
    assert "a&lt;b&gt;&amp;&quot;quoted&quot; &#x27;name&#x27;" in text
    assert any(row.startswith(ODD_NAME) for row in found.rows)  # as the reader sees it
    svgs = "".join(re.findall(r"<svg.*?</svg>", text, re.DOTALL))
    assert "a&lt;b&gt;&amp;" in svgs


def test_the_same_document_gives_the_same_page(needs_plots):
    import matplotlib

    small = made_up(2, {"hot", "deadlock", "sellout"})
    first = page.html(copy.deepcopy(small))
    with matplotlib.rc_context({"font.size": 30, "svg.fonttype": "path", "axes.grid": True}):
        assert page.html(small) == first


def test_no_moment_and_no_program_is_left_in_the_figures(text):
    for word in ("metadata", "dc:date", "matplotlib", "DejaVu"):
        assert word not in "".join(re.findall(r"<svg.*?</svg>", text, re.DOTALL))


def test_every_number_of_the_summary_is_the_documents(document, found):
    allowed = numbers_of(document) | {"80", "4", "1,000", "99"}
    missing = numbers_in(found.texts["summary"]) - allowed
    # Words of this page: "p99", "4 KiB"; the rule of the mark: 80%.
    assert missing == set()
    assert len(numbers_in(found.texts["summary"])) > 80


def test_what_is_plotted_stands_in_a_table(document, found):
    for entry in figure_data.entries(document):
        text = found.texts[f"scenario-{entry.scenario}"]
        for name in page_tables.SPREAD:
            spread = figure_data.spread(document, entry, name)
            for value in (spread["median"], spread["min"], spread["max"]) if spread else ():
                assert numbers_in(text) & written(value), (entry, name, value)
    points = figure_data.middle_round(
        document, figure_data.entry_of("hot/8000/s/grouped"), "p99_ms", "cdf")["cdf"]
    for ms, _ in points:
        assert f"{ms:,.3f}" in found.texts["scenario-hot"]
    entry = figure_data.entry_of("stampede/the study's stages/redlock-n1")
    for row in figure_data.middle_round(
            document, entry, "requests_per_second", "series")["series"]:
        assert f"{row['t_s']:.1f}" in found.texts["scenario-stampede"]
        assert numbers_in(found.texts["scenario-stampede"]) & written(row["requests_per_second"])


def test_colors_are_variables_with_a_value_for_light_and_dark(needs_plots, text):
    import figure_canvas

    light, dark = re.findall(r":root \{ (--series-0.*?) \}", text)
    for number, pair in enumerate(figure_canvas.PALETTE):
        assert f"--series-{number}: {pair[0]};" in light
        assert f"--series-{number}: {pair[1]};" in dark
    assert re.search(r"@media screen and \(prefers-color-scheme: dark\) \{ :root \{ --series-0",
                     text)
    svgs = "".join(re.findall(r"<svg.*?</svg>", text, re.DOTALL))
    assert set(re.findall(r"#[0-9a-f]{6}", svgs)) == set()  # no color of its own
    names = {f"--{name}" for name in ("muted", "grid", "paper", *(
        f"series-{number}" for number in range(len(figure_canvas.PALETTE))))}
    assert set(re.findall(r"var\((--[\w-]+)\)", svgs)) == names
    for name in names:
        assert f"{name}:" in text
    assert "@media print" in text


def test_every_variable_has_a_value_for_light_and_dark():
    style = page.STYLE.read_text()
    light, dark = (set(re.findall(r"(--[\w-]+):", block))
                   for block in re.findall(r":root \{([^}]*--text[^}]*)\}", style))
    assert light == dark and len(light) > 5
    assert set(re.findall(r"var\((--[\w-]+)\)", style)) <= light | {"--series-2"}


def luminance(color):
    parts = [int(color[place:place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
                        for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("mode", (0, 1), ids=("light", "dark"))
def test_every_series_stands_out_from_the_paper(needs_plots, mode):
    import figure_canvas

    paper = figure_canvas.BACKGROUND[mode]
    assert page.STYLE.read_text().count(f"--paper: {paper}") == 1
    for pair in figure_canvas.PALETTE:
        bright, dim = sorted((luminance(pair[mode]), luminance(paper)), reverse=True)
        assert (bright + 0.05) / (dim + 0.05) >= 3, pair


def test_no_two_subjects_look_alike(needs_plots, document):
    import figures

    styles = figures.looks(document).values()
    assert len({(style.color, style.marker) for style in styles}) == len(styles)
    assert len({(style.color, style.hatch) for style in styles}) == len(styles)
    first = [style for subject, style in figures.looks(document).items() if subject in BREAKS_AT]
    assert len({style.color for style in first}) == len(BREAKS_AT)


# --- what it says ---------------------------------------------------------------------------------


def test_a_rate_that_was_skipped_stands_in_the_table(document, found):
    lines = found.texts["scenario-hot"]
    assert "broke" in lines
    # One says in the document that it was skipped, one is None in it, one is not there.
    table = next(page_tables.measured_tables(document, "hot"))
    ends = {row[0]: row[-1] for row in table.rows}
    for name in ("redlock, N=1, handoff=off", "grouped", "pessimistic, form=statements"):
        assert ends[f"{name}, 48000/s"] == "skipped"
        assert f"{name}, 48000/s" in found.rows
    assert ends["redlock, N=1, handoff=off, 1000/s"] == "2, 1 skipped"
    assert ends["redlock, N=1, handoff=off, 500/s"] == "3"
    rates = [int(row[0].rsplit(", ", 1)[1].removesuffix("/s")) for row in table.rows]
    assert rates == sorted(rates) and len(rates) == 9 * len(BREAKS_AT)


def test_a_rate_that_a_round_skipped_was_not_held(document):
    entry = figure_data.entry_of("hot/1000/s/redlock-n1")
    assert figure_data.held_rounds(document, entry) == (2, 3)
    assert not figure_data.held_always(document, entry)


def test_the_generators_limit_is_marked(found):
    assert "⚠" in found.texts["scenario-http"] and "⚠" not in found.texts["scenario-redlock"]
    assert "⚠ marks results that the load generator may have limited" in found.texts["summary"]


def test_violations_come_first(needs_plots):
    failing = made_up(1, {"deadlock"})
    failing["violations"] = ["hot: grouped: lost: 3 <reservations>"]
    text = page.html(failing)
    assert "This run failed" in text and "nothing oversold" not in text
    assert text.index("lost: 3 &lt;reservations&gt;") < text.index("Main results")


def test_known_violations_do_not_pass_unseen(found):
    assert "nothing oversold, lost or phantom, but what stands below" in found.texts["summary"]
    assert "sold is 5 but its rows have <20> seats" in found.texts["summary"]


def test_a_run_without_audits_claims_none(needs_plots):
    found = Page(page.html(made_up(2, {"sqlite"})))
    assert "audit" not in found.texts["summary"]


def test_seats_that_were_left_are_said(needs_plots, found):
    assert "Every run sold exactly its capacity." in found.texts["summary"]
    left = made_up(1, {"sellout"})
    key = "sellout/2000/s/grouped"
    left["rounds"][0]["measurements"][key]["audit"]["concerts"][0]["sold"] = 4999
    key = "sellout/16000/s/grouped"
    left["rounds"][0]["measurements"][key]["audit"]["concerts"][0]["sold"] = 5001
    text = Page(page.html(left)).texts["summary"]
    assert "only where fewer were asked for: grouped, 2000/s: 4,999 of 5,000 seats." in text
    assert "More was sold than there is: grouped, 16000/s: 5,001 of 5,000 seats." in text


def test_a_single_round_ranks_nothing(needs_plots):
    found = Page(page.html(made_up(1, {"one", "hot"})))
    assert "A single round: no ranking." in found.texts["summary"]
    assert "a single round has no spread, so there is no ranking" in found.texts["scenario-one"]


def test_overlapping_spreads_are_no_ranking(needs_plots):
    close = made_up(3, {"redlock"})
    for entry in close["rounds"]:
        for load in ("one concert", "ten concerts"):
            measured = entry["measurements"][f"redlock/{load}/redlock-n1"]
            entry["measurements"][f"redlock/{load}/redlock-n3"] = measured
    close["summary"] = {key: {} for key in close["summary"]}
    text = Page(page.html(close)).texts
    assert "no ranking within redlock, N=1, handoff=off / redlock, N=3" in " ".join(
        text["summary"].split())
    assert "Rates: spreads overlap, so there is no ranking within one concert" in (
        text["scenario-redlock"])


@pytest.mark.parametrize("scenario", (
    "one", "hot", "sellout", "stampede", "peers", "isolation", "deadlock", "drain", "mariadb"))
def test_a_scenario_alone_has_its_page(needs_plots, scenario):
    alone = made_up(1, {scenario})
    found = Page(page.html(alone))
    check_structure(found)
    assert [name for name in found.texts if name.startswith("scenario-")] == [
        f"scenario-{scenario}"]
    assert found.all("figure")


def test_what_was_never_measured_breaks_nothing(needs_plots):
    empty = made_up(2, {"hot", "one", "stampede", "deadlock"})
    for entry in empty["rounds"]:
        entry["measurements"] = {key: None if key.startswith(("hot", "deadlock")) else measured
                                 for key, measured in entry["measurements"].items()}
    for key in list(empty["summary"]):
        if key.startswith(("hot", "deadlock")):
            del empty["summary"][key]
    for key, measured in empty["rounds"][0]["measurements"].items():
        if key.startswith("stampede"):
            measured.update({name: None for name in measured if name != "series"})
            for row in measured["series"]:
                row.update({name: None for name in row if name != "t_s"})
    empty["rounds"].append({"number": 3, "measurements": {}})  # interrupted there
    found = Page(page.html(empty))
    check_structure(found)
    check_keys(empty, found)
    assert "none" in found.texts["scenario-deadlock"]


def test_an_unknown_scenario_is_shown(needs_plots):
    newer = made_up(2, {"one"})
    for entry in newer["rounds"]:
        entry["measurements"] = {"next/some load/who": measured
                                 for measured in entry["measurements"].values()}
    newer["summary"] = {"next/some load/who": report.summarize_case(
        newer["rounds"], case_of("next/some load/who"))}
    assert "who, some load" in Page(page.html(newer)).rows


# --- reading the document -------------------------------------------------------------------------


def test_a_load_may_have_a_slash():
    entry = figure_data.entry_of("hot/2000/s/grouped")
    assert (entry.scenario, entry.load, entry.subject, entry.rate) == (
        "hot", "2000/s", "grouped", 2000)
    older = figure_data.entry_of("hot/64 connections/grouped")
    assert (older.scenario, older.load, older.rate) == ("one", "64 connections", None)


def spreads_of(*spans):
    keys = [f"one/load/{place}" for place in range(len(spans))]
    summaries = {key: {"p99_ms": {"median": low, "min": low, "max": high, "count": 5}}
                 for key, (low, high) in zip(keys, spans)}
    return {"summary": summaries, "rounds": []}


@pytest.mark.parametrize("spans, wanted", [
    ([(1, 2), (3, 4)], []),
    ([(1, 3), (2, 4)], [["0", "1"]]),
    ([(1, 3), (3, 4), (9, 9)], [["0", "1"]]),
    ([(1, 9), (2, 3), (5, 6)], [["0", "1"], ["0", "2"]]),
    ([(1, 5), (2, 5), (3, 9), (8, 9)], [["0", "1", "2"], ["2", "3"]]),
    ([(1, 5), (1, 5)], [["0", "1"]]),
])
def test_unranked_sets_overlap_pairwise(spans, wanted):
    document = spreads_of(*spans)
    sets = figure_data.unranked(document, figure_data.entries(document), "p99_ms")
    assert [[entry.subject for entry in one] for one in sets] == wanted


def held_at(**rates):
    """A document in which each subject held at these rates, and broke at 9."""
    measurements = {}
    for subject, held in rates.items():
        for rate in (*held, 9):
            measurements[f"hot/{rate}/s/{subject}"] = {"held": rate in held, "p99_ms": 1.0}
    return {"summary": {}, "rounds": [{"measurements": measurements}]}


@pytest.mark.parametrize("rates, wanted", [
    ({"a": (1, 2, 4), "b": (1, 2), "c": (1,)}, 2),
    ({"a": (1, 2, 4), "b": (1, 2)}, 2),
    ({"a": (4,), "b": (2,), "c": (1,)}, 4),  # no majority anywhere
    ({"a": (), "b": ()}, None),
])
def test_the_rate_that_most_held(rates, wanted):
    document = held_at(**rates)
    assert figure_data.held_by_most(document, figure_data.entries(document)) == wanted


def test_held_is_asked_of_every_round():
    document = held_at(a=(1,))
    document["rounds"] += held_at(a=())["rounds"] + [
        {"measurements": {"hot/1/s/a": {"held": False}}}]
    entry = figure_data.entry_of("hot/1/s/a")
    assert figure_data.held_rounds(document, entry) == (1, 2)
    assert not figure_data.held_always(document, entry)


# --- the command ----------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path, document):
    path = tmp_path / "made-up.json"
    path.write_text(json.dumps(document))
    return path


def test_the_command_writes_beside_the_file(needs_plots, tmp_path, capsys):
    path = tmp_path / "small.json"
    path.write_text(json.dumps(made_up(1, {"deadlock"})))
    assert page.main([str(path)]) == 0
    assert "small.html" in capsys.readouterr().out
    check_structure(Page((tmp_path / "small.html").read_text()))


def test_the_command_prints_tables(file, document, capsys):
    assert page.main([str(file), "--summary"]) == 0
    assert capsys.readouterr().out.strip() == readme_tables.summary(
        document, "made-up.json").strip()
    assert page.main([str(file), "--markdown"]) == 0
    assert capsys.readouterr().out.strip() == "\n".join(study.markdown(document)).strip()
    assert not file.with_suffix(".html").exists()


@pytest.mark.parametrize("content, said", [
    ("{", "not JSON"), ("[]", "no result of ./dev bench"), ("{\"facts\": {}}", "parameters"),
    (None, "No such file"), ("\udc80", "not JSON"),
])
def test_the_command_says_what_is_wrong_with_a_file(tmp_path, capsys, content, said):
    path = tmp_path / "bad.json"
    if content is not None:
        path.write_bytes(content.encode("utf-8", "surrogateescape"))
    assert page.main([str(path)]) == page.EXIT_BAD_FILE
    assert said in capsys.readouterr().err


def test_tables_need_no_plots_and_a_page_says_what_it_needs(file):
    """In a Python that has no matplotlib."""
    program = ("import sys; sys.modules['matplotlib'] = None; sys.path.insert(0, sys.argv.pop(1)); "
               "import page; sys.exit(page.main())")
    command = [sys.executable, "-c", program, str(TOP / "bench"), str(file)]
    tables = subprocess.run([*command, "--summary"], capture_output=True, text=True, check=False)
    assert tables.returncode == 0 and "| grouped |" in tables.stdout
    whole = subprocess.run(command, capture_output=True, text=True, check=False)
    assert whole.returncode == page.EXIT_UNAVAILABLE
    assert "matplotlib" in whole.stderr and "bench-requirements.txt" in whole.stderr
