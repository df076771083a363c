"""The peer: its driver's pure parts; and each path in each setting for real, on a MariaDB, a Redis
and a Kafka of its own: a sale is exact where it should be, and each event has its row."""

import concurrent.futures
import http.client
import json
import pathlib
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))

import facts
import peers
import plan
import servers
import session
import summary

ASKERS = 20
NEEDED = ("java", "mvn", "mariadbd", "redis-server", "wrk")


# --- pure -----------------------------------------------------------------------------------------


def test_sources_are_those_of_the_tree():
    names = set(peers.source_files())
    assert {"pom.xml", "src/main/resources/application.yml",
            "src/main/java/peer/PeerApplication.java"} <= names
    assert not any("target" in name for name in names)
    assert peers.jar_path().name == "peer.jar" and ".cache" in peers.jar_path().parts


def test_the_digest_is_of_names_and_contents(tmp_path):
    (tmp_path / "one").write_text("ab")
    (tmp_path / "two").write_text("c")
    one, two = tmp_path / "one", tmp_path / "two"
    first = peers.digest_of({"one": one, "two": two})
    assert first == peers.digest_of({"two": two, "one": one})
    assert first != peers.digest_of({"one": one, "three": two})
    assert first != peers.digest_of({"one": one})
    two.write_text("d")
    assert first != peers.digest_of({"one": one, "two": two})


def test_command_line(monkeypatch):
    monkeypatch.setattr(peers, "find_program", lambda name, package: f"/bin/{name}")
    command = peers.command_line("p.jar", "/folder", "async", "fair", {"peer.topic": "t"})
    assert command[0] == "/bin/java" and "-Xmx512m" in command
    assert command.index("-jar") + 1 == command.index("p.jar")
    after = command[command.index("p.jar") + 1:]
    assert "--spring.profiles.active=async,fair" in after and "--peer.topic=t" in after
    assert "--server.tomcat.max-keep-alive-requests=-1" in after


def test_versions_are_read_from_the_names_of_jars():
    names = [f"BOOT-INF/lib/{name}.jar" for name in (
        "spring-boot-autoconfigure-3.4.9", "spring-boot-3.4.1", "redisson-3.24.3",
        "kafka-clients-3.8.1", "lettuce-core-6.4.2.RELEASE")]
    found = peers.versions_in(names)
    assert found["spring_boot"] == "3.4.1" and found["redisson"] == "3.24.3"
    assert found["kafka_client"] == "3.8.1" and found["lettuce"] == "6.4.2.RELEASE"
    assert found["tomcat"] == "?" and set(found) == set(peers.LIBRARIES)


@pytest.mark.parametrize("active, counts, with_rows, wanted", [
    (0, None, True, ""),
    (3, None, True, "3 requests"),
    (0, (9, 9, 0, 9), True, ""),
    (0, (9, 7, 1, 7), True, "1 events are unanswered"),
    (0, (9, 8, 1, 6), True, "2 events have no row"),
    (0, (9, 8, 1, 6), False, ""),
    (0, (9, 8, 1, 9), True, ""),  # one that was given up had arrived after all
])
def test_what_is_under_way(active, counts, with_rows, wanted):
    names = ("sent", "acknowledged", "failed", "rows")
    state = {"requestsActive": active, "async": dict(zip(names, counts)) if counts else None}
    found = peers.unsettled(state, with_rows)
    assert found.startswith(wanted) and bool(found) == bool(wanted)


def test_cpu_is_shared_out():
    found = peers.cpu_per_1000({"peer": 1.0, "redis": 2.0}, {"peer": 3.0, "redis": 2.5}, 2000)
    assert found == {"peer": 1.0, "redis": 0.25}
    assert peers.cpu_per_1000({"peer": 1.0}, {"peer": 3.0}, 0) == {"peer": None}


# --- for real -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """A session with the servers that the peer needs; they are started once."""
    for name in NEEDED:
        if not facts.find_program(name):
            pytest.skip(f"{name} is not there")
    try:
        peers.build()
    except servers.ServerError as error:
        if "COMPILATION ERROR" in str(error):
            raise
        pytest.skip(f"the peer cannot be built: {error}")
    folder = tmp_path_factory.mktemp("peers")
    opened = session.Session({"wrk": facts.find_program("wrk")}, folder, seconds=1, threads=1)
    with pytest.MonkeyPatch.context() as patch:
        # Programs that live for seconds: they start in half the time without the second compiler.
        patch.setenv("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1")
        yield opened
    opened.close()


def ask(peer, members):
    """One after the other on one connection; the statuses."""
    connection = http.client.HTTPConnection("127.0.0.1", peer.port, timeout=30)
    statuses = []
    try:
        for member in members:
            body = json.dumps({"concertId": 1, "memberId": member, "quantity": 1})
            connection.request("POST", peer.url.partition(str(peer.port))[2], body,
                               {"Content-Type": "application/json"})
            response = connection.getresponse()
            response.read()
            statuses.append(response.status)
    finally:
        connection.close()
    return statuses


def ask_all(peer, count, askers=ASKERS):
    """So many members, one seat each, by some at a time."""
    members = range(1, count + 1)
    with concurrent.futures.ThreadPoolExecutor(askers) as pool:
        found = pool.map(lambda first: ask(peer, members[first::askers]), range(askers))
        return [status for statuses in found for status in statuses]


