"""A long run's state beside its results, so that it can go on where it was interrupted:
./dev bench --resume FILE.

The file is written anew after each measurement, under another name, synced and renamed: whatever
kills the run, and whenever, it is whole and lacks at most the measurement under way. It is JSON;
its rounds, ceilings, facts and parameters are those that the result will have.
"""

import datetime
import hashlib
import json
import os
import pathlib
import shlex
import subprocess
import sys

import comparison
import plan
import report

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tools"))
from services.process import Identity  # noqa: E402 (the folder must be known first)

FORMAT = 1
# What a session has learnt from its measurements and the report needs in the end. What only the
# rest of a round needs is in the round's measurements: Session.remember takes it from there.
KEPT = ("violations", "failed", "database_facts", "lock_facts", "stock_and_log_facts")
# What is never the same twice; the run's own course.
FACTS_LEFT_OUT = {"date", "sync_us", "interruptions"}
PARAMETERS_LEFT_OUT = {"rounds_done"}
HOW_TO_HAVE = {
    "commit": "git checkout {then}, then ./dev build",
    "tree_is_clean": "the tree as it was then",
    "tree_digest": "the tree as it was then: git status shows what is not committed",
}


class ResumeError(Exception):
    """Its text is for the reader as it stands."""


def now_text():
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


class Journal:
    """A run's state, in memory and in its file. `rounds`, `ceilings`, `facts` and `notes` are those
    of the run: whoever measures reads them here, and records through the methods."""

    def __init__(self, path, state):
        self.path = pathlib.Path(path)
        self.state = state
        self.arguments = state["arguments"]
        self.facts = state["facts"]
        self.notes = state["notes"]
        self.ceilings = state["generator_ceilings"]
        self.rounds = state["rounds"]

    @classmethod
    def new(cls, folder, arguments, facts, parameters, notes):
        """Begins one in `folder`, which is made; `arguments` are those of the command line."""
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        moment = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        journal = cls(folder / f"unfinished-{moment}.json", {
            "unfinished": FORMAT, "started": now_text(), "saved": None,
            "owner": identity_text(os.getpid()), "arguments": list(arguments), "facts": facts,
            "parameters": parameters, "notes": notes, "generator_ceilings": [], "rounds": [],
            "kept": {}})
        try:
            journal.path.open("x").close()
        except FileExistsError as error:
            raise ResumeError(f"{journal.path} is there already: another run began in this second "
                              "and has the same --out") from error
        journal.save()
        return journal

    @classmethod
    def load(cls, path):
        """That of an interrupted run, or of one that was killed. It is not written before `go_on`.
        Raises ResumeError."""
        return cls(path, load_state(path))

    def go_on(self):
        """The interruption becomes one of the facts, and the run this process's."""
        owner = Identity.parse(self.state["owner"])
        if owner and owner.pid != os.getpid() and owner.is_alive():
            raise ResumeError(f"{self.path}: its run is still going on, as process {owner.pid}")
        self.facts.setdefault("interruptions", []).append(
            {"last_saved": self.state["saved"], "resumed": now_text()})
        self.state["owner"] = identity_text(os.getpid())
        self.save()

    def save(self):
        self.state["saved"] = now_text()
        write_whole(self.path, json.dumps(self.state) + "\n")

    # --- what was measured ------------------------------------------------------------------------

    def has_ceiling(self, load):
        """`load` as it stands in the ceiling's entry."""
        return any(entry["load"] == load for entry in self.ceilings)

    def record_ceiling(self, entry):
        self.ceilings.append(entry)
        self.save()

    def begin_round(self, number, load_average):
        """The round's entry: a new one, or the one that is there, perhaps with measurements."""
        for entry in self.rounds:
            if entry["number"] == number:
                if not entry.get("complete"):
                    entry.setdefault("resumed", []).append(now_text())
                return entry
        entry = {"number": number, "load_average": load_average, "measurements": {}}
        self.rounds.append(entry)
        return entry

    def record(self, number, key, measurement, session=None):
        """A measurement of a round that was begun; None: it could not be taken in this round. What
        the session knows since goes with it."""
        entry = next(entry for entry in self.rounds if entry["number"] == number)
        entry["measurements"][key] = measurement
        if session is not None:
            self.state["kept"] = {name: getattr(session, name) for name in KEPT}
        self.save()

    def end_round(self, number):
        entry = next(entry for entry in self.rounds if entry["number"] == number)
        entry["complete"] = True
        self.save()

    def give_back(self, session):
        """What the interrupted run's session knew, to the one that goes on."""
        for name, value in self.state["kept"].items():
            setattr(session, name, value)

    def finish(self):
        """The results are written: the file goes."""
        self.path.unlink(missing_ok=True)
        path_of_new(self.path).unlink(missing_ok=True)

    # --- what is left -----------------------------------------------------------------------------

    def left(self, cases, count):
        """(round's number, case) of all that `count` rounds still lack, in order."""
        done = {(entry["number"], key) for entry in self.rounds for key in entry["measurements"]}
        return [(number + 1, case) for number in range(count)
                for case in plan.order_of_round(cases, number)
                if (number + 1, case.key) not in done]

    def seconds_left(self, cases, count, seconds):
        """Expected, as report.expected_seconds has them for the whole run."""
        left = self.left(cases, count)
        every = [(number + 1, case) for number in range(count) for case in cases]
        done = set(every) - set(left)
        return (report.expected_seconds(cases, count, seconds)
                - len(self.ceilings) * (seconds + 0.1)
                - sum(plan.seconds_of(case, seconds) for _, case in done))

    def text_of_left(self, cases, count):
        """For the reader who resumes, after `go_on`."""
        left, every = len(self.left(cases, count)), count * len(cases)
        return (f"resumed: {every - left} of {every} measurements are there, the last from "
                f"{self.facts['interruptions'][-1]['last_saved']}")


