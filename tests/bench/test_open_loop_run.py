"""The open loop for real: the program against servers that stall, break and keep silent, and with
the audit of every id behind resvd."""

import json
import os
import pathlib
import re
import selectors
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import uuid

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))

import database
import facts
import load
import open_loop
import servers
import subjects
import summary

BUILD = pathlib.Path(os.environ["RESVD_BUILD_DIR"])
PROGRAM = BUILD / "bench" / "open_loop"
SHAPE = {"connections": 8, "concerts": 1, "member_first": 1000, "member_count": 9000}
ID = "0190b5a0-7e6c-7abc-8def-0123456789ab"


# --- the program against servers of our own -------------------------------------------------------


@pytest.fixture
def program():
    if not PROGRAM.is_file():
        pytest.skip(f"{PROGRAM} is not built: ninja -C {BUILD} bench-programs")
    return PROGRAM


def answer_of(status=201, body=None, head=""):
    if body is None:
        body = json.dumps({"id": str(uuid.uuid4()), "concertId": 1})
    return (f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{head}"
            f"Content-Length: {len(body)}\r\n\r\n{body}").encode()


class Server(threading.Thread):
    """Calls `act(number, request)` for each request, on its one thread; what it returns is sent.
    None: no answer. CLOSE in place of it or behind it: the connection ends."""

    CLOSE = object()

    def __init__(self, act):
        super().__init__(daemon=True)
        self.act = act
        self.requests = []  # (monotonic seconds, text)
        self.ended = False
        self.failed = None
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}/api/reservations"
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.accepted = 0

    def run(self):
        try:
            while not self.ended:
                for key, _ in self.selector.select(0.05):
                    if key.fileobj is self.listener:
                        self.accept()
                    else:
                        self.serve(key.fileobj)
        except Exception as error:  # shown by the fixture
            self.failed = error

    def accept(self):
        peer, _ = self.listener.accept()
        self.accepted += 1
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.selector.register(peer, selectors.EVENT_READ)

    def drop(self, peer):
        self.selector.unregister(peer)
        peer.close()

    def serve(self, peer):
        """A request comes whole, as there is one at a time and it is short."""
        try:
            text = peer.recv(65536).decode()
            if not text:
                self.drop(peer)
                return
            self.requests.append((time.monotonic(), text))
            parts = self.act(len(self.requests), text)
            for part in parts if isinstance(parts, list) else [parts]:
                if part is self.CLOSE:
                    self.drop(peer)
                    return
                if part is not None:
                    peer.sendall(part)
        except OSError:
            self.drop(peer)

    def stop(self):
        self.ended = True
        self.join(10)
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()
        self.selector.close()


@pytest.fixture
def serve():
    """A function that starts a Server."""
    started = []

    def start(act=lambda number, text: answer_of()):
        server = Server(act)
        server.start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()
        assert server.failed is None


@pytest.fixture
def offer(program, tmp_path):
    """A function that runs the load on a URL; its result, checked, and the ids that it kept."""
    def run(url, rate, seconds=0.5, grace=1, **shape):
        ids = tmp_path / "ids.bin"
        result = open_loop.run(program, url, {**SHAPE, **shape}, rate, seconds, ids, grace)
        return result, open_loop.read_ids(ids)

    return run


def arguments(**changes):
    words = open_loop.command(PROGRAM, "http://127.0.0.1:1/x", SHAPE, 1, 1, "ids.bin")[1:]
    values = dict(word[2:].split("=", 1) for word in words)
    values.update({name.replace("_", "-"): value for name, value in changes.items()})
    return [f"--{name}={value}" for name, value in values.items() if value is not None]


def test_help(program):
    done = subprocess.run([program, "--help"], capture_output=True, text=True, check=True)
    for word in arguments():
        assert word.split("=")[0] + "=" in done.stdout


