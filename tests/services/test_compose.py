"""compose.yaml: valid by the Compose specification, and the same servers as ./dev services."""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from resvd_process import run_resvd
from services.kafka import Kafka
from services.mariadb import DATABASE, OPTIONS as MARIADB_OPTIONS, USER
from services.redis import OPTIONS as REDIS_OPTIONS
from services.stack import CONTROLLER_PORTS, PORTS

TOP = Path(__file__).resolve().parents[2]
FILE = TOP / "compose.yaml"
MYSQL_PORT = 3307
# Settings that are about a short start or about folders; the images have their own.
NOT_IN_COMPOSE = {"innodb-buffer-pool-load-at-startup", "innodb-buffer-pool-dump-at-shutdown",
                  "bind", "protected-mode", "daemonize"}


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load(FILE.read_text())


def check_schema(path: Path) -> subprocess.CompletedProcess:
    """By the copy of the specification's schema that the package check-jsonschema brings."""
    pytest.importorskip("check_jsonschema", reason="check-jsonschema is not installed")
    return subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", path],
        capture_output=True, text=True, timeout=60, check=False)


def test_valid_by_the_specification():
    done = check_schema(FILE)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("old, new", [
    ("    image: mariadb:10.11\n", "    imago: mariadb:10.11\n"),
    ("      - mariadb:/var/lib/mysql\n", "      - 17\n"),
    ("    content: |\n", "    contents: |\n"),
])
def test_the_schema_finds_mistakes(tmp_path, old, new):
    text = FILE.read_text()
    assert old in text
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(text.replace(old, new, 1))
    assert check_schema(wrong).returncode != 0


def published(service: dict) -> list[tuple[str, int]]:
    """Address and port on this machine."""
    return [(address, int(port)) for address, port, _ in
            (text.rsplit(":", 2) for text in service["ports"])]


def test_same_servers_on_the_same_ports(compose):
    wanted = {name: port for name, port in PORTS.items() if name not in ("kafka-2", "kafka-3")}
    wanted["mysql"] = MYSQL_PORT
    found = {}
    for name, service in compose["services"].items():
        for address, port in published(service):
            assert address == "127.0.0.1", f"{name} is published to the world"
            assert name not in found
            found[name] = port
    assert found == wanted
    assert [n for n, s in compose["services"].items() if s.get("profiles")] == ["mysql"]


def test_every_server_keeps_its_data_and_is_watched(compose):
    used = set()
    for name, service in compose["services"].items():
        volume, _, folder = service["volumes"][0].partition(":")
        assert volume in compose["volumes"] and folder.startswith("/"), name
        used.add(volume)
        assert service["healthcheck"]["test"][0] == "CMD", name
        assert re.fullmatch(r"[a-z]+(/[a-z]+)?:[\d.]+", service["image"]), "no host, and a version"
    assert used == set(compose["volumes"])


@pytest.mark.parametrize("name", ["mariadb", "mysql"])
def test_databases_have_our_settings_and_user(compose, name):
    service = compose["services"][name]
    given = dict(option.removeprefix("--").partition("=")[::2] for option in service["command"])
    wanted = {key: "" if value is None else str(value) for key, value in MARIADB_OPTIONS.items()
              if key not in NOT_IN_COMPOSE}
    assert given == wanted
    sql = compose["configs"][service["configs"][0]["source"]]["content"]
    assert service["configs"][0]["target"].endswith(".sql")
    assert f"CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin" in sql
    assert f"CREATE USER {USER}@'%';" in sql
    assert f"GRANT ALL PRIVILEGES ON {DATABASE}.* TO {USER}@'%'" in sql
    client = service["healthcheck"]["test"]
    assert f"--user={USER}" in client and client[-1] == DATABASE and "--protocol=tcp" in client


def test_redis_has_our_settings(compose):
    for name, service in compose["services"].items():
        if name.startswith("redis-"):
            words = service["command"][1:]
            given = dict(zip((word.removeprefix("--") for word in words[::2]), words[1::2]))
            assert given == {key: value for key, value in REDIS_OPTIONS.items()
                             if key not in NOT_IN_COMPOSE}, name


def test_kafka_has_our_settings(compose, tmp_path):
    given = {key.removeprefix("KAFKA_").lower().replace("_", "."): str(value)
             for key, value in compose["services"]["kafka-1"]["environment"].items()}
    broker = Kafka(tmp_path, PORTS["kafka-1"], controller_port=CONTROLLER_PORTS["kafka-1"],
                   lasting=True)
    wanted = {key: str(value) for key, value in broker.settings().items()}
    assert given.pop("heap.opts") == "-Xmx512m"
    assert given.pop("log.dirs") and wanted.pop("log.dirs")
    assert wanted.pop("controlled.shutdown.enable") == "true"  # the default
    listeners = given.pop("listeners").replace("://:", "://127.0.0.1:")  # the port is published
    assert listeners.replace("localhost", "127.0.0.1") == wanted.pop("listeners")
    assert given.pop("controller.quorum.voters").replace("localhost", "127.0.0.1") == wanted.pop(
        "controller.quorum.voters")
    assert given == wanted


def test_resvds_defaults_find_these_servers():
    """What resvd has no option for yet is not asked for."""
    printed = run_resvd("--print-default-config")
    assert printed.returncode == 0, printed.stderr
    parser = configparser.RawConfigParser(strict=False)
    parser.read_string(re.sub(r"^#+\s?(?=[\w.]+ =)", "", printed.stdout, flags=re.MULTILINE))
    locks = [f"127.0.0.1:{PORTS[f'redis-lock-{number}']}" for number in (1, 2, 3)]
    wanted = {
        ("database", "host"): ["127.0.0.1"],
        ("database", "port"): [str(PORTS["mariadb"])],
        ("database", "user"): [USER],
        ("database", "password"): [],
        ("database", "name"): [DATABASE],
        ("redis", "stock"): [f"127.0.0.1:{PORTS['redis-stock']}"],
        ("redis", "lock_nodes"): locks,
        ("kafka", "bootstrap.servers"): [f"127.0.0.1:{PORTS['kafka-1']}"],
    }
    for (section, option), value in wanted.items():
        if parser.has_option(section, option):
            assert re.findall(r"[^\s,]+", parser.get(section, option)) == value, (section, option)
