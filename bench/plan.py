"""What is measured in each round, and in which order.

A case is one measurement: a server under a load, or a raw loop on a store. Every round has all
cases once; cases that are compared stand together, and every other round runs backwards, so that
what changes slowly on the machine meets all of them alike. Only the rates of an open loop always
rise: what breaks at one is not asked for a higher one.
"""

from dataclasses import dataclass

import deadlock
import open_loop
import stampede
import subjects as subjects_of

LOOP_ROWS = (1, 10, 32, 64, 100, 256, 512, 1000)
MEMBER_FIRST = 1000
MEMBER_COUNT = 9000  # ids 1000..9999: of one length, so all requests are of one length
WARM_UP_SECONDS = 1
BROKER_WARM_UP_SECONDS = 15  # more, once
START_SECONDS = 1.0  # what starting, filling and auditing a server takes, for the time left
DATABASE_START_SECONDS = 2.5  # the same where the store is a server
PEER_START_SECONDS = 12.0  # of a JVM with Spring
ISOLATION_SECONDS = 2.5  # until the last of the 30 has its answer
CONNECTIONS = (64, 512)

# Scenarios that put every chosen strategy under full load: how many concerts it is spread over.
STORES = {"one": 1, "ten": 10}
# The same at given rates, whether or not the server keeps up: latency over rate; and a concert that
# sells out at once.
HOT = "hot"
SELLOUT = "sellout"
OPEN_LOOPS = (HOT, SELLOUT)
OPEN_CONNECTIONS = 512
QUICK_RATES = (2000, 16000)
SELLOUT_CAPACITY = open_loop.SELLOUT_CAPACITY
OPEN_SUBJECTS = ("pessimistic-statements", "grouped", "redlock-n1", "async", "embedded")
# The study's own load: a new connection for each request.
STAMPEDE = "stampede"
STAMPEDE_LOAD = stampede.LOAD
STAMPEDE_CONCERTS = stampede.STUDY.concerts
STAMPEDE_CAPACITY = stampede.CAPACITY
STAMPEDE_SUBJECTS = ("pessimistic-statements", "grouped", "redlock-n1", "async", "embedded")
STAMPEDE_PEERS = ("peer-lock-published", "peer-async-published")
# resvd beside a Spring Boot application of the study's architecture, on the same services.
PEERS = "peers"
PEER_LOADS = {  # who meets it
    "lock path, 64 connections": ("redlock-n1", "grouped", "peer-lock-fair",
                                  "peer-lock-published"),
    "async path, 64 connections": ("async", "peer-async-fair", "peer-async-published"),
}
PEER_DRAIN_LOAD = "backlog"
PEER_DRAINS = ("async", "peer-async-fair", "peer-async-published")
PEER_CONNECTIONS = 64
# The study's experiment without any control.
DEADLOCK = "deadlock"
DEADLOCK_LOAD = deadlock.LOAD
DEADLOCK_SUBJECTS = ("naive", "pessimistic-statements")
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
SCENARIOS = (*STORES, HOT, SELLOUT, STAMPEDE, PEERS, LOCKS, ISOLATION, DEADLOCK, ASYNC, DRAIN,
             "http", "embedded", "sqlite", "mariadb")
SALES = (*STORES, LOCKS)  # strategies under a load, side by side
AUDITED = (*SALES, *OPEN_LOOPS, STAMPEDE, PEERS, ISOLATION, DEADLOCK, ASYNC, DRAIN, "embedded")
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
    rate: int = 0  # open loops: requests a second, whether or not the server keeps up

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


def open_cases(scenario, there):
    """The same rates for all."""
    rates = open_loop.RATES if scenario == HOT else open_loop.SELLOUT_RATES
    return [Case(scenario, name, f"{rate}/s", OPEN_CONNECTIONS, rate=rate)
            for rate in rates for name in OPEN_SUBJECTS if name in there]


def stampede_cases(there):
    return [Case(STAMPEDE, name, STAMPEDE_LOAD, concerts=STAMPEDE_CONCERTS)
            for name in (*STAMPEDE_SUBJECTS, *STAMPEDE_PEERS) if name in there]


