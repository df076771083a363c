"""The peer: a small Spring Boot application of the source study's architecture (peers/spring) that
resvd is measured beside: built by Maven, started, loaded by the same wrk, audited by its tables.

It has two paths (`lock`: a lock in Redis around a transaction; `async`: Redis, Kafka, a consumer)
and two settings: `published` is as the study has it, `fair` as somebody would set it who wants no
seat sold twice, a 202 that means something, and good figures.
"""

import fcntl
import hashlib
import http.client
import json
import os
import pathlib
import re
import shutil
import socket
import time
import zipfile

import database as database_of
import load
import plan
import servers
import summary
import written_behind
from facts import output_of
from services.process import resident_bytes  # servers has made the folder known
from services.service import find_program, run_quietly

TOP = pathlib.Path(__file__).resolve().parent.parent
SOURCES = TOP / "bench" / "peers" / "spring"
CACHE = TOP / ".cache" / "peer"
BUILD_TIMEOUT_S = 900.0  # 130 MB are downloaded the first time

PATHS = {"lock": "/api/reservations", "async": "/api/reservations/async"}
SETTINGS = ("published", "fair")
DATABASE = "peer"  # beside resvd's
USER = "resvd"
CAPACITY = 1_000_000_000
PARTITIONS = 12  # as resvd's kafka.topic_partitions by default
HEAP_MB = 512
# What resvd and nginx are asked not to do, it is not either: by default Tomcat closes a connection
# after 100 requests.
OPTIONS = {"server.address": "127.0.0.1", "server.tomcat.max-keep-alive-requests": -1}

START_TIMEOUT_S = 120.0  # Spring takes 5 s on an idle machine
SETTLE_TIMEOUT_S = 300.0
ROLLBACK_TIMEOUT_S = 30.0
POLL_S = 0.01
# Until its code is compiled, by path and setting: each start is a new JVM, and what is called less
# often takes longer. The published lock path mostly sleeps.
WARM_UP_SECONDS = {("lock", "published"): 3, ("lock", "fair"): 30,
                   ("async", "published"): 15, ("async", "fair"): 15}
DRAIN_EVENTS = {"published": 10_000, "fair": 40_000}  # some seconds of the consumer's work
DRAIN_WARM_UP_EVENTS = {"published": 10_000, "fair": 20_000}
# Its consumer is slower than its requests by far: a warm-up ends when so many rows are to be made.
WARM_UP_EVENTS = {"published": 20_000}
FILL_SECONDS_MAX = 60.0
FILL_CONNECTIONS = 64

# Of the jars within the jar: what a reader wants to know the version of.
LIBRARIES = {
    "spring_boot": "spring-boot", "tomcat": "tomcat-embed-core", "hibernate": "hibernate-core",
    "hikari": "HikariCP", "mariadb_client": "mariadb-java-client", "redisson": "redisson",
    "lettuce": "lettuce-core", "spring_kafka": "spring-kafka", "kafka_client": "kafka-clients",
}


# --- the jar --------------------------------------------------------------------------------------


def source_files(folder=SOURCES):
    """Of the application, by their paths in it."""
    files = [folder / "pom.xml", *(folder / "src").rglob("*")]
    return {str(path.relative_to(folder)): path for path in sorted(files) if path.is_file()}


def digest_of(files):
    """Of names and contents."""
    digest = hashlib.sha256()
    for name, path in sorted(files.items()):
        content = path.read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:12]


def jar_path():
    """Where the jar of these sources is, or will be."""
    return CACHE / digest_of(source_files()) / "peer.jar"


def build():
    """The jar; Maven makes it when it is not there. ServerError with what Maven said."""
    jar = jar_path()
    if jar.is_file():
        return jar
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # released when the file is closed
        if not jar.is_file():
            run_maven(jar)
    return jar


def run_maven(jar):
    """In a copy of the sources, so that the tree has nothing but them."""
    if not pathlib.Path(os.environ.get("JAVA_HOME", ""), "bin", "javac").is_file():
        find_program("javac", "default-jdk-headless")  # says what is missing; Maven would not
    new = jar.parent.with_name(jar.parent.name + ".new")
    shutil.rmtree(new, ignore_errors=True)
    for name, path in source_files().items():
        (new / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, new / name)
    # What it downloads is kept: only the first build of all takes long.
    run_quietly(
        [find_program("mvn", "maven"), "-B", "-q", "--strict-checksums", "-f", new / "pom.xml",
         f"-Dmaven.repo.local={CACHE / 'repository'}", "package"],
        "Maven, building the peer", BUILD_TIMEOUT_S, cwd=new)
    jar.parent.mkdir(exist_ok=True)
    (new / "target" / "peer.jar").rename(jar)  # it appears whole or not at all
    shutil.rmtree(new, ignore_errors=True)


