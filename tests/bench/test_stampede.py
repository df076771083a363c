"""The stampede by k6: what is read from its summary, and short runs for real, after which each
answer must have its row; the samples taken meanwhile; and the calls of the study's own script.

k6 is not built here: tools/fetch-k6 does that.
"""

import http.server
import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "bench"))

import facts
import load
import peers
import plan
import samples
import servers
import session
import stampede
import stampede_cases
import subjects
import summary
import written_behind

BUILD = pathlib.Path(os.environ.get("RESVD_BUILD_DIR", TOP / "build"))
SHORT = stampede.Stages(up_s=1, hold_s=2, down_s=1, vus=50)
SHORTEST = stampede.Stages(up_s=0.3, hold_s=0.7, down_s=0.3, vus=10, patience_s=1)


def wait_until(condition, seconds_max=10.0):
    give_up = time.monotonic() + seconds_max
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.01)


@pytest.fixture
def k6():
    found = stampede.find_k6()
    if found is None:
        pytest.skip("k6 is neither in PATH nor in .cache: tools/fetch-k6 builds it")
    return found


# --- k6's summary ---------------------------------------------------------------------------------


def summary_of(begun=None, ended=None, **counts):
    """As stampede.js writes it: 10 s, of which nothing in the hold stage unless given."""
    known = ("status_200", "status_201", "status_202", "status_409", "status_500", "status_503",
             "status_other", "hold_answered", "hold_accepted", *stampede.ENDS)
    found = {name: counts.pop(name, 0) for name in known}
    assert not counts
    total = sum(number for name, number in found.items()
                if name.startswith("status_") or name in ("not_connected", "timed_out", "broken"))
    found["begun"] = total if begun is None else begun
    return {"duration_ms": 10000.5, "ended": total if ended is None else ended,
            "received_bytes": 77, "counts": found,
            "iteration_ms": {"avg": 5.0, "p50": 4.0, "p95": 8.5, "p99": 9, "max": 10.25}}


def measured(given, stages=SHORT, **more):
    parsed = stampede.parse_summary(json.dumps(given))
    return stampede.measurement(parsed, stages, 8.0, 2.0, **more)


def test_a_measurement():
    found = measured(summary_of(
        begun=1010, status_201=600, status_202=100, status_409=200, contended=50, status_500=30,
        status_other=10, not_connected=20, timed_out=15, broken=25, hold_answered=500,
        hold_accepted=400))
    assert found["requests_per_second"] == pytest.approx(94, rel=1e-3)
    assert found["granted_per_second"] == pytest.approx(70, rel=1e-3)
    assert found["sold_out_per_second"] == pytest.approx(15, rel=1e-3)
    assert found["hold_requests_per_second"] == 250 and found["hold_granted_per_second"] == 200
    # 700 accepted and 150 sold out; all others of the 1,010 are errors, also those cut off.
    assert found["error_rate"] == pytest.approx(160 / 1010)
    times = [found[name] for name in ("p50_ms", "p95_ms", "p99_ms", "max_ms")]
    assert times == [4, 8.5, 9, 10.25]
    assert found["statuses"] == {"201": 600, "202": 100, "409": 200, "500": 30, "other": 10}
    assert found["ends"]["cut_off"] == 10 and found["unknown"] == 40
    assert found["server_cpu_seconds_per_1000"] == pytest.approx(2 / 700 * 1000)
    counts = found["counts"]
    assert set(load.COUNTS) <= set(counts)
    assert (counts["requests"], counts["status"]) == (940, 240)
    assert load.accepted(counts) == 700
    # What never connected cannot have sold anything.
    assert (counts["connect"], counts["read"], counts["timeout"]) == (0, 25, 15)
    assert not found["generator_limited"]


def audit_of(rows):
    return {"consistent": True,
            "concerts": [{"id": 1, "capacity": 1000, "sold": rows, "live": rows}]}


