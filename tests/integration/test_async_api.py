"""What clients of the strategy async are told, on real Redis, Kafka and MariaDB; roles; bad settings.

Each test ends with the audit of async_promises.py: each 202 is one row, and all numbers agree.
"""

from __future__ import annotations

import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from async_fixtures import CANCELLED, CONFIRMED, PENDING, REJECTED
from async_promises import NOBODY
from database_fixtures import CONFIGURATION, UNREACHABLE
from resvd_process import free_port, wait_until


def split(promises, apis: int = 1):
    """Processes that only have the API, and one that only consumes, which has opened a gate, has
    applied what was sold there, and knows that nothing is missing: so it may be stopped."""
    first = promises.start(role="api")
    others = [promises.start(role="api", reset=None) for _ in range(apis - 1)]
    consumer = promises.start(role="consumer", reset=None)
    promises.wait_for(first, promises.sell(first), CONFIRMED)
    promises.wait_complete(first)
    return [first, *others], consumer


# --- one reservation ------------------------------------------------------------------------------


def test_accepted_then_confirmed(promises):
    server = promises.start(server__study_api="on")
    promises.sell(server, 1)
    for path in ("/api/reservations", "/api/reservations/async"):
        made = promises.reserve(server, 1, 7, 2, path=path)
        assert made.status == 202, made.raw
        body, location = made.json(), made.headers["location"]
        assert location == f"/api/reservations/{body['id']}"
        assert {**body, "requestId": None} == {"id": body["id"], "concertId": 1, "memberId": 7,
                                               "quantity": 2, "status": PENDING, "requestId": None}
        assert "idempotent-replay" not in made.headers
        seen = []
        wait_until(lambda: seen.append(promises.status(server, location)) or seen[-1] == CONFIRMED,
                   "the row", pause_s=0)
        assert set(seen[:-1]) <= {PENDING}  # there was no moment in which it was not found
        found = server.ask("GET", location).json()
        assert found == {**found, "id": body["id"], "concertId": 1, "memberId": 7, "quantity": 2}
    assert server.ask("GET", "/api/concerts/1").json()["sold"] == 5
    # Redis hears of a row behind its COMMIT.
    settled = {"id": 1, "capacity": 100, "sold": 5, "live": 5, "stock": 95, "pending": 0,
               "consistent": True}
    wait_until(lambda: promises.line(server) == settled, "the rows to be settled")
    assert server.metric("async_row_seconds_count") >= 3
    assert server.metric("async_accept_seconds_count") >= 3


def test_not_there(promises):
    server = promises.start()
    promises.wait_complete(server)
    for location in (NOBODY, "x", "0"):
        server.ask("GET", f"/api/reservations/{location}").problem(404)
        server.ask("DELETE", f"/api/reservations/{location}").problem(404)
    for key in (None, "k"):
        promises.reserve(server, concert=11, key=key).problem(404)
        promises.reserve(server, member=21, key=key).problem(404)
    promises.sell(server)


def test_sold_out_and_sold_again(promises):
    server = promises.start(reset={"concerts": 2, "capacity": 5, "members": 3})
    all_seats = promises.sell(server, 1, 1, 5)
    promises.wait_complete(server)
    promises.reserve(server, 1, 2).problem(409, "sold-out")
    promises.reserve(server, 1, 2, key="refused").problem(409, "sold-out")
    promises.sell(server, 2, 2, 5)
    promises.wait_for(server, all_seats, CONFIRMED)
    promises.reserve(server, 1, 2).problem(409, "sold-out")
    promises.release(server, all_seats)
    promises.wait_for(server, all_seats, CANCELLED)
    assert server.ask("DELETE", all_seats).status == 204
    # Refusals are not remembered.
    wait_until(lambda: promises.reserve(server, 1, 2, key="refused").status == 202, "the seat is back")
    promises.reserve(server, 1, 1, 5).problem(409, "sold-out")


# --- nobody applies it for a while -----------------------------------------------------------------