def versions_in(names):
    """Of LIBRARIES, by the names of the files in the jar."""
    found = {}
    for ours, theirs in LIBRARIES.items():
        pattern = re.compile(rf"BOOT-INF/lib/{re.escape(theirs)}-(\d[^/]*)\.jar")
        found[ours] = next((match[1] for name in names if (match := pattern.fullmatch(name))), "?")
    return found


def facts(jar):
    """What the report says about the peer."""
    said = output_of(find_program("java", "default-jre-headless"), "-version")
    java = re.search(r' version "([^"]+)"', said)
    with zipfile.ZipFile(jar) as archive:
        versions = versions_in(archive.namelist())
    return {"java": java[1] if java else "?", "heap_mb": HEAP_MB, "partitions": PARTITIONS,
            **versions}


# --- its database ---------------------------------------------------------------------------------


def make_fresh(store):
    """An empty database in the run's MariaDB; the peer makes the tables itself."""
    store.server.sql(
        f"DROP DATABASE IF EXISTS {DATABASE}; CREATE DATABASE {DATABASE} "
        "CHARACTER SET utf8mb4 COLLATE utf8mb4_bin; "
        f"GRANT ALL PRIVILEGES ON {DATABASE}.* TO {USER}@'127.0.0.1'", database=None)


def audit(store):
    """As GET /admin/audit of resvd has it, from the peer's tables; a row is a seat."""
    return database_of.audit_of_rows(store.server.sql(
        "SELECT c.id, c.capacity, c.sold, "
        "(SELECT COUNT(*) FROM reservations r WHERE r.concert_id = c.id) "
        "FROM concerts c ORDER BY c.id", database=DATABASE))


# --- the process ----------------------------------------------------------------------------------


def options_of(session, path, concerts):
    """Where it finds what its path needs, all of it running and fresh."""
    store = session.database()
    make_fresh(store)
    options = {"spring.datasource.url": f"jdbc:mariadb://127.0.0.1:{store.server.port}/{DATABASE}"}
    if path == "lock":
        session.lock_nodes.take(1)
        options["spring.data.redis.port"] = session.lock_nodes.used[0].port
    else:
        stack = session.stock_and_log
        stack.take(concerts)
        options["spring.data.redis.port"] = stack.redis.port
        options["spring.kafka.bootstrap-servers"] = stack.kafka.bootstrap
        options["peer.topic"] = f"peer-{stack.taken}"
        options["peer.partitions"] = PARTITIONS
        options["spring.kafka.consumer.group-id"] = f"peer-{stack.taken}"
    return options


def command_line(jar, folder, path, setting, options):
    """`options`: properties of Spring's or its own, by their full names."""
    command = [find_program("java", "default-jre-headless"), f"-Xmx{HEAP_MB}m", "-XX:-UsePerfData",
               f"-Djava.io.tmpdir={folder}", "-jar", jar,
               f"--spring.profiles.active={path},{setting}"]
    return command + [f"--{name}={value}" for name, value in {**OPTIONS, **options}.items()]


