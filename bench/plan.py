"""What is measured in each round, and in which order.

A case is one measurement: a server under a load, or the raw SQLite loop. Every round has all cases
once; cases that are compared stand together, and every other round runs backwards, so that what
changes slowly on the machine meets all of them alike.
"""

from dataclasses import dataclass

LOOP_ROWS = (1, 10, 32, 64, 100, 256, 512, 1000)
MEMBER_FIRST = 1000
MEMBER_COUNT = 9000  # ids 1000..9999: of one length, so all requests are of one length
WARM_UP_SECONDS = 1
START_SECONDS = 1.0  # what starting, filling and auditing a server takes, for the time left


@dataclass(frozen=True)
class Case:
    """Its `subject` is compared with others under the same `load`."""

    scenario: str
    subject: str
    load: str
    connections: int = 0
    depth: int = 1
    rows: int = 0  # sqlite_loop: rows a transaction; 0: as many as embedded's transactions had

    @property
    def key(self):
        return f"{self.scenario}/{self.load}/{self.subject}"

    @property
    def title(self):
        return f"{self.scenario}: {self.subject}, {self.load}"


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
    for connections in (64, 512):
        load = f"{connections} connections"
        subjects = ["resvd", "resvd-single"] + (["nginx"] if with_nginx else [])
        for subject in subjects:
            cases.append(Case("embedded", subject, load, connections))
    return cases


def sqlite_cases():
    """The raw loop; rows=0 stands for the batch size that arose at that many connections."""
    cases = [Case("sqlite", "loop", f"{rows} row{'s' * (rows > 1)} a transaction", rows=rows)
             for rows in LOOP_ROWS]
    for connections in (64, 512):
        cases.append(Case("sqlite", "loop", f"batches as at {connections} connections",
                          connections=connections))
    return cases


def make_cases(scenarios):
    """The cases of the scenarios; `sqlite` needs embedded's, to have what to compare with."""
    cases = []
    if "http" in scenarios:
        cases += http_cases()
    if "embedded" in scenarios or "sqlite" in scenarios:
        cases += embedded_cases(with_nginx="embedded" in scenarios)
    if "sqlite" in scenarios:
        cases += sqlite_cases()
    return cases


def order_of_round(cases, number):
    """Round 0 forwards, round 1 backwards, and so on. Loops at the batch size that arose always
    come last: they need the round's own batch sizes."""
    follow = [case for case in cases if case.scenario == "sqlite" and case.rows == 0]
    others = [case for case in cases if case not in follow]
    return (others if number % 2 == 0 else others[::-1]) + follow


def seconds_of(case, seconds):
    """Expected, with all around it."""
    if case.scenario == "sqlite":
        return loop_seconds(seconds) + 0.3
    if case.scenario == "embedded" and case.subject != "nginx":
        return seconds + WARM_UP_SECONDS + START_SECONDS
    return seconds + 0.1


def loop_seconds(seconds):
    """The raw loop is steady: it needs less time than a server under load."""
    return max(1.0, seconds * 0.4)
