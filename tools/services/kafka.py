"""Apache Kafka in KRaft mode: a broker that is its own controller, or a cluster of them.

    with Kafka(folder) as broker:
        broker.bootstrap                    # "127.0.0.1:PORT", for bootstrap.servers
    with KafkaCluster(folder, brokers=3) as cluster:
        cluster.bootstrap; cluster.nodes[0].kill()
"""

from __future__ import annotations

import base64
import re
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path

from services import kafka_wire, ports
from services.kafka_jars import ensure_jars
from services.ports import LOOPBACK
from services.service import NotYet, Service, find_program, run_quietly

FORMAT_TIMEOUT_S = 120.0
HEAP_MB = 512
CLUSTER_HEAP_MB = 256

SHORT_SESSIONS = {"broker.session.timeout.ms": 3000, "broker.heartbeat.interval.ms": 500}

LOGGING = {
    "org.slf4j.simpleLogger.defaultLogLevel": "info",
    "org.slf4j.simpleLogger.showDateTime": "true",
    "org.slf4j.simpleLogger.dateTimeFormat": "yyyy-MM-dd HH:mm:ss.SSS",
    "org.slf4j.simpleLogger.showThreadName": "false",
    # Hundreds of lines with every setting there is.
    "org.slf4j.simpleLogger.log.kafka.server.KafkaConfig": "warn",
    "org.slf4j.simpleLogger.log.org.apache.kafka.common.config.AbstractConfig": "warn",
}


@dataclass(frozen=True)
class Voter:
    """A member of the cluster, as every other one must know it."""

    node_id: int
    controller_port: int