@pytest.mark.parametrize("rows, wrong", [(99, "lost"), (100, None), (104, None), (105, "phantom")])
def test_the_audit_allows_for_what_nobody_knows(rows, wrong):
    """One of each: cut off, 500, broken, timed out; none for what never connected."""
    found = measured(summary_of(begun=109, status_201=100, status_500=1, broken=1, timed_out=1,
                                not_connected=5))
    violations = summary.audit_violations(audit_of(rows), 0, found["counts"], found["unknown"], 1)
    assert [text.split(":")[0] for text in violations] == ([wrong] if wrong else [])


def test_cores_are_the_loads_and_costs_are_all():
    found = measured(summary_of(status_202=1000), settled_cpu_seconds=5.0)
    assert found["server_cpu_cores"] == pytest.approx(0.2, rel=1e-3)  # 2 s of 10
    assert found["server_cpu_seconds_per_1000"] == 5


def state_of(active=0, counts=None):
    names = ("sent", "acknowledged", "failed", "rows")
    return {"requestsActive": active, "async": dict(zip(names, counts)) if counts else None}


class Overrun:
    """A peer that does not come to an end in time."""

    def __init__(self, state):
        self.told, self.killed, self.waited = state, False, None

    def state(self):
        return self.told

    def settles_within(self, seconds_max):
        self.waited = seconds_max
        return peers.unsettled(self.told, True)

    def wait_until_settled(self):
        raise servers.ServerError("it must settle")

    def kill(self, _):
        self.killed = True


@pytest.mark.parametrize("state, abandoned, backlog", [
    (state_of(), 0, 0), (state_of(200), 200, 0), (state_of(0, (90, 80, 10, 80)), 0, 0),
    (state_of(3, (90, 80, 4, 60)), 3, 26),
])
def test_a_peer_that_is_known_to_oversell_is_not_waited_for(state, abandoned, backlog):
    peer = Overrun(state)
    stampede_cases.settle_peer(peer, subjects.PEERS["peer-lock-published"])
    assert peer.waited == stampede_cases.PUBLISHED_SETTLE_S
    assert stampede_cases.give_up(peer, None) == {"abandoned": abandoned, "backlog_left": backlog}
    assert peer.killed is bool(abandoned or backlog)
    with pytest.raises(servers.ServerError, match="it must settle"):
        stampede_cases.settle_peer(peer, subjects.PEERS["peer-lock-fair"])


@pytest.mark.parametrize("rows, abandoned, backlog, wrong", [
    (100, 0, 0, None), (99, 0, 0, "lost"), (101, 0, 0, "phantom"),
    (107, 7, 0, None), (108, 7, 0, "phantom"), (99, 7, 0, "lost"),
    (60, 0, 40, None), (59, 0, 40, "lost"), (100, 0, 40, None),
    (0, 0, 5000, None),  # more was left than was answered
])
def test_the_audit_allows_for_what_was_abandoned(rows, abandoned, backlog, wrong):
    found = measured(summary_of(status_202=100, status_409=9))
    found.update(audit=audit_of(rows), abandoned=abandoned, backlog_left=backlog)
    violations = stampede_cases.violations_of_peer(found, 0)
    assert [text.split(":")[0] for text in violations] == ([wrong] if wrong else [])


def test_a_build_that_was_killed_is_no_k6(tmp_path, monkeypatch):
    monkeypatch.setattr(stampede, "TOP", tmp_path)
    monkeypatch.setattr(stampede.shutil, "which", lambda _: None)
    for name in ("k6-new.ab12", "k6-1.8.1"):
        path = tmp_path / ".cache" / name / "k6"
        path.parent.mkdir(parents=True)
        path.touch(0o755)
        wanted = None if name.startswith("k6-new") else str(path)
        assert stampede.find_k6() == wanted


def test_nothing_granted_is_a_measurement_too():
    found = measured(summary_of(status_503=10))
    assert found["error_rate"] == 1 and found["granted_per_second"] == 0
    assert found["server_cpu_seconds_per_1000"] is None


