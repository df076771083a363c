"""embedded's file: damaged, of somebody else, not writable, full disk, failing fsync, second resvd.

Each is said clearly and loses nothing.
"""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest
from small_disks import MountError, small_disk_at

HERE = Path(__file__).resolve().parent
RESET = {"server__allow_reset": "on"}


def reserve(server, key: str | None = None, quantity: int = 1):
    body = {"concertId": 1, "memberId": 1, "quantity": quantity}
    return server.ask("POST", "/api/reservations", body, {"Idempotency-Key": key} if key else None)


def sell(start, folder=None, count: int = 20, **options):
    """A resvd that has sold `count` seats, and their ids."""
    server = start(folder=folder, **RESET, **options)
    server.reset(capacity=1_000_000)
    ids = [reserve(server, f"first-{i}").json()["id"] for i in range(count)]
    return server, ids


def check(server, ids, maybe=()) -> None:
    """All that was promised is there, and nothing that was not."""
    for reservation_id in ids:
        assert server.ask("GET", f"/api/reservations/{reservation_id}").status == 200
    found = sum(server.ask("GET", f"/api/reservations/{each}").status == 200 for each in maybe)
    audit = server.audit()
    assert audit["consistent"] is True
    assert audit["concerts"][0]["live"] == len(ids) + found


def refused(start, folder, code, *words: str, **options):
    server = start(folder=folder, wait=False, **options)
    assert server.wait_exit() == code, server.log()
    assert str(server.file) in server.log() and "[strategy.embedded] file" in server.log()
    for word in words:
        assert word in server.log(), server.log()
    return server


def without_root() -> list[str]:
    """Root may write everywhere; this makes it obey permissions as all others do."""
    if os.geteuid() != 0:
        return []
    dropped = "-dac_override,-dac_read_search,-fowner"
    return ["setpriv", "--bounding-set", dropped, "--inh-caps", dropped]


# --- files that are no use -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content", [b"This is no database.\n", b"x", b"SQLite format 3\0" + b"\0" * 50, os.urandom(8192)]
)
def test_no_database(start, tmp_path, content):
    (tmp_path / "resvd.db").write_bytes(content)
    refused(start, tmp_path, 78)
    assert (tmp_path / "resvd.db").read_bytes() == content


def test_empty_file_is_a_new_database(start, tmp_path):
    (tmp_path / "resvd.db").touch()
    server, ids = sell(start, tmp_path)
    check(server, ids)


def test_database_of_another_program(start, tmp_path):
    with sqlite3.connect(tmp_path / "resvd.db") as database:
        database.execute("CREATE TABLE treasure (a)")
        database.execute("INSERT INTO treasure VALUES (1)")
    before = (tmp_path / "resvd.db").read_bytes()
    refused(start, tmp_path, 78, "another program")
    assert (tmp_path / "resvd.db").read_bytes() == before


def test_newer_schema(start, tmp_path):
    server, ids = sell(start, tmp_path)
    assert server.stop() == 0
    with sqlite3.connect(server.file) as database:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        database.execute(f"PRAGMA user_version = {version + 1}")
        database.commit()
    refused(start, tmp_path, 78, f"schema version {version + 1}")
    with sqlite3.connect(server.file) as database:
        database.execute(f"PRAGMA user_version = {version}")
        database.commit()
    check(start(folder=tmp_path), ids)


@pytest.mark.parametrize("place", [0, 20, 100, 4096, 8192 + 7])
def test_damaged_file(start, tmp_path, place):
    """A page is overwritten: refused at start, or found while running; never a wrong answer."""
    server, ids = sell(start, tmp_path, count=300)
    assert server.stop() == 0
    data = bytearray(server.file.read_bytes())
    assert place < len(data)
    data[place : place + 64] = b"\xa5" * 64
    server.file.write_bytes(data)
    again = start(folder=tmp_path, wait=False)
    try:
        again.wait_ready()
    except AssertionError:
        assert again.wait_exit() in (69, 78), again.log()
        assert str(again.file) in again.log()
        return
    for reservation_id in ids[:50]:
        assert again.ask("GET", f"/api/reservations/{reservation_id}").status in (200, 503)


