"""What is measured in each round, and in which order.

A case is one measurement: a server under a load, or a raw loop on a store. Every round has all
cases once; cases that are compared stand together, and every other round runs backwards, so that
what changes slowly on the machine meets all of them alike.
"""

from dataclasses import dataclass

import subjects as subjects_of

LOOP_ROWS = (1, 10, 32, 64, 100, 256, 512, 1000)
MEMBER_FIRST = 1000
MEMBER_COUNT = 9000  # ids 1000..9999: of one length, so all requests are of one length
WARM_UP_SECONDS = 1
BROKER_WARM_UP_SECONDS = 15  # more, once
START_SECONDS = 1.0  # what starting, filling and auditing a server takes, for the time left
DATABASE_START_SECONDS = 2.5  # the same where the store is a server
ISOLATION_SECONDS = 2.5  # until the last of the 30 has its answer
CONNECTIONS = (64, 512)

# Scenarios that put every chosen strategy under the same load: how many concerts it is spread over.
STORES = {"hot": 1, "ten": 10}
# The row lock against the lock in Redis, and what each does to others: the source study's question.
LOCKS = "redlock"
LOCK_SUBJECTS = ("pessimistic-statements", "redlock-n1", "redlock-n3", "redlock-n1-handoff16")
LOCK_LOADS = {"one concert": 1, "ten concerts": 10}  # how many it is spread over
LOCK_CONNECTIONS = 64
ISOLATION = "isolation"
ISOLATION_SUBJECTS = ("pessimistic-statements", "redlock-n1")
# [database] catalog_pool: 0 is the study's one pool for everything, 2 is resvd's default.
ISOLATION_POOLS = {"one pool": 0, "reads have their own": 2}
# Accepted by Redis and Kafka, written behind: the load until all rows are there; and what a backlog
# becomes when nobody adds to it.
ASYNC = "async"
ASYNC_SUBJECTS = ("async", "async-single")
ASYNC_LOADS = {  # connections, concerts, who meets it
    "64 connections": (64, 1, (*ASYNC_SUBJECTS, "nginx")),
    "512 connections": (512, 1, (*ASYNC_SUBJECTS, "nginx")),
    "ten concerts, 64 connections": (64, 10, ("async",)),
}
DRAIN = "drain"
DRAIN_SUBJECT = "async"
DRAIN_LOADS = {  # concerts, partitions
    "one concert": (1, 12), "one concert, 1 partition": (1, 1), "ten concerts": (10, 12)}
DRAIN_EVENTS_MAX = 300_000
DRAIN_EVENTS_PER_SECOND = 60_000  # of a measurement's seconds: so many make the backlog
FILL_CONNECTIONS = 512
SCENARIOS = ("hot", "ten", LOCKS, ISOLATION, ASYNC, DRAIN, "http", "embedded", "sqlite", "mariadb")
SALES = (*STORES, LOCKS)  # strategies under a load, side by side
AUDITED = (*SALES, ISOLATION, ASYNC, DRAIN, "embedded")
LOOPS = ("sqlite", "mariadb")  # raw loops: no server of ours, no load generator
# How mariadb_loop sends a transaction, and of how many rows.
MARIADB_FORMS = {
    "joined": "one text", "text": "text a statement", "prepared": "prepared statements"}
MARIADB_ROWS = {"joined": (1, 10, 64, 256), "text": (1,), "prepared": (1,)}


def key_of(scenario, load, subject):
    return f"{scenario}/{load}/{subject}"


@dataclass(frozen=True)
class Case:
    """Its `subject` is compared with others under the same `load`."""

    scenario: str
    subject: str
    load: str
    connections: int = 0
    depth: int = 1
    rows: int = 0  # loops: rows a transaction; 0: as many as embedded's transactions had
    concerts: int = 1
    form: str = ""  # mariadb_loop: how the statements are sent
    catalog_pool: int = 0  # isolation: connections for reads alone
    partitions: int = 0  # drain: of the event topic

    @property
    def key(self):
        return key_of(self.scenario, self.load, self.subject)

    @property
    def title(self):
        return f"{self.scenario}: {self.subject}, {self.load}"


def store_cases(scenario, subjects):
    """One hot concert, or ten: those that are compared with each other stand together."""
    return [Case(scenario, subject.name, f"{connections} connections", connections,
                 concerts=STORES[scenario])
            for connections in CONNECTIONS for subject in subjects]


def lock_cases(subjects):
    """One hot concert, and ten."""
    return [Case(LOCKS, subject.name, load, LOCK_CONNECTIONS, concerts=concerts)
            for load, concerts in LOCK_LOADS.items() for subject in subjects]


def isolation_cases(subjects):
    return [Case(ISOLATION, subject.name, load, catalog_pool=pool)
            for load, pool in ISOLATION_POOLS.items() for subject in subjects
            if subject.name in ISOLATION_SUBJECTS]


def async_cases(subjects):
    """The same load for all of them, and for nginx, which stores nothing."""
    names = {subject.name for subject in subjects} | {"nginx"}
    return [Case(ASYNC, name, load, connections, concerts=concerts)
            for load, (connections, concerts, who) in ASYNC_LOADS.items()
            for name in who if name in names]


def drain_cases(subjects):
    return [Case(DRAIN, DRAIN_SUBJECT, load, concerts=concerts, partitions=partitions)
            for load, (concerts, partitions) in DRAIN_LOADS.items()
            if DRAIN_SUBJECT in {subject.name for subject in subjects}]


def drain_events(seconds):
    return min(DRAIN_EVENTS_MAX, DRAIN_EVENTS_PER_SECOND * seconds)


