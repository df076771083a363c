"""The strategies that can be measured side by side: how each is started, and what it stands on.

A new one is one entry in ALL; the scenarios of plan.STORES then measure it like the others.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Subject:
    """One strategy in one setting."""

    name: str  # in keys of results and for --strategies
    strategy: str  # as resvd calls it
    title: str  # in tables
    options: tuple = ()  # pairs of full name and value
    flags: tuple = ()
    services: tuple = ()  # servers that it needs: "mariadb", "redis", "kafka"
    lock_nodes: int = 0  # how many Redis nodes hold its locks
    batch_metric: str = ""  # histogram of operations a transaction
    commit_metric: str = ""  # histogram of seconds a commit takes
    asked_only: bool = False  # measured only when --strategies names it
    writes_behind: bool = False  # says 202, by Redis and Kafka: its rows come later
    oversells: bool = False  # known to: its violations are shown and do not fail the run


ALL = (
    Subject("pessimistic-statements", "pessimistic", "pessimistic, form=statements",
            options=(("strategy.pessimistic.form", "statements"),), services=("mariadb",)),
    Subject("pessimistic-procedure", "pessimistic", "pessimistic, form=procedure",
            options=(("strategy.pessimistic.form", "procedure"),), services=("mariadb",)),
    Subject("grouped", "grouped", "grouped", services=("mariadb",),
            batch_metric="resvd_grouped_group_operations"),
    Subject("redlock-n1", "redlock", "redlock, N=1, handoff=off",
            options=(("strategy.redlock.handoff", "off"),), services=("mariadb", "redis"),
            lock_nodes=1),
    Subject("redlock-n3", "redlock", "redlock, N=3, handoff=off",
            options=(("strategy.redlock.handoff", "off"),), services=("mariadb", "redis"),
            lock_nodes=3, asked_only=True),
    Subject("redlock-n1-handoff16", "redlock", "redlock, N=1, handoff=16",
            options=(("strategy.redlock.handoff", "16"),), services=("mariadb", "redis"),
            lock_nodes=1, asked_only=True),
    Subject("async", "async", "async", services=("mariadb", "redis", "kafka"),
            batch_metric="resvd_async_batch_events", writes_behind=True, asked_only=True),
    Subject("async-single", "async", "async, a call of Redis a request",
            options=(("strategy.async.vector_max", "1"),), services=("mariadb", "redis", "kafka"),
            batch_metric="resvd_async_batch_events", writes_behind=True, asked_only=True),
    Subject("embedded", "embedded", "embedded (SQLite)",
            batch_metric="resvd_embedded_batch_operations",
            commit_metric="resvd_embedded_commit_seconds"),
    Subject("embedded-single", "embedded", "embedded, one transaction a request",
            options=(("strategy.embedded.batch_max", "1"),),
            batch_metric="resvd_embedded_batch_operations",
            commit_metric="resvd_embedded_commit_seconds", asked_only=True),
    Subject("naive", "naive", "naive (oversells)", flags=("--i-know-this-oversells",),
            services=("mariadb",), asked_only=True, oversells=True),
)
BY_NAME = {subject.name: subject for subject in ALL}


@dataclass(frozen=True)
class Peer:
    """The Spring Boot application of bench/peers, on one path in one setting."""

    name: str
    path: str  # "lock" or "async"
    setting: str  # "published" or "fair": see bench/peers.py
    title: str
    services: tuple = ("mariadb", "redis", "kafka")
    writes_behind: bool = False
    oversells: bool = False  # known to lose or double sales: shown, does not fail the run


PEERS = {peer.name: peer for peer in (
    Peer("peer-lock-published", "lock", "published", "Spring peer, lock, as published",
         services=("mariadb", "redis"), oversells=True),
    Peer("peer-lock-fair", "lock", "fair", "Spring peer, lock, fair",
         services=("mariadb", "redis")),
    Peer("peer-async-published", "async", "published", "Spring peer, Kafka, as published",
         writes_behind=True, oversells=True),
    Peer("peer-async-fair", "async", "fair", "Spring peer, Kafka, fair", writes_behind=True),
)}


def find(name):
    """A subject or a peer by its name."""
    return BY_NAME.get(name) or PEERS[name]


class UnknownStrategy(Exception):
    """Its text is for the reader as it stands."""


def named(words):
    """Names of all that the words stand for, peers too: each is a name, or a strategy's name."""
    chosen = set()
    for word in words:
        found = {word} & {*BY_NAME, *PEERS} or {
            subject.name for subject in ALL if subject.strategy == word}
        if not found:
            known = sorted({*BY_NAME, *PEERS, *(subject.strategy for subject in ALL)})
            raise UnknownStrategy(
                f"there is no strategy \"{word}\" to measure; known: {', '.join(known)}")
        chosen |= found
    return chosen


def select(words):
    """The strategies that the words name, in the order of ALL. No words: all that are not for
    special questions only."""
    if not words:
        return tuple(subject for subject in ALL if not subject.asked_only)
    chosen = named(words)
    return tuple(subject for subject in ALL if subject.name in chosen)


def split_by_binary(subjects, compiled_in):
    """Those whose strategy the binary has, and the names of the others."""
    there = tuple(subject for subject in subjects if subject.strategy in compiled_in)
    return there, [subject.name for subject in subjects if subject not in there]


def strategies_in(listing):
    """The names in the text of resvd --list-strategies: first words of lines not indented."""
    return {line.split()[0] for line in listing.splitlines() if line.strip() and line[0] != " "}