def new_cluster_id() -> str:
    """22 characters; not with a dash first, which the format tool would take for a flag."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[:22]
        if not text.startswith("-"):
            return text


class Kafka(Service):
    """One broker. options: more lines of server.properties, by name; they win.

    voters and cluster_id: only for a member of a cluster; see KafkaCluster.
    """

    kind = "kafka"
    start_timeout_s = 90.0

    def __init__(self, folder, port: int | None = None, *, controller_port: int | None = None,
                 node_id: int = 1, voters: list[Voter] | None = None, cluster_id: str | None = None,
                 heap_mb: int = HEAP_MB, options: dict | None = None, **common):
        super().__init__(folder, port, **common)
        self.node_id = node_id
        self.controller_port = controller_port or ports.free_port()
        self.voters = voters or [Voter(node_id, self.controller_port)]
        self.cluster_id = cluster_id
        self.heap_mb = heap_mb
        self.options = dict(options or {})
        self.properties = self.folder / "server.properties"
        self.formatted = self.folder / "formatted"

    @property
    def bootstrap(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    def listens_on(self) -> list[int]:
        return [self.port, self.controller_port]

    # --- starting ---

    def settings(self) -> dict:
        members = len(self.voters)
        copies = min(members, 3)
        in_sync = 2 if copies == 3 else 1
        plain, control = f"PLAINTEXT://{LOOPBACK}", f"CONTROLLER://{LOOPBACK}"
        return {
            "process.roles": "broker,controller",
            "node.id": self.node_id,
            "controller.quorum.voters": ",".join(
                f"{voter.node_id}@{LOOPBACK}:{voter.controller_port}" for voter in self.voters),
            "listeners": f"{plain}:{self.port},{control}:{self.controller_port}",
            "advertised.listeners": f"{plain}:{self.port}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "PLAINTEXT",
            "log.dirs": self.data_dir,
            "default.replication.factor": copies,
            "min.insync.replicas": in_sync,
            "offsets.topic.replication.factor": copies,
            "offsets.topic.num.partitions": 1,
            "transaction.state.log.replication.factor": copies,
            "transaction.state.log.min.isr": in_sync,
            "group.initial.rebalance.delay.ms": 0,
            # Members that stop together would wait for each other to take over.
            "controlled.shutdown.enable": "true" if members == 1 else "false",
            # One that was killed is let in again only when its last session is over.
            **({} if self.lasting else SHORT_SESSIONS),
            **self.options,
        }

    def prepare(self) -> None:
        (self.folder / "tmp").mkdir(exist_ok=True)
        self.properties.write_text(
            "".join(f"{name}={value}\n" for name, value in self.settings().items()))
        if self.formatted.exists():
            return
        self.data_dir.mkdir(parents=True, exist_ok=True)
        for leftover in self.data_dir.glob("*meta*"):  # of a format that was interrupted
            if leftover.is_dir():
                shutil.rmtree(leftover)
            else:
                leftover.unlink()
        self.cluster_id = self.cluster_id or new_cluster_id()
        run_quietly(
            [*self.java("-Xmx128m", "-XX:TieredStopAtLevel=1"), "kafka.tools.StorageTool",
             "format", "--ignore-formatted", "-t", self.cluster_id, "-c", self.properties], "formatting Kafka's folder",
            FORMAT_TIMEOUT_S)
        self.formatted.touch()

    def java(self, *flags: str) -> list:
        """With nothing written outside the folder."""
        return [find_program("java", "default-jre-headless"), *flags, "-XX:-UsePerfData",
                f"-Djava.io.tmpdir={self.folder / 'tmp'}", "-Djava.awt.headless=true",
                *(f"-D{name}={value}" for name, value in LOGGING.items()),
                "-cp", f"{ensure_jars()}/*"]

    def command(self) -> list:
        return [*self.java(f"-Xmx{self.heap_mb}m", "-XX:+ExitOnOutOfMemoryError"),
                "kafka.Kafka", self.properties]

    def wipe(self) -> None:
        super().wipe()
        self.formatted.unlink(missing_ok=True)

    # --- asking ---

    def ask(self) -> None:
        """The broker is in service once the controller counts it among the brokers."""
        brokers = kafka_wire.known_brokers((LOOPBACK, self.port))
        if brokers.get(self.node_id) != (LOOPBACK, self.port):
            raise NotYet("the broker is not registered yet")

    def ask_ready(self) -> None:
        brokers = kafka_wire.known_brokers((LOOPBACK, self.port), timeout_s=2.0)
        missing = [voter.node_id for voter in self.voters if voter.node_id not in brokers]
        if missing:
            raise NotYet(f"brokers {missing} are not registered yet")


class KafkaCluster:
    """Brokers that replicate to each other; each is as Kafka above.

    listens: (port, controller port) of each; free ones by default.
    """

    def __init__(self, folder, brokers: int = 3, *, listens: list[tuple[int, int]] | None = None,
                 names: list[str] | None = None, options: dict | None = None,
                 heap_mb: int | None = None, **common):
        self.folder = Path(folder).absolute()
        names = names or [f"kafka-{number}" for number in range(1, brokers + 1)]
        listens = listens or [(ports.free_port(), ports.free_port()) for _ in names]
        voters = [Voter(number, control) for number, (_, control) in enumerate(listens, 1)]
        cluster_id = self.find_cluster_id(names) or new_cluster_id()
        heap_mb = heap_mb or (HEAP_MB if brokers == 1 else CLUSTER_HEAP_MB)
        self.nodes = [
            Kafka(self.folder / name, port, controller_port=control, node_id=number, voters=voters,
                  cluster_id=cluster_id, options=options, heap_mb=heap_mb, name=name, **common)
            for number, (name, (port, control)) in enumerate(zip(names, listens), 1)]

    def find_cluster_id(self, names: list[str]) -> str | None:
        """Of the members that were formatted before, should some be missing."""
        for name in names:
            try:
                text = (self.folder / name / "data" / "meta.properties").read_text()
            except OSError:
                continue
            match = re.search(r"^cluster\.id=(\S+)$", text, re.MULTILINE)
            if match:
                return match[1]
        return None

    @property
    def bootstrap(self) -> str:
        return ",".join(node.bootstrap for node in self.nodes)

    def start(self) -> KafkaCluster:
        try:
            for node in self.nodes:
                node.start(wait=False)
            for node in self.nodes:
                node.wait_ready()
        except BaseException:
            self.kill()
            raise
        return self

    def stop(self) -> None:
        for node in self.nodes:
            if node.running:
                node.process.terminate()
        for node in self.nodes:
            node.stop()

    def kill(self) -> None:
        for node in self.nodes:
            node.kill()

    def __enter__(self) -> KafkaCluster:
        return self.start()

    def __exit__(self, *_) -> None:
        self.kill()
        for node in self.nodes:
            if not node.keep_data:
                node.wipe()
