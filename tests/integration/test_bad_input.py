"""Every row of the API page's table of bad input: sent whole, split at every byte, byte by byte."""

from __future__ import annotations

import random

import pytest
from bad_input_cases import BODY, CASES, Case, get, with_json
from raw_http import FramingError, Lockstep, exchange, parse_all

LAST = get(b"Connection: close\r\n", target=b"/api/concerts/3")
# Would be counted by the fake if anybody acted upon it.
BEHIND = with_json(BODY) + LAST
LONG = 700  # bytes; longer requests are split at a sample of places

CLOSING = [case for case in CASES if case.closes]
KEEPING = [case for case in CASES if not case.closes]


def name_of(case: Case) -> str:
    return case.name


def whole(case: Case) -> bytes:
    return case.data + (BEHIND if case.closes else LAST)


def judge(case: Case, received: bytes, how: str = "whole") -> None:
    try:
        methods = [case.method, "GET"]
        responses = [r for r in parse_all(received, methods) if r.status != 100]
        assert responses, "no answer"
        first = responses[0]
        assert first.status in case.statuses, first.raw
        if case.closes:
            assert len(responses) == 1, f"{len(responses)} answers: {received!r}"
            assert first.closes, first.raw
        else:
            assert len(responses) == 2, f"{len(responses)} answers: {received!r}"
            assert not first.closes, first.raw
            assert responses[1].status == 200 and responses[1].json()["id"] == 3
        if case.status == 405 and not case.closes:
            assert "OPTIONS" in first.headers["allow"].split(", "), first.raw
        if case.status == 422 and case.method == "GET" and "value" in case.name:
            problem = first.json()
            if case.field is not None:
                assert case.field in [error["field"] for error in problem["errors"]], problem
    except (AssertionError, FramingError, KeyError) as error:
        raise AssertionError(f"{case.name}, {how}: sent {case.data[:300]!r}: {error}") from None


def splits(data: bytes) -> list[int]:
    if len(data) <= LONG:
        return list(range(1, len(data)))
    step = len(data) // 24
    places = set(range(1, len(data), step)) | set(range(1, 40)) | set(range(len(data) - 24, len(data)))
    return sorted(places)


@pytest.fixture
def nothing_reserved(fake):
    """What is refused, and what comes behind it, reaches no strategy."""
    before = fake.metric("fake_reserve_taken_total")
    yield
    assert fake.metric("fake_reserve_taken_total") == before


@pytest.mark.parametrize("case", CLOSING, ids=name_of)
def test_whole_and_closed(fake, case):
    before = None
    if not case.name.startswith("good"):
        before = fake.metric("fake_reserve_taken_total")
    received = b"".join(r.raw for r in exchange(fake.address, whole(case), [case.method]))
    judge(case, received)
    if before is not None:
        assert fake.metric("fake_reserve_taken_total") == before


@pytest.mark.parametrize("case", KEEPING, ids=name_of)
def test_whole_and_kept(fake, case):
    responses = exchange(fake.address, whole(case), [case.method, "GET"])
    judge(case, b"".join(r.raw for r in responses))


def batches(size: int = 1500):
    """Pieces of work: (case, split place), so many connections at a time."""
    work = [(case, place) for case in CASES for place in splits(case.data)]
    return [work[i : i + size] for i in range(0, len(work), size)]


BATCHES = batches()


@pytest.mark.parametrize("number", range(len(BATCHES)))
def test_split_at_every_byte(fake, number):
    reserve_before = fake.metric("fake_reserve_taken_total")
    lockstep = Lockstep(fake.address)
    work = BATCHES[number]
    received = lockstep.run([[whole(case)[:place], whole(case)[place:]] for case, place in work])
    lockstep.close()
    granted = 0
    for (case, place), data in zip(work, received):
        judge(case, data, f"split at {place}")
        granted += data.startswith(b"HTTP/1.1 201 ") or data.startswith(b"HTTP/1.1 100 ")
    assert fake.metric("fake_reserve_taken_total") == reserve_before + granted


def test_byte_by_byte(fake):
    cases = [case for case in CASES if len(case.data) <= LONG]
    for i in range(0, len(cases), 300):
        part = cases[i : i + 300]
        before = fake.metric("fake_reserve_taken_total")
        lockstep = Lockstep(fake.address)
        scripts = []
        for case in part:
            tail = whole(case)[len(case.data) :]
            scripts.append([case.data[j : j + 1] for j in range(len(case.data))] + [tail])
        received = lockstep.run(scripts)
        lockstep.close()
        granted = 0
        for case, data in zip(part, received):
            judge(case, data, "byte by byte")
            granted += data.startswith(b"HTTP/1.1 201 ")
        assert fake.metric("fake_reserve_taken_total") == before + granted


def test_answer_survives_what_is_sent_behind_it(fake, nothing_reserved):
    """A client that is still sending must be able to read why it was refused."""
    for _ in range(20):
        data = get(b"X : bad\r\n") + b"x" * 4_000_000
        responses = exchange(fake.address, data)
        assert [response.status for response in responses] == [400]


def test_garbage(fake, nothing_reserved):
    """No bytes at all may do anything but be refused."""
    chance = random.Random(20240501)
    lockstep = Lockstep(fake.address)
    scripts = []
    for _ in range(600):
        size = chance.choice([1, 2, 5, 20, 100, 1000])
        kind = chance.randrange(3)
        if kind == 0:
            data = chance.randbytes(size)
        elif kind == 1:
            data = bytes(chance.choice(b"GETPOS /\r\n: HTTP/1.1\x00") for _ in range(size))
        else:
            data = bytearray(with_json(BODY))
            for _ in range(chance.randrange(1, 4)):
                place = chance.randrange(len(data) - len(BODY))
                data[place] = chance.choice(b"\x00\x7f\xff")  # no request survives this
            data = bytes(data)
        scripts.append([data, b"\r\n\r\n" * 2 + b"\x00"])
    for script, data in zip(scripts, lockstep.run(scripts)):
        for response in parse_all(data):
            assert response.status >= 400, (script, data)
    lockstep.close()
