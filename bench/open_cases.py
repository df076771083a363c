"""The open loops as cases: a fresh server for each rate, and an audit of every id that was given."""

import shutil

import open_loop
import plan
import stampede_cases
import subjects as subjects_of
import summary
import written_behind

WARM_UP_RATE_MAX = 8000  # a second: the case's own rate up to this
WARM_UP_S = 2  # what a new server and a new topic cost at first is over then
NO_END = 1_000_000_000  # seats, of a concert that must not sell out
CEILING = open_loop.ceiling_title(plan.OPEN_CONNECTIONS)


def measure_ceiling(session):
    """The open loop's own limit, as it stands among the ceilings."""
    target = session.standing("fixed-answer")
    return open_loop.ceiling(session.tools["open_loop"], target.url,
                             shape_of(plan.OPEN_CONNECTIONS), session.seconds)


def measure(session, case):
    """Start, fill, warm up, measure, audit, stop; or why this rate is not measured in this round."""
    held = session.rates_held.setdefault((case.scenario, case.subject), {})
    skipped = open_loop.skipped(case.rate, held)
    if skipped and case.scenario == plan.HOT:
        return skipped
    subject = subjects_of.BY_NAME[case.subject]
    folder = session.new_folder("store")
    server = session.start_strategy(subject, folder, case.concerts, NO_END)
    try:
        result = OpenCase(session, server, case, subject, folder).measure()
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    held[case.rate] = result["held"]
    return result


def shape_of(connections, concerts=1):
    return {"connections": connections, "concerts": concerts,
            "member_first": plan.MEMBER_FIRST, "member_count": plan.MEMBER_COUNT}


class OpenCase:
    """One case on a server that has just been filled. `ids` is the file with the ids of all that is
    sold in its tables."""

    def __init__(self, session, server, case, subject, folder):
        self.session = session
        self.server = server
        self.case = case
        self.subject = subject
        self.folder = folder
        self.ids = folder / "ids"
        self.store = session.database() if "mariadb" in subject.services else None

    def measure(self):
        """The CPU of the load, for the server's cores, and all until the last row is there."""
        unknown_before = self.warm_up()
        rows_before = summary.live_seats(self.server.admin_json("GET", "/admin/audit"))
        if self.store:
            self.store.wait_until_quiet()
        cpu = self.server.cpu_seconds()
        found = self.load(self.case.rate, plan.open_seconds(self.session.seconds))
        loaded_cpu = self.server.cpu_seconds() - cpu
        self.settle()
        result = open_loop.measurement(found, loaded_cpu, self.session.open_loop_ceiling,
                                       self.server.cpu_seconds() - cpu)
        result["violations"] = self.session.audit(
            self.server, self.store, self.case, self.subject, rows_before, result)
        further = self.further_violations(result, unknown_before)
        self.session.violations += [f"{self.case.title}: {text}" for text in further]
        result["violations"] += further
        return result

    def warm_up(self):
        """Code has run and gates are open; returns for how many of the rows it is not known whether
        somebody was told of them."""
        seconds = self.session.warm_up_seconds(self.subject)
        if seconds > plan.WARM_UP_SECONDS:  # a fresh broker, which few requests do not make quick
            self.session.load_on(self.server, stampede_cases.warm_up_of(self.case), seconds)
            self.settle()
            self.start_over(NO_END)
        rate = min(self.case.rate, WARM_UP_RATE_MAX)
        unknown = open_loop.unknown_outcomes(self.load(rate, WARM_UP_S))
        self.settle()
        if self.case.scenario != plan.SELLOUT:
            return unknown
        self.start_over(plan.SELLOUT_CAPACITY)
        return 0

    def start_over(self, capacity):
        """All seats are there again, but those of who opens the gates, which a reset has closed:
        the file has the ids of their rows."""
        self.session.reset(self.server, self.case.concerts, capacity)
        if self.subject.writes_behind:
            written_behind.open_gates(self.server, self.case.concerts)
            self.settle()
        self.ids.write_bytes(b"".join(open_loop.live_ids(self.rows())))

    def load(self, rate, seconds):
        return open_loop.run(self.session.tools["open_loop"], self.server.url,
                             shape_of(self.case.connections, self.case.concerts), rate, seconds,
                             self.ids)

    def settle(self):
        self.session.settle(self.server, self.subject)

    def rows(self):
        """Status of each by its id."""
        return (open_loop.ids_in_mariadb(self.store.server) if self.store
                else open_loop.ids_in_sqlite(self.folder / "resvd.db"))

    def further_violations(self, result, unknown_before):
        found = open_loop.audit_ids(result, self.ids, self.rows(), unknown_before)
        if self.case.scenario == plan.SELLOUT:
            found += open_loop.sellout_violations(result, result["audit"], plan.SELLOUT_CAPACITY)
        return found