@pytest.mark.parametrize("changes, said", [
    ({"rate": None}, "--rate is missing"),
    ({"url": None}, "--url is missing"),
    ({"ids": None}, "--ids is missing"),
    ({"ids": ""}, '"--ids=" is no option with its value'),
    ({"rate": "0"}, '--rate: "0" is no integer from 1 to 1000000'),
    ({"rate": "1e3"}, '--rate: "1e3" is no integer'),
    ({"rate": "1.5"}, '--rate: "1.5" is no integer'),
    ({"rate": "-1"}, '--rate: "-1" is no integer'),
    ({"rate": ""}, '--rate: "" is no integer'),
    ({"rate": "99999999999999999999999"}, "is no integer"),
    ({"connections": "10001"}, '--connections: "10001" is no integer from 1 to 10000'),
    ({"seconds": "0.0001"}, '--seconds: "0.0001" is no number of seconds from 0.001 to 3600'),
    ({"seconds": "1."}, "is no number of seconds"),
    ({"seconds": ".5"}, "is no number of seconds"),
    ({"grace_seconds": "601"}, "is no number of seconds from 0 to 600"),
    ({"member_first": "9007199254740991"}, "the last member's id is over"),
    ({"rate": "1", "seconds": "0.5"}, "make 0 requests"),
    ({"pace": "1"}, '"--pace=1" is no option'),
    ({"url": "https://127.0.0.1:1/x"}, "does not begin with http://"),
    ({"url": "http://localhost:80/x"}, '"localhost" is no address of four numbers'),
    ({"url": "http://127.0.0.1/x"}, "has no port from 1 to 65535"),
    ({"url": "http://127.0.0.1:65536/x"}, "has no port from 1 to 65535"),
    ({"url": "http://127.0.0.1:1"}, "has no path such as"),
    ({"url": "http://127.0.0.1:1/a b"}, "must be %-encoded"),
    ({"url": "http://127.0.0.1:1/" + "a" * 300}, "over 255 bytes"),
    ({"url": "http://" + "1" * 100}, "has no ADDRESS:PORT"),
])
def test_wrong_arguments_are_named(program, tmp_path, changes, said):
    done = subprocess.run([program, *arguments(**changes)], capture_output=True, text=True,
                          cwd=tmp_path)
    assert said in done.stderr and done.returncode in (1, 64) and done.stdout == ""
    assert (done.returncode == 64) == ("open_loop --help" in done.stderr)
    assert done.stderr.count("\n") == 1


