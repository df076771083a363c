"""Starting on MariaDB: what is set wrong is said in one clear line that names the setting to change;
sockets, names and TLS; several resvd at once on an empty database.
"""

from __future__ import annotations

import socket
import threading
import time

import pytest
from database_fixtures import (
    CONFIGURATION,
    HONEST,
    SMALL,
    UNREACHABLE,
    Database,
    reserve,
    strategy_options,
    timed,
    wait_until,
)
from resvd_process import free_port
from services import MariaDB, make_certificates

SECRET = "correct-horse-battery"


@pytest.fixture(scope="module")
def secured(mariadb):
    """A user with a password."""
    mariadb.sql(f"CREATE USER careful@'%' IDENTIFIED BY '{SECRET}'", database=None)
    return mariadb


# --- logging in -----------------------------------------------------------------------------------


def test_wrong_password(secured, database, refused):
    refused("pessimistic", CONFIGURATION, "[database] user and password", "careful",
            **database.options(user="careful", password="guess-guess"))


def test_no_password(secured, database, refused):
    refused("pessimistic", CONFIGURATION, "[database] user and password", **database.options(user="careful"))


def test_password_from_a_file(secured, database, serve, tmp_path):
    secured.sql(f"GRANT ALL PRIVILEGES ON {database.name}.* TO careful@'%'")
    path = tmp_path / "password"
    path.write_text(SECRET + "\n")
    server = serve(database, "pessimistic", link={"user": "careful", "password_file": str(path)})
    assert reserve(server).status == 201
    assert SECRET not in server.log()


def test_unknown_user(database, refused):
    refused("grouped", CONFIGURATION, "[database] user", "nobody-knows-me",
            **database.options(user="nobody-knows-me"))


def test_unknown_database(secured, database, refused):
    """A user who may see that there is none."""
    secured.sql("GRANT ALL PRIVILEGES ON *.* TO careful@'%'")
    try:
        refused("pessimistic", CONFIGURATION, "[database] name", "no_such_database",
                **database.options(user="careful", password=SECRET, name="no_such_database"))
    finally:
        secured.sql("REVOKE ALL PRIVILEGES ON *.* FROM careful@'%'")


def test_database_of_others(mariadb, refused):
    """A database that this user may not enter."""
    other = Database(mariadb, "resvd_of_others", create=False)
    mariadb.sql("CREATE DATABASE resvd_of_others", database=None)
    refused("pessimistic", CONFIGURATION, "[database] user", "resvd_of_others", "GRANT", **other.options())


@pytest.mark.parametrize(("kind", "lacking"), [
    ("pessimistic", "CREATE"), ("grouped", "CREATE"), ("procedure", "CREATE ROUTINE"),
])
def test_missing_privilege(secured, database, refused, kind, lacking):
    """On an empty database: the line names the privilege and who lacks it."""
    have = {"SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "ALTER", "INDEX", "REFERENCES", "DROP",
            "EXECUTE", "CREATE ROUTINE", "ALTER ROUTINE"} - {lacking}
    secured.sql(f"GRANT {', '.join(sorted(have))} ON {database.name}.* TO careful@'%'")
    refused(kind, CONFIGURATION, lacking, "careful",
            **database.options(user="careful", password=SECRET))


def test_missing_execute(secured, database, serve, refused):
    """The procedure is there, and this user may not call it."""
    serve(database, "procedure").stop()
    secured.sql(f"GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX, REFERENCES, DROP ON "
                f"{database.name}.* TO careful@'%'")
    refused("procedure", CONFIGURATION, "EXECUTE", "careful",
            **database.options(user="careful", password=SECRET))


@pytest.mark.parametrize("kind", [kind for kind in HONEST if kind != "procedure"])
def test_statements_need_no_routine(secured, database, serve, kind):
    """Whoever does not use the procedure does not need the privileges for it."""
    secured.sql(f"GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX, REFERENCES, DROP ON "
                f"{database.name}.* TO careful@'%'")
    server = serve(database, kind, link={"user": "careful", "password": SECRET})
    assert reserve(server).status == 201


def test_newer_schema(database, serve, refused):
    server = serve(database, "pessimistic")
    assert reserve(server).status == 201
    assert server.stop() == 0
    database.sql("INSERT INTO schema_migrations VALUES (999, 0, 'of the future')")
    refused("grouped", CONFIGURATION, "schema version 999", "[database] name", **database.options())
    database.sql("DELETE FROM schema_migrations WHERE version = 999")
    assert len(database.rows()) == 1
    serve(database, "grouped", reset=None)


