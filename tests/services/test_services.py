"""tools/services as tests and the benchmark use it; its __init__.py shows how."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import services
from services import ports, process
from services.mysql_wire import Connection

# --- ports ---------------------------------------------------------------------------------------


def test_free_ports_can_be_taken():
    first = ports.free_block(5)
    for port in range(first, first + 5):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", port))
            assert not ports.is_free(port)


def test_a_port_is_not_given_twice():
    assert len({ports.free_port() for _ in range(500)}) == 500


@pytest.mark.parametrize("family, address", [
    (socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")])
def test_holder_of_a_port_is_named(family, address):
    with socket.socket(family) as listener:
        port = ports.free_port()
        listener.bind((address, port))
        listener.listen()
        holder = ports.find_holder(port)
        assert (holder.port, holder.pid) == (port, os.getpid())
        assert holder.name == Path("/proc/self/comm").read_text().strip()
        assert str(os.getpid()) in str(holder) and str(os.getpid()) in holder.way_out()


def test_a_port_of_another_address_is_not_in_the_way():
    with socket.socket() as listener:
        port = ports.free_port()
        listener.bind(("127.0.0.2", port))
        listener.listen()
        assert ports.find_holder(port) is None


def test_way_out_names_what_runs_the_holder():
    def way_out(**known):
        every = {"pid": 1, "name": "x", "user": "u", "unit": None, **known}
        return ports.Holder(3306, **every).way_out()

    assert way_out(unit="mariadb.service") == "sudo systemctl stop mariadb.service"
    assert "docker compose down" in way_out(name="docker-proxy")
    assert "3306" in way_out(pid=None, name=None)


# --- processes ----------------------------------------------------------------------------------


def test_a_pid_that_means_another_process_now_is_not_stopped():
    child = subprocess.Popen(["sleep", "60"])
    try:
        identity = process.Identity.of(child.pid)
        assert identity.is_alive()
        for other in (process.Identity(child.pid, identity.ticks + 1, identity.boot),
                      process.Identity(child.pid, identity.ticks, "another boot")):
            assert not other.is_alive()
            assert other.stop(1.0)
        assert child.poll() is None
        assert identity.stop(5.0)
        assert child.wait() == -signal.SIGTERM
    finally:
        child.kill()
        child.wait()


def test_what_ignores_term_is_killed():
    command = "trap '' TERM; echo ready; while :; do sleep 0.1; done"
    child = subprocess.Popen(["sh", "-c", command], stdout=subprocess.PIPE, start_new_session=True)
    child.stdout.readline()
    child.stdout.close()
    began = time.monotonic()
    assert process.Identity.of(child.pid).stop(0.3)
    assert 0.3 <= time.monotonic() - began < 5
    assert child.wait() == -signal.SIGKILL


def test_all_threads_have_stopped_when_a_process_is_paused():
    busy = "import threading\nfor _ in range(8): threading.Thread(target=lambda: [0 for _ in iter(int, 1)]).start()"
    with subprocess.Popen([sys.executable, "-c", busy]) as child:
        try:
            while len(process.thread_stats(child.pid)) < 9:
                time.sleep(0.01)
            for _ in range(20):
                process.pause(child.pid)
                ticks = [process.cpu_ticks(text) for text in process.thread_stats(child.pid)]
                time.sleep(0.05)
                assert ticks == [process.cpu_ticks(text)
                                 for text in process.thread_stats(child.pid)]
                os.kill(child.pid, signal.SIGCONT)
        finally:
            child.kill()


@pytest.mark.parametrize("text", ["", "12", "12 x boot", "a b c", "1 2 3 4"])
def test_a_damaged_record_is_no_record(text):
    assert process.Identity.parse(text) is None


RUNNER = """
import sys, threading, time
from pathlib import Path
import services
servers = [services.MariaDB(sys.argv[1] + "/db"), services.Redis(sys.argv[1] + "/redis")]
for server in servers:  # each by a thread that ends
    thread = threading.Thread(target=server.start)
    thread.start()
    thread.join()
time.sleep(0.2)
for server in servers:
    server.ask()  # lives longer than its thread