# --- the file -------------------------------------------------------------------------------------


def identity_text(pid):
    identity = Identity.of(pid)
    return f"{identity.pid} {identity.ticks} {identity.boot}"


def path_of_new(path):
    return path.with_name(path.name + ".new")


def write_whole(path, text):
    """The file has its old text or the new one, at every moment, also after a power cut."""
    new = path_of_new(path)
    with open(new, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def load_state(path):
    try:
        state = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ResumeError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise ResumeError(f"{path}: not JSON: {error}") from error
    if not isinstance(state, dict) or "unfinished" not in state:
        raise ResumeError(f"{path} is not the state of an unfinished run; those are called "
                          "unfinished-….json and are beside the results")
    if state["unfinished"] != FORMAT:
        raise ResumeError(f"{path} has the format {state['unfinished']}, this program writes "
                          f"{FORMAT}: resume it with the program that began it")
    for name, kind in (("arguments", list), ("facts", dict), ("parameters", dict), ("notes", list),
                       ("generator_ceilings", list), ("rounds", list), ("kept", dict),
                       ("owner", str)):
        if not isinstance(state.get(name), kind):
            raise ResumeError(f"{path}: \"{name}\" is missing or of another kind")
    return state


# --- whether it may go on -------------------------------------------------------------------------


def git_output(top, *arguments):
    """Bytes; b"" where there is no git. It writes nothing, not even git's index."""
    try:
        run = subprocess.run(["git", *arguments], cwd=top, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False,
                             env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"})
    except OSError:
        return b""
    return run.stdout if run.returncode == 0 else b""


def tree_digest(top, left_out):
    """Of all that is not committed, files that git does not know yet among it; those in `left_out`,
    the folder of the results, do not count."""
    top, left_out = pathlib.Path(top).resolve(), pathlib.Path(left_out).resolve()
    digest = hashlib.sha256(git_output(
        top, "diff", "--no-ext-diff", "--no-textconv", "--no-color", "--binary", "HEAD"))
    listing = git_output(top, "ls-files", "-z", "--others", "--exclude-standard")
    for name in sorted(filter(None, listing.split(b"\0"))):
        path = top / os.fsdecode(name)
        if path.is_relative_to(left_out) or not path.is_file():
            continue
        digest.update(b"\0" + name + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def differences(state, facts, parameters):
    """(name, then, now) of what decides what is measured, and on what."""
    then = {**comparison.facts_of(state["facts"], FACTS_LEFT_OUT), **state["parameters"]}
    now = {**comparison.facts_of(facts, FACTS_LEFT_OUT), **parameters}
    return [found for found in comparison.differing(then, now)
            if found[0] not in PARAMETERS_LEFT_OUT]


def check_same(path, state, facts, parameters):
    """Whether a run with these facts and parameters may go on with the state; if not, raises
    ResumeError, which names all that differs and the way out."""
    lines = []
    # As JSON would give them back: a tuple is a list there.
    facts, parameters = json.loads(json.dumps([facts, parameters]))
    for name, then, now in differences(state, facts, parameters):
        line = f"  {name.replace('_', ' ')}: then {text_of(then)}, now {text_of(now)}"
        if name in HOW_TO_HAVE:
            line += f" ({HOW_TO_HAVE[name].format(then=then)})"
        lines.append(line)
    if lines:
        again = " ".join(["./dev bench", *map(shlex.quote, state["arguments"])])
        raise ResumeError(
            f"{path} cannot be resumed: its measurements and the ones to come would not be of the "
            "same.\n" + "\n".join(lines) + "\nMake them the same again and resume, or measure anew "
            f"with `{again}`; the file is not needed then.")


def text_of(value):
    return comparison.text_of(value) if value not in (None, "") else "nothing"