def test_database_of_another_program(mariadb, database, refused):
    """Tables of the same names that resvd has not made are left alone."""
    database.sql("CREATE TABLE concerts (id INT PRIMARY KEY, name TEXT); "
                 "INSERT INTO concerts VALUES (1, 'theirs')")
    refused("pessimistic", CONFIGURATION, "[database] name", **database.options())
    assert database.sql("SELECT * FROM concerts") == [["1", "theirs"]]


# --- reaching it ----------------------------------------------------------------------------------


def test_nobody_there(database, refused):
    port = free_port()
    _, seconds = timed(refused, "pessimistic", UNREACHABLE, "[database] host", str(port),
                       **database.options(port=port))
    assert 1.0 < seconds < 6


def test_server_that_comes_later(tmp_path, start):
    """Tried again until start_timeout_ms; ready once it is there."""
    mariadb = MariaDB(tmp_path / "mariadb", options=SMALL)
    try:
        server = start(wait=False, **strategy_options("pessimistic"), database__host="127.0.0.1",
                       database__port=mariadb.port)
        time.sleep(1.0)
        assert server.process.poll() is None, server.log()
        assert server.admin("GET", "/livez").status == 200
        assert server.admin("GET", "/readyz").status == 503
        mariadb.start()
        server.wait_ready(10)
        assert server.stop() == 0
    finally:
        mariadb.kill()


@pytest.mark.parametrize("link", [
    {"host": "no-such-host.invalid"}, {"socket": "/nonexistent/mariadb.sock"},
])
def test_nowhere(database, refused, link):
    setting, value = next(iter(link.items()))
    refused("grouped", UNREACHABLE, f"[database] {setting}", value, **database.options(**link))