print(*(server.pid for server in servers), flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_servers_die_with_whoever_started_them(tmp_path, number):
    runner = subprocess.Popen([sys.executable, "-c", RUNNER, tmp_path], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True)
    try:
        identities = [process.Identity.of(int(pid)) for pid in runner.stdout.readline().split()]
        assert len(identities) == 2 and all(one.is_alive() for one in identities)
        runner.send_signal(number)
        runner.wait(20)
        give_up = time.monotonic() + 10
        while any(one.is_alive() for one in identities):
            assert time.monotonic() < give_up
            time.sleep(0.01)
    finally:
        runner.kill()
        runner.wait()
        runner.stdout.close()


# --- MariaDB ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mariadb(tmp_path_factory):
    with services.MariaDB(tmp_path_factory.mktemp("mariadb"), keep_data=True) as server:
        yield server


def test_mariadb_is_set_up_as_resvd_expects_it(mariadb):
    assert mariadb.sql(
        "SELECT @@innodb_flush_log_at_trx_commit, @@tx_isolation, @@log_bin,"
        " @@character_set_server, @@collation_database, @@max_connections, @@skip_name_resolve"
    ) == [["1", "READ-COMMITTED", "0", "utf8mb4", "utf8mb4_bin", "500", "1"]]
    for address in (("127.0.0.1", mariadb.port), mariadb.socket):
        with Connection(address, "resvd", "resvd") as connection:
            connection.query("CREATE TABLE seats (id INT); DROP TABLE seats")
            with pytest.raises(services.SqlError) as refused:
                connection.query("SELECT * FROM mysql.global_priv")
            assert refused.value.number == 1142


@pytest.mark.parametrize("user", ["root", "nobody"])
def test_mariadb_lets_nobody_else_in_by_tcp(mariadb, user):
    with pytest.raises(services.SqlError) as refused:
        Connection(("127.0.0.1", mariadb.port), user)
    assert refused.value.number in (1045, 1130)


def test_mariadb_listens_on_loopback_only(mariadb):
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    wanted = f"{mariadb.port:04X}"
    addresses = {f[1] for f in lines if f[1].endswith(":" + wanted) and f[3] == "0A"}
    assert addresses == {"0100007F:" + wanted}
    six = Path("/proc/net/tcp6").read_text() if Path("/proc/net/tcp6").exists() else ""
    assert f":{wanted} 00000000000000000000000000000000:0000 0A" not in six


def test_sql_gives_rows_as_text(mariadb):
    assert mariadb.sql("SELECT 1, NULL, '', 'ü\\t\\n', HEX(0xFF), REPEAT('x', 300)") == [
        ["1", None, "", "ü\t\n", "FF", "x" * 300]]
    assert mariadb.sql("SET @a = 3; SELECT @a; SET @b = 4") == [["3"]]
    assert mariadb.sql("DO 1") == []
    assert len(mariadb.sql("SELECT seq FROM seq_1_to_5000")) == 5000
    with mariadb.connect() as root:
        root.query("SET GLOBAL max_allowed_packet = 64 << 20")
    large = mariadb.sql("SELECT REPEAT('x', 20000000)")  # more than one packet of the protocol
    assert large == [["x" * 20_000_000]]
    with pytest.raises(services.SqlError) as error:
        mariadb.sql("SELECT * FROM nowhere")
    assert error.value.number == 1146 and "nowhere" in error.value.text


def test_sessions_hold_their_locks(mariadb):
    mariadb.sql("CREATE TABLE held (id INT PRIMARY KEY, n INT); INSERT INTO held VALUES (1, 0)")
    with mariadb.connect() as first, mariadb.connect() as second:
        first.query("BEGIN; UPDATE held SET n = 1")
        with pytest.raises(services.SqlError) as waited:
            second.query("SET innodb_lock_wait_timeout = 0; UPDATE held SET n = 2")
        assert waited.value.number == 1205
        first.query("ROLLBACK")
        second.query("UPDATE held SET n = 2")
    assert mariadb.sql("SELECT n FROM held") == [["2"]]


def test_mariadb_killed_paused_stopped_and_back(tmp_path):
    with services.MariaDB(tmp_path / "db") as server:
        port, pid = server.port, server.pid
        server.sql("CREATE TABLE kept (id INT); INSERT INTO kept VALUES (7)")
        server.kill()
        assert not server.running and ports.is_free(port, reuse=True)
        server.start()
        assert (server.port, server.sql("SELECT * FROM kept")) == (port, [["7"]])
        assert server.pid != pid
        server.pause()
        with pytest.raises(TimeoutError):
            server.sql("SELECT 1", timeout_s=0.2)
        server.resume()
        assert server.sql("SELECT 1") == [["1"]]
        server.pause()
        assert server.stop() == 0  # a stopped process is let go on, so that it can end
        server.start()
        with pytest.raises(services.ServerError, match="running already"):
            server.start()
        identity = process.Identity.of(server.pid)
    assert not identity.is_alive()
    assert not (tmp_path / "db" / "data").exists() and "ready for connections" in server.log()


def test_mariadb_options_win_and_data_may_be_elsewhere(tmp_path):
    options = {"max-connections": 20, "innodb-log-file-size": "8M", "log-bin": None}
    with services.MariaDB(tmp_path / "db", data_dir=tmp_path / "x", options=options) as server:
        assert server.sql("SELECT @@max_connections, @@log_bin") == [["20", "1"]]
        assert (tmp_path / "x" / "ib_logfile0").stat().st_size == 8 << 20


def test_a_server_that_does_not_start_shows_its_log(tmp_path):
    with pytest.raises(services.ServerError, match="unknown variable 'nonsense=1'"):
        services.MariaDB(tmp_path, options={"nonsense": 1}).start()


def test_a_taken_port_is_named_before_anything_is_started(tmp_path, mariadb):
    with pytest.raises(services.ServerError) as error:
        services.Redis(tmp_path, port=mariadb.port).start()
    assert f"port {mariadb.port} is taken by mariadbd, pid {mariadb.pid}" in str(error.value)
    assert f"kill {mariadb.pid}" in str(error.value)


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "thesis.txt").write_text("mine")
    with pytest.raises(services.ServerError, match="thesis.txt"):
        services.MariaDB(tmp_path).start()
    assert (tmp_path / "data" / "thesis.txt").read_text() == "mine"


