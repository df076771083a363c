"""Starting, stopping, being configured and watched: exit codes, signals, files, keys, readiness."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import time

import pytest
from raw_http import Connection, ask, make_request
from resvd_process import find_binary, free_port, run_resvd

FAKE = {"binary": "resvd-fake"}


def reserve(concert_id: int, quantity: int = 1) -> bytes:
    body = {"concertId": concert_id, "memberId": 1, "quantity": quantity}
    return make_request("POST", "/api/reservations", body)


# --- flags that print -----------------------------------------------------------------------------


def test_help():
    result = run_resvd("--help")
    assert result.returncode == 0 and result.stderr == ""
    for word in ("--strategy", "--check-config", "[server]", "request_timeout_ms", "64", "78"):
        assert word in result.stdout


def test_version():
    result = run_resvd("--version")
    assert result.returncode == 0
    assert re.match(r"resvd \d+\.\d+\.\d+ \(.+\)\n", result.stdout)
    for word in ("compiler", "libuv", "llhttp", "SQLite"):
        assert word in result.stdout


def test_list_strategies():
    result = run_resvd("--list-strategies")
    assert result.returncode == 0 and "embedded" in result.stdout and "SQLite file" in result.stdout
    assert "fake" not in result.stdout
    assert "fake" in run_resvd("--list-strategies", **FAKE).stdout


def test_default_config_is_good(tmp_path):
    default = run_resvd("--print-default-config")
    assert default.returncode == 0
    path = tmp_path / "resvd.conf"
    path.write_text(default.stdout)
    result = run_resvd("-c", str(path), "--check-config")
    assert result.returncode == 0, result.stderr


def test_output_that_cannot_be_written():
    for flag in ("--help", "--version", "--print-default-config"):
        result = os.system(f"exec '{find_binary('resvd')}' {flag} >/dev/full 2>/dev/null")
        assert os.waitstatus_to_exitcode(result) == 1, flag


# --- wrong command lines and configurations ---------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [["--nope"], ["--server.listn=1"], ["extra"], ["--strategy"], ["-c"], ["--help=x"], ["-x"], ["--server=1"],
     ["--=1"], [""], ["--server.listen"]],
)
def test_usage(arguments):
    result = run_resvd(*arguments)
    assert result.returncode == 64
    assert result.stdout == "" and result.stderr


def test_usage_did_you_mean():
    assert "--server.listen" in run_resvd("--server.listn=1").stderr
    assert "--strategy" in run_resvd("--stratgy=embedded").stderr


def test_config_errors_come_all_at_once(tmp_path):
    path = tmp_path / "bad.conf"
    path.write_text(
        "[server]\nlistn = 127.0.0.1:1\nmax_connections = many\nidle_timeout_ms = -5\nstudy_api = maybe\n"
        "[sevrer]\nlisten = 127.0.0.1:1\n[strategy.embedded]\nfile = x\nfiel = y\nno equals sign\n"
    )
    result = run_resvd("-c", str(path), "--check-config")
    assert result.returncode == 78
    for line in (2, 3, 4, 5, 6, 10, 11):
        assert f"{path}:{line}" in result.stderr, result.stderr
    for word in ("listn = …", "max_connections = many", "did you mean 'listen'", "did you mean 'file'", "sevrer"):
        assert word in result.stderr, result.stderr
    assert run_resvd("-c", str(path)).returncode == 78


@pytest.mark.parametrize(
    "arguments",
    [["--strategy=nope"], ["-c", "/nonexistent/resvd.conf"], ["-c", "/"], ["--server.listen=nowhere"],
     ["--server.listen=127.0.0.1:99999"], ["--server.listen="], ["--server.max_connections=0"],
     ["--server.max_connections=99999999999999999999"], ["--server.max_connections=1x"],
     ["--server.log_format=xml"], ["--server.listen=unix:" + "/x" * 200], ["--server.listen=0.0.0.0:1"]],
)
def test_bad_values(arguments):
    result = run_resvd(*arguments, "--check-config")
    assert result.returncode == 78, result.stderr
    assert result.stderr


def test_flag_beats_environment_beats_file(tmp_path):
    path = tmp_path / "resvd.conf"
    path.write_text("[server]\nlog_level = nonsense\nmax_connections = 7\n")
    environment = {"RESVD_SERVER_LOG_LEVEL": "also-nonsense"}
    result = run_resvd("-c", str(path), "--check-config", environment=environment)
    assert result.returncode == 78
    result = run_resvd(
        "-c", str(path), "--check-config", "--log-level=error", environment={"RESVD_SERVER_LOG_LEVEL": "debug"}
    )
    # The file's own error is still an error of the file.
    assert result.returncode == 78 and str(path) in result.stderr
    path.write_text("[server]\nmax_connections = 7\n")
    result = run_resvd("-c", str(path), "--check-config", environment={"RESVD_SERVER_MAX_CONNECTIONS": "x"})
    assert result.returncode == 78 and "RESVD_SERVER_MAX_CONNECTIONS" in result.stderr


def test_environment_and_file_are_used(start_fake, tmp_path):
    path = tmp_path / "resvd.conf"
    path.write_text("[server]\nmax_requests_per_connection = 2\nmax_connections = 3\n")
    fake = start_fake(
        arguments=["-c", str(path)], environment={"RESVD_SERVER_MAX_REQUESTS_PER_CONNECTION": "1"}
    )
    with fake.connect() as connection:
        assert connection.request("GET", "/api/concerts/1").closes
    assert fake.metric("http_connections_max") >= 3


def test_unknown_environment_variable_is_said(start_fake):
    fake = start_fake(environment={"RESVD_SERVER_LISTN": "x"})
    assert "RESVD_SERVER_LISTN" in fake.log()


@pytest.mark.parametrize(("code", "expected"), [(69, 69), (78, 78)])
def test_start_that_fails(start_fake, code, expected):
    fake = start_fake(wait=False, strategy__fake__start_exit_code=code)
    assert fake.wait_exit() == expected
    assert "start_exit_code" in fake.log()


def test_port_in_use(start_fake):
    first = start_fake()
    second = start_fake(wait=False, server__listen=f"127.0.0.1:{first.port}")
    assert second.wait_exit() not in (0, -signal.SIGABRT, -signal.SIGSEGV)
    assert str(first.port) in second.log()
    second = start_fake(wait=False, server__admin_listen=f"127.0.0.1:{first.admin_port}")
    assert second.wait_exit() not in (0, -signal.SIGABRT, -signal.SIGSEGV)
    assert str(first.admin_port) in second.log()


def test_port_zero_takes_any_and_says_which(start_fake):
    fake = start_fake(wait=False, server__listen="127.0.0.1:0", server__admin_listen="127.0.0.1:0")
    give_up = time.monotonic() + 10
    while not (found := re.findall(r"127\.0\.0\.1:([1-9]\d*)", fake.log())) or len(found) < 2:
        assert time.monotonic() < give_up, fake.log()
        time.sleep(0.01)
    assert ask(("127.0.0.1", int(found[0])), "GET", "/api/concerts/1").status == 200
    assert ask(("127.0.0.1", int(found[1])), "GET", "/livez").status == 200


# --- readiness -----------------------------------------------------------------------------------------


def test_not_ready_until_started(start_fake):
    started = time.monotonic()
    fake = start_fake(wait=False, strategy__fake__start_delay_ms=700)
    body = {"concertId": 2, "memberId": 1}
    give_up = time.monotonic() + 5
    seen = set()
    while True:
        assert time.monotonic() < give_up
        try:
            answer = fake.admin("GET", "/readyz?verbose")
        except ConnectionRefusedError:
            continue
        seen.add(answer.status)
        if answer.status == 200:
            break
        assert answer.problem(503, "unavailable")["components"][0]["state"] == "starting"
        assert fake.admin("GET", "/livez").status == 200
        try:
            if time.monotonic() < started + 0.3:
                fake.ask("POST", "/api/reservations", body).problem(503, "unavailable")
        except ConnectionRefusedError:
            pass  # or the API does not listen yet
    assert seen == {200, 503}
    assert fake.ask("POST", "/api/reservations", body).status == 201


def test_readiness_follows_the_backends(start_fake):
    fake = start_fake()
    with fake.connect() as connection:
        for _ in range(2):
            connection.send(reserve(124))
            assert connection.read().status == 201
            problem = fake.admin("GET", "/readyz?verbose").problem(503, "unavailable")
            assert problem["components"][0]["name"] == "script"
            assert problem["components"][0]["state"] == "down"
            assert fake.admin("GET", "/livez").status == 200
            connection.send(reserve(126))  # down, but what is left suffices
            assert connection.read().status == 201
            ready = fake.admin("GET", "/readyz?verbose")
            assert ready.status == 200
            assert ready.json()["components"][0]["state"] == "missed"
            connection.send(reserve(125))
            assert connection.read().status == 201
            component = fake.admin("GET", "/readyz?verbose").json()["components"][0]
            assert component["state"] == "up" and component["latencyUs"] == 1000


# --- stopping ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_when_idle(start_fake, number):
    fake = start_fake()
    connections = [fake.connect() for _ in range(20)]
    for connection in connections[:10]:
        assert connection.request("GET", "/api/concerts/1").status == 200
    fake.signal(number)
    for connection in connections:
        connection.assert_closed()
        connection.sock.close()
    assert fake.wait_exit(5) == 0


def test_term_drains(start_fake):
    """What is in flight is answered, with Connection: close; nothing new is accepted; exit 0."""
    fake = start_fake()
    connections = [fake.connect() for _ in range(10)]
    for connection in connections:
        connection.send(reserve(100, 600) + reserve(100, 700))
    fake.wait_metric("operations_submitted", 20)
    half = fake.connect()
    half.send(reserve(2)[:50])
    fake.ask("GET", "/api/concerts/1")
    with Connection(fake.admin_address) as admin:
        assert admin.request("GET", "/readyz").status == 200
        fake.signal(signal.SIGTERM)
        give_up = time.monotonic() + 5
        while True:  # the admin listener stays for as long as there is something to see
            assert time.monotonic() < give_up
            try:
                answer = ask(fake.admin_address, "GET", "/readyz")
            except (ConnectionError, AssertionError):
                break
            if answer.status == 503:
                break
        with pytest.raises(OSError):
            fake.connect()
    for connection in connections:
        answers = connection.read_until_closed()
        assert [answer.status for answer in answers] == [201, 201]
        assert answers[-1].closes
        connection.sock.close()
    half.sock.close()
    assert fake.wait_exit(10) == 0


def test_term_finishes_a_request_that_is_half_there(start_fake):
    """Begun before TERM: its end may come during the drain, or it is closed; but never half done."""
    fake = start_fake()
    with fake.connect() as slow, fake.connect() as half:
        slow.send(reserve(100, 500))
        half.send(reserve(2)[:-1])
        fake.wait_metric("operations_submitted", 1)
        fake.signal(signal.SIGTERM)
        try:
            half.send(reserve(2)[-1:])
            answers = half.read_until_closed()
        except (BrokenPipeError, ConnectionResetError):
            answers = []
        assert [answer.status for answer in answers] in ([], [201], [503])
        assert slow.read().status == 201
    assert fake.wait_exit(10) == 0


def test_term_cuts_off_what_takes_too_long(start_fake):
    fake = start_fake(server__drain_timeout_ms=400)
    with fake.connect() as connection:
        connection.send(reserve(101))
        fake.wait_metric("fake_held_operations", 1)
        started = time.monotonic()
        fake.signal(signal.SIGTERM)
        statuses = [answer.status for answer in connection.read_until_closed()]
        assert statuses in ([504], [500], [503], [])
    fake.wait_exit(5)
    assert 0.3 < time.monotonic() - started < 4


def test_second_term_exits_now(start_fake):
    fake = start_fake(server__drain_timeout_ms=30_000)
    with fake.connect() as connection:
        connection.send(reserve(101))
        fake.wait_metric("fake_held_operations", 1)
        fake.signal(signal.SIGTERM)
        give_up = time.monotonic() + 5
        while True:
            try:
                fake.connect().sock.close()
            except OSError:
                break
            assert time.monotonic() < give_up
        assert fake.process.poll() is None
        fake.signal(signal.SIGTERM)
        started = time.monotonic()
        fake.wait_exit(5)
        assert time.monotonic() - started < 1


def test_pipe_signal_is_ignored(start_fake):
    fake = start_fake()
    fake.signal(signal.SIGPIPE)
    assert fake.ask("GET", "/api/concerts/1").status == 200


# --- HUP --------------------------------------------------------------------------------------------------


def wait_log(server, text: str) -> None:
    give_up = time.monotonic() + 5
    while text not in server.log():
        assert time.monotonic() < give_up, server.log()
        time.sleep(0.01)


def test_hup_takes_what_can_change(start_fake, tmp_path):
    path = tmp_path / "resvd.conf"
    path.write_text("[server]\nmax_requests_per_connection = 100\nmax_connections = 50\n")
    fake = start_fake(arguments=["-c", str(path)])
    with fake.connect() as connection:
        assert not connection.request("GET", "/api/concerts/1").closes
    path.write_text("[server]\nmax_requests_per_connection = 1\nmax_connections = 60\n")
    fake.signal(signal.SIGHUP)
    wait_log(fake, "max_connections")  # needs a restart, and is said to
    with fake.connect() as connection:
        assert connection.request("GET", "/api/concerts/1").closes


def test_hup_keeps_the_old_on_error(start_fake, tmp_path):
    path = tmp_path / "resvd.conf"
    path.write_text("[server]\nmax_requests_per_connection = 2\n")
    fake = start_fake(arguments=["-c", str(path)])
    path.write_text("[server]\nmax_requests_per_connection = 1\nnonsense = 1\n")
    fake.signal(signal.SIGHUP)
    wait_log(fake, "nonsense")
    with fake.connect() as connection:
        assert not connection.request("GET", "/api/concerts/1").closes
        assert connection.request("GET", "/api/concerts/1").closes
    path.unlink()
    fake.signal(signal.SIGHUP)
    wait_log(fake, "No such file")
    assert fake.ask("GET", "/api/concerts/1").status == 200


def test_hup_without_a_file(start_fake):
    fake = start_fake()
    for _ in range(3):
        fake.signal(signal.SIGHUP)
        assert fake.ask("GET", "/api/concerts/1").status == 200


# --- who may call ---------------------------------------------------------------------------------------------


def test_keys(start_fake):
    fake = start_fake(server__api_keys="first-key, second-key")
    for call in (fake.ask, fake.admin):
        path = "/api/concerts/1" if call == fake.ask else "/metrics"
        for value in (None, "Bearer", "Bearer ", "Bearer wrong", "Bearer first-ke", "Bearer first-keyy",
                      "Basic first-key", "first-key", "Bearer first-key,second-key", "Bearer FIRST-KEY"):
            answer = call("GET", path, headers={"Authorization": value} if value is not None else None)
            answer.problem(401, "unauthorized")
            assert answer.headers["www-authenticate"] == "Bearer"
        for key in ("first-key", "second-key"):
            assert call("GET", path, headers={"Authorization": "Bearer " + key}).status == 200
            assert call("GET", path, headers={"Authorization": "bearer " + key}).status == 200
    assert fake.admin("GET", "/livez").status == 200
    assert fake.admin("GET", "/readyz").status == 200
    body = {"concertId": 2, "memberId": 1}
    fake.ask("POST", "/api/reservations", body).problem(401)
    auth = {"Authorization": "Bearer first-key"}
    assert fake.ask("POST", "/api/reservations", body, auth).status == 201
    assert fake.stop() == 0
    assert "first-key" not in fake.log()


def test_keys_from_a_file_and_hup(start_fake, tmp_path):
    path = tmp_path / "keys"
    path.write_text("one\ntwo\n")
    fake = start_fake(server__api_keys_file=str(path))
    one, three = {"Authorization": "Bearer one"}, {"Authorization": "Bearer three"}
    assert fake.ask("GET", "/api/concerts/1", headers=one).status == 200
    fake.ask("GET", "/api/concerts/1", headers=three).problem(401)
    path.write_text("two\nthree\n")
    fake.signal(signal.SIGHUP)
    give_up = time.monotonic() + 5
    while fake.ask("GET", "/api/concerts/1", headers=three).status != 200:
        assert time.monotonic() < give_up
    fake.ask("GET", "/api/concerts/1", headers=one).problem(401)


@pytest.mark.parametrize("address", ["0.0.0.0", "[::]"])
def test_open_to_other_machines_only_when_asked(start_fake, address):
    for option in ("server__listen", "server__admin_listen"):
        fake = start_fake(wait=False, **{option: f"{address}:{free_port()}"})
        assert fake.wait_exit() == 78
        assert "auth" in fake.log() and "api_keys" in fake.log()


def test_open_to_other_machines_with_auth_off_or_keys(start_fake):
    port = free_port()
    fake = start_fake(server__listen=f"0.0.0.0:{port}", server__auth="off")
    assert ask(("127.0.0.1", port), "GET", "/api/concerts/1").status == 200
    port = free_port()
    fake = start_fake(server__listen=f"0.0.0.0:{port}", server__api_keys="k")
    ask(("127.0.0.1", port), "GET", "/api/concerts/1").problem(401)
    assert fake.stop() == 0


# --- log --------------------------------------------------------------------------------------------------------


def test_log_formats(start_fake):
    fake = start_fake(arguments=["--log-format=json"])
    fake.ask("GET", "/api/concerts/1")
    assert fake.stop() == 0
    lines = [json.loads(line) for line in fake.log().splitlines()]
    assert {"time", "level", "event"} <= set(lines[0])
    assert any(line["event"] == "ready" for line in lines)
    fake = start_fake()
    for _ in range(50):
        fake.ask("GET", "/api/concerts/1")
    assert fake.stop() == 0
    assert len(fake.log().splitlines()) < 20  # none per request
    assert all(line.startswith("time=") for line in fake.log().splitlines())


def test_readiness_notification(start_fake, tmp_path):
    """sd_notify: READY=1 when ready, STOPPING=1 at TERM."""
    path = str(tmp_path / "notify.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(path)
        notify.settimeout(5)
        fake = start_fake(environment={"NOTIFY_SOCKET": path})
        assert b"READY=1" in notify.recv(4096)
        assert fake.stop() == 0
        assert b"STOPPING=1" in notify.recv(4096)


# --- embedded's own -------------------------------------------------------------------------------------------------


def test_demo(start):
    server = start(arguments=["--demo"])
    wait_log(server, "/admin/audit")  # the last of the lines that it prints
    items = server.ask("GET", "/api/concerts").json()["items"]
    assert items
    lines = server.log().replace("\\\n", " ").splitlines()
    commands = [line.strip() for line in lines if line.strip().startswith("curl")]
    assert len(commands) >= 3 and str(server.port) in commands[0]
    for command in commands:
        with os.popen(command + " 2>/dev/null") as pipe:
            text = pipe.read()
        assert text and "problem" not in text, (command, text)
    assert server.ask("GET", "/api/concerts/1").json()["sold"] == 1
    assert server.ask("POST", "/api/reservations", {"concertId": 1, "memberId": 1}).status == 201
    assert server.stop() == 0
    again = start(folder=server.folder, arguments=["--demo"])
    assert len(again.ask("GET", "/api/concerts").json()["items"]) == len(items)
    assert again.ask("GET", "/api/concerts/1").json()["sold"] >= 1


def test_restart_keeps_everything(start):
    server = start(server__allow_reset="on")
    server.reset()
    ids = []
    for i in range(20):
        answer = server.ask("POST", "/api/reservations", {"concertId": 1 + i % 3, "memberId": 1},
                            {"Idempotency-Key": f"k{i}"})
        ids.append(answer.json()["id"])
    assert server.stop() == 0
    again = start(folder=server.folder)
    for i, reservation_id in enumerate(ids):
        assert again.ask("GET", f"/api/reservations/{reservation_id}").json()["status"] == "CONFIRMED"
        answer = again.ask("POST", "/api/reservations", {"concertId": 1 + i % 3, "memberId": 1},
                           {"Idempotency-Key": f"k{i}"})
        assert answer.json()["id"] == ids[i] and answer.headers["idempotent-replay"] == "true"
    assert again.audit()["consistent"] is True


def test_term_under_load_loses_nothing(start):
    server = start(server__allow_reset="on")
    server.reset(capacity=100_000)
    connections = [server.connect() for _ in range(20)]
    body = {"concertId": 1, "memberId": 1}
    for connection in connections:
        connection.send(make_request("POST", "/api/reservations", body) * 50)
    server.signal(signal.SIGTERM)
    granted = []
    for connection in connections:
        try:
            answers = connection.read_until_closed()
        except ConnectionResetError:
            answers = []
        granted += [answer.json()["id"] for answer in answers if answer.status == 201]
        connection.sock.close()
    assert server.wait_exit() == 0
    again = start(folder=server.folder)
    for reservation_id in granted:
        assert again.ask("GET", f"/api/reservations/{reservation_id}").status == 200
    assert again.audit()["consistent"] is True