def test_api_without_a_consumer(promises):
    """What is accepted meanwhile is pending, is released and asked for again, and has its row later."""
    (api, second), consumer = split(promises, apis=2)
    promises.sell(api, 2)
    assert consumer.stop() == 0
    kept = [promises.sell(api, 1, member) for member in (1, 2, 3)]
    given_back = promises.sell(api, 1, 4, 10, key="given-back")
    promises.release(api, given_back)
    promises.release(second, given_back)
    keyed = promises.reserve(api, 1, 5, 2, key="a-key")
    for server in (api, second):
        again = promises.reserve(server, 1, 5, 2, key="a-key")
        assert again.status == 202 and again.headers["idempotent-replay"] == "true", again.raw
        assert again.json() == keyed.json()
        promises.reserve(server, 1, 5, 3, key="a-key").problem(422, "key-reused")
        promises.reserve(server, 2, 5, 2, key="a-key").problem(422, "key-reused")
        promises.reserve(server, 99, 5, 2, key="a-key").problem(422, "key-reused")
        assert [promises.status(server, at) for at in kept] == [PENDING] * 3
        assert server.ask("GET", "/api/concerts/1").json()["sold"] == 1
    line = promises.line(api)
    assert (line["sold"], line["pending"], line["stock"]) == (1, 15, 84)
    time.sleep(1.2)  # nobody sweeps either
    assert promises.status(second, kept[0]) == PENDING
    promises.start(role="consumer", reset=None)
    for location in kept:
        promises.wait_for(second, location, CONFIRMED)
    promises.wait_for(second, given_back, CANCELLED)
    again = promises.reserve(second, 1, 4, 10, key="given-back")
    assert (again.status, again.json()["status"]) == (202, CANCELLED)


def test_a_key_again(promises):
    server = promises.start()
    promises.sell(server, 1), promises.sell(server, 2)
    promises.wait_complete(server)
    first = promises.reserve(server, 1, 3, 2, key="repeated")
    assert first.status == 202

    def again(status: str) -> None:
        answer = promises.reserve(server, 1, 3, 2, key="repeated")
        assert answer.status == 202, answer.raw
        assert answer.headers["location"] == first.headers["location"]
        assert answer.headers["idempotent-replay"] == "true"
        assert answer.json() == {**first.json(), "status": status}
        promises.reserve(server, 1, 3, 1, key="repeated").problem(422, "key-reused")
        promises.reserve(server, 2, 3, 2, key="repeated").problem(422, "key-reused")
        promises.reserve(server, 77, 3, 2, key="repeated").problem(422, "key-reused")

    location = first.headers["location"]
    promises.wait_for(server, location, CONFIRMED)
    again(CONFIRMED)
    promises.release(server, location)
    promises.wait_for(server, location, CANCELLED)
    again(CANCELLED)
    other_member = promises.reserve(server, 1, 4, 2, key="repeated")  # a key is the member's own
    assert other_member.status == 202 and "idempotent-replay" not in other_member.headers


def test_one_key_at_many_processes_at_once(promises):
    """Whoever is asked first: one reservation; all that are accepted hear of the same one."""
    (*apis, _), _ = split(promises, apis=2)
    with ThreadPoolExecutor(16) as pool:
        for number in range(10):
            futures = [pool.submit(promises.reserve, apis[i % len(apis)], 1, 2, 1, f"key-{number}")
                       for i in range(16)]
            answers = [future.result() for future in futures]
            accepted = [answer for answer in answers if answer.status == 202]
            assert len({answer.headers["location"] for answer in accepted}) == 1
            assert sum("idempotent-replay" not in answer.headers for answer in accepted) == 1
            for answer in answers:
                assert answer.status == 202 or answer.problem(409, "in-progress")


