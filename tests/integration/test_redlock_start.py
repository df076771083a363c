"""Starting on lock nodes: what is set wrong is said in one clear line that names the setting to change;
users, passwords, unix sockets, nodes that come later or not at all. On real MariaDB and Redis.
"""

from __future__ import annotations

import socket
import threading
import time

import pytest
from database_fixtures import (
    CONFIGURATION,
    UNREACHABLE,
    require_strategy,
    reserve,
    strategy_options,
    timed,
)
from redis_nodes import LockNodes, Redis, make_nodes, prefix
from resvd_process import free_port, run_resvd, wait_until

SECRET = "correct-horse-battery"


@pytest.fixture(autouse=True, scope="module")
def needs_redlock():
    require_strategy("redlock")


def nodes_at(*ports: int, **more) -> dict:
    """[redis] for whatever listens there."""
    return {"redis__lock_nodes": ",".join(f"127.0.0.1:{port}" for port in ports),
            **{f"redis__{key}": value for key, value in more.items()}}


def check_config(value: str) -> str:
    """What is said against these lock_nodes without any server."""
    checked = run_resvd("--check-config", "--strategy=redlock", f"--redis.lock_nodes={value}")
    assert checked.returncode == CONFIGURATION, checked
    return checked.stderr


# --- settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [2, 4, 6, 7])
def test_number_of_nodes(nodes, count):
    """1, 3 or 5."""
    said = check_config(",".join(f"127.0.0.1:{7000 + i}" for i in range(count)))
    assert "lock_nodes" in said and "5" in said


@pytest.mark.parametrize("value", [
    "127.0.0.1:99999", "127.0.0.1:0", "127.0.0.1:x", ",", "127.0.0.1:1,,127.0.0.1:2", " ", ":1",
])
def test_nodes_that_are_no_addresses(nodes, value):
    assert "lock_nodes" in check_config(value)


def test_one_node_named_twice(nodes):
    """It would have two of three votes."""
    said = check_config("127.0.0.1:7001,127.0.0.1:7002,127.0.0.1:7001")
    assert "lock_nodes" in said and "127.0.0.1:7001" in said and "twice" in said


# --- reaching them --------------------------------------------------------------------------------


def test_nobody_there(nodes, database, refused):
    ports = [free_port() for _ in range(3)]
    _, seconds = timed(refused, "redlock", UNREACHABLE, "[redis] lock_nodes", str(ports[0]),
                       **database.options(), **nodes_at(*ports))
    assert 1.0 < seconds < 6


def test_one_of_three_there(nodes, database, refused):
    """No majority; the line names one that is missing."""
    ports = [free_port() for _ in range(2)]
    said = refused("redlock", UNREACHABLE, "[redis] lock_nodes", **database.options(),
                   **nodes_at(nodes[0].port, *ports))
    assert any(str(port) in said for port in ports), said


def test_two_of_three_there(nodes, database, serve):
    """Enough to sell; the third is named in a warning."""
    port = free_port()
    ports = [nodes[0].port, port, nodes[2].port]
    server, seconds = timed(serve, database, "redlock", server__log_format="logfmt", **nodes_at(*ports))
    assert seconds < 10  # a start may take 30
    warnings = [line for line in server.log().splitlines() if "level=warning" in line]
    assert any(str(port) in line for line in warnings), server.log()
    assert reserve(server).status == 201
    answer = server.admin("GET", "/readyz?verbose")
    assert answer.status == 200
    found = {part["name"]: part for part in answer.json()["components"]}
    assert [found[f"lock-{i}"]["state"] for i in (1, 2, 3)] == ["up", "missed", "up"], found
    assert found["lock-1"]["latencyUs"] > 0


