"""The source study's own paths: its published script and clients run against resvd unchanged."""

from __future__ import annotations

import pytest


@pytest.fixture
def study(start):
    return start(server__study_api="on", server__allow_reset="on")


@pytest.mark.parametrize("body", [None, b"", b"{}", b"not json at all", {"ignored": True}])
def test_init(study, body):
    headers = {"Content-Type": "text/plain"} if isinstance(body, bytes) else None
    answer = study.ask("POST", "/api/test/init", body, headers)
    assert answer.status == 201
    init = answer.json()
    assert init["concertCount"] == 10 and init["memberCount"] == 200
    assert init["concertIds"] == list(range(1, 11)) and init["memberIds"] == list(range(1, 201))
    assert isinstance(init["message"], str)
    concert = study.ask("GET", "/api/concerts/10").json()
    assert (concert["capacity"], concert["sold"]) == (100_000, 0)
    assert study.ask("GET", "/api/members/200").status == 200
    study.ask("GET", "/api/members/201").problem(404)


def test_init_forgets_what_was_sold(study):
    study.ask("POST", "/api/test/init")
    for _ in range(3):
        assert study.ask("POST", "/api/reservations", {"concertId": 1, "memberId": 1}).status == 201
    study.ask("POST", "/api/test/init")
    assert study.ask("GET", "/api/concerts/1").json()["sold"] == 0


def test_request_id(study):
    study.ask("POST", "/api/test/init")
    made = study.ask("POST", "/api/reservations", {"concertId": 4, "memberId": 5}).json()
    answer = study.ask("GET", f"/api/reservations/request/{made['id']}")
    assert answer.status == 200
    assert answer.json() == {"requestId": made["id"], "reservationId": made["id"], "concertId": 4,
                             "memberId": 5, "status": "CONFIRMED"}
    for text in ("018f0000-0000-7000-8000-000000000000", "x", "1"):
        study.ask("GET", "/api/reservations/request/" + text).problem(404)


def test_errors_have_the_study_members_too(study):
    study.ask("POST", "/api/test/init")
    for body, status in (({"concertId": 99, "memberId": 1}, 404), ({"concertId": 1}, 422),
                         ({"concertId": 1, "memberId": 1, "quantity": 100_001}, 409)):
        problem = study.ask("POST", "/api/reservations", body).problem(status)
        assert isinstance(problem["error"], str) and problem["error"]
        assert isinstance(problem["message"], str) and problem["message"]


def test_async_is_for_async_only(study):
    study.ask("POST", "/api/reservations/async", {"concertId": 1, "memberId": 1}).problem(404, "async-only")


def test_init_needs_allow_reset(start):
    server = start(server__study_api="on")
    server.ask("POST", "/api/test/init").problem(403, "forbidden")


def test_off_unless_asked_for(start):
    server = start(server__allow_reset="on")
    server.ask("POST", "/api/test/init").problem(404, "not-found")
    server.ask("GET", "/api/reservations/request/018f0000-0000-7000-8000-000000000000").problem(404)
    problem = server.ask("POST", "/api/reservations", {"concertId": 99, "memberId": 1}).problem(404)
    assert "error" not in problem and "message" not in problem