def test_member_limit(promises):
    (api,), consumer = split(promises)
    assert api.admin("PUT", "/admin/concerts/2", {"memberLimit": 3}).status == 200
    assert api.admin("POST", "/admin/concerts/2/reconcile").status == 200
    two = promises.sell(api, 2, 1, 2)
    promises.reserve(api, 2, 1, 2).problem(409, "member-limit")
    promises.sell(api, 2, 2, 3)
    promises.wait_for(api, two, CONFIRMED)
    assert consumer.stop() == 0
    one = promises.sell(api, 2, 1)  # two live seats, and one that is pending
    promises.reserve(api, 2, 1).problem(409, "member-limit")
    promises.reserve(api, 2, 1, key="k").problem(409, "member-limit")
    promises.sell(api, 1, 1, 10)
    promises.start(role="consumer", reset=None)
    promises.wait_for(api, one, CONFIRMED)
    promises.wait_settled(api, 2)
    promises.reserve(api, 2, 1).problem(409, "member-limit")
    promises.release(api, two)
    promises.wait_for(api, two, CANCELLED)
    promises.wait_settled(api, 2)
    last = promises.sell(api, 2, 1, 2)
    promises.wait_for(api, last, CONFIRMED)
    promises.reserve(api, 2, 1).problem(409, "member-limit")


# --- many at once ---------------------------------------------------------------------------------


def load(promises, apis: list, requests: int, clients: int = 6, concerts: int = 3) -> list:
    """Futures of clients, each of which asks so often, every third time with a key and twice, and
    gives every fifth seat back."""
    pool = ThreadPoolExecutor(clients)

    def client(number: int) -> None:
        for i in range(requests):
            server = apis[(i + number) % len(apis)]
            concert, member = 1 + i % concerts, 1 + (i + number) % 20
            key = f"{number}-{i}" if i % 3 == 0 else None
            answer = promises.reserve(server, concert, member, 1 + i % 2, key)
            if answer.status != 202:
                assert answer.status in (409, 503), answer.raw
                continue
            if key:
                again = promises.reserve(apis[i % len(apis)], concert, member, 1 + i % 2, key)
                assert again.status in (202, 503), again.raw
                assert again.status == 503 or again.json()["id"] == answer.json()["id"]
            assert promises.status(apis[i % len(apis)], answer.headers["location"])
            if i % 5 == 0:
                gone = server.ask("DELETE", answer.headers["location"])
                assert gone.status in (202, 503), gone.raw

    futures = [pool.submit(client, number) for number in range(clients)]
    pool.shutdown(wait=False)
    return futures


def test_several_processes_of_each_role(promises):
    """Consumers come and go meanwhile: partitions change hands in mid-load."""
    large = {"concerts": 5, "capacity": 100000, "members": 20}
    apis = [promises.start(role="api", reset=large), promises.start(role="api", reset=None)]
    consumers = [promises.start(role="consumer", reset=None) for _ in range(2)]
    for concert in (1, 2, 3):
        promises.sell(apis[0], concert)
    futures = load(promises, apis, requests=120)
    consumers.append(promises.start(role="consumer", reset=None))
    assert consumers.pop(0).stop() == 0
    consumers.append(promises.start(role="consumer", reset=None))
    for future in futures:
        future.result()
    assert len(promises.accepted) > 300
    wait_until(lambda: sum(each.metric("kafka_partitions_assigned") for each in consumers) == 3,
               "each partition has an owner")
    promises.check()
    assert sum(each.metric("async_row_seconds_count") for each in consumers) > 0
    assert sum(each.metric("async_rejected_total") for each in consumers) == 0


def test_capacity_changes_under_load(promises):
    """What was accepted by the old capacity and does not fit any more is REJECTED, and said so."""
    apis = [promises.start(reset={"concerts": 3, "capacity": 60, "members": 20}),
            promises.start(reset=None)]
    promises.rejected_max = 1000
    for concert in (1, 2, 3):
        promises.sell(apis[0], concert)
    futures = load(promises, apis, requests=150)
    statuses = set()
    for i in range(25):
        capacity = (40, 150, 70, 90, 200)[i % 5]
        answer = apis[i % 2].admin("PUT", f"/admin/concerts/{1 + i % 3}", {"capacity": capacity})
        assert answer.status == 200 or answer.problem(409, "capacity-too-low")
        statuses.add(answer.status)
        time.sleep(0.03)
    assert 200 in statuses
    for future in futures:
        future.result()
    promises.check()
    rows = promises.stack.database.rows()
    rejected = sum(row[3] == 5 for row in rows.values())
    assert sum(server.metric("async_rejected_total") for server in apis) == rejected
    for row_id in [row_id for row_id, row in rows.items() if row[3] == 5][:3]:
        assert promises.status(apis[0], f"/api/reservations/{row_id}") == REJECTED