def peer_cases(there):
    """Each path of the peer beside what answers the same in resvd; and the consumers alone."""
    if not any(name in there for name in subjects_of.PEERS):
        return []
    cases = [Case(PEERS, name, load, PEER_CONNECTIONS)
             for load, who in PEER_LOADS.items() for name in who if name in there]
    return cases + [Case(PEERS, name, PEER_DRAIN_LOAD, partitions=12)
                    for name in PEER_DRAINS if name in there]


def lock_cases(there):
    """One hot concert, and ten."""
    return [Case(LOCKS, name, load, LOCK_CONNECTIONS, concerts=concerts)
            for load, concerts in LOCK_LOADS.items() for name in LOCK_SUBJECTS if name in there]


def isolation_cases(there):
    return [Case(ISOLATION, name, load, catalog_pool=pool)
            for load, pool in ISOLATION_POOLS.items() for name in ISOLATION_SUBJECTS
            if name in there]


def deadlock_cases(there):
    return [Case(DEADLOCK, name, DEADLOCK_LOAD) for name in DEADLOCK_SUBJECTS if name in there]


def async_cases(there):
    """The same load for all of them, and for nginx, which stores nothing."""
    if not any(name in there for name in ASYNC_SUBJECTS):
        return []
    return [Case(ASYNC, name, load, connections, concerts=concerts)
            for load, (connections, concerts, who) in ASYNC_LOADS.items()
            for name in who if name in there or name == "nginx"]


def drain_cases(there):
    return [Case(DRAIN, DRAIN_SUBJECT, load, concerts=concerts, partitions=partitions)
            for load, (concerts, partitions) in DRAIN_LOADS.items() if DRAIN_SUBJECT in there]


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


# Scenarios with subjects of their own: who they need, and their cases, of those that are there.
OWN = {
    HOT: (OPEN_SUBJECTS, lambda there: open_cases(HOT, there)),
    SELLOUT: (OPEN_SUBJECTS, lambda there: open_cases(SELLOUT, there)),
    STAMPEDE: ((*STAMPEDE_SUBJECTS, *STAMPEDE_PEERS), stampede_cases),
    PEERS: (tuple(name for who in PEER_LOADS.values() for name in who), peer_cases),
    LOCKS: (LOCK_SUBJECTS, lock_cases),
    ISOLATION: (ISOLATION_SUBJECTS, isolation_cases),
    DEADLOCK: (DEADLOCK_SUBJECTS, deadlock_cases),
    ASYNC: (ASYNC_SUBJECTS, async_cases),
    DRAIN: ((DRAIN_SUBJECT,), drain_cases),
}
BROUGHT_ALONG = {LOCKS: ISOLATION, ASYNC: DRAIN}


def with_brought_along(scenarios):
    """In the order of SCENARIOS."""
    wanted = {*scenarios, *(BROUGHT_ALONG[name] for name in scenarios if name in BROUGHT_ALONG)}
    return [name for name in SCENARIOS if name in wanted]


def names_of_scenarios(scenarios, chosen):
    """All subjects and peers that are needed: STORES' scenarios have what was chosen, the others
    their own."""
    needed = [subject.name for subject in chosen] if STORES.keys() & set(scenarios) else []
    for scenario in with_brought_along(scenarios):
        names, _ = OWN.get(scenario, ((), None))
        needed += [name for name in names if name not in needed]
    return needed


