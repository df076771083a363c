"""The open loop's pure parts: its result as a measurement, which rates are asked for, the audit of
every id; and of the program its histogram and what it reads of an answer."""

import ctypes
import json
import pathlib
import random
import shutil
import sqlite3
import subprocess
import sys
import uuid

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))

import load
import open_loop
import summary

BENCH = pathlib.Path(__file__).resolve().parents[2] / "bench"
RESULT = {
    "planned": 1000, "sent": 990, "answered": 980, "lower_bounds": 20, "sold_out": 100,
    "sold_out_in_time": 90, "sold_out_after": 75, "last_accepted_us": 1_600_000,
    "broken": 4, "unanswered": 6, "no_id": 0, "malformed": 1, "connections_lost": 5,
    "connect_failures": 0, "statuses": {"201": 850, "409": 120, "500": 10},
    "statuses_in_time": {"201": 800, "409": 110, "500": 10},
    "latency": {"p50_us": 2000, "p95_us": 5000, "p99_us": 900000, "p999_us": 1000000,
                "max_us": 1100000},
    "accepted": {"p50_us": 2500, "p95_us": 5500, "p99_us": 910000, "p999_us": 1010000,
                 "max_us": 1100000},
    "late": {"p50_us": 40, "p95_us": 60, "p99_us": 1000, "p999_us": 2000, "max_us": 3000},
    "cdf": [[1000, 0.1], [2000, 0.5], [1100000, 1.0]],
    "load_us": 2_000_000, "duration_us": 4_000_000, "cpu_load_us": 1_000_000, "cpu_us": 1_200_000,
}
SILENCE = {  # of a server that never answers
    "sent": 10, "answered": 0, "lower_bounds": 1000, "sold_out": 0, "sold_out_in_time": 0,
    "sold_out_after": 0, "last_accepted_us": 0, "statuses": {}, "statuses_in_time": {},
    "accepted": None,
}


def changed(**changes):
    return {**RESULT, **changes}


def text_of(**changes):
    return "RESULT " + json.dumps(changed(**changes)) + "\n"


# --- its result -----------------------------------------------------------------------------------


def test_parse():
    assert open_loop.parse("something else\n" + text_of()) == RESULT
    nothing = changed(**SILENCE)
    assert open_loop.parse("RESULT " + json.dumps(nothing)) == nothing


@pytest.mark.parametrize("text, said", [
    ("", "0 results"),
    (text_of() + text_of(), "2 results"),
    ("RESULT {\n", "cannot be read"),
    ("RESULT {}\n", "has no planned"),
    (text_of(planned=-1), "has no planned"),
    (text_of(broken=None), "has no broken"),
    (text_of(broken=True), "has no broken"),
    (text_of(planned=989), "more sent than planned"),
    (text_of(lower_bounds=19), "one latency for each request"),
    (text_of(sold_out_after=91), "after the last seat"),
    (text_of(last_accepted_us=0), "when the last was accepted"),
    (text_of(**{**SILENCE, "last_accepted_us": 1}), "when the last was accepted"),
    (text_of(**{**SILENCE, "latency": None}), "has no latency"),
    (text_of(**{**SILENCE, "cdf": []}), "has no cdf"),
    (text_of(unanswered=5), "became of each"),
    (text_of(statuses={"201": 979}), "one status"),
    (text_of(statuses={"201": "980"}), "has no statuses"),
    (text_of(statuses_in_time={"201": 851}), "more answers in time"),
    (text_of(sold_out=121), "more sold out"),
    (text_of(load_us=0), "took no time"),
    (text_of(duration_us=1_999_999), "took no time"),
    (text_of(latency=None), "has no latency"),
    (text_of(accepted={"p50_us": 1}), "has no accepted"),
    (text_of(late=None), "has no late"),
    (text_of(cdf=[]), "has no cdf"),
    (text_of(cdf=[[1, 0.5], [1, 1]]), "does not rise"),
    (text_of(cdf=[[1, 0.5], [2, 0.5], [3, 1]]), "does not rise"),
    (text_of(cdf=[[1, 0.5]]), "without its end"),
    (text_of(cdf=[[i, (i + 1) / 61] for i in range(61)]), "has no cdf"),
])
def test_parse_refuses(text, said):
    with pytest.raises(load.LoadError, match=said):
        open_loop.parse(text)