@pytest.mark.parametrize("rate, limited", [(79, False), (80, True), (120, True)])
def test_a_rate_near_the_ceiling_is_marked(rate, limited):
    given = summary_of(status_201=1000, hold_answered=rate * SHORT.hold_s, hold_accepted=0)
    found = measured(given, ceiling={"hold_requests_per_second": 100.0})
    assert found["share_of_ceiling"] == pytest.approx(rate / 100)
    assert found["generator_limited"] is limited


@pytest.mark.parametrize("damage, words", [
    (lambda found: found.clear(), "cannot be read"),
    (lambda found: found["counts"].pop("begun"), "no begun"),
    (lambda found: found["counts"].update(contended=-1), "no contended"),
    (lambda found: found["counts"].update(broken=True), "no broken"),
    (lambda found: found.update(ended=None), "no ended"),
    (lambda found: found.update(duration_ms=0), "no time"),
    (lambda found: found["iteration_ms"].update(p99=None), "not all times"),
    (lambda found: found["counts"].update(begun=9), "were counted"),
    (lambda found: found.update(ended=11), "were counted"),
    (lambda found: found["counts"].update(contended=4), "contended, of fewer"),
    (lambda found: found["counts"].update(hold_answered=11), "hold stage"),
    (lambda found: found["counts"].update(hold_accepted=1), "hold stage"),
    (lambda found: found.update(ended=0), "none of 10 iterations ended"),
])
def test_a_summary_that_cannot_be(damage, words):
    given = summary_of(status_201=7, status_409=3)
    stampede.parse_summary(json.dumps(given))
    damage(given)
    with pytest.raises(load.LoadError, match=words):
        stampede.parse_summary(json.dumps(given))


def test_a_run_without_ports_or_files_is_none():
    few = summary_of(status_201=9999, not_connected=10, no_port=10)
    stampede.refuse_faults(stampede.parse_summary(json.dumps(few)))
    for name, words in (("no_port", "ip_local_port_range"), ("no_file", "ulimit -n")):
        many = summary_of(status_201=9989, not_connected=11, **{name: 11})
        with pytest.raises(load.LoadError, match=words):
            stampede.refuse_faults(stampede.parse_summary(json.dumps(many)))


def test_files_that_cannot_be_had_are_said():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        pytest.skip("there is no limit on open files here")
    with pytest.raises(load.LoadError, match="ulimit -Hn"):
        stampede.raise_file_limit(stampede.Stages(1, 1, 1, vus=hard))
    stampede.raise_file_limit(stampede.QUICK)
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= stampede.QUICK.vus


def fake_k6(folder, script):
    """A program in k6's place; `summary` is where it is to leave one."""
    path = folder / "fake-k6"
    path.write_text(f"#!{sys.executable}\nimport sys\n"
                    "summary = next(a for a in sys.argv if a.startswith('STAMPEDE_SUMMARY='))\n"
                    f"summary = summary.split('=')[1]\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("script, words", [
    ("print('a word of its own'); sys.exit(7)", "ended with 7:\na word of its own"),
    ("print('was here')", "no summary:\nwas here"),
    ("open(summary, 'w').write('{')", "cannot be read"),
])
def test_what_k6_says_when_it_fails_is_shown(tmp_path, script, words):
    with pytest.raises(load.LoadError, match=words):
        stampede.run(fake_k6(tmp_path, script), "http://127.0.0.1:1", "/", SHORTEST, tmp_path)


def test_an_old_summary_is_not_taken_for_a_new_one(tmp_path):
    given = json.dumps(summary_of(status_201=5))
    good = fake_k6(tmp_path, f"open(summary, 'w').write({given!r})")
    found, cpu_seconds = stampede.run(good, "http://127.0.0.1:1/", "/", SHORTEST, tmp_path)
    assert found["counts"]["status_201"] == 5 and cpu_seconds > 0
    with pytest.raises(load.LoadError, match="no summary"):
        stampede.run(fake_k6(tmp_path, ""), "http://127.0.0.1:1", "/", SHORTEST, tmp_path)