def http_cases():
    """Core against nginx: nothing is stored."""
    cases = []
    for connections, depth in ((64, 1), (512, 1), (64, 16)):
        load = f"{connections} connections" + (f", {depth} deep" if depth > 1 else "")
        for subject in ("resvd", "nginx", "nginx-auto"):
            cases.append(Case("http", subject, load, connections, depth))
    return cases


def embedded_cases(with_nginx):
    """Durable reservations; batch_max=1 is one transaction a request behind the same HTTP."""
    cases = []
    for connections in CONNECTIONS:
        load = f"{connections} connections"
        subjects = ["resvd", "resvd-single"] + (["nginx"] if with_nginx else [])
        for subject in subjects:
            cases.append(Case("embedded", subject, load, connections))
    return cases


def sqlite_cases():
    """The raw loop; rows=0 stands for the batch size that arose at that many connections."""
    cases = [Case("sqlite", "loop", f"{rows} row{'s' * (rows > 1)} a transaction", rows=rows)
             for rows in LOOP_ROWS]
    for connections in CONNECTIONS:
        cases.append(Case("sqlite", "loop", f"batches as at {connections} connections",
                          connections=connections))
    return cases


def mariadb_cases():
    """The raw loop on one connection: what one-row transactions cost there at best, and several."""
    cases = []
    for form, title in MARIADB_FORMS.items():
        for rows in MARIADB_ROWS[form]:
            load = f"{title}, {rows} row{'s' * (rows > 1)} a transaction"
            cases.append(Case("mariadb", "loop", load, rows=rows, form=form))
    return cases


def subjects_of_scenarios(scenarios, chosen):
    """All that is needed: STORES' scenarios have what was chosen, the others their own."""
    needed = list(chosen) if STORES.keys() & set(scenarios) else []
    own = LOCK_SUBJECTS if {LOCKS, ISOLATION} & set(scenarios) else ()
    own += ASYNC_SUBJECTS if {ASYNC, DRAIN} & set(scenarios) else ()
    needed += [subject for name in own if (subject := subjects_of.BY_NAME[name]) not in needed]
    return needed


def make_cases(scenarios, subjects=None, loops=LOOPS, lock_subjects=None, async_subjects=None):
    """The cases of the scenarios, in their order in SCENARIOS.

    `subjects` are those of STORES' scenarios, `lock_subjects` those of LOCKS and ISOLATION,
    `async_subjects` those of ASYNC and DRAIN, `loops` the raw loops that were built. `sqlite` needs
    embedded's cases, to have what to compare with; LOCKS includes ISOLATION, ASYNC includes DRAIN.
    """
    subjects = subjects_of.select([]) if subjects is None else subjects
    if lock_subjects is None:
        lock_subjects = [subjects_of.BY_NAME[name] for name in LOCK_SUBJECTS]
    if async_subjects is None:
        async_subjects = [subjects_of.BY_NAME[name] for name in ASYNC_SUBJECTS]
    cases = []
    for scenario in STORES:
        if scenario in scenarios:
            cases += store_cases(scenario, subjects)
    if LOCKS in scenarios:
        cases += lock_cases(lock_subjects)
    if LOCKS in scenarios or ISOLATION in scenarios:
        cases += isolation_cases(lock_subjects)
    if ASYNC in scenarios and async_subjects:
        cases += async_cases(async_subjects)
    if ASYNC in scenarios or DRAIN in scenarios:
        cases += drain_cases(async_subjects)
    if "http" in scenarios:
        cases += http_cases()
    if "embedded" in scenarios or "sqlite" in scenarios:
        cases += embedded_cases(with_nginx="embedded" in scenarios)
    if "sqlite" in scenarios and "sqlite" in loops:
        cases += sqlite_cases()
    if "mariadb" in scenarios and "mariadb" in loops:
        cases += mariadb_cases()
    return cases


def order_of_round(cases, number):
    """Round 0 forwards, round 1 backwards, and so on. Loops at the batch size that arose always
    come last: they need the round's own batch sizes."""
    follow = [case for case in cases if case.scenario == "sqlite" and case.rows == 0]
    others = [case for case in cases if case not in follow]
    return (others if number % 2 == 0 else others[::-1]) + follow


def seconds_of(case, seconds):
    """Expected, with all around it."""
    if case.scenario in LOOPS:
        return loop_seconds(seconds) + 0.3
    if case.scenario == ISOLATION:
        return ISOLATION_SECONDS + DATABASE_START_SECONDS
    if case.scenario == DRAIN:  # made, drained, and the raw loop
        return 2 * DATABASE_START_SECONDS + START_SECONDS + drain_events(seconds) / 12000
    if case.scenario == ASYNC and case.subject != "nginx":
        return seconds + WARM_UP_SECONDS + DATABASE_START_SECONDS + START_SECONDS
    if case.scenario in SALES:
        around = DATABASE_START_SECONDS if "mariadb" in services_of(case) else START_SECONDS
        return seconds + WARM_UP_SECONDS + around
    if case.scenario == "embedded" and case.subject != "nginx":
        return seconds + WARM_UP_SECONDS + START_SECONDS
    return seconds + 0.1


def services_of(case):
    """The servers that have to run for it, beside resvd."""
    if case.scenario == "mariadb":
        return ("mariadb",)
    if case.scenario in (*SALES, ISOLATION, ASYNC, DRAIN) and case.subject != "nginx":
        return subjects_of.BY_NAME[case.subject].services
    return ()


def loop_seconds(seconds):
    """A raw loop is steady: it needs less time than a server under load."""
    return max(1.0, seconds * 0.4)