def test_measurement():
    found = open_loop.measurement(RESULT, 1.5, settled_cpu_seconds=1.7)
    assert found["planned_per_second"] == 500 and found["answered_per_second"] == 460
    assert found["refused_per_second"] == 15
    assert (found["p50_ms"], found["p95_ms"], found["p99_ms"], found["p999_ms"],
            found["max_ms"]) == (2, 5, 900, 1000, 1100)
    assert found["accepted_p50_ms"] == 2.5 and found["accepted_p99_ms"] == 910
    assert found["cdf"] == [[1, 0.1], [2, 0.5], [1100, 1]]
    assert found["generator_busy"] == 0.5 and found["generator_late_p99_ms"] == 1
    assert not found["generator_limited"] and found["held"]
    assert found["server_cpu_cores"] == pytest.approx(1.5 / 4)  # of the load alone
    assert found["server_cpu_seconds_per_1000"] == pytest.approx(2)  # all that they cost
    assert found["unsent"] == 10 and found["unanswered"] == 6 and found["lower_bounds"] == 20
    assert "share_of_ceiling" not in found
    json.dumps(found)


def test_the_rate_until_all_was_sold_and_the_one_after():
    """800 of 850 were accepted in time, all within 1.6 of 2 seconds; 75 of 90 heard later that all
    is sold."""
    rates = open_loop.rates_of(RESULT)
    assert rates["requests_per_second"] == pytest.approx(800 / 1.6)
    assert rates["sold_out_per_second"] == pytest.approx(75 / 0.4)
    assert rates["answered_per_second"] == 460


@pytest.mark.parametrize("changes, accepted, sold_out", [
    ({"sold_out_in_time": 0, "sold_out_after": 0}, 400, 0),   # nothing sold out
    ({"last_accepted_us": 2_500_000}, 400, 45),               # seats lasted until the end
    (SILENCE, 0, 0),
    ({"statuses": {"409": 980}, "statuses_in_time": {"409": 900}, "last_accepted_us": 0},
     0, 45),                                                  # nothing was left to begin with
])
def test_rates_over_the_whole_time(changes, accepted, sold_out):
    rates = open_loop.rates_of(changed(**changes))
    assert (rates["requests_per_second"], rates["sold_out_per_second"]) == (accepted, sold_out)


def test_measurement_of_a_server_that_never_answers():
    found = open_loop.measurement(changed(**SILENCE), 1.0)
    assert found["p99_ms"] == 900 and found["accepted_p50_ms"] is None and not found["held"]
    assert found["requests_per_second"] == 0 and found["server_cpu_seconds_per_1000"] is None


@pytest.mark.parametrize("ceiling, is_limited", [(624, True), (626, False)])
def test_measurement_beside_the_ceiling(ceiling, is_limited):
    found = open_loop.measurement(RESULT, 1.0, {"generator_ceiling": ceiling})
    assert found["share_of_ceiling"] == 500 / ceiling
    assert found["generator_limited"] is is_limited


@pytest.mark.parametrize("changes", [
    {"cpu_load_us": 1_700_000},
    {"late": {**RESULT["late"], "p99_us": 5001}},
])
def test_measurement_marks_a_generator_that_was_the_limit(changes):
    assert open_loop.measurement(changed(**changes), 1.0)["generator_limited"]


def test_held():
    def of(answered, p99_ms):
        return open_loop.held({"answered": answered, "planned": 1000, "p99_ms": p99_ms})

    assert of(980, 1000) and not of(979, 1000) and not of(1000, 1000.1)


# --- which rates ----------------------------------------------------------------------------------


def left_out(found):
    return tuple(rate for rate in open_loop.RATES if open_loop.skipped(rate, found))