def test_a_k6_that_does_not_end_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(stampede, "START_S", -2.8)  # of 3.3 s
    script = f"import os, time\nopen({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\n" \
             "time.sleep(60)"
    with pytest.raises(load.LoadError, match="did not end within"):
        stampede.run(fake_k6(tmp_path, script), "http://127.0.0.1:1", "/", SHORTEST, tmp_path)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_what_k6_is_told():
    command = stampede.k6_command("/k6", "http://h:1/p", stampede.FULL, "/s", "/l",
                                  stampede.Crowd(members=3, member_first=7))
    for word in ("STAMPEDE_TARGET=http://h:1/p", "STAMPEDE_VUS=2000", "STAMPEDE_UP_S=10",
                 "STAMPEDE_HOLD_S=30", "STAMPEDE_DOWN_S=10", "STAMPEDE_CONCERTS=10",
                 "STAMPEDE_MEMBERS=3", "STAMPEDE_MEMBER_FIRST=7", "STAMPEDE_SUMMARY=/s"):
        assert word in command
    assert stampede.k6_environment("/x")["K6_AUTO_EXTENSION_RESOLUTION"] == "false"


# --- fetching k6 ----------------------------------------------------------------------------------


def fetch(folder, go):
    """tools/fetch-k6 in a tree of its own, with that go first in PATH."""
    if shutil.which("k6", path="/usr/bin:/bin"):
        pytest.skip("this machine's own folders have a k6")
    (folder / "tools").mkdir()
    for name in ("fetch-k6", "steps.sh"):
        (folder / "tools" / name).write_text((TOP / "tools" / name).read_text())
    program = folder / "bin" / "go"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{go}\n")
    program.chmod(0o755)
    return subprocess.run(["bash", folder / "tools" / "fetch-k6"], text=True, timeout=30,
                          stdin=subprocess.DEVNULL, capture_output=True, check=False,
                          env={"PATH": f"{program.parent}:/usr/bin:/bin"})


BUILDING_GO = """[ "$1" = env ] && echo go1.24.1 && exit
echo "$@" >> "$GOBIN/../arguments"
printf '#!/bin/sh\\necho k6 v0' > "$GOBIN/k6"
chmod 755 "$GOBIN/k6\""""


def test_k6_is_built_once_where_it_is_found(tmp_path):
    found = fetch(tmp_path, BUILDING_GO)
    assert found.returncode == 0, found.stderr
    path = pathlib.Path(found.stdout.splitlines()[-1])
    assert path.parent.parent == tmp_path / ".cache" and os.access(path, os.X_OK)
    version = path.parent.name.removeprefix("k6-")
    arguments = tmp_path / ".cache" / "arguments"
    assert arguments.read_text() == f"install go.k6.io/k6@v{version}\n"
    again = subprocess.run(["bash", tmp_path / "tools" / "fetch-k6"], text=True, check=True,
                           capture_output=True, env={"PATH": "/usr/bin:/bin"})
    assert again.stdout == f"{path}\n" and again.stderr == ""
    assert len(arguments.read_text().splitlines()) == 1


@pytest.mark.parametrize("go, code, words", [
    ("echo go1.19.8", 69, "this go is 1.19.8"),
    ("echo devel", 69, "names no version"),
    ("[ $1 = env ] && echo go1.24 && exit; echo no way; exit 3", 3, "no way"),
    ("[ $1 = env ] && echo go1.30", 127, "k6"),  # it said that it had built one
])
def test_k6_that_cannot_be_built(tmp_path, go, code, words):
    found = fetch(tmp_path, go)
    assert found.returncode != 0 and words in found.stderr and found.stdout == ""
    if code == 69:
        assert found.returncode == code and "Install Go" in found.stderr
    assert list((tmp_path / ".cache").glob("*")) == []  # nothing half built


# --- samples --------------------------------------------------------------------------------------