def verify(server, *options) -> str:
    """What openssl's client says of the server's certificate."""
    done = subprocess.run(
        ["openssl", "s_client", "-starttls", "mysql", "-connect", f"127.0.0.1:{server.port}",
         *options],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=False)
    lines = [line.strip() for line in done.stdout.splitlines() if "Verif" in line]
    return lines[0] if lines else done.stderr


def test_mariadb_with_tls(tmp_path):
    other = services.make_certificates(tmp_path / "other")
    long_path = tmp_path.joinpath(*["long"] * 30)  # longer than a unix socket's may be
    options = {"require-secure-transport": "ON"}
    with services.MariaDB(long_path, tls=True, options=options) as server:
        ours = ["-CAfile", str(server.certificates.authority)]
        assert verify(server, *ours, "-verify_ip", "127.0.0.1") == "Verification: OK"
        assert verify(server, *ours, "-verify_hostname", "localhost") == "Verification: OK"
        assert "Verification error" in verify(server, *ours, "-verify_hostname", "other.example")
        assert "Verification error" in verify(server, "-CAfile", str(other.authority))
        assert server.sql("SELECT @@have_ssl") == [["YES"]]
        with pytest.raises(services.SqlError):
            Connection(("127.0.0.1", server.port), "resvd")
        socket_folder = server.socket.parent
        server.kill()
        server.start()
    assert not socket_folder.exists()


def test_many_start_at_once(tmp_path):
    servers = [services.MariaDB(tmp_path / str(number)) for number in range(4)]
    threads = [threading.Thread(target=server.start) for server in servers]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [server.sql("SELECT 1") for server in servers] == [[["1"]]] * 4
    finally:
        for server in servers:
            server.kill()
            server.wipe()


# --- Redis and Kafka ----------------------------------------------------------------------------


def test_redis_keeps_its_data_over_a_kill(tmp_path):
    with services.Redis(tmp_path / "node", options={"appendfsync": "always"}) as node:
        assert node.call("SET", "stock", 10) == "OK"
        assert node.call("INCR", "stock") == 11
        assert node.call("GET", "nothing") is None
        assert node.call("CONFIG", "GET", "appendonly") == ["appendonly", "yes"]
        with pytest.raises(services.RedisError, match="^ERR"):
            node.call("NONSENSE")
        node.kill()
        node.start()
        assert node.call("GET", "stock") == "11"
        assert node.call("DBSIZE") == 1  # what asked whether it is ready is gone
        assert node.stop() == 0


def test_kafka_cluster_goes_on_without_one(tmp_path):
    with services.KafkaCluster(tmp_path, brokers=3) as cluster:
        assert cluster.bootstrap.count(",") == 2
        for node in cluster.nodes:
            node.ask()
        assert "Kafka Server started" in cluster.nodes[0].log()
        cluster.nodes[0].kill()
        cluster.nodes[1].ask()
        cluster.nodes[0].start(wait=False)
        cluster.nodes[0].wait_ready()
        identities = [process.Identity.of(node.pid) for node in cluster.nodes]
    assert not any(one.is_alive() for one in identities)
    assert not (tmp_path / "kafka-1" / "data").exists()