@pytest.fixture
def started(running, request):
    path, setting = request.param
    peer = peers.start(running, path, setting, concerts=2)
    yield running, peer
    peers.stop(peer)


@pytest.mark.parametrize("started, granted, connections_max", [
    (("lock", "fair"), 201, 10), (("async", "fair"), 202, 10), (("async", "published"), 202, 20),
], indirect=["started"])
def test_a_sale_is_exact(started, granted, connections_max):
    opened, peer = started
    peer.reset(concerts=1, capacity=50, members=200)
    statuses = ask_all(peer, 200)
    assert statuses.count(granted) == 50 and statuses.count(409) == 150
    peer.wait_until_settled()
    assert peers.audit(opened.database()) == {
        "consistent": True, "concerts": [{"id": 1, "capacity": 50, "sold": 50, "live": 50}]}
    state = peer.state()
    assert 1 <= state["connectionsTotal"] <= connections_max and state["connectionsPending"] == 0
    assert state["requestsActive"] == 0 and state["threads"] > 10
    assert peer.cpu_seconds() > 0 and peer.memory_mib() > 50
    if granted == 202:
        assert state["async"] == {"sent": 50, "acknowledged": 50, "failed": 0, "rows": 50}
    else:
        assert state["async"] is None
        assert ask(peer, [201]) == [404]  # there is no such member
    peer.reset(concerts=3, capacity=7, members=5)
    assert [concert["sold"] for concert in peers.audit(opened.database())["concerts"]] == [0] * 3


@pytest.mark.parametrize("started", [("lock", "published")], indirect=True)
def test_the_published_lock_ends_before_the_work(started):
    """The second has the lock after a second and reads what the first will not have written for
    another 0.8 s."""
    opened, peer = started
    peer.reset(concerts=1, capacity=50, members=10)
    begun = time.monotonic()
    statuses = ask_all(peer, 8, askers=8)
    assert time.monotonic() - begun > 1.8
    peer.wait_until_settled()
    granted = statuses.count(201)
    assert 2 <= granted <= 4 and statuses.count(503) == 8 - granted
    found = peers.audit(opened.database())
    assert summary.live_seats(found) == granted > found["concerts"][0]["sold"]
    counts = {"requests": 8, "status": 8 - granted, "connect": 0, "read": 0, "write": 0,
              "timeout": 0}
    assert "sold is" in "".join(summary.audit_violations(found, 0, counts, 0, 1))


def test_it_is_measured(running):
    case = plan.Case("peers", "spring-fair", "async path, 64 connections", 64)
    measured = peers.measure(running, case, "async", "fair", warm_up_max=1)
    assert measured["violations"] == [] and running.violations == []
    assert measured["requests_per_second"] > 10 and measured["p99_ms"] > 0
    assert measured["rows_per_second"] > 0 and measured["behind"]["backlog"] >= 0
    assert set(measured["behind"]["cpu_seconds_per_1000"]) == {"peer", "mariadbd", "redis", "kafka"}
    assert measured["server_cpu_seconds_per_1000"] > 0 and measured["refused"] == 0
    assert measured["threads_max"] > 10 and "threads" not in measured
    rows = measured["audit"]["concerts"][0]["live"]
    assert rows >= measured["counts"]["requests"] > 10


@pytest.mark.parametrize("started", [("async", "published")], indirect=True)
def test_a_warm_up_ends_with_its_events(started, monkeypatch):
    """And a killed peer has left nothing in the database that is still to come."""
    opened, peer = started
    monkeypatch.setattr(peers, "WARM_UP_EVENTS", {"published": 1})
    case = plan.Case("warm-up", "peer-async-published", "", 8)
    loads = []
    monkeypatch.setattr(opened, "load_on", lambda *arguments: (
        loads.append(arguments[2]), session.Session.load_on(opened, *arguments))[1])
    peers.warm_up(opened, case, peer, "published", seconds=60)
    assert loads == [1]
    state = peer.state()
    assert state["async"]["rows"] == state["async"]["sent"] > 0
    assert peers.without_row(state) == peers.under_way(state) == 0
    store = opened.database()
    assert peers.connected(store) > 0
    peer.kill(store)
    assert peers.connected(store) == 0 and peer.process.poll() is not None
    assert summary.live_seats(peers.audit(store)) == state["async"]["rows"]


def test_a_backlog_is_drained(running):
    case = plan.Case("peers", "spring-fair", "a backlog", concerts=2)
    measured = peers.measure_drain(running, case, "fair", events=500)
    assert measured["violations"] == [] and running.violations == []
    assert measured["events"] >= 500
    assert summary.live_seats(measured["audit"]) >= 2 * 500  # the warm-up's too
    assert measured["rows_per_second"] is None or measured["rows_per_second"] > 100
    versions = peers.facts(peers.build())
    assert "?" not in versions.values() and versions["spring_boot"].startswith("3.4.")


def test_what_the_published_consumer_does_wrong_fails_nothing(running, monkeypatch):
    monkeypatch.setattr(peers.written_behind, "row_violations", lambda *_: ["wrong"])
    case = plan.Case("peers", "spring-published", "a backlog")
    measured = peers.measure_drain(running, case, "published", events=200)
    assert measured["violations"] == ["wrong"] and running.violations == []