@pytest.fixture
def sleeper():
    """A shell and two children that only wait."""
    process = subprocess.Popen(["sh", "-c", "sleep 60 & sleep 60 & wait"], start_new_session=True)
    yield process
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_stat_of_a_name_with_brackets():
    rest = ["S", "1", *["0"] * 9, "30", "12", "0", "0", "20", "0", "7", "0", "99", "1000", "25"]
    assert samples.parse_stat("5 (a) b (c) " + " ".join(rest)) == (42, 7, 25 * samples.PAGE_BYTES)


def test_a_process_and_its_children(sleeper):
    wait_until(lambda: len(samples.children_of(sleeper.pid)) == 2)
    cpu_seconds, threads, resident = samples.Processes(sleeper.pid).look()
    assert threads == 3 and resident > 1 << 16
    assert cpu_seconds == 0  # what was used before it was first seen is nobody's


def test_cpu_of_a_process():
    begun = time.thread_time()
    found = samples.Processes(os.getpid())
    found.look()
    while time.thread_time() - begun < 0.1:
        sum(range(1000))
    assert found.look()[0] >= 0.08


def test_a_process_that_ends(sleeper):
    with samples.Sampler(sleeper.pid, interval_s=0.01) as sampler:
        wait_until(lambda: any(row["memory_mib"] for row in sampler.series()))
        sleeper.kill()  # a zombie: nobody waits for it yet
        wait_until(lambda: sampler.series()[-1]["memory_mib"] is None)
    assert not sampler.is_alive()
    found = sampler.summary()
    assert found["memory_mib_max"] > 0 and found["threads_max"] >= 1
    assert found["cpu_cores_mean"] == pytest.approx(0, abs=0.5)


def test_nothing_known_is_none():
    with samples.Sampler(None, interval_s=0.01) as sampler:
        wait_until(lambda: len(sampler.series()) > 2)
    row = sampler.series()[0]
    assert set(row) == {"t_s", "cpu_cores", "memory_mib", "threads", "connections_active",
                        "connections_pending", "backlog", "requests_per_second"}
    assert all(value is None for name, value in row.items() if name != "t_s")
    assert sampler.summary()["cpu_cores_mean"] is None


def test_gauges_and_rates():
    told = {"requests": 100, "connections_active": 3}
    sampler = samples.Sampler(None, [lambda: told, lambda: {"backlog": 9}])
    assert sampler.probe(10.0) == {"connections_active": 3, "connections_pending": None,
                                   "backlog": 9, "requests_per_second": None}
    told = {"requests": 300}
    assert sampler.probe(12.0)["requests_per_second"] == 100
    told = {}
    assert sampler.probe(13.0)["requests_per_second"] is None
    told = {"requests": 400}
    assert sampler.probe(14.0)["requests_per_second"] == 50  # over both
    told = {"requests": 5}
    assert sampler.probe(15.0)["requests_per_second"] == 0  # another process, perhaps


def test_a_probe_that_fails_costs_only_its_own():
    calls = []

    def failing():
        calls.append(1)
        raise ConnectionRefusedError

    with samples.Sampler(None, [failing, lambda: {"backlog": len(calls)}], 0.01) as sampler:
        wait_until(lambda: len(sampler.series()) > 2)
    assert sampler.summary()["backlog_max"] >= 3
    assert sampler.summary()["samples_failed"] == len(calls)


def test_a_probe_that_hangs_does_not_hold_up_the_end():
    hang, hangs, release = threading.Event(), threading.Event(), threading.Event()

    def probe():
        if hang.is_set():
            hangs.set()
            release.wait()
        return {"backlog": 1}

    sampler = samples.Sampler(None, [probe], interval_s=0.01)
    sampler.start()
    wait_until(sampler.series)
    hang.set()
    assert hangs.wait(10)
    rows = len(sampler.series())
    begun = time.monotonic()
    assert sampler.stop(0.2) is False
    assert time.monotonic() - begun < 5
    assert len(sampler.series()) >= rows and sampler.summary()["backlog_max"] == 1
    release.set()
    assert sampler.stop(10) is True