def test_more_capacity_is_sold(promises):
    server = promises.start(reset={"concerts": 1, "capacity": 2, "members": 2})
    promises.sell(server, 1, 1, 2)
    promises.reserve(server).problem(409, "sold-out")
    assert server.admin("PUT", "/admin/concerts/1", {"capacity": 3}).status == 200
    wait_until(lambda: promises.reserve(server).status == 202, "the new seat")
    promises.reserve(server).problem(409, "sold-out")
    wait_until(lambda: promises.line(server)["live"] == 3, "the row")
    server.admin("PUT", "/admin/concerts/1", {"capacity": 2}).problem(409, "capacity-too-low")
    created = server.admin("POST", "/admin/concerts", {"title": "New", "capacity": 4}).json()
    promises.sell(server, created["id"], 1, 4)
    promises.reserve(server, created["id"]).problem(409, "sold-out")


# --- the admin ------------------------------------------------------------------------------------


def test_reset_voids_what_is_pending(promises):
    (api,), consumer = split(promises)
    assert consumer.stop() == 0
    before = [promises.sell(api, 1, member, 5, key=f"k{member}") for member in range(1, 11)]
    api.reset(concerts=2, capacity=50, members=5)
    promises.forget()
    for location in before[:3]:
        api.ask("GET", location).problem(404)
        api.ask("DELETE", location).problem(404)
    promises.reserve(api, concert=3).problem(404)
    consumer = promises.start(role="consumer", reset=None)
    after = promises.sell(api, 1, 1, 7, key="k1")  # the same key as before the reset: another one
    promises.wait_for(api, after, CONFIRMED)
    wait_until(lambda: consumer.metric("async_stale_total") >= 10, "the old ones were passed over")
    # Redis hears of a row behind its COMMIT.
    settled = {"id": 1, "capacity": 50, "sold": 7, "live": 7, "stock": 43, "pending": 0,
               "consistent": True}
    wait_until(lambda: promises.line(api) == settled, "the row to be settled")


def test_reset_under_load(promises):
    """Processes that have not heard of it sell nothing that is void: what they accept is a row, or
    was accepted before."""
    large = {"concerts": 3, "capacity": 100000, "members": 20}
    apis = [promises.start(reset=large), promises.start(role="api", reset=None)]
    over = threading.Event()

    def client(server, number: int) -> None:
        while not over.is_set():
            answer = promises.reserve(server, 1 + number % 3, 1 + number)
            assert answer.status in (202, 404, 409, 500, 503), answer.raw

    with ThreadPoolExecutor(6) as pool:
        futures = [pool.submit(client, apis[i % 2], i) for i in range(6)]
        for _ in range(3):
            time.sleep(0.2)
            apis[0].reset(**large)
        time.sleep(0.5)
        over.set()
        for future in futures:
            future.result()
    apis[0].reset(**large)
    promises.forget()
    for server in apis:
        promises.sell(server, 2, 3)


def test_reconcile(promises):
    server = promises.start()
    sold = promises.sell(server, 1, 1, 10)
    promises.wait_for(server, sold, CONFIRMED)
    wait_until(lambda: promises.line(server)["consistent"], "settled")
    for wrong in (-5, 40):
        promises.stack.redis.call("HINCRBY", promises.stack.key(1, "gate"), "stock", wrong)
        drifted = promises.line(server)
        assert (drifted["stock"], drifted["consistent"]) == (90 + wrong, False)
        assert server.audit()["consistent"] is False
        answer = server.admin("POST", "/admin/concerts/1/reconcile")
        right = {**drifted, "stock": 90, "consistent": True}
        assert (answer.status, answer.json()) == (200, right)
        assert promises.line(server) == right
    for concert in ("11", "0", "x"):
        server.admin("POST", f"/admin/concerts/{concert}/reconcile").problem(404, "not-found")
    promises.sell(server, 1, 2)


