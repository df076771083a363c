"""Which cases are compared with which, by what, and how far resvd is to come."""

import dataclasses

import plan

RATE = "requests_per_second"


@dataclasses.dataclass(frozen=True)
class Rule:
    """In a scenario, under each load: ours compared with theirs, as a ratio of each round."""

    scenario: str
    ours: str
    theirs: str
    field: str = RATE
    at_least: dict = dataclasses.field(default_factory=dict)  # by load; "" stands for every load
    at_most: dict = dataclasses.field(default_factory=dict)

    def goals_of(self, load):
        """(at least, at most); None where there is no goal."""
        return (self.at_least.get(load, self.at_least.get("")),
                self.at_most.get(load, self.at_most.get("")))


def goal(scenario, ratio):
    """Goals are of the hot concert; ten are shown beside it."""
    return {"": ratio} if scenario == "one" else {}


STORE_RULES = tuple(rule for scenario in plan.STORES for rule in (
    Rule(scenario, "grouped", "pessimistic-statements", at_least=goal(scenario, 10)),
    Rule(scenario, "grouped", "pessimistic-statements", "p99_ms", at_most=goal(scenario, 1)),
    Rule(scenario, "pessimistic-procedure", "pessimistic-statements",
         at_least=goal(scenario, 1.8)),
    Rule(scenario, "grouped", "pessimistic-procedure"),
    Rule(scenario, "grouped", "embedded"),
    Rule(scenario, "naive", "pessimistic-statements"),
))
LOCK_RULES = (
    Rule(plan.LOCKS, "redlock-n1", "pessimistic-statements"),
    Rule(plan.LOCKS, "redlock-n3", "redlock-n1", at_least={"one concert": 0.65}),
    Rule(plan.LOCKS, "redlock-n1-handoff16", "redlock-n1", at_least={"one concert": 4}),
    Rule(plan.LOCKS, "redlock-n1-handoff16", "pessimistic-statements"),
)
ASYNC_RULES = (
    # The goals below, as parts of what nginx gave on the machine they were set for.
    Rule(plan.ASYNC, "async", "nginx",
         at_least={"64 connections": 0.17, "512 connections": 0.34}),
    Rule(plan.ASYNC, "async", "async-single"),
    Rule(plan.ASYNC, "async", "async-single", "server_cpu_seconds_per_1000"),
)
LOCK_PATH, ASYNC_PATH = plan.PEER_LOADS
PEER_RULES = (
    Rule(plan.PEERS, "grouped", "peer-lock-fair", at_least={LOCK_PATH: 20}),
    Rule(plan.PEERS, "grouped", "peer-lock-fair", "server_cpu_seconds_per_1000"),
    Rule(plan.PEERS, "redlock-n1", "peer-lock-fair"),
    Rule(plan.PEERS, "redlock-n1", "peer-lock-published"),
    *(rule for peer in ("peer-async-fair", "peer-async-published") for rule in (
        Rule(plan.PEERS, "async", peer, at_least={ASYNC_PATH: 8}),
        Rule(plan.PEERS, "async", peer, "p99_ms", at_most={ASYNC_PATH: 1}),
        Rule(plan.PEERS, "async", peer, "server_cpu_seconds_per_1000",
             at_most={ASYNC_PATH: 1 / 25}),
        Rule(plan.PEERS, "async", peer, "rows_per_second",
             at_least={plan.PEER_DRAIN_LOAD: 50}),
    )),
)
RULES = STORE_RULES + PEER_RULES + LOCK_RULES + ASYNC_RULES + (
    Rule("http", "resvd", "nginx", at_least={
        "64 connections": 1.0, "512 connections": 1.2, "64 connections, 16 deep": 5.0}),
    Rule("http", "resvd", "nginx-auto"),
    Rule("embedded", "resvd", "nginx",
         at_least={"64 connections": 0.6, "512 connections": 0.75}),
    Rule("embedded", "resvd", "resvd-single"),
)


@dataclasses.dataclass(frozen=True)
class Bound:
    """A goal that needs no other case: what a case must come to by itself."""

    scenario: str
    load: str
    subject: str
    field: str = RATE
    at_least: float | None = None
    at_most: float | None = None
    judged_by: str = "median"  # or "max": by the worst of all rounds


# By connections: accepted a second, and CPU seconds of resvd per 1,000 until their rows are there.
ASYNC_GOALS = {64: (22_000, 0.0187), 512: (44_400, 0.014)}
ASYNC_SHARE = 0.25  # resvd's, of all CPU that the run used
DRAIN_RATE = 150_000
DRAIN_OF_RAW = 0.8

ASYNC_BOUNDS = tuple(
    bound for connections, (rate, cpu) in ASYNC_GOALS.items()
    for load in (f"{connections} connections",)
    for bound in (
        Bound(plan.ASYNC, load, "async", at_least=rate),
        Bound(plan.ASYNC, load, "async", "server_cpu_seconds_per_1000", at_most=cpu),
        Bound(plan.ASYNC, load, "async", "resvd_share", at_most=ASYNC_SHARE),
    )
)
DRAIN_BOUNDS = tuple(
    bound for load in plan.DRAIN_LOADS for bound in (
        Bound(plan.DRAIN, load, plan.DRAIN_SUBJECT, "rows_per_second", at_least=DRAIN_RATE),
        Bound(plan.DRAIN, load, plan.DRAIN_SUBJECT, "of_raw", at_least=DRAIN_OF_RAW),
    )
)
BOUNDS = (
    *ASYNC_BOUNDS,
    *DRAIN_BOUNDS,
    Bound(plan.LOCKS, "one concert", "redlock-n1", at_least=1000),
    *(Bound(plan.ISOLATION, load, "redlock-n1", "victims_failed", at_most=0, judged_by="max")
      for load in plan.ISOLATION_POOLS),
    *(Bound("embedded", f"{connections} connections", "resvd", "server_cpu_seconds_per_1000",
            at_most=0.02) for connections in plan.CONNECTIONS),
)


@dataclasses.dataclass(frozen=True)
class LoopRule:
    """A strategy's rate over that of a raw loop on its own store: what all the rest costs."""

    scenario: str
    subject: str
    loop_scenario: str
    loop_load: str  # {load} is the strategy's

    def load_for(self, load):
        return self.loop_load.format(load=load)


LOOP_RULES = (
    LoopRule("embedded", "resvd", "sqlite", "1 row a transaction"),
    LoopRule("embedded", "resvd", "sqlite", "batches as at {load}"),
    LoopRule("one", "pessimistic-statements", "mariadb", "text a statement, 1 row a transaction"),
    LoopRule("one", "grouped", "mariadb", "one text, 1 row a transaction"),
)
