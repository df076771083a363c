"""This build beside one of another commit, measured in turns in one run: ./dev bench --against
COMMIT. It is short, to be asked of every commit: it warns of what became slower and fails only for
what an audit finds.

The other commit is unpacked and built in .cache/against/, with the same compiler and options, and
stays there for the next time. A round measures each case with both builds, one right after the
other, and every other round the other way round.
"""

import configparser
import contextlib
import datetime
import fcntl
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field

import comparison
import database as database_of
import facts as facts_of
import load
import plan
import servers
import subjects as subjects_of
from progress import Progress
from session import Session

TOP = pathlib.Path(__file__).resolve().parent.parent
ROUNDS, ROUNDS_QUICK = 7, 3
SECONDS, SECONDS_QUICK = 2, 1
CONNECTIONS = 64
LABELS = ("before", "now")
EXIT_VIOLATION = 1
EXIT_UNAVAILABLE = 69
TARGETS = ("resvd", "tests/resvd-fake")
BUILD_TIMEOUT_S = 1800
BUILDS_KEPT = 4  # of other commits, those used last
LINES_SHOWN = 25  # of what a step that failed has printed
# What would make git describe name this tree's commit in a tree that lies within it.
GIT_VARIABLES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")
FAILURES = (servers.ServerError, database_of.ServerError, database_of.SqlError, load.LoadError)


class Unavailable(Exception):
    """The other build cannot be had, or nothing be measured. Its text is for the reader."""


# --- the other commit's build ---------------------------------------------------------------------


def run_step(title, command, **further):
    """Its output; raises Unavailable with the end of it."""
    try:
        run = subprocess.run([str(part) for part in command], stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                             timeout=BUILD_TIMEOUT_S, text=True, errors="replace", **further)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{title}: {error}") from error
    if run.returncode != 0:
        shown = "\n".join(run.stdout.splitlines()[-LINES_SHOWN:])
        raise Unavailable(f"{title} failed:\n{shown}")
    return run.stdout


def resolve(commit, top):
    """The whole name of a commit."""
    try:
        text = run_step("git", ["git", "rev-parse", "--verify", "--quiet", "--end-of-options",
                                f"{commit}^{{commit}}"], cwd=top)
    except Unavailable as error:
        raise Unavailable(f"there is no commit {commit} in {top} (a shallow clone lacks parents: "
                          "git fetch --deepen=1 gets one)") from error
    return text.strip()