class SpringPeer(servers.Server):
    """One path in one setting; ready when the constructor returns."""

    def __init__(self, jar, folder, path, setting, options):
        port = servers.free_port()
        self.admin_port = servers.free_port()
        options = {"server.port": port, "peer.admin-port": self.admin_port, **options}
        command = command_line(jar, folder, path, setting, options)
        super().__init__(command, folder, port, PATHS[path])
        self.wait_until_listening()
        self.wait_for(lambda: self.state() is not None)

    def wait_until_listening(self):
        """Or until it has ended: wait_for() says why then, but does not have the patience."""
        give_up = time.monotonic() + START_TIMEOUT_S
        while self.process.poll() is None and time.monotonic() < give_up:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                time.sleep(0.1)

    def admin(self, method, target):
        """What it answers, as JSON; None where that is nothing."""
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=60)
        try:
            connection.request(method, target)
            response = connection.getresponse()
            text = response.read().decode()
            if response.status >= 300:
                raise servers.ServerError(f"the peer: {method} {target}: {response.status} {text}")
            return json.loads(text) if text else None
        finally:
            connection.close()

    def reset(self, concerts, capacity=CAPACITY, members=plan.MEMBER_FIRST + plan.MEMBER_COUNT - 1):
        """Ids are counted from 1. Nothing may be under way."""
        self.admin("POST", f"/api/test/init?concerts={concerts}&capacity={capacity}"
                           f"&members={members}")

    def state(self):
        """connectionsActive, connectionsPending, connectionsTotal, requestsActive, threads; async:
        sent, acknowledged, failed, rows since the start, else None."""
        return self.admin("GET", "/admin/state")

    def let_consume(self, running):
        self.admin("POST", f"/admin/consumer?running={'true' if running else 'false'}")

    def memory_mib(self):
        return resident_bytes(self.process.pid) / (1 << 20)

    def settles_within(self, seconds_max, with_rows=True):
        """Until no request is under way and each event has its row (or, with_rows=False, is in
        Kafka). "", or what is left when the time is over, in words."""
        give_up = time.monotonic() + seconds_max
        quiet = 0
        while quiet < 3:  # a request that has just been read is not counted yet
            left = unsettled(self.state(), with_rows)
            quiet = 0 if left else quiet + 1
            if left and time.monotonic() > give_up:
                return left
            time.sleep(POLL_S)
        return ""

    def wait_until_settled(self, with_rows=True):
        """The same, which must be; the seconds that it took."""
        begun = time.monotonic()
        left = self.settles_within(SETTLE_TIMEOUT_S, with_rows)
        if left:
            raise servers.ServerError(f"the peer: {left} after {SETTLE_TIMEOUT_S:.0f} s"
                                      + self.last_words())
        return time.monotonic() - begun

    def kill(self, store):
        """At once; until the database has rolled back what was under way."""
        self.process.kill()
        self.process.wait()
        give_up = time.monotonic() + ROLLBACK_TIMEOUT_S
        while connected(store):
            if time.monotonic() > give_up:
                raise servers.ServerError("the database still has connections of the killed peer")
            time.sleep(POLL_S)

    def last_words(self):
        return "; it said:\n" + self.log_path.read_text(errors="replace")[-2000:]


def connected(store):
    """How many connections to its database there are."""
    rows = store.server.sql("SELECT COUNT(*) FROM information_schema.processlist "
                            f"WHERE db = '{DATABASE}'", database=None)
    return int(rows[0][0])


def under_way(state):
    """Requests that have a thread, or wait for one."""
    return state["requestsActive"]


def without_row(state):
    """Events that were made and have none (yet); 0 on the lock path."""
    counts = state["async"]
    return max(0, counts["sent"] - counts["failed"] - counts["rows"]) if counts else 0


def unsettled(state, with_rows):
    """What is still under way, in words; "" when nothing is."""
    counts = state["async"]
    if state["requestsActive"]:
        return f"{state['requestsActive']} requests are under way"
    if counts and counts["sent"] > counts["acknowledged"] + counts["failed"]:
        return f"{counts['sent'] - counts['acknowledged'] - counts['failed']} events are unanswered"
    if counts and with_rows and counts["rows"] < counts["acknowledged"]:
        return f"{counts['acknowledged'] - counts['rows']} events have no row"
    return ""


def start(session, path, setting, concerts, capacity=CAPACITY):
    """With that many concerts, and members, in an empty database; the folder is the session's."""
    options = options_of(session, path, concerts)
    peer = SpringPeer(build(), session.new_folder("peer"), path, setting, options)
    try:
        peer.reset(concerts, capacity)
    except BaseException:
        peer.stop()
        raise
    return peer


# --- under a load ---------------------------------------------------------------------------------


def warm_up_seconds(path, setting):
    return WARM_UP_SECONDS[path, setting]


def warm_up(session, case, peer, setting, seconds):
    """That long, or until as many events were made as its consumer can be asked for; and settled."""
    events = WARM_UP_EVENTS.get(setting)
    if events and peer.state()["async"]:
        fill(session, case, peer, events, seconds)
    else:
        session.load_on(peer, case, seconds)
    peer.wait_until_settled()


def cpu_of_all(session, path, peer):
    """Seconds of each process that takes part, so far."""
    others = ({"redis": session.lock_nodes.cpu_seconds()} if path == "lock"
              else session.stock_and_log.cpu_seconds())
    return {"peer": peer.cpu_seconds(), "mariadbd": session.database().cpu_seconds(), **others}


def cpu_per_1000(before, after, reservations):
    return {name: (after[name] - before[name]) / reservations * 1000 if reservations else None
            for name in after}


def measure(session, case, path, setting, warm_up_max=None):
    """Start, fill, warm up, measure, audit, stop. All CPU is counted until the last row is there.

    The published setting is known to lose updates: its violations are shown and fail nothing.
    """
    peer = start(session, path, setting, case.concerts)
    try:
        warm_up(session, case, peer, setting, warm_up_max or warm_up_seconds(path, setting))
        store = session.database()
        rows_before = summary.live_seats(audit(store))
        store.wait_until_quiet()
        result = measure_load(session, case, path, peer)
        result["audit"] = audit(store)
        result["violations"] = summary.audit_violations(
            result["audit"], rows_before, result["counts"], case.connections, case.depth)
    finally:
        stop(peer)
    if setting == "fair":
        session.violations += [f"{case.title}: {text}" for text in result["violations"]]
    return result