def test_metrics_of_all_labels_together():
    text = ('# TYPE m gauge\nm{pool="sales"} 3\nm{pool="reads"} 2\nm_max 99\n'
            'mm{pool="sales"} 50\nplain 7\n')
    assert samples.metric_sum(text, "m") == 5
    assert samples.metric_sum(text, "plain") == 7
    assert samples.metric_sum(text, "none") is None


# --- for real -------------------------------------------------------------------------------------


@pytest.fixture
def serve(tmp_path):
    """serve(strategy, capacity, options, flags): resvd with ten concerts and 200 members."""
    started = []

    def start(strategy, capacity=stampede.CAPACITY, **options):
        binary = BUILD / ("tests/resvd-fake" if strategy.startswith("fake") else "resvd")
        if not binary.is_file():
            pytest.skip(f"there is no {binary}")
        options = {"server.allow_reset": "on",
                   **{key.replace("__", "."): value for key, value in options.items()}}
        if strategy == "embedded":
            options["strategy.embedded.file"] = str(tmp_path / "resvd.db")
        server = servers.Resvd(binary, tmp_path, strategy, options)
        started.append(server)
        if options["server.allow_reset"] == "on" and capacity:
            server.admin_json("POST", "/admin/reset", {
                "concerts": stampede.STUDY.concerts, "capacity": capacity,
                "members": stampede.STUDY.members})
        return server

    yield start
    for server in started:
        server.stop()


def url_of(server):
    return f"http://127.0.0.1:{server.port}"


def run(k6, server, stages, folder, **more):
    """One run, and what the audit finds behind it."""
    before = server.cpu_seconds()
    found, k6_cpu = stampede.run(k6, url_of(server), "/api/reservations", stages, folder, **more)
    result = stampede.measurement(found, stages, k6_cpu, server.cpu_seconds() - before)
    server.wait_until_idle()
    audit = server.admin_json("GET", "/admin/audit")
    result["violations"] = summary.audit_violations(
        audit, 0, result["counts"], result["unknown"], 1)
    return result, audit


def test_a_stampede_and_what_the_server_used(k6, serve, tmp_path):
    server = serve("embedded")
    with samples.Sampler(server.process.pid, [samples.ResvdProbe(server.admin_port)]) as sampler:
        found, audit = run(k6, server, SHORT, tmp_path)
    assert found["violations"] == []
    accepted = load.accepted(found["counts"])
    assert found["statuses"] == {"201": accepted} and found["unknown"] == 0
    assert found["error_rate"] == 0 and found["ends"]["cut_off"] == 0
    assert sum(concert["live"] for concert in audit["concerts"]) == accepted > 100
    assert all(concert["live"] > 0 for concert in audit["concerts"])
    assert 0 < found["p50_ms"] <= found["p95_ms"] <= found["p99_ms"] <= found["max_ms"]
    assert 4 <= found["seconds"] < 6
    assert 0 < found["hold_requests_per_second"] * SHORT.hold_s <= accepted
    assert found["generator_busy"] > 0 and found["server_cpu_seconds_per_1000"] > 0
    opened = server.metrics()["resvd_http_connections_accepted_total"]
    assert opened >= accepted  # a new one each
    series, most = sampler.series(), sampler.summary()
    assert len(series) >= 7 and series == sorted(series, key=lambda row: row["t_s"])
    assert most["cpu_cores_mean"] > 0 and most["memory_mib_max"] > 1 and most["threads_max"] > 1
    assert most["cpu_cores_max"] >= most["cpu_cores_mean"]
    assert most["connections_active_max"] is None and most["samples_failed"] == 0
    assert most["sampler_cpu_cores"] < 0.05
    assert max(row["requests_per_second"] or 0 for row in series) > 0


def test_a_row_that_nobody_was_promised_is_found(k6, serve, tmp_path):
    server = serve("fake")
    found, _ = run(k6, server, SHORTEST, tmp_path)
    assert found["violations"] == []
    counts = {**found["counts"], "requests": found["counts"]["requests"] - 1}
    audit = server.admin_json("GET", "/admin/audit")
    violations = summary.audit_violations(audit, 0, counts, found["unknown"], 1)
    assert len(violations) == 1 and violations[0].startswith("phantom")