def test_rates_above_two_that_were_not_held_are_left_out():
    assert left_out({}) == left_out({500: True, 1000: True}) == left_out({500: False}) == ()
    assert left_out({500: True, 1000: False, 2000: False}) == open_loop.RATES[3:]
    # One that failed by chance and a higher one that was held: only the second that failed counts.
    found = {500: False, 1000: True, 2000: True}
    assert left_out(found) == ()
    assert left_out({**found, 4000: False}) == open_loop.RATES[4:]
    assert left_out({4000: False, 2000: False}) == open_loop.RATES[4:]  # in any order


def test_a_rate_that_is_left_out_says_so():
    found = {500: True, 1000: False, 2000: False, 4000: False}
    assert open_loop.skipped(2000, {500: True, 1000: False}) is None
    assert open_loop.skipped(500, {500: True}) is None  # measured once more
    assert open_loop.skipped(2000, found) is None
    measured = open_loop.skipped(8000, found)
    assert measured["skipped"] == "not measured: 1000/s and 2000/s were not held before"
    assert measured["planned_per_second"] == 8000 and measured["held"] is False


# --- audits ---------------------------------------------------------------------------------------


def audit_of(live, capacity=1_000_000, concerts=1):
    return {"consistent": True, "concerts": [
        {"id": number + 1, "capacity": capacity, "sold": live, "live": live}
        for number in range(concerts)]}


def test_the_bounds_of_rows_are_what_nobody_knows():
    # 850 were told that they have a seat; 4 broke, 6 had no answer, 10 were told 500.
    measured = open_loop.measurement(RESULT, 1.0)
    assert set(measured["counts"]) == set(load.COUNTS)
    for rows, is_fine in ((849, False), (850, True), (870, True), (871, False)):
        found = summary.audit_violations(
            audit_of(rows), 0, measured["counts"], measured["unknown"], 1)
        assert bool(found) is not is_fine
    assert measured["unknown_outcomes"] == 20


@pytest.fixture
def ids(tmp_path):
    """Four ids, and a file with them."""
    numbers = [uuid.UUID(int=i + 1).bytes for i in range(4)]
    path = tmp_path / "ids.bin"
    path.write_bytes(b"".join(numbers))
    return numbers, path


def test_every_accepted_id_has_its_row(ids):
    numbers, path = ids
    for status in open_loop.LIVE:
        found = open_loop.missing_ids(path, dict.fromkeys(numbers, status))
        assert found["accepted"] == found["rows"] == 4
        assert open_loop.id_violations(found) == []


@pytest.mark.parametrize("status", [None, 3, 4, 5])
def test_an_accepted_id_without_a_live_row_is_lost(ids, status):
    numbers, path = ids
    rows = dict.fromkeys(numbers, 1)
    del rows[numbers[2]]
    if status:
        rows[numbers[2]] = status
    found = open_loop.missing_ids(path, rows)
    assert found["lost"] == 1 and found["rejected"] == (status is not None)
    assert found["examples"] == [numbers[2].hex()]
    violations = open_loop.id_violations(found)
    assert len(violations) == 1 and violations[0].startswith("ids: lost: 1 of 4")
    # Another row in its place is none: counts alone would not see it.
    assert open_loop.missing_ids(path, {**rows, bytes(16): 2}, unknown=1)["lost"] == 1


def test_an_id_that_was_given_twice_is_double(ids):
    numbers, path = ids
    path.write_bytes(path.read_bytes() + numbers[1])
    found = open_loop.missing_ids(path, dict.fromkeys(numbers, 2))
    assert found["double"] == 1 and "double: 1" in open_loop.id_violations(found)[0]


def test_a_row_that_nobody_was_told_of_needs_an_unknown_outcome(ids):
    numbers, path = ids
    rows = {**dict.fromkeys(numbers, 2), bytes(16): 2, bytes(15) + b"\xff": 2,
            bytes(15) + b"\xfe": 5}  # the last is no seat
    assert open_loop.missing_ids(path, rows, unknown=2)["phantom"] == 0
    found = open_loop.missing_ids(path, rows, unknown=1)
    assert found["phantom"] == 1 and "phantom: 2 rows" in open_loop.id_violations(found)[0]
    measured = {"unknown_outcomes": 1, "no_id": 0}
    assert open_loop.audit_ids(measured, path, rows, unknown_before=1) == []
    assert open_loop.audit_ids(measured, path, rows) and measured["ids"]["phantom"] == 1


