"""Requests with an Idempotency-Key, and ids that are asked for, while Redis has lost what it knew: a key
is one reservation through all processes and concerts, and what was accepted is never said to be missing.
"""

from __future__ import annotations

import threading

import pytest
from resvd_process import wait_until

NOBODY = "/api/reservations/00000000-0000-4000-8000-000000000000"


def post(server, concert: int, member: int, quantity: int = 1, key: str | None = None):
    return server.ask("POST", "/api/reservations",
                      {"concertId": concert, "memberId": member, "quantity": quantity},
                      {"Idempotency-Key": key} if key else None)


def wait_sells(server, *concerts: int) -> None:
    for concert in concerts:
        wait_until(lambda: post(server, concert, 1).status == 202, f"{concert} sells")


def lose_all(stack) -> None:
    stack.redis.kill()
    stack.redis.wipe()
    stack.redis.start()


@pytest.mark.parametrize("harm", [lambda stack: stack.redis.call("FLUSHALL"), lose_all],
                         ids=["flushed", "another run"])
def test_what_is_only_in_the_log_is_not_missing(stack, harm):
    """Nobody consumes when Redis loses what was pending, nor for a while after that."""
    api = stack.start(role="api")
    consumer = stack.start(role="consumer", reset=None)
    wait_sells(api, 1, 2)
    stack.wait_until_settled()
    wait_until(lambda: api.ask("GET", NOBODY).status == 404, "all is complete")
    consumer.stop()
    accepted = post(api, 1, 2, 2, "key")
    assert accepted.status == 202, accepted.raw
    location = accepted.headers["location"]
    assert api.ask("GET", location).json()["status"] == "PENDING"
    harm(stack)
    wait_until(lambda: api.admin("GET", "/readyz").status == 200, "Redis is back")
    for _ in range(3):
        for method, target in (("GET", location), ("DELETE", location), ("GET", NOBODY)):
            api.ask(method, target).problem(503, "unavailable")
        post(api, 1, 2, 2, "key").problem(503, "unavailable")
        post(api, 2, 2, 2, "key").problem(503, "unavailable")  # nor in another concert
    stack.start(role="consumer", reset=None)
    wait_until(lambda: api.ask("GET", location).status == 200, "its row is there")
    assert api.ask("GET", location).json()["status"] == "CONFIRMED"
    again = post(api, 1, 2, 2, "key")
    assert (again.status, again.headers["location"]) == (202, location)
    post(api, 2, 2, 2, "key").problem(422, "key-reused")
    wait_until(lambda: api.ask("GET", NOBODY).status == 404, "all is complete")
    wait_sells(api, 2)
    stack.wait_until_settled()
    stack.check_quiet()


def test_a_key_that_comes_to_two_concerts_at_once_is_one_reservation(stack):
    """At two api processes; in the middle Redis loses all that it knows."""
    servers = [stack.start(role="api"), stack.start(role="api", reset=None)]
    stack.start(role="consumer", reset=None)
    wait_sells(servers[0], 1, 2)
    wait_until(lambda: servers[0].ask("GET", NOBODY).status == 404, "all is complete")
    won = 0
    for number in range(40):
        if number == 20:
            stack.redis.call("FLUSHALL")
        answers = []
        threads = [threading.Thread(target=lambda server, concert: answers.append(
            post(server, concert, 2, 1, f"key-{number}")), args=(server, concert))
            for server, concert in zip(servers * 2, (1, 2, 2, 1))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {answer.status for answer in answers} <= {202, 409, 422, 503}, answers
        accepted = {answer.body for answer in answers if answer.status == 202}
        assert len({answer.json()["id"] for answer in answers if answer.status == 202}) <= 1
        assert len(accepted) <= 2  # PENDING, then CONFIRMED
        concerts = {answer.json()["concertId"] for answer in answers if answer.status == 202}
        assert len(concerts) <= 1
        won += len(concerts)
    assert won >= 20  # at least those from before the loss
    stack.wait_until_settled()
    stack.check_quiet()