def test_a_server_that_is_not_there_is_named(program, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(load.LoadError, match=f"127.0.0.1:{port}: connection refused: start the"):
        open_loop.run(program, f"http://127.0.0.1:{port}/x", SHAPE, 10, 1, tmp_path / "ids.bin")


def test_a_file_that_cannot_be_written_is_named(program, serve, tmp_path):
    with pytest.raises(load.LoadError, match="Is a directory: give --ids"):
        open_loop.run(program, serve().url, SHAPE, 10, 1, tmp_path)
    with pytest.raises(load.LoadError, match="No space left on device: give --ids"):
        open_loop.run(program, serve().url, SHAPE, 100, 0.5, "/dev/full")


def test_the_rate_is_kept_and_each_request_is_another(serve, offer):
    server = serve()
    result, ids = offer(server.url, 500, seconds=1, concerts=6, member_count=20)
    assert result["planned"] == result["sent"] == result["answered"] == 500
    assert result["statuses"] == {"201": 500} and result["broken"] == result["unanswered"] == 0
    assert len(set(ids)) == 500 and server.accepted == SHAPE["connections"]
    # In equal steps, whatever the answers: most are near their time even on a busy machine.
    first = server.requests[0][0]
    steps = sorted(at - first - i / 500 for i, (at, _) in enumerate(server.requests))
    assert steps[len(steps) // 2] - steps[len(steps) // 10] < 0.02
    assert 0.9 < server.requests[-1][0] - first < 1.5
    bodies = [json.loads(text.partition("\r\n\r\n")[2]) for _, text in server.requests]
    assert len({(body["concertId"], body["memberId"]) for body in bodies}) == 120
    for number in range(1, 7):
        assert abs(sum(body["concertId"] == number for body in bodies) - 500 / 6) < 7
    assert all(body["quantity"] == 1 and 1000 <= body["memberId"] < 1020 for body in bodies)
    head = server.requests[0][1].partition("\r\n\r\n")[0].split("\r\n")
    assert head[0] == "POST /api/reservations HTTP/1.1"
    assert sorted(line.split(":")[0] for line in head[1:]) == [
        "Content-Length", "Content-Type", "Host"]  # as wrk sends them for reserve.lua
    assert f"Host: {server.url.split('/')[2]}" in head


def test_a_stall_is_paid_for_by_all_that_were_due(serve, offer):
    """300 ms of one second: a loop that waits for its answers would show eight slow ones."""
    def act(number, text):
        if number == 200:
            time.sleep(0.3)
        return answer_of()

    result, ids = offer(serve(act).url, 1000, seconds=1)
    assert result["sent"] == result["answered"] == len(ids) == 1000
    assert result["latency"]["p99_us"] > 250_000
    # Those that were due in the first 200 ms of it waited over 100 ms.
    quick = max((share for us, share in result["cdf"] if us <= 100_000), default=0)
    assert quick < 0.85
    # They stood in line for a connection: that is the server's time, not the generator's.
    assert result["late"]["p99_us"] < 100_000


def test_what_never_had_a_connection_was_not_sent(serve, offer):
    def act(number, text):
        time.sleep(0.1)
        return answer_of()

    result, ids = offer(serve(act).url, 200, connections=1)
    assert result["planned"] == 100 and 3 <= result["sent"] <= 6
    assert result["answered"] == result["sent"] == len(ids)
    measured = open_loop.measurement(result, 0.1)
    assert not measured["held"]
    # They are in the latencies with the time from their moment to the load's end: about half of
    # them were due in its first half.
    assert measured["unsent"] == measured["lower_bounds"] == 100 - result["sent"]
    assert 200_000 < result["latency"]["p50_us"] < 300_000 < result["latency"]["p95_us"]
    quick = max((share for us, share in result["cdf"] if us <= 250_000), default=0)
    assert 0.4 < quick < 0.6 and result["cdf"][-1] == [result["latency"]["max_us"], 1]


def test_a_broken_connection_is_counted_and_opened_again(serve, offer):
    server = serve(lambda number, text: Server.CLOSE if number % 10 == 0 else answer_of())
    result, ids = offer(server.url, 400)
    assert result["sent"] == 200 and result["broken"] == result["connections_lost"] == 20
    assert result["answered"] == len(ids) == 180 and result["unanswered"] == 0
    # It broke soon, and never has an answer: each waited until the load's end at least.
    assert result["lower_bounds"] == 20
    assert result["latency"]["p99_us"] > 400_000 and result["latency"]["p50_us"] < 250_000
    assert SHAPE["connections"] + 10 <= server.accepted <= SHAPE["connections"] + 20


def test_a_server_that_says_close_breaks_nothing(serve, offer):
    def act(number, text):
        if number == 200:
            time.sleep(0.1)  # the last: it is answered when nothing is sent any more
        return [answer_of(head="Connection: close\r\n"), Server.CLOSE]

    server = serve(act)
    result, ids = offer(server.url, 400, grace=10)
    assert result["sent"] == result["answered"] == len(ids) == 200
    assert result["broken"] == 0 and server.accepted >= 200
    assert result["duration_us"] < 5_000_000  # it does not wait for the grace's end


def test_a_server_that_has_gone_does_not_hold_it_up(serve, offer):
    def act(number, text):
        if number == 100:
            server.selector.unregister(server.listener)
            server.listener.close()
        return answer_of() if number < 100 else Server.CLOSE

    server = serve(act)
    result, _ = offer(server.url, 400, seconds=1)
    assert result["answered"] == 99 and result["broken"] == SHAPE["connections"]
    assert result["sent"] == 107 and result["connect_failures"] > 0
    # Three quarters were never sent: those that were due first waited for 0.73 s at least.
    assert result["lower_bounds"] == 301 and result["latency"]["p99_us"] > 650_000


def test_what_has_no_answer_when_the_grace_is_over(serve, offer):
    result, ids = offer(serve(lambda number, text: answer_of() if number > 3 else None).url, 200,
                        grace=0.3)
    assert result["sent"] == 100 and result["unanswered"] == 3 and len(ids) == 97
    assert 800_000 <= result["duration_us"] < 2_000_000
    # They waited until the end of it all, 0.3 s after the last was due.
    assert result["lower_bounds"] == 3 and result["latency"]["p95_us"] < 290_000
    assert result["latency"]["p99_us"] > 300_000


def test_late_answers_are_waited_for_and_not_part_of_the_rate(serve, offer):
    def act(number, text):
        if number == 50:
            time.sleep(0.6)  # beyond the end of the load
        return answer_of()

    result, ids = offer(serve(act).url, 200, grace=5)
    late = result["answered"] - sum(result["statuses_in_time"].values())
    assert 1 <= late <= SHAPE["connections"]
    assert len(ids) == result["answered"] == result["sent"] and result["unanswered"] == 0


def chunked(text):
    return (b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n"
            + b"".join(b"1\r\n%c\r\n" % byte for byte in text) + b"0\r\n\r\n")


@pytest.mark.parametrize("make, has_id", [
    (lambda one: [one[at:at + 1] for at in range(len(one))], True),
    (lambda one: chunked(one.partition(b"\r\n\r\n")[2]), True),
    (lambda one: [b"HTTP/1.1 100 Continue\r\n\r\n" + one], True),
    (lambda one: [re.sub(b"Content-Length: .*\r\n", b"", one), Server.CLOSE], True),
    (lambda one: answer_of(body='{"x":"' + "x" * 5000 + f'","id":"{ID}"}}'), False),
    (lambda one: answer_of(200, body='{"items":[]}'), False),
    (lambda one: answer_of(204, body=""), False),
])
def test_answers_in_all_their_forms(serve, offer, make, has_id):
    result, ids = offer(serve(lambda number, text: make(answer_of())).url, 100, seconds=0.3)
    assert result["answered"] == 30 and result["malformed"] == result["broken"] == 0
    assert (len(ids), result["no_id"]) == ((30, 0) if has_id else (0, 30))


@pytest.mark.parametrize("make", [
    lambda one: b"nonsense\r\n\r\n",
    lambda one: one + one,                                     # one that nobody asked for
    lambda one: one.replace(b" 201 ", b" 101 "),
    lambda one: [one[:-5], Server.CLOSE],                      # it ends within the answer
])
def test_an_answer_that_is_none_breaks_its_connection(serve, offer, make):
    server = serve(lambda number, text: make(answer_of()) if number == 5 else answer_of())
    result, ids = offer(server.url, 100, seconds=0.3)
    assert result["broken"] == result["connections_lost"] == 1
    assert result["answered"] == len(ids) == 29


def test_refusals_are_told_apart(serve, offer):
    problems = [answer_of(409, '{"type":"/problems/sold-out","status":409}'),
                answer_of(409, '{"type":"/problems/contended","status":409}'),
                answer_of(503, '{"type":"/problems/unavailable"}'), answer_of(202)]
    result, ids = offer(serve(lambda number, text: problems[number % 4]).url, 200)
    assert result["statuses"] == {"202": 25, "409": 50, "503": 25}
    assert result["sold_out"] == 25 and len(ids) == 25 and result["no_id"] == 0
    found = open_loop.measurement(result, 0.1)
    assert found["sold_out"] == 25 and found["accepted"] == 25 and found["refused"] == 75
    assert 60 < found["refused_per_second"] <= 100


def test_the_moment_of_the_last_seat(serve, offer):
    """40 of 100 are accepted, within the first 0.2 s of 0.5."""
    sold_out = answer_of(409, '{"type":"/problems/sold-out","status":409}')
    result, _ = offer(serve(lambda number, text: answer_of() if 10 < number <= 50 else sold_out)
                      .url, 200)
    assert 240_000 < result["last_accepted_us"] < 450_000
    assert result["sold_out"] == 60 and result["sold_out_after"] == 50
    found = open_loop.measurement(result, 0.1)
    assert found["requests_per_second"] == pytest.approx(40e6 / result["last_accepted_us"])
    assert found["sold_out_per_second"] == pytest.approx(
        50e6 / (result["load_us"] - result["last_accepted_us"]))


def test_the_open_loops_own_ceiling(program, tmp_path):
    binary = BUILD / "bench" / "fixed_answer"
    if not binary.is_file():
        pytest.skip(f"{binary} is not built: ninja -C {BUILD} bench-programs")
    server = servers.FixedAnswer(binary, tmp_path)
    try:
        found = open_loop.ceiling(program, server.url, {**SHAPE, "connections": 64}, 0.5)
    finally:
        server.stop()
    assert found["load"] == "open loop, 64 connections" and found["depth"] == 1
    assert 0 < found["generator_ceiling"] == found["requests_per_second"] <= open_loop.CEILING_RATE
    assert 0 < found["generator_busy"] <= 1.1


def test_ids_are_appended(serve, offer):
    server = serve()
    offer(server.url, 100)
    result, ids = offer(server.url, 100)
    assert result["answered"] == 50 and len(set(ids)) == 100


# --- the program against resvd --------------------------------------------------------------------


def start_resvd(folder, strategy, options, capacity=1_000_000):
    binary = BUILD / "resvd"
    if strategy not in subjects.strategies_in(facts.output_of(str(binary), "--list-strategies")):
        pytest.skip(f"{strategy} is not in this build")
    folder.mkdir()
    server = servers.Resvd(binary, folder, strategy, {"server.allow_reset": "on", **options})
    server.admin_json("POST", "/admin/reset", {"concerts": 1, "capacity": capacity,
                                               "members": 10000})
    return server


def test_every_id_of_embedded_is_there_until_one_is_deleted(offer, tmp_path):
    file = tmp_path / "store" / "resvd.db"
    server = start_resvd(tmp_path / "store", "embedded", {"strategy.embedded.file": str(file)})
    try:
        begun = server.cpu_seconds()
        result, ids = offer(server.url, 1000, seconds=1, grace=10, connections=64)
        measured = open_loop.measurement(result, server.cpu_seconds() - begun)
        server.wait_until_idle()
        while_running = open_loop.ids_in_sqlite(file)
        audit = server.admin_json("GET", "/admin/audit")
    finally:
        server.stop()
    count = measured["accepted"]
    assert count == measured["answered"] == result["sent"] > 500
    assert summary.audit_violations(audit, 0, measured["counts"], measured["unknown"], 1) == []
    rows = open_loop.ids_in_sqlite(file)
    assert rows == while_running and len(rows) == count
    assert open_loop.audit_ids(measured, tmp_path / "ids.bin", rows) == []
    with sqlite3.connect(file) as connection:
        connection.execute("DELETE FROM reservations WHERE id = ?", [ids[count // 2]])
    connection.close()
    violations = open_loop.audit_ids(measured, tmp_path / "ids.bin", open_loop.ids_in_sqlite(file))
    assert len(violations) == 1 and f"lost: 1 of {count}" in violations[0]
    assert ids[count // 2].hex() in violations[0] and measured["ids"]["phantom"] == 0


def test_a_concert_that_sells_out_has_a_row_a_seat(offer, tmp_path):
    file = tmp_path / "store" / "resvd.db"
    server = start_resvd(tmp_path / "store", "embedded", {"strategy.embedded.file": str(file)},
                         capacity=300)
    try:
        result, _ = offer(server.url, 1000, seconds=1, grace=10, connections=64)
        audit = server.admin_json("GET", "/admin/audit")
    finally:
        server.stop()
    measured = open_loop.measurement(result, 1.0)
    assert measured["accepted"] == 300 and measured["sold_out"] == measured["answered"] - 300 > 30
    # The seats went at the rate that was asked for, or slower: not at 300 in the whole second.
    assert 0 < result["last_accepted_us"] and measured["requests_per_second"] > 300
    assert open_loop.sellout_violations(measured, audit, capacity=300) == []
    assert open_loop.audit_ids(measured, tmp_path / "ids.bin", open_loop.ids_in_sqlite(file)) == []


def test_every_id_in_mariadb_is_there_until_one_is_rejected(offer, tmp_path):
    if not facts.find_program("mariadbd"):
        pytest.skip("mariadbd is not there")
    store = database.Database(tmp_path / "mariadb")
    try:
        store.make_fresh()
        server = start_resvd(tmp_path / "store", "grouped", store.resvd_options())
        try:
            result, ids = offer(server.url, 500, grace=10)
            server.wait_until_idle()
        finally:
            server.stop()
        measured = open_loop.measurement(result, 1.0)
        rows = open_loop.ids_in_mariadb(store.server)
        assert len(rows) == measured["accepted"] == measured["answered"] > 100
        assert open_loop.audit_ids(measured, tmp_path / "ids.bin", rows) == []
        store.server.sql(f"UPDATE reservations SET status = 5 WHERE id = x'{ids[7].hex()}'")
        violations = open_loop.audit_ids(measured, tmp_path / "ids.bin",
                                         open_loop.ids_in_mariadb(store.server))
        assert len(violations) == 1 and "(1 have another)" in violations[0]
    finally:
        store.close()