def test_an_answer_without_an_id_is_a_violation(ids):
    numbers, path = ids
    found = open_loop.missing_ids(path, dict.fromkeys(numbers, 2))
    assert "no id" in open_loop.id_violations(found, no_id=3)[0]


def test_half_an_id_is_refused(ids):
    _, path = ids
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(load.LoadError, match="no whole ids"):
        open_loop.read_ids(path)


@pytest.mark.parametrize("accepted, sold_out, live, said", [
    (5000, 3000, 5000, None),
    (4990, 3000, 5000, None),  # ten have a seat and were not told
    (5000, 3000, 5001, "oversold: 5001 rows for 5000"),
    (5001, 3000, 5000, "5001 were accepted"),
    (4999, 3000, 4999, "only 4999 are sold"),
    (3000, 0, 3000, None),     # refused for other reasons, or asked for too slowly
    (3000, 200, 3000, None),   # what was given back may not have been asked for again
])
def test_sellout(accepted, sold_out, live, said):
    measured = {"accepted": accepted, "sold_out": sold_out}
    found = open_loop.sellout_violations(measured, audit_of(live))
    assert (len(found) == 1 and said in found[0]) if said else found == []


def test_sellout_of_several_concerts():
    measured = {"accepted": 200, "sold_out": 100}
    assert open_loop.sellout_violations(measured, audit_of(100, concerts=2), capacity=100) == []
    assert open_loop.sellout_violations(measured, audit_of(99, concerts=2), capacity=100)


def test_ids_in_sqlite(tmp_path):
    file = tmp_path / "resvd.db"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE reservations (id BLOB PRIMARY KEY, status INTEGER)")
        connection.executemany("INSERT INTO reservations VALUES (?, ?)",
                               [(bytes(16), 2), (b"\x01" * 16, 5)])
    connection.close()
    assert open_loop.ids_in_sqlite(file) == {bytes(16): 2, b"\x01" * 16: 5}
    with pytest.raises(sqlite3.OperationalError):
        open_loop.ids_in_sqlite(tmp_path / "none.db")  # it must not be made


# --- the program's parts --------------------------------------------------------------------------


class Histogram(ctypes.Structure):
    _fields_ = [("buckets", ctypes.c_uint64 * 2560), ("count", ctypes.c_uint64),
                ("max_us", ctypes.c_uint64)]


class Point(ctypes.Structure):
    _fields_ = [("us", ctypes.c_uint64), ("count", ctypes.c_uint64)]


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    compiler = shutil.which("cc")
    if not compiler:
        pytest.skip("there is no C compiler (cc)")
    library = tmp_path_factory.mktemp("parts") / "parts.so"
    subprocess.run([compiler, "-std=c11", "-shared", "-fPIC", "-o", library,
                    BENCH / "open_histogram.c", BENCH / "open_answer.c"], check=True)
    loaded = ctypes.CDLL(str(library))
    loaded.open_histogram_add.argtypes = [ctypes.POINTER(Histogram), ctypes.c_uint64]
    loaded.open_histogram_quantile.argtypes = [ctypes.POINTER(Histogram), ctypes.c_uint64]
    loaded.open_histogram_quantile.restype = ctypes.c_uint64
    loaded.open_histogram_curve.restype = ctypes.c_size_t
    loaded.open_answer_id.restype = loaded.open_answer_is_sold_out.restype = ctypes.c_bool
    loaded.open_answer_id.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p]
    loaded.open_answer_is_sold_out.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
    return loaded


def histogram_of(parts, values):
    histogram = Histogram()
    for value in values:
        parts.open_histogram_add(histogram, value)
    return histogram


def test_a_histogram_is_exact_to_one_percent(parts):
    edges = [value + change for shift in range(26) for value in [1 << shift]
             for change in (-1, 0, 1)]
    chance = random.Random(1)
    for value in edges + [int(10 ** chance.uniform(0, 7.77)) for _ in range(2000)]:
        # 1 s more behind it, so that the bucket's bound and not the maximum is told.
        found = parts.open_histogram_quantile(histogram_of(parts, [value, value + 10 ** 8]), 500000)
        assert value <= found <= value * 1.01
        assert found == value or value >= 256
    beyond = histogram_of(parts, [5, 10 ** 10])
    assert beyond.max_us == parts.open_histogram_quantile(beyond, 1000000) == 10 ** 10