def test_sold_out_is_no_error(k6, serve, tmp_path):
    found, audit = run(k6, serve("embedded", capacity=5), SHORTEST, tmp_path)
    assert found["violations"] == []
    assert found["statuses"]["201"] == 5 * stampede.STUDY.concerts
    assert found["statuses"]["409"] > 0 and found["sold_out_per_second"] > 0
    assert found["error_rate"] == 0 and found["ends"]["contended"] == 0
    assert all(concert["sold"] == 5 for concert in audit["concerts"])


def test_come_again_is_an_error(k6, serve, tmp_path):
    """The fake's concerts 114 to 117: contended, cancelled, unavailable, unknown."""
    server = serve("fake", capacity=None)
    crowd = stampede.Crowd(concerts=4, concert_first=114)
    found, _ = run(k6, server, SHORTEST, tmp_path, crowd=crowd)
    assert found["error_rate"] == 1 and found["granted_per_second"] == 0
    assert found["ends"]["contended"] == found["statuses"]["409"] > 0
    assert found["sold_out_per_second"] == 0
    assert found["unknown"] == found["statuses"]["500"] > 0
    assert found["statuses"]["503"] > 0


def test_nobody_is_there(k6, tmp_path):
    url = f"http://127.0.0.1:{servers.free_port()}"
    found = measured(stampede.run(k6, url, "/", SHORTEST, tmp_path)[0], SHORTEST)
    assert found["error_rate"] == 1 and found["statuses"] == {}
    assert found["ends"]["not_connected"] == found["ends"]["begun"] > 0
    assert found["unknown"] == 0 and found["counts"]["requests"] == 0


def test_nobody_answers(k6, tmp_path):
    """A listener whose connections nobody takes: requests are sent, and no answer comes."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1000)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        found = measured(stampede.run(k6, url, "/", SHORTEST, tmp_path)[0], SHORTEST)
    assert found["error_rate"] == 1 and found["statuses"] == {}
    assert found["counts"]["timeout"] == found["ends"]["timed_out"] > 0
    assert found["counts"]["timeout"] + found["unknown"] == found["ends"]["begun"]
    assert found["p50_ms"] >= 1000 * SHORTEST.patience_s * 0.99


def test_the_ceiling(k6, tmp_path):
    nginx = facts.find_program("nginx")
    if nginx is None:
        pytest.skip("nginx is not there")
    tmp_path.chmod(0o755)
    server = servers.Nginx(nginx, tmp_path, 1)
    try:
        most = stampede.ceiling(k6, server, SHORTEST, tmp_path)
    finally:
        server.stop()
    assert most["generator_limited"] and most["hold_requests_per_second"] > 10
    assert set(most["statuses"]) == {"202"} and most["error_rate"] == 0


# --- the study's script ---------------------------------------------------------------------------


def study_calls(k6, url, folder, iterations=60):
    return subprocess.run(
        stampede.study_calls_command(k6, url, users=5, iterations=iterations), cwd=folder,
        env=stampede.k6_environment(folder), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=50, check=False)


def test_the_study_calls(k6, serve, tmp_path):
    server = serve("fake_async", server__study_api="on", capacity=None)
    ran = study_calls(k6, url_of(server), tmp_path)
    assert ran.returncode == 0, ran.stdout
    audit = server.admin_json("GET", "/admin/audit")
    assert len(audit["concerts"]) == 10 and audit["consistent"]
    assert all(concert["capacity"] == 100_000 for concert in audit["concerts"])
    assert sum(concert["live"] for concert in audit["concerts"]) == 60


@pytest.mark.parametrize("strategy, study_api, allow_reset, words", [
    ("fake_async", "off", "on", "POST /api/test/init: 404"),
    ("fake_async", "on", "off", "POST /api/test/init: 403"),
    ("fake", "on", "on", "async: 202"),  # it has no …/async
])
def test_the_study_calls_fail(k6, serve, tmp_path, strategy, study_api, allow_reset, words):
    server = serve(strategy, server__study_api=study_api, server__allow_reset=allow_reset,
                   capacity=None)
    ran = study_calls(k6, url_of(server), tmp_path, iterations=5)
    assert ran.returncode != 0 and words in ran.stdout, ran.stdout


class Impostor(http.server.BaseHTTPRequestHandler):
    """Nearly the study's server: `flaw` says what is wrong with it."""

    flaw = None

    def log_message(self, *_):
        pass

    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/api/test/init":
            ids = [] if self.flaw == "no concerts" else [1]
            return self.answer(201, {"concertCount": len(ids), "memberCount": 1,
                                     "concertIds": ids, "memberIds": [1]})
        assert json.loads(body) == {"concertId": 1, "memberId": 1}
        name = "id" if self.flaw == "no requestId" else "requestId"
        return self.answer(200 if self.flaw == "not 202" else 202, {name: "r"})

    def do_GET(self):
        assert self.path == "/api/reservations/request/r"
        status = "REJECTED" if self.flaw == "rejected" else "CONFIRMED"
        found = {"requestId": "r", "reservationId": 5, "concertId": 1, "memberId": 1,
                 "status": status}
        if self.flaw == "another's":
            found["requestId"] = "other"
        self.answer(404 if self.flaw == "not found" else 200, found)