def test_third_that_comes_later(nodes, database, serve, tmp_path):
    late = Redis(tmp_path / "late")
    try:
        server = serve(database, "redlock", **nodes_at(nodes[0].port, nodes[1].port, late.port))
        assert reserve(server).status == 201
        late.start()
        wait_until(lambda: all(part["state"] == "up" for part in server.admin(
            "GET", "/readyz?verbose").json()["components"]), "all are up")
        assert reserve(server).status == 201
        # Two of three are enough for an answer.
        wait_until(lambda: "evalsha" in late.call("INFO", "commandstats"), "it is asked, too")
        lock = f"{prefix(database)}{{c:1}}:lock"
        wait_until(lambda: late.call("EXISTS", lock) == 0, "it is let go")
    finally:
        late.kill()


def test_nodes_that_come_later(database, nodes, start, tmp_path):
    """Tried again until start_timeout_ms; ready once they are there."""
    late = LockNodes([Redis(tmp_path / f"late-{i}") for i in range(3)])
    try:
        server = start(wait=False, **{**database.options(), **strategy_options("redlock"),
                                      **late.options()})
        time.sleep(1.0)
        assert server.process.poll() is None, server.log()
        assert server.admin("GET", "/livez").status == 200
        assert server.admin("GET", "/readyz").status == 503
        late.start()
        server.wait_ready(10)
        assert server.stop() == 0
    finally:
        late.stop()


def test_no_such_host(nodes, database, refused):
    refused("redlock", UNREACHABLE, "[redis] lock_nodes", "no-such-host.invalid", **database.options(),
            redis__lock_nodes="no-such-host.invalid:6379")