def test_quantiles_are_those_of_the_sorted_values(parts):
    chance = random.Random(2)
    values = sorted(int(chance.lognormvariate(8, 2)) for _ in range(5000))
    histogram = histogram_of(parts, values)
    for millionths in (1, 100000, 500000, 950000, 990000, 999000, 1000000):
        exact = values[max(1, -(-len(values) * millionths // 1000000)) - 1]
        assert exact <= parts.open_histogram_quantile(histogram, millionths) <= exact * 1.01
    assert parts.open_histogram_quantile(Histogram(), 500000) == 0


@pytest.mark.parametrize("values", [
    [], [0], [7] * 10, [1, 2], list(range(100)), [10 ** 10] * 3, [1] * 999 + [10 ** 6],
    [int(random.Random(3).lognormvariate(8, 2)) + i for i in range(5000)],
])
def test_the_curve_is_the_distribution(parts, values):
    points = (Point * 60)()
    count = parts.open_histogram_curve(ctypes.byref(histogram_of(parts, values)), points)
    found = [(point.us, point.count) for point in points[:count]]
    assert bool(found) == bool(values)
    for (one_us, one), (two_us, two) in zip(found, found[1:]):
        assert one_us < two_us and one < two
    for us, below in found:
        assert below == sum(value <= us for value in values)
    if found:
        assert found[-1] == (max(values), len(values))


ID = "0190b5a0-7e6c-7abc-8def-0123456789ab"


@pytest.mark.parametrize("body, wanted", [
    (f'{{"id":"{ID}","concertId":1}}', True),
    (f'{{"id":"{ID.upper()}"}}', True),
    (f' {{ "concertId" : -1.5e3 ,\n "id" : "{ID}" }}', True),
    (f'{{"a":{{"id":"no"}},"b":[{{"id":1}},"}}"],"c":null,"id":"{ID}"}}', True),
    (f'{{"a":"\\",\\"id\\":\\"{ID}\\"","id":"{ID}"', True),  # what is behind is not looked at
    (f'{{"a":{{"id":"{ID}"}}}}', False),
    (f'{{"a":"x\\"id\\":\\"{ID}\\""}}', False),
    (f'{{"ids":"{ID}","i":"{ID}"}}', False),
    (f'[{{"id":"{ID}"}}]', False),
    (f'{{"id":{{"id":"{ID}"}}}}', False),
    (f'{{"id":"{ID}0"}}', False),
    (f'{{"id":"{ID[:-1]}"}}', False),
    (f'{{"id":"{ID[:-1]}g"}}', False),
    (f'{{"id":"{ID.replace("-", "0")}"}}', False),
    ('{"id":7}', False), ('{"id":null}', False), ('{"id":"', False), ('{"id"', False),
    ('{', False), ('', False), ('{}', False), ('null', False), ('{"a":"\\', False),
])
def test_the_id_of_an_answer(parts, body, wanted):
    found = ctypes.create_string_buffer(16)
    text = body.encode()
    assert parts.open_answer_id(text, len(text), found) is wanted
    if wanted:
        assert found.raw == uuid.UUID(ID).bytes


def test_a_truncated_answer_has_no_id(parts):
    text = f'{{"a":[1,{{"b":"\\""}}],"id":"{ID}"}}'.encode()
    found = ctypes.create_string_buffer(16)
    for size in range(len(text) + 1):
        whole = size >= len(text) - 1
        assert parts.open_answer_id(text[:size], size, found) is whole


@pytest.mark.parametrize("body, wanted", [
    ('{"type":"/problems/sold-out","title":"Sold out","status":409}', True),
    ('{"type":"/problems/contended","title":"/problems/sold-out"}', False),
    ('{"title":"sold-out"}', False), ('', False),
])
def test_what_is_sold_out_says_so(parts, body, wanted):
    assert parts.open_answer_is_sold_out(body.encode(), len(body)) is wanted
