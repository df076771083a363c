"""The source study's isolation experiment: what a hot concert does to those who only read.

Everybody's connection is open before the first request goes, so that only the server is measured.
"""

import http.client
import json
import time

HOT_COUNT = 30
VICTIM_COUNT = 10
DELAY_S = 0.1
HOLD_MS = 500  # the study's transactions take that long; here it makes visible who waits for whom
POOL = 10
POOL_WAIT_MS = 250
CAPACITY = 100
TIMEOUT_S = 30


def resvd_options(strategy, catalog_pool):
    """The study's pool and waits, by resvd's names."""
    return {
        "database.pool_min": str(POOL), "database.pool_max": str(POOL),
        "database.pool_wait_ms": str(POOL_WAIT_MS), "database.catalog_pool": str(catalog_pool),
        f"strategy.{strategy}.hold_ms": str(HOLD_MS),
        "server.operation_timeout_ms": "1500", "server.operation_grace_ms": "1000",
    }


def connect(port, count):
    connections = [http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
                   for _ in range(count)]
    for connection in connections:
        connection.connect()
    return connections


def read_status(connection):
    response = connection.getresponse()
    response.read()
    return response.status


def run(port):
    """The statuses of the reservations and of the reads, and the seconds of the slowest read."""
    hot, victims = connect(port, HOT_COUNT), connect(port, VICTIM_COUNT)
    try:
        for number, connection in enumerate(hot):
            body = json.dumps({"concertId": 1, "memberId": number + 1})
            connection.request("POST", "/api/reservations", body,
                               {"Content-Type": "application/json"})
        time.sleep(DELAY_S)
        begun = time.monotonic()
        for number, connection in enumerate(victims):
            connection.request("GET", f"/api/members/{number + 1}")
        read = [read_status(connection) for connection in victims]
        slowest_s = time.monotonic() - begun
        return [read_status(connection) for connection in hot], read, slowest_s
    finally:
        for connection in hot + victims:
            connection.close()


def measurement(hot, read, slowest_s):
    """As it stands in the results. `counts` are as wrk would have counted them, for the audit; 500
    says that the outcome is unknown, every other refusal that nothing was taken."""
    granted = hot.count(201)
    return {
        "victims_failed": sum(status != 200 for status in read),
        "victims_slowest_ms": slowest_s * 1000,
        "hot_granted": granted,
        "hot_statuses": {str(status): hot.count(status) for status in sorted(set(hot))},
        "counts": {"requests": len(hot), "status": len(hot) - granted, "connect": 0, "read": 0,
                   "write": 0, "timeout": 0},
        "unknown": hot.count(500),
    }