def unpack(commit, folder, top):
    """Its tree; the folder appears whole or not at all."""
    if folder.is_dir():
        return
    new = folder.with_name(folder.name + ".new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    archive = new / "tree.tar"
    run_step(f"git archive {commit}", ["git", "archive", f"--output={archive}", commit], cwd=top)
    run_step("tar", ["tar", "-xf", archive.name], cwd=new)
    archive.unlink()
    new.rename(folder)


def fetch_llhttp(folder, top):
    """What this tree has serves that one too, when it wants the same version."""
    (folder / ".cache").mkdir(exist_ok=True)
    for there in (top / ".cache").glob("llhttp-*"):
        link = folder / ".cache" / there.name
        if not link.exists():
            link.symlink_to(there.resolve())
    script = folder / "tools" / "fetch-llhttp"
    if script.is_file():
        run_step("fetching llhttp", [script], cwd=folder)


def compiler_of(build):
    """As meson calls it, with what stands before it (ccache)."""
    try:
        first = json.loads((build / "compile_commands.json").read_text())[0]["command"]
    except (OSError, ValueError, LookupError) as error:
        raise Unavailable(f"{build} does not say how it was built: {error!r}") from error
    words = shlex.split(first)
    return " ".join(words[:next(i for i, word in enumerate(words) if word.startswith("-"))])


def options_of(build):
    """What was asked for when it was configured: meson's defaults are each commit's own."""
    parser = configparser.ConfigParser(interpolation=None, delimiters=["="], strict=False)
    parser.optionxform = str
    parser.read(build / "meson-private" / "cmd_line.txt")
    asked = dict(parser["options"]) if parser.has_section("options") else {}
    try:
        text = (build / "meson-info" / "intro-buildoptions.json").read_text()
        known = {option["name"]: option["value"] for option in json.loads(text)}
    except (OSError, ValueError, LookupError) as error:
        raise Unavailable(f"{build} does not say how it was built: {error!r}") from error
    for name in ("c_args", "c_link_args"):  # by CFLAGS and LDFLAGS
        if known.get(name) and name not in asked:
            asked[name] = repr(known[name])
    return asked


def build_other(commit, build, top=TOP, say=print):
    """Builds the commit as `build` was built, if that was not done before; returns a Build."""
    top, build = pathlib.Path(top), pathlib.Path(build).resolve()
    commit = resolve(commit, top)
    compiler, options = compiler_of(build), options_of(build)
    versions = facts_of.output_of(str(build / "resvd"), "--version").splitlines()[1:]
    digest = facts_of.config_digest(compiler, options, versions)[:8]
    home = top / ".cache" / "against"
    home.mkdir(parents=True, exist_ok=True)
    folder = home / commit[:16]
    environment = {name: value for name, value in os.environ.items() if name not in GIT_VARIABLES}
    environment |= {"CC": compiler, "GIT_CEILING_DIRECTORIES": str(home.resolve())}
    with locked(home / "lock"):
        unpack(commit, folder, top)
        target = folder / f"build-{digest}"
        if not all((target / name).is_file() for name in TARGETS):
            say(f"building {commit[:12]} in {target}")
        fetch_llhttp(folder, top)
        if not (target / "build.ninja").is_file():
            shutil.rmtree(target, ignore_errors=True)
            run_step("meson setup", ["meson", "setup", target, *(
                f"-D{name}={value}" for name, value in options.items())], cwd=folder,
                     env=environment)
        run_step("ninja", ["ninja", "-C", target, *TARGETS], cwd=folder, env=environment)
        os.utime(folder)
        forget_oldest(home)
    name = facts_of.output_of("git", "describe", "--always", "--tags", commit, cwd=top)
    return Build(LABELS[0], name or commit[:12], target)


@contextlib.contextmanager
def locked(path):
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def forget_oldest(home):
    folders = sorted((path for path in home.iterdir() if path.is_dir()),
                     key=lambda path: path.stat().st_mtime, reverse=True)
    for folder in folders[BUILDS_KEPT:]:
        shutil.rmtree(folder, ignore_errors=True)


# --- measuring ------------------------------------------------------------------------------------


@dataclass
class Build:
    """One of the two, and what it was measured at."""

    label: str
    commit: str
    folder: pathlib.Path
    rounds: list = field(default_factory=list)
    violations: list = field(default_factory=list)  # of audits
    failed: dict = field(default_factory=dict)  # key of a case: what went wrong with it

    @property
    def title(self):
        return "this build" if self.label == LABELS[1] else f"that of {self.commit}"

    @property
    def tools(self):
        folder = pathlib.Path(self.folder).resolve()
        return {"resvd": folder / "resvd", "resvd_fake": folder / "tests" / "resvd-fake",
                "wrk": facts_of.find_program("wrk")}

    def strategies(self):
        return subjects_of.strategies_in(
            facts_of.output_of(str(self.tools["resvd"]), "--list-strategies"))

    def can_measure(self, case):
        if case.scenario == "http":
            return self.tools["resvd_fake"].is_file()
        strategy = "embedded" if case.scenario == "embedded" else (
            subjects_of.BY_NAME[case.subject].strategy)
        return strategy in self.strategies()


def cases_of(words):
    """embedded and the bare HTTP server; of further strategies one hot concert each."""
    cases = plan.embedded_cases(with_nginx=False) + plan.http_cases()
    cases = [case for case in cases
             if (case.subject, case.connections, case.depth) == ("resvd", CONNECTIONS, 1)]
    further = [subject for subject in subjects_of.select(words) if subject.name != "embedded"]
    if words:
        cases += [case for case in plan.store_cases("one", further)
                  if case.connections == CONNECTIONS]
    return cases


def choose_cases(words, builds, warnings):
    """Those that both builds have; warnings name the others."""
    chosen = []
    for case in cases_of(words):
        lacking = [build.title for build in builds if not build.can_measure(case)]
        if lacking:
            warnings.append(f"{case.key} is not measured: {' and '.join(lacking)} cannot do it")
        else:
            chosen.append(case)
    return chosen


def measure_case(build, session, case):
    """None when it failed; it is not tried again then."""
    known = len(session.violations)
    try:
        return session.measure(case)
    except FAILURES as error:
        build.failed[case.key] = f"{case.title}: a measurement failed: {error}"
        return None
    finally:
        build.violations += session.violations[known:]


def measure_rounds(pairs, cases, count, seconds, progress):
    """`pairs` of build and session, in the order of LABELS."""
    for number in range(count):
        for build, _ in pairs:
            build.rounds.append({"number": number + 1, "load_average": os.getloadavg(),
                                 "measurements": {}})
        for case in plan.order_of_round(cases, number):
            for build, session in pairs if number % 2 == 0 else pairs[::-1]:
                if any(case.key in one.failed for one, _ in pairs):
                    continue
                progress.begin(f"round {number + 1}/{count}: {case.title}, {build.label}")
                build.rounds[-1]["measurements"][case.key] = measure_case(build, session, case)
                progress.end(plan.seconds_of(case, seconds))


def measure_builds(before, now, folder, *, rounds=ROUNDS, seconds=SECONDS, threads=1, words=()):
    """Both in turns; returns the JSON document. Raises Unavailable when there is nothing that both
    can be measured at."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    warnings = []
    cases = choose_cases(words, (before, now), warnings)
    if not cases:
        raise Unavailable("; ".join(warnings))
    facts = facts_of.gather(now.tools["resvd"], now.tools["wrk"], facts_of.find_program("nginx"),
                            now.folder, folder)
    progress = Progress(2 * rounds * sum(plan.seconds_of(case, seconds) for case in cases))
    with contextlib.ExitStack() as stack:
        pairs = [(build, stack.enter_context(contextlib.closing(
            Session(build.tools, folder, seconds, threads)))) for build in (before, now)]
        try:
            measure_rounds(pairs, cases, rounds, seconds, progress)
            progress.finish()
        except KeyboardInterrupt:
            warnings.append("interrupted before its end")
            progress.say("interrupted: this is what there is")
    warnings += before.failed.values()
    return make_document(before, now, facts, warnings, {
        "rounds": rounds, "seconds": seconds, "threads": threads})


# --- the result -----------------------------------------------------------------------------------


def make_document(before, now, facts, warnings, parameters):
    """Each build's part is as a run's document, and the comparison of both."""
    moment = datetime.datetime.now(datetime.timezone.utc).isoformat()
    parameters = {**parameters, "interleaved_run": moment}
    theirs = {**facts, "commit": before.commit, "tree_is_clean": True,
              "resvd": facts_of.output_of(str(before.tools["resvd"]), "--version").splitlines(),
              "build": facts_of.build_options(before.folder)}
    parts = [{"schema": comparison.SCHEMA_LAST, "facts": known, "parameters": parameters,
              "warnings": facts_of.warnings_of(known), "rounds": build.rounds,
              "violations": [*build.violations, *(build.failed.values() if build is now else ())]}
             for build, known in ((before, theirs), (now, facts))]
    compared = comparison.compare(*parts, labels=LABELS)
    compared["warnings"] = warnings + compared["warnings"]
    return {"schema": comparison.SCHEMA_LAST, "kind": "against", "facts": facts,
            "parameters": parameters, "comparison": compared,
            **dict(zip(LABELS, parts))}


def warn_of_worse(compared):
    """What the reader must not overlook; it fails nothing."""
    for line in compared["lines"]:
        if line["verdict"] == "worse":
            print(f"warning: {line['key']}, {line['field']}: {line['text']}, {line['ratio']:.3f} "
                  f"times what it was ({line['low']:.3f}–{line['high']:.3f})", file=sys.stderr)


def write(document, out):
    """Returns the path."""
    out.mkdir(parents=True, exist_ok=True)
    moment = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    names = [document[label]["facts"]["commit"] for label in reversed(LABELS)]
    path = out / f"{moment}-{names[0]}-against-{names[1]}.json"
    path.write_text(json.dumps(document, indent=1) + "\n")
    return path


def check_tools(now):
    missing = [name for name, path in now.tools.items() if path is None or not
               pathlib.Path(path).is_file()]
    if missing:
        raise Unavailable(f"missing: {', '.join(missing)}; `tools/install-needs bench` installs "
                          f"wrk, `ninja -C {now.folder} bench-programs` builds the others")


def main(commit, build, folder, out, *, rounds=None, seconds=None, quick=False, threads=1,
         words=()):
    """0, also when this build is slower; 1 when an audit of it found something or it could not be
    measured; 69, with the reason, when there is nothing to compare it with."""
    now = Build(LABELS[1], "", pathlib.Path(build))
    try:
        check_tools(now)
        before = build_other(commit, build,
                             say=lambda text: print(f"-- {text}", file=sys.stderr, flush=True))
        document = measure_builds(
            before, now, folder, rounds=rounds or (ROUNDS_QUICK if quick else ROUNDS),
            seconds=seconds or (SECONDS_QUICK if quick else SECONDS), threads=threads, words=words)
    except Unavailable as error:
        print(f"bench: not compared with {commit}: {error}", file=sys.stderr)
        return EXIT_UNAVAILABLE
    path = write(document, pathlib.Path(out))
    sys.stdout.write(comparison.markdown(document["comparison"]))
    warn_of_worse(document["comparison"])
    print(f"written: {path}", file=sys.stderr)
    violations = document[LABELS[1]]["violations"]
    for text in violations:
        print(f"bench: {text}", file=sys.stderr)
    if not violations and not document["comparison"]["lines"]:
        print(f"bench: not compared with {commit}: "
              + "; ".join(document["comparison"]["warnings"]), file=sys.stderr)
        return EXIT_UNAVAILABLE
    return EXIT_VIOLATION if violations else comparison.EXIT_OK