def test_reconcile_by_others(promises):
    """By a process that does not consume, and by one that has no API."""
    (api,), consumer = split(promises)
    for server in (api, consumer):
        promises.stack.redis.call("HSET", promises.stack.key(1, "gate"), "stock", 1000)
        answer = server.admin("POST", "/admin/concerts/1/reconcile")
        assert (answer.status, answer.json()["stock"]) == (200, 99)
    with pytest.raises(ConnectionRefusedError):
        consumer.connect()


# --- settings -------------------------------------------------------------------------------------


def refuse(stack, code: int, *words: str, **options) -> str:
    """It does not start, and says this in one line."""
    server = stack.start(reset=None, wait=False, **{"server__start_timeout_ms": 1500, **options})
    assert server.wait_exit() == code, server.log()
    said = [line for line in server.log().splitlines() if line.startswith("resvd: ")]
    assert len(said) == 1, server.log()
    assert all(word in said[0] for word in words), (words, said[0])
    return said[0]


def test_nobody_there(stack):
    port = free_port()
    at = f"127.0.0.1:{port}"
    refuse(stack, UNREACHABLE, "Kafka", at, "[kafka] bootstrap.servers", **{"kafka__bootstrap.servers": at})
    refuse(stack, UNREACHABLE, at, "[redis] stock", redis__stock=at)
    refuse(stack, UNREACHABLE, str(port), "[database]", database__port=port)


@pytest.mark.parametrize("words, options", [
    (["topic", "249 letters"], {"kafka__topic": "a topic"}),
    (["[kafka] topic and dead_letter_topic are the same", "'one'"],
     {"kafka__topic": "one", "kafka__dead_letter_topic": "one"}),
    (["acks", "always all"], {"kafka__acks": "1"}),
    (["auto.offset.reset", "must not be passed over"], {"kafka__auto.offset.reset": "earliest"}),
    (["linger.ms"], {"kafka__linger.ms": "soon"}),
    (["topic_partitions", "1024"], {"kafka__topic_partitions": "1025"}),
    (["stock"], {"redis__stock": "127.0.0.1:99999"}),
    (["batch_max", "2000"], {"strategy__async__batch_max": "2001"}),
])
def test_settings_that_are_wrong(stack, words, options):
    """Said without any server, all at once, with the name of the setting."""
    server = stack.start(reset=None, wait=False, **options)
    assert server.wait_exit() == CONFIGURATION, server.log()
    for word in words:
        assert word in server.log(), (word, server.log())


def test_more_copies_than_brokers(stack):
    refuse(stack, CONFIGURATION, "topic", f"'{stack.name}-events'", "[kafka] topic_replication",
           kafka__topic_replication=3, server__start_timeout_ms=10000)  # it is the broker's answer


def test_what_can_be_lost_is_said(promises):
    """With the settings found; and that a topic that is there has partitions of its own."""
    redis = promises.stack.redis
    redis.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    redis.call("CONFIG", "SET", "maxmemory", "512mb")
    try:
        promises.sell(promises.start())
        server = promises.start(reset=None, server__log_format="logfmt", kafka__topic_partitions=8)
    finally:
        redis.call("CONFIG", "SET", "maxmemory-policy", "noeviction")
        redis.call("CONFIG", "SET", "maxmemory", "0")
    warnings = "\n".join(line for line in server.log().splitlines() if "level=warning" in line)
    assert "maxmemory-policy=allkeys-lru drops stock" in warnings
    assert "appendfsync=everysec" in warnings
    assert re.search(r"topic can lose events.* setting=min.insync.replicas", warnings)
    assert re.search(r"its own number of partitions.* partitions=3 topic_partitions=8", server.log())
    promises.sell(server, 2)