@pytest.mark.parametrize("flaw", [None, "no concerts", "no requestId", "not 202", "rejected",
                                  "another's", "not found"])
def test_each_check_of_the_study_calls_can_fail(k6, tmp_path, flaw):
    handler = type("Flawed", (Impostor,), {"flaw": flaw})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            ran = study_calls(k6, f"http://127.0.0.1:{server.server_port}", tmp_path, iterations=5)
        finally:
            server.shutdown()
            thread.join()
    assert (ran.returncode == 0) is (flaw is None), ran.stdout


def test_the_study_calls_on_real_servers(k6, tmp_path, monkeypatch):
    """Redis, Kafka and MariaDB: each call becomes a row. Every concert was sold once before the
    script's own reset: on a broker that has only just started, a concert's gate may take longer to
    open than a request waits for it (0.5 s), and the script does not know 503 and Retry-After."""
    tools = {"resvd": BUILD / "resvd", "wrk": None, "mariadb_loop": None}
    for name in ("mariadbd", "redis-server", "java"):
        if not facts.find_program(name):
            pytest.skip(f"{name} is not there")
    listing = facts.output_of(str(tools["resvd"]), "--list-strategies")
    if "async" not in subjects.strategies_in(listing):
        pytest.skip("async is not in this build")
    monkeypatch.setattr(plan, "MEMBER_COUNT", 1)
    opened = session.Session(tools, tmp_path, seconds=1, threads=1)
    try:
        subject = subjects.BY_NAME["async"]
        server = opened.start_strategy(subject, opened.new_folder("store"), concerts=10,
                                       further={"server.study_api": "on"}.items())
        try:
            probes = [samples.ResvdProbe(server.admin_port),
                      lambda: {"backlog": opened.stock_and_log.seats_pending()}]
            written_behind.open_gates(server, 10)
            opened.stock_and_log.wait_until_settled()
            with samples.Sampler(server.process.pid, probes, 0.1) as sampler:
                ran = study_calls(k6, url_of(server), tmp_path)
            assert ran.returncode == 0, ran.stdout
            opened.stock_and_log.wait_until_settled()
            server.wait_until_idle()
            audit = server.admin_json("GET", "/admin/audit")
            assert audit["consistent"] and sum(c["live"] for c in audit["concerts"]) == 60
            assert summary.audit_differences(audit, opened.database().audit()) == []
            most = sampler.summary()
            assert most["connections_active_max"] is not None and most["backlog_max"] is not None
            assert most["connections_pending_max"] is not None and most["samples_failed"] == 0
        finally:
            server.stop()
    finally:
        opened.close()