@pytest.mark.parametrize("greeting", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", None, b"\xff" * 4096])
def test_not_a_redis_server(nodes, database, refused, greeting):
    """None: it says nothing at all, and keeps the connection open."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        kept = []

        def serve_nonsense() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                kept.append(connection)
                try:
                    if greeting is not None:
                        connection.sendall(greeting)
                        connection.close()
                except OSError:
                    pass

        thread = threading.Thread(target=serve_nonsense, daemon=True)
        thread.start()
        port = listener.getsockname()[1]
        _, seconds = timed(refused, "redlock", UNREACHABLE, "[redis]", str(port), **database.options(),
                           **nodes_at(port))
        assert seconds < 6
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def test_unix_socket(database, serve, tmp_path):
    path = tmp_path / "redis.sock"
    with Redis(tmp_path / "redis", options={"unixsocket": path}) as node:
        server = serve(database, "redlock_off", redis__lock_nodes=f"unix:{path}")
        assert reserve(server).status == 201
        wait_until(lambda: node.call("CLIENT", "LIST").count(str(path)) >= 2, "two connections")


def test_host_is_a_name(nodes, database, serve):
    ports = [node.port for node in nodes]
    server = serve(database, "redlock", redis__lock_nodes=",".join(f"localhost:{port}" for port in ports))
    assert reserve(server).status == 201


# --- logging in -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """Nodes that let nobody in without a password."""
    nodes = make_nodes(tmp_path_factory.mktemp("guarded"), 1)
    nodes[0].call("ACL", "SETUSER", "careful", "on", f">{SECRET}", "~*", "&*", "+@all")
    nodes[0].call("ACL", "SETUSER", "reader", "on", f">{SECRET}", "~*", "&*", "+@all", "-@write",
                  "-@scripting")
    nodes[0].call("ACL", "SETUSER", "elsewhere", "on", f">{SECRET}", "~other:*", "&*", "+@all")
    nodes[0].call("ACL", "SETUSER", "deaf", "on", f">{SECRET}", "~*", "resetchannels", "+@all")
    nodes[0].call("ACL", "SETUSER", "default", "off")
    yield nodes
    nodes.stop()


def test_user_and_password(guarded, database, serve):
    server = serve(database, "redlock_off", **guarded.options(user="careful", password=SECRET))
    assert reserve(server).status == 201
    assert SECRET not in server.log()


def test_password_from_a_file(guarded, database, serve, tmp_path):
    path = tmp_path / "password"
    path.write_text(SECRET + "\n")
    server = serve(database, "redlock_off", **guarded.options(user="careful", password_file=str(path)))
    assert reserve(server).status == 201
    assert SECRET not in server.log()


def test_password_alone(database, serve, tmp_path):
    """requirepass, for nodes without users of their own."""
    with Redis(tmp_path / "redis", options={}) as node:
        node.call("CONFIG", "SET", "requirepass", SECRET)
        server = serve(database, "redlock_off", **nodes_at(node.port, password=SECRET))
        assert reserve(server).status == 201
        assert server.stop() == 0


@pytest.mark.parametrize(("user", "password"), [
    ("careful", "guess-guess"), ("nobody-knows-me", SECRET), ("careful", None),
])
def test_wrong_user_or_password(guarded, database, refused, user, password):
    refused("redlock_off", CONFIGURATION, "[redis] user", "password", **database.options(),
            **guarded.options(user=user, password=password))


def test_user_who_may_not_load_scripts(guarded, database, refused):
    refused("redlock_off", CONFIGURATION, "[redis] lock_nodes", "user", "SCRIPT LOAD", "ACL SETUSER",
            **database.options(), **guarded.options(user="reader", password=SECRET))


def test_user_who_may_not_use_the_keys(guarded, database, serve):
    """Redis tells only when one is used: refused, at once, and the log says why."""
    server = serve(database, "redlock_off", **guarded.options(user="elsewhere", password=SECRET))
    answer, seconds = timed(reserve, server)
    answer.problem(503, "unavailable")
    assert seconds < 1.5  # a lock that is not to be had is waited for, for 2
    assert "NOPERM" in server.log() and "ACL SETUSER" in server.log()
    assert database.rows() == {}


def test_user_who_may_not_use_the_channels(guarded, database, serve):
    """Nobody is woken, and that is all: the lock is let go, and the log says what is wrong."""
    server = serve(database, "redlock_off", **guarded.options(user="deaf", password=SECRET))
    for _ in range(3):
        answer, seconds = timed(reserve, server)
        assert answer.status == 201
        assert seconds < 0.9  # the lease is 1
    assert "publish" in server.log()


# --- what a node is -------------------------------------------------------------------------------


def test_replica(nodes, database, refused, tmp_path):
    """A replica would lose or forget locks that its master has given."""
    with Redis(tmp_path / "replica", options={"replicaof": f"127.0.0.1 {nodes[0].port}"}) as replica:
        refused("redlock_off", CONFIGURATION, "[redis] lock_nodes", "replica", str(replica.port),
                **database.options(), **nodes_at(replica.port))


def test_settings_that_lose_locks(database, serve, tmp_path):
    """A warning for each that names it; it sells all the same: the fence does not trust Redis."""
    options = {"maxmemory": "100mb", "maxmemory-policy": "allkeys-lru"}
    with Redis(tmp_path / "redis", options=options) as node:
        server = serve(database, "redlock_off", server__log_format="logfmt", **nodes_at(node.port))
        warnings = [line for line in server.log().splitlines() if "level=warning" in line]
        assert any("maxmemory-policy" in line for line in warnings), server.log()
        assert reserve(server).status == 201


def test_settings_that_are_good(database, serve, tmp_path):
    """Nothing to warn of, then no warning."""
    with Redis(tmp_path / "redis", options={"appendfsync": "always"}) as node:
        server = serve(database, "redlock_off", server__log_format="logfmt", **nodes_at(node.port))
        assert "level=warning" not in server.log(), server.log()


def test_metrics_of_each_node(nodes, database, serve):
    server = serve(database, "redlock")
    for member in range(5):
        assert reserve(server, 1, 1 + member).status == 201
    samples = server.metrics()
    for number in (1, 2, 3):
        mine = {name: value for name, value in samples.items() if f'node="{number}"' in name}
        assert any("up" in name and value == 1 for name, value in mine.items()), mine
        assert any(name.startswith("resvd_redis_") and "_count" in name and value > 0
                   for name, value in mine.items()), mine