def test_cut_file(start, tmp_path):
    server, _ = sell(start, tmp_path, count=300)
    assert server.stop() == 0
    data = server.file.read_bytes()
    server.file.write_bytes(data[: len(data) // 2])
    again = start(folder=tmp_path, wait=False)
    assert again.wait_exit() in (69, 78)
    assert str(again.file) in again.log()


def test_folder_that_is_not_there(start, tmp_path):
    path = tmp_path / "no" / "such" / "resvd.db"
    server = start(folder=tmp_path, wait=False, strategy__embedded__file=str(path))
    assert server.wait_exit() == 78
    assert str(path) in server.log()


def test_file_is_a_folder(start, tmp_path):
    (tmp_path / "resvd.db").mkdir()
    refused(start, tmp_path, 78)


def test_folder_not_writable(start, tmp_path):
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o755)
    server = start(
        folder=tmp_path,
        wait=False,
        wrapper=without_root(),
        strategy__embedded__file=str(folder / "resvd.db"),
        preexec=lambda: os.chmod(folder, 0o555),
    )
    assert server.wait_exit() == 78, server.log()
    assert str(folder / "resvd.db") in server.log() and "writable" in server.log()
    os.chmod(folder, 0o755)
    assert list(folder.iterdir()) == []


def test_file_not_writable(start, tmp_path):
    server, ids = sell(start, tmp_path)
    assert server.stop() == 0
    os.chmod(server.file, 0o444)
    refused(start, tmp_path, 78, "writable", wrapper=without_root())
    os.chmod(server.file, 0o644)
    check(start(folder=tmp_path), ids)


def test_second_resvd_on_the_same_file(start, tmp_path):
    first, ids = sell(start, tmp_path)
    second = refused(start, tmp_path, 69, "in use by another resvd", str(first.pid))
    assert str(second.pid) not in second.log().split("in use")[1].split(")")[0]
    check(first, ids)
    # Also under another name of the same file.
    link = tmp_path / "link.db"
    link.symlink_to(first.file)
    third = start(folder=tmp_path, wait=False, strategy__embedded__file=str(link))
    assert third.wait_exit() == 69, third.log()
    first.kill()
    check(start(folder=tmp_path), ids)


# --- faults while running ------------------------------------------------------------------------------


def try_until(server, status: int, prefix: str, timeout_s: float = 20.0) -> tuple[list, list]:
    """Asks with new keys until the answer has this status; gives ids granted and ids unknown."""
    granted, unknown = [], []
    give_up = time.monotonic() + timeout_s
    for i in range(1_000_000):
        answer = reserve(server, f"{prefix}-{i}")
        if answer.status == 201:
            granted.append(answer.json()["id"])
        elif answer.status == 500:
            problem = answer.problem(500, "unknown-outcome")
            assert answer.headers["location"] == "/api/reservations/" + problem["id"]
            unknown.append(problem["id"])
        else:
            answer.problem(503, "unavailable")
            assert int(answer.headers["retry-after"]) > 0
        if answer.status == status:
            return granted, unknown
        assert time.monotonic() < give_up, (len(granted), len(unknown), answer.raw)
        if answer.status == 503:
            time.sleep(0.01)
    raise AssertionError


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 4 MiB where we may mount one; else None."""
    try:
        with small_disk_at(tmp_path / "disk", 4) as folder:
            yield folder
    except MountError:
        yield None


def test_disk_full(small_disk, tmp_path, start):
    if small_disk is None:
        return file_size_limit(start)
    file = {"strategy__embedded__file": str(small_disk / "resvd.db")}
    server, ids = sell(start, tmp_path, **file)
    filler = small_disk / "filler"
    with open(filler, "wb", buffering=0) as out:
        try:
            while True:
                out.write(b"\0" * 4096)
        except OSError:
            pass
    granted, unknown = try_until(server, 503, "full")
    ids += granted
    for _ in range(20):  # reads go on
        assert server.ask("GET", f"/api/reservations/{ids[0]}").status == 200
    assert server.process.poll() is None
    filler.unlink()
    granted, more = try_until(server, 201, "freed")
    check(server, ids + granted, unknown + more)
    ids += granted
    server.kill()
    check(start(folder=tmp_path, **file), ids, unknown + more)


def file_size_limit(start):
    """Where nothing can be mounted: files may not grow beyond 400 KB."""

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))

    server, ids = sell(start, preexec=limit)
    granted, unknown = try_until(server, 503, "limit")
    ids += granted
    assert server.ask("GET", f"/api/reservations/{ids[0]}").status == 200
    server.kill()
    check(start(folder=server.folder), ids, unknown)


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    path = tmp_path_factory.mktemp("shim") / "faulty_disk.so"
    subprocess.run(
        [os.environ.get("CC", "cc").split()[-1], "-shared", "-fPIC", "-O1", "-Wall", "-Werror",
         str(HERE / "faulty_disk.c"), "-o", str(path), "-ldl"],
        check=True,
    )
    return path


def shimmed(start, shim, flag, folder=None):
    environment = {
        "LD_PRELOAD": str(shim),
        "RESVD_TEST_FAULT": str(flag),
        "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0",
    }
    return sell(start, folder, environment=environment)


def test_fsync_fails(start, shim, tmp_path):
    """The commit whose fsync failed is UNKNOWN; nothing later is promised until the disk is well."""
    flag = tmp_path / "fault"
    server, ids = shimmed(start, shim, flag, tmp_path)
    flag.touch()
    answer = reserve(server, "doubtful", 3)
    problem = answer.problem(500, "unknown-outcome")
    location = answer.headers["location"]
    assert location == "/api/reservations/" + problem["id"]
    for i in range(10):
        assert reserve(server, f"during-{i}").status in (500, 503)
    assert server.admin("GET", "/livez").status == 200
    assert server.ask("GET", f"/api/reservations/{ids[0]}").status == 200
    flag.unlink()
    granted, _ = try_until(server, 201, "well")
    again = reserve(server, "doubtful", 3)
    assert again.status == 201
    assert again.headers["location"] == location
    assert server.ask("GET", location).json()["quantity"] == 3
    assert server.admin("GET", "/readyz").status == 200
    ids += granted
    assert server.audit()["consistent"] is True
    server.kill()
    after = start(folder=tmp_path)
    assert after.audit()["consistent"] is True
    for reservation_id in [*ids, problem["id"]]:
        assert after.ask("GET", f"/api/reservations/{reservation_id}").status == 200


def test_fsync_fails_then_kill(start, shim, tmp_path):
    """Killed while in doubt: what was promised before is there, the doubtful are whole or gone."""
    for round_number in range(5):
        flag = tmp_path / f"fault-{round_number}"
        folder = tmp_path / f"round-{round_number}"
        server, ids = shimmed(start, shim, flag, folder)
        flag.touch()
        doubtful = []
        for i in range(5):
            answer = reserve(server, f"doubtful-{i}")
            assert answer.status in (500, 503)
            if answer.status == 500:
                doubtful.append(answer.json()["id"])
        assert doubtful
        server.kill()
        check(start(folder=folder), ids, doubtful)


def test_fsync_fails_again_and_again(start, shim, tmp_path):
    flag = tmp_path / "fault"
    server, ids = shimmed(start, shim, flag, tmp_path)
    unknown = []
    for round_number in range(6):
        flag.touch()
        answer = reserve(server, f"bad-{round_number}")
        if answer.status == 500:
            unknown.append(answer.json()["id"])
        flag.unlink()
        granted, more = try_until(server, 201, f"good-{round_number}")
        ids += granted
        unknown += more
    check(server, ids, unknown)
    server.kill()
    check(start(folder=tmp_path), ids, unknown)


def test_file_is_taken_away_while_running(start, tmp_path):
    """Somebody deletes the file: no crash, and no answer that is not true of the file we hold."""
    server, ids = sell(start, tmp_path)
    server.file.unlink()
    answer = reserve(server, "after")
    assert answer.status in (201, 500, 503)
    assert server.ask("GET", f"/api/reservations/{ids[0]}").status in (200, 503)
    assert server.admin("GET", "/livez").status == 200
    server.kill()
