"""What must not happen by accident: files lost, doors open, lies told, stops that fail."""

from __future__ import annotations

import os
import re
import signal
import socket
import sqlite3
import subprocess
import time

import pytest
from raw_http import ask
from resvd_process import child_environment, find_binary


def run(arguments, cwd, environment=None):
    return subprocess.run(
        [str(find_binary("resvd-fake")), "--strategy=fake", *arguments],
        cwd=cwd,
        env=child_environment(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def test_unix_listener_leaves_other_files_alone(tmp_path):
    precious = tmp_path / "precious.db"
    precious.write_text("do not touch")
    result = run([f"--server.listen=unix:{precious}", "--server.admin_listen=127.0.0.1:0"], tmp_path)
    assert result.returncode in (69, 78), result.stderr
    assert "precious.db" in result.stderr
    assert precious.read_text() == "do not touch"


def test_unix_listener_takes_the_place_of_a_dead_one(start_fake, tmp_path):
    path = tmp_path / "api.sock"
    first = start_fake(server__listen=f"unix:{path}")
    first.kill()
    assert path.is_socket()
    second = start_fake(server__listen=f"unix:{path}")
    assert second.admin("GET", "/readyz").status == 200
    first.process.returncode = 0  # it was killed on purpose


@pytest.mark.parametrize("keys", ["", "\n", " , ,\n"])
def test_empty_key_file_is_no_open_door(tmp_path, keys):
    (tmp_path / "keys").write_text(keys)
    result = run(["--check-config", f"--server.api_keys_file={tmp_path / 'keys'}"], tmp_path)
    assert result.returncode == 78 and "no key" in result.stderr, result.stderr


def test_emptied_key_file_keeps_the_old_keys(start_fake, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("alpha\n")
    fake = start_fake(server__api_keys_file=str(keys))
    keys.write_text("")
    fake.signal(signal.SIGHUP)
    give_up = time.monotonic() + 5
    while "the old one stays" not in fake.log():
        assert time.monotonic() < give_up, fake.log()
        time.sleep(0.01)
    assert fake.ask("GET", "/api/concerts/1").status == 401
    assert fake.ask("GET", "/api/concerts/1", headers={"Authorization": "Bearer alpha"}).status == 200


def test_keys_beside_auth_off_are_refused(tmp_path):
    result = run(["--check-config", "--server.auth=off", "--server.api_keys=alpha"], tmp_path)
    assert result.returncode == 78 and "auth = off" in result.stderr, result.stderr


@pytest.mark.parametrize("address, options, expected", [
    ("0.0.0.0", [], 78),
    ("127.0.0.1", [], None),
    ("0.0.0.0", ["--server.auth=off"], None),
])
def test_handed_over_socket_obeys_the_rule_on_keys(tmp_path, address, options, expected):
    with socket.socket() as listener:
        listener.bind((address, 0))
        listener.listen()
        port = listener.getsockname()[1]

        def hand_over():
            os.dup2(listener.fileno(), 3)

        # LISTEN_PID must be the server's own: a shell sets it and becomes the server.
        command = 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"'
        process = subprocess.Popen(
            ["sh", "-c", command, "sh", str(find_binary("resvd-fake")), "--strategy=fake",
             "--server.admin_listen=127.0.0.1:0", *options],
            cwd=tmp_path, env=child_environment(None), preexec_fn=hand_over, pass_fds=(3,),
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        try:
            if expected is not None:
                assert process.wait(20) == expected
                assert "other machines" in process.stderr.read()
                return
            give_up = time.monotonic() + 10
            while True:
                answer = ask(("127.0.0.1", port), "GET", "/api/concerts/1")
                if answer.status == 200:
                    break
                assert time.monotonic() < give_up
                time.sleep(0.02)
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        finally:
            process.kill()
            process.wait()


def has_little_answer_memory(server) -> bool:
    """Less than 48 KiB of 1 MiB; in the end too little for the metrics themselves."""
    answer = server.admin("GET", "/metrics")
    if answer.status == 503:
        return True
    used = re.search(rb"^resvd_http_answer_memory_bytes (\d+)$", answer.body, re.MULTILINE)
    return int(used.group(1)) > 1048576 - 49152


def test_a_write_is_never_denied_for_want_of_answer_memory(start):
    server = start(server__answer_memory_bytes=1048576, server__allow_reset="on")
    server.reset(1, 10, 10)
    hogs = []
    try:
        give_up = time.monotonic() + 30
        while not has_little_answer_memory(server):
            assert time.monotonic() < give_up and len(hogs) < 400
            hog = socket.socket()
            hog.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            hog.connect(server.address)
            hog.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 60)
            hogs.append(hog)
        answer = server.admin("POST", "/admin/concerts", [{"title": "C", "capacity": 1}] * 500)
        assert len(answer.body) > 49152, "the answer must not fit in what is left"
        assert answer.status == 201 and len(answer.json()) == 500
    finally:
        for hog in hogs:
            hog.close()
    give_up = time.monotonic() + 10
    while server.metric("http_answer_memory_bytes") > 0:
        assert time.monotonic() < give_up
        time.sleep(0.02)


def test_term_does_not_wait_for_half_a_request(start_fake):
    fake = start_fake()
    with fake.connect() as connection:
        connection.sock.sendall(b"POST /api/reservations HTTP/1.1\r\nHost: x\r\nContent-Le")
        time.sleep(0.1)
        started = time.monotonic()
        fake.signal(signal.SIGTERM)
        assert fake.wait_exit() == 0
        assert time.monotonic() - started < 6


def test_term_cuts_off_a_reader_that_does_not_read(start_fake):
    fake = start_fake(server__drain_timeout_ms=500)
    with socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        reader.connect(fake.address)
        for _ in range(8):
            reader.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 60)
            time.sleep(0.05)
        fake.signal(signal.SIGTERM)
        assert fake.wait_exit() == 0, fake.log()


def test_interrupted_demo_is_finished_by_the_next(start):
    server = start(arguments=["--demo"])
    give_up = time.monotonic() + 10
    while "curl -i" not in server.log():
        assert time.monotonic() < give_up
        time.sleep(0.02)
    assert server.stop() == 0
    with sqlite3.connect(server.file) as database:
        database.execute("DELETE FROM members")
        database.execute("DELETE FROM sqlite_sequence WHERE name = 'members'")
    again = start(folder=server.folder, arguments=["--demo"])
    while "curl -i" not in again.log():
        assert time.monotonic() < give_up
        time.sleep(0.02)
    answer = again.ask("POST", "/api/reservations", {"concertId": 1, "memberId": 7})
    assert answer.status == 201, answer.raw


def test_unknown_strategy_is_one_of_all_errors(tmp_path):
    (tmp_path / "bad.conf").write_text("[server]\nstrategy = embeded\nmax_conections = 5\n")
    result = run(["--check-config", "-c", "bad.conf", "--strategy=embeded"], tmp_path)
    assert result.returncode == 78
    assert "did you mean 'embedded'?" in result.stderr, result.stderr
    assert "did you mean 'max_connections'?" in result.stderr, result.stderr


def test_refused_file_gets_no_lock_beside_it(tmp_path):
    junk = tmp_path / "junk.db"
    junk.write_bytes(b"this is no database at all, but it is somebody's" * 100)
    result = subprocess.run(
        [str(find_binary("resvd")), f"--strategy.embedded.file={junk}",
         "--server.listen=127.0.0.1:0", "--server.admin_listen=127.0.0.1:0"],
        cwd=tmp_path, env=child_environment(None), stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=20, check=False,
    )
    assert result.returncode == 78, result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["junk.db"]
