"""Which servers make up the local stack, on which ports and in which folders.

The ports are those that resvd's defaults name; compose.yaml has the same ones.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from services.kafka import KafkaCluster
from services.mariadb import MariaDB
from services.process import ServerError
from services.redis import Redis
from services.service import MARK, Service

TOP = Path(__file__).resolve().parents[2]
FOLDER = TOP / "var" / "services"
BROKERS_MAX = 3
BROKERS = (1, BROKERS_MAX)  # one, or as many as go on without one of them

PORTS = {
    "mariadb": 3306,
    "redis-stock": 6379,
    "redis-lock-1": 6380,
    "redis-lock-2": 6381,
    "redis-lock-3": 6382,
    "kafka-1": 9092,
    "kafka-2": 9093,
    "kafka-3": 9094,
}
CONTROLLER_PORTS = {"kafka-1": 19092, "kafka-2": 19093, "kafka-3": 19094}
GROUPS = ("mariadb", "redis", "kafka")
PORTS_COUNT = len(PORTS) + len(CONTROLLER_PORTS)


class UsageError(Exception):
    """What was asked for makes no sense; the text says why."""


def group_of(name: str) -> str:
    return name.partition("-")[0]


class Stack:
    """The servers by name, whether they run or not.

    port_base: ports from there on instead of the usual ones, for a second stack beside the first.
    """

    def __init__(self, folder=FOLDER, port_base: int | None = None):
        self.folder = Path(folder).absolute()
        self.ports = dict(PORTS)
        self.controller_ports = dict(CONTROLLER_PORTS)
        if port_base is not None:
            self.ports = {name: port_base + at for at, name in enumerate(PORTS)}
            self.controller_ports = {
                name: port_base + len(PORTS) + at for at, name in enumerate(CONTROLLER_PORTS)}

    def select(self, names: list[str], brokers: int | None = None) -> list[Service]:
        """The servers of these groups or names; no names: all. brokers: as many of Kafka; by
        default as many as there are, else one."""
        every = self.services(brokers or self.existing_brokers() or 1)
        known = {*GROUPS, *(service.name for service in every)}
        for name in names:
            if name not in known:
                single = ", ".join(service.name for service in every)
                raise UsageError(f"there is no server {name!r}; there are {', '.join(GROUPS)}, "
                                 f"and one by one {single}")
        return [service for service in every
                if not names or service.name in names or group_of(service.name) in names]

    def services(self, brokers: int) -> list[Service]:
        servers: list[Service] = [MariaDB(
            self.folder / "mariadb", self.ports["mariadb"], name="mariadb", lasting=True)]
        servers += [
            Redis(self.folder / name, port, name=name, lasting=True)
            for name, port in self.ports.items() if group_of(name) == "redis"]
        names = [name for name in self.ports if group_of(name) == "kafka"][:brokers]
        listens = [(self.ports[name], self.controller_ports[name]) for name in names]
        cluster = KafkaCluster(self.folder, brokers, names=names, listens=listens, lasting=True)
        return servers + cluster.nodes

    def existing_brokers(self) -> int | None:
        """Of how many brokers the Kafka is that has data here. None: there is none yet."""
        for name in CONTROLLER_PORTS:
            folder = self.folder / name
            try:
                text = (folder / "server.properties").read_text()
            except OSError:
                continue
            voters = re.search(r"^controller\.quorum\.voters=(.*)$", text, re.MULTILINE)
            if voters and (folder / "formatted").exists():
                return voters[1].count("@")
        return None

    def require_brokers(self, brokers: int | None) -> None:
        """A KRaft quorum keeps the number of voters that it was made with."""
        existing = self.existing_brokers()
        if brokers and existing and brokers != existing:
            raise ServerError(
                f"kafka: its data was made with --brokers {existing}, not {brokers}; to begin anew: ./dev services reset kafka --brokers {brokers}")


def wipe(service: Service) -> None:
    """Everything of a server that is down: its data, its log, its folder."""
    if not service.folder.exists():
        return
    if not (service.folder / MARK).exists():
        raise ServerError(f"{service.folder} was not made by ./dev services: it stays as it is")
    shutil.rmtree(service.folder)