def make_cases(scenarios, subjects=None, loops=LOOPS, there=None):
    """The cases of the scenarios, in their order in SCENARIOS.

    `subjects` are those of STORES' scenarios, `there` the names of all that can be measured in the
    others, `loops` the raw loops that were built. `sqlite` needs embedded's cases, to have what to
    compare with; LOCKS includes ISOLATION, ASYNC includes DRAIN.
    """
    subjects = subjects_of.select([]) if subjects is None else subjects
    if there is None:
        there = {*subjects_of.BY_NAME, *subjects_of.PEERS}
    cases = []
    for scenario in with_brought_along(scenarios):
        if scenario in STORES:
            cases += store_cases(scenario, subjects)
        elif scenario in OWN:
            cases += OWN[scenario][1](there)
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
    """Round 0 forwards, round 1 backwards, and so on; but rates always rise. Loops at the batch
    size that arose always come last: they need the round's own batch sizes."""
    follow = [case for case in cases if case.scenario == "sqlite" and case.rows == 0]
    others = [case for case in cases if case not in follow]
    if number % 2 == 1:
        others.reverse()
        for scenario in OPEN_LOOPS:
            places = [i for i, case in enumerate(others) if case.scenario == scenario]
            rising = sorted((others[i] for i in places), key=lambda case: case.rate)
            for place, case in zip(places, rising):
                others[place] = case
    return others + follow


def open_seconds(seconds):
    """Of one rate: there are many of them."""
    return max(1, round(seconds * 0.6))


def is_quick(seconds):
    """A first look, not a measurement: everything else is short then, too."""
    return seconds < 2


def quick_cases(cases):
    """Those that a first look is about."""
    return [case for case in cases
            if case.scenario != "ten" and case.rate in (0, *QUICK_RATES)
            and (case.connections != 512 or case.rate)
            and not (case.scenario == PEERS and case.subject.endswith("-published"))
            and (case.scenario not in (*LOOPS, DRAIN, LOCKS)
                 or case.rows in (1, 64) or case.load == "one concert")]


def stampede_seconds(seconds):
    """All stages together."""
    return (stampede.QUICK if is_quick(seconds) else stampede.FULL).seconds()


def peer_stampede_seconds(seconds):
    """Beside the stages: it warms up, its clients' patience ends, and it does not settle."""
    return 15 if is_quick(seconds) else 100


def peer_seconds(case, seconds):
    """A JVM starts, and warms up."""
    is_peer = case.subject in subjects_of.PEERS
    around = DATABASE_START_SECONDS + START_SECONDS + (PEER_START_SECONDS if is_peer else 0)
    if case.load == PEER_DRAIN_LOAD:
        return around + (50 if is_peer else 12)
    return around + seconds + (peer_warm_up_seconds(seconds) if is_peer else WARM_UP_SECONDS)


def peer_warm_up_seconds(seconds):
    """Until its code is compiled: it is slow until then, and more so the less it is asked."""
    return 3 if is_quick(seconds) else 30


def seconds_of(case, seconds):
    """Expected, with all around it."""
    if case.scenario in LOOPS:
        return loop_seconds(seconds) + 0.3
    if case.scenario == ISOLATION:
        return ISOLATION_SECONDS + DATABASE_START_SECONDS
    if case.scenario == DEADLOCK:
        return 2 * DATABASE_START_SECONDS
    if case.scenario in OPEN_LOOPS:
        return open_seconds(seconds) + 2 + DATABASE_START_SECONDS + START_SECONDS
    if case.scenario == STAMPEDE:
        around = DATABASE_START_SECONDS + START_SECONDS + (
            PEER_START_SECONDS if case.subject in subjects_of.PEERS else 0)
        return stampede_seconds(seconds) + around + (
            peer_stampede_seconds(seconds) if case.subject in subjects_of.PEERS else 0)
    if case.scenario == PEERS:
        return peer_seconds(case, seconds)
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


def uses_wrk(case):
    """Its load is wrk's: results are held against wrk's own ceiling."""
    return case.connections > 0 and case.rate == 0 and case.scenario not in LOOPS


def services_of(case):
    """The servers that have to run for it, beside resvd."""
    if case.scenario == "mariadb":
        return ("mariadb",)
    if case.scenario in (*STORES, *OWN) and case.subject != "nginx":
        return subjects_of.find(case.subject).services
    return ()


def loop_seconds(seconds):
    """A raw loop is steady: it needs less time than a server under load."""
    return max(1.0, seconds * 0.4)
