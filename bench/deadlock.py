"""The source study's deadlock experiment: a hundred at once for a hundred seats of one concert.

Everybody's connection is open and everybody's request is written before the first one goes, so that
the server has them all together.
"""

import http.client
import json
import socket
import time

import summary

COUNT = 100
CAPACITY = 100
LOAD = f"{COUNT} at once on {CAPACITY} seats"  # its name in keys of results
POOL = 10  # the study's; so many transactions can meet
POOL_WAIT_MS = 20000  # nobody is to fail because others were before them: that is not the question
LOCK_WAIT_S = 10
OPERATION_MS = 30000
TIMEOUT_S = 60


def resvd_options(services):
    """By resvd's names, for a strategy that stands on these servers."""
    options = {"server.operation_timeout_ms": str(OPERATION_MS)}
    if "mariadb" in services:
        options.update({
            "database.pool_min": str(POOL), "database.pool_max": str(POOL),
            "database.pool_wait_ms": str(POOL_WAIT_MS),
            "database.lock_wait_timeout_s": str(LOCK_WAIT_S),
            "database.statement_timeout_ms": str(LOCK_WAIT_S * 1000 + 5000),
        })
    return options


def request_of(member_id):
    """Whole, as it goes over the wire."""
    body = json.dumps({"concertId": 1, "memberId": member_id})
    return (f"POST /api/reservations HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}").encode()


def read_status(connection):
    response = http.client.HTTPResponse(connection, method="POST")
    try:
        response.begin()
        response.read()
        return response.status
    finally:
        response.close()


def run(port, count=COUNT):
    """The statuses of all, and the seconds until the last of them."""
    connections, requests = [], [request_of(number + 1) for number in range(count)]
    try:
        for _ in range(count):
            connections.append(socket.create_connection(("127.0.0.1", port), TIMEOUT_S))
        begun = time.monotonic()
        for connection, request in zip(connections, requests):
            connection.sendall(request)
        return [read_status(connection) for connection in connections], time.monotonic() - begun
    finally:
        for connection in connections:
            connection.close()


def deadlocks_between(before, after):
    """Of two readings of the database's counters; None: this version does not count them."""
    if "deadlocks" not in before or "deadlocks" not in after:
        return None
    return after["deadlocks"] - before["deadlocks"]


def measurement(statuses, seconds, deadlocks, tables):
    """As it stands in the results. `tables` is an audit of the tables once nothing is under way:
    each request asked for one seat, so live seats are rows.

    `counts` are as wrk would have counted them, for the audit; 500 says that the outcome is
    unknown, every other refusal that nothing was taken.
    """
    succeeded = statuses.count(201) + statuses.count(202)
    return {
        "succeeded": succeeded,
        "failed": len(statuses) - succeeded,
        "statuses": {str(status): statuses.count(status) for status in sorted(set(statuses))},
        "deadlocks": deadlocks,
        "rows": summary.live_seats(tables),
        "seats_sold": sum(concert["sold"] for concert in tables["concerts"]),
        "seconds": seconds,
        "counts": {"requests": len(statuses), "status": len(statuses) - succeeded, "connect": 0,
                   "read": 0, "write": 0, "timeout": 0},
        "unknown": statuses.count(500),
    }