@pytest.mark.parametrize("greeting", [
    b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0\0\0\0", b"", None, b"\xff" * 4096, b"SSH-2.0-OpenSSH_9\r\n",
])
def test_not_a_mysql_server(database, refused, greeting):
    """None: it says nothing at all, and keeps the connection open."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        kept = []

        def serve_nonsense() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                try:
                    if greeting is not None:
                        connection.sendall(greeting)
                        connection.close()
                except OSError:
                    pass
                kept.append(connection)

        thread = threading.Thread(target=serve_nonsense, daemon=True)
        thread.start()
        port = listener.getsockname()[1]
        _, seconds = timed(refused, "pessimistic", UNREACHABLE, "[database]", str(port),
                           **database.options(port=port, connect_timeout_ms=400))
        assert seconds < 6
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def test_too_many_connections_at_start(own_mariadb, own_database, refused):
    own_mariadb.sql("SET GLOBAL max_connections = 10")
    others = []
    try:
        while True:
            others.append(own_mariadb.connect("resvd", own_database.name))
    except Exception as error:
        assert "1040" in str(error), error
    refused("pessimistic", UNREACHABLE, "max_connections", **own_database.options())


def test_unix_socket(mariadb, database, serve, kind):
    server = serve(database, kind, link={"socket": str(mariadb.socket), "host": None, "port": None})
    assert reserve(server, key="k").status == 201
    hosts = database.sql(f"SELECT host FROM information_schema.processlist WHERE db = '{database.name}' "
                         "AND user = 'resvd'")
    assert hosts and {row[0] for row in hosts} == {"localhost"}
    database.check()


def test_host_is_a_name(database, serve, kind):
    server = serve(database, kind, link={"host": "localhost"})
    assert reserve(server).status == 201
    hosts = database.sql(f"SELECT host FROM information_schema.processlist WHERE db = '{database.name}' "
                         "AND user = 'resvd'")
    assert hosts and all(":" in row[0] for row in hosts), "a name is reached over TCP"


# --- TLS ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tls_server(tmp_path_factory):
    with MariaDB(tmp_path_factory.mktemp("tls"), options=SMALL, tls=True) as server:
        yield server


@pytest.fixture
def tls_database(tls_server):
    return Database(tls_server)


@pytest.mark.parametrize("mode", ["required", "verify_ca", "verify_identity"])
def test_tls(tls_server, tls_database, serve, mode):
    """The server lets this user in by TLS only."""
    tls_server.sql("CREATE OR REPLACE USER guarded@'%' REQUIRE SSL; "
                   f"GRANT ALL PRIVILEGES ON {tls_database.name}.* TO guarded@'%'")
    link = {"user": "guarded", "ssl_mode": mode}
    if mode != "required":
        link["ssl_ca"] = str(tls_server.certificates.authority)
    server = serve(tls_database, "grouped", link=link)
    assert reserve(server).status == 201
    tls_database.check()


def test_tls_verifies_a_name(tls_server, tls_database, serve):
    link = {"host": "localhost", "ssl_mode": "verify_identity",
            "ssl_ca": str(tls_server.certificates.authority)}
    assert reserve(serve(tls_database, "pessimistic", link=link)).status == 201


@pytest.mark.parametrize("mode", ["verify_ca", "verify_identity"])
def test_tls_of_a_wrong_authority(tls_database, refused, tmp_path, mode):
    other = make_certificates(tmp_path / "other")
    refused("pessimistic", CONFIGURATION, "[database]", "ssl_ca", "self-signed",
            **tls_database.options(ssl_mode=mode, ssl_ca=other.authority))


def test_tls_of_a_wrong_name(tmp_path, tmp_path_factory, serve, refused):
    certificates = make_certificates(tmp_path / "tls", names=("DNS:elsewhere.example",))
    with MariaDB(tmp_path_factory.mktemp("tls"), options=SMALL, tls=certificates) as mariadb:
        database = Database(mariadb)
        authority = {"ssl_ca": str(certificates.authority)}
        refused("pessimistic", CONFIGURATION, "[database]", "verify_identity", "'127.0.0.1'",
                **database.options(ssl_mode="verify_identity", **authority))
        server = serve(database, "pessimistic", link={"ssl_mode": "verify_ca", **authority})
        assert reserve(server).status == 201
        assert server.stop() == 0


@pytest.mark.parametrize("mode", ["required", "verify_ca", "verify_identity"])
def test_tls_that_the_server_does_not_have(mariadb, database, refused, tmp_path, mode):
    """Never in clear text where TLS was asked for."""
    link = {"ssl_mode": mode}
    if mode != "required":
        link["ssl_ca"] = make_certificates(tmp_path / "tls").authority
    refused("pessimistic", CONFIGURATION, "[database] ssl_mode", **database.options(**link))


def test_tls_authority_that_is_not_there(tls_database, refused):
    refused("pessimistic", CONFIGURATION, "[database]", "ssl_ca", "/nonexistent/ca.pem",
            **tls_database.options(ssl_mode="verify_ca", ssl_ca="/nonexistent/ca.pem"))


# --- several at once ------------------------------------------------------------------------------


def test_several_start_at_once(mariadb, serve, start):
    """Three processes on an empty database, ten times: all become ready, on one schema."""
    for number in range(10):
        database = Database(mariadb)
        kinds = ["pessimistic", "procedure", "grouped"]
        servers = [start(wait=False, **database.options(), **strategy_options(kind),
                         server__allow_reset="on") for kind in kinds]
        for server in servers:
            server.wait_ready()
        versions = database.sql("SELECT version FROM schema_migrations ORDER BY version")
        assert versions == [[str(i + 1)] for i in range(len(versions))] and versions
        servers[number % 3].reset(concerts=1, capacity=10, members=3)
        for member, server in enumerate(servers, 1):
            assert reserve(server, 1, member).status == 201
        assert len(database.rows()) == 3
        database.check()
        for server in servers:
            assert server.stop() == 0


def test_killed_while_it_makes_the_schema(mariadb, start):
    """At moments spread over the start: the next one finishes what was begun."""
    for number in range(12):
        database = Database(mariadb)
        options = {**database.options(), **strategy_options("procedure")}
        server = start(wait=False, **options)
        time.sleep(0.004 * number)
        server.kill()
        again = start(**options)
        assert again.ask("GET", "/api/concerts").json() == {"items": [], "nextCursor": None}
        assert again.audit()["consistent"] is True
        assert again.stop() == 0


def test_restart_keeps_everything(database, serve, kind):
    server = serve(database, kind)
    first = reserve(server, key="k", quantity=5)
    assert server.stop() == 0
    wait_until(lambda: not database.sessions_of_resvd(), "its sessions are closed")
    server = serve(database, kind, reset=None)
    again = reserve(server, key="k", quantity=5)
    assert again.json() == first.json() and again.headers["idempotent-replay"] == "true"
    assert server.ask("GET", first.headers["location"]).json() == first.json()
    database.check()