def stop(peer):
    peer.stop()
    shutil.rmtree(peer.folder, ignore_errors=True)


def measure_load(session, case, path, peer):
    """rows_per_second (async only) is from the first request to the last row."""
    cpu, counts = cpu_of_all(session, path, peer), peer.state()["async"]
    begun = time.monotonic()
    loaded, wrk_cpu, peer_cpu = session.load_on(peer, case, session.seconds)
    result = load.measurement(loaded, wrk_cpu, peer_cpu, case.depth,
                              min(session.threads, case.connections))
    state = peer.state()
    settle_seconds = peer.wait_until_settled()
    seconds = time.monotonic() - begun
    shares = cpu_per_1000(cpu, cpu_of_all(session, path, peer), load.accepted(result["counts"]))
    result["server_cpu_seconds_per_1000"] = shares["peer"]
    result["behind"] = {"cpu_seconds_per_1000": shares}
    result["memory_mib"] = peer.memory_mib()
    result["threads_max"] = state["threads"]
    if path == "async":
        result["rows_per_second"] = (peer.state()["async"]["rows"] - counts["rows"]) / seconds
        result["behind"]["backlog"] = state["async"]["acknowledged"] - state["async"]["rows"]
        result["behind"]["drain_seconds"] = settle_seconds
    return result


# --- a backlog ------------------------------------------------------------------------------------


def fill(session, case, peer, events, seconds_max=FILL_SECONDS_MAX):
    """About so many events are accepted, or what comes in that time; how many Kafka has of it, and
    what the clients were told."""
    shape = plan.Case("fill", case.subject, "", FILL_CONNECTIONS, concerts=case.concerts)
    before = peer.state()["async"]["acknowledged"]
    give_up = time.monotonic() + seconds_max
    made, answers = 0, written_behind.Answers()
    while made < events and time.monotonic() < give_up:
        answers.add(shape, session.load_on(peer, shape, 1)[0])
        made = peer.state()["async"]["acknowledged"] - before
    peer.wait_until_settled(with_rows=False)
    return peer.state()["async"]["acknowledged"] - before, answers


def watch_rows(store, peer, wanted):
    """(monotonic seconds, seats sold) wherever it changed, from now until all are."""
    seen = []
    give_up = time.monotonic() + SETTLE_TIMEOUT_S
    with store.server.connect(database=DATABASE) as connection:
        while not seen or seen[-1][1] < wanted:
            rows = connection.query("SELECT CAST(SUM(sold) AS INTEGER) FROM concerts")
            sold = int(rows[0][0])
            if not seen or sold != seen[-1][1]:
                seen.append((time.monotonic(), sold))
            if peer.process.poll() is not None or time.monotonic() > give_up:
                raise servers.ServerError(f"the peer wrote {sold} of {wanted} rows and no more"
                                          + peer.last_words())
            time.sleep(POLL_S)
    return seen


def measure_drain(session, case, setting, events=None):
    """The consumer alone on a backlog of about so many events, from its first COMMIT to its last.

    It is the process that took the requests, its consumer resting meanwhile: started anew, a JVM
    would spend the measurement on compiling what it has not run yet. What is wrong with the
    published setting is shown and fails nothing.
    """
    peer = start(session, "async", setting, case.concerts)
    store = session.database()
    try:
        events = events or DRAIN_EVENTS[setting]
        fill(session, case, peer, min(events, DRAIN_WARM_UP_EVENTS[setting]))
        peer.wait_until_settled()
        peer.let_consume(False)
        sold = summary.live_seats(audit(store))
        pending, answers = fill(session, case, peer, events)
        store.wait_until_quiet()
        cpu = cpu_of_all(session, "async", peer)
        peer.let_consume(True)
        rate, seconds = written_behind.rate_of(watch_rows(store, peer, sold + pending))
        peer.wait_until_settled()
        shares = cpu_per_1000(cpu, cpu_of_all(session, "async", peer), pending)
        found = audit(store)
    finally:
        stop(peer)
    violations = (answers.violations(pending)
                  + written_behind.row_violations(found, "the tables", sold + pending))
    if setting == "fair":
        session.violations += [f"{case.title}: {text}" for text in violations]
    return {"events": pending, "rows_per_second": rate, "seconds": seconds,
            "server_cpu_seconds_per_1000": shares["peer"],
            "behind": {"cpu_seconds_per_1000": shares}, "audit": found, "violations": violations}
