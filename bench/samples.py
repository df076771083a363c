"""What a server uses while a load runs, twice a second: CPU, memory and threads of its processes;
and what probes can tell at a moment: connections to a database, a backlog, requests answered.

    with samples.Sampler(server.process.pid, [samples.ResvdProbe(server.admin_port)]) as sampler:
        …the load…
    result["series"] = sampler.series()
    result.update(sampler.summary())

A probe is anything that can be called and gives a dict with some of PROBED; those with a `close`
are closed in the end. A probe that fails, and a process that has ended, leave None: never an error.
"""

import http.client
import math
import os
import pathlib
import threading
import time

import servers

INTERVAL_S = 0.5
PROBE_TIMEOUT_S = 2.0
STOP_S = 5.0
CHILDREN_EVERY = 10  # samples: looking through all of /proc is most of what a sample could cost
MIB = 1 << 20
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
# "requests" is a counter from any start; the others are gauges.
PROBED = ("connections_active", "connections_pending", "backlog", "requests")
GAUGES = PROBED[:-1]


# --- processes ------------------------------------------------------------------------------------


def parse_stat(text):
    """CPU ticks, threads and resident bytes of a line of /proc/PID/stat."""
    fields = text.rpartition(")")[2].split()
    return servers.cpu_ticks(text), int(fields[17]), int(fields[21]) * PAGE_BYTES


def children_of(pid):
    """All that descend from it and run now."""
    parents = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = servers.parent_of(stat.read_text())
        except OSError:
            continue
    found, level = [], {pid}
    while level:
        level = {child for child, parent in parents.items() if parent in level}
        found += sorted(level)
    return found


class Processes:
    """A process and all that it has started."""

    def __init__(self, pid):
        self.pid = pid
        self.pids = [pid]
        self.ticks = {}  # of each pid, when it was last seen
        self.looks = 0

    def look(self):
        """CPU seconds since the last look (of each process: since it was first seen), threads and
        resident bytes now; None when the process itself has ended."""
        if self.looks % CHILDREN_EVERY == 0:
            self.pids = [self.pid, *children_of(self.pid)]
        self.looks += 1
        grown, threads, resident = 0, 0, 0
        for pid in self.pids:
            try:
                found = parse_stat(pathlib.Path(f"/proc/{pid}/stat").read_text())
            except OSError:
                if pid == self.pid:
                    return None
                continue
            if found[2] == 0 and pid == self.pid:
                return None  # a zombie, that nobody has waited for yet
            grown += max(0, found[0] - self.ticks.get(pid, found[0]))
            self.ticks[pid] = found[0]
            threads += found[1]
            resident += found[2]
        return grown / servers.TICKS_PER_SECOND, threads, resident


# --- probes ---------------------------------------------------------------------------------------


class ResvdProbe:
    """Of a resvd's metrics: its connections to a database, where it has any, and how many requests
    it has answered. One connection, opened again when it broke."""

    METRICS = {
        "connections_active": "resvd_db_connections_active",
        "connections_pending": "resvd_db_connections_pending",
        "requests": "resvd_http_requests_total",
    }

    def __init__(self, admin_port):
        self.connection = http.client.HTTPConnection("127.0.0.1", admin_port,
                                                     timeout=PROBE_TIMEOUT_S)

    def __call__(self):
        try:
            self.connection.request("GET", "/metrics")
            text = self.connection.getresponse().read().decode()
        except BaseException:
            self.connection.close()
            raise
        return {name: metric_sum(text, metric) for name, metric in self.METRICS.items()}

    def close(self):
        self.connection.close()


def metric_sum(text, name):
    """Of all its labels together; None when there is no sample of it."""
    found = [float(line.rpartition(" ")[2]) for line in text.splitlines()
             if line.startswith((name + " ", name + "{"))]
    return sum(found) if found else None


# --- sampling -------------------------------------------------------------------------------------


class Sampler(threading.Thread):
    """Runs from `start` to `stop`, or as a context. pid: None where no process is to be seen."""

    def __init__(self, pid, probes=(), interval_s=INTERVAL_S):
        super().__init__(name="sampler", daemon=True)
        self.processes = Processes(pid) if pid else None
        self.probes = list(probes)
        self.interval_s = interval_s
        self.rows = []
        self.cpu = [0.0, 0.0]  # seconds used, in seconds seen
        self.failures = 0
        self.own_cpu_seconds = 0.0
        self.ended = threading.Event()
        self.begun = self.last = 0.0
        self.requests = None  # when last known: count, moment

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self, seconds_max=STOP_S):
        """One last sample, then no more; False: a probe hangs, and the last samples are missing."""
        self.ended.set()
        self.join(seconds_max)
        return not self.is_alive()

    def run(self):
        self.begun = self.last = time.monotonic()
        self.look()  # what was used before does not count
        self.probe(self.begun)
        due = self.begun + self.interval_s
        while not self.ended.wait(max(0.0, due - time.monotonic())):
            self.sample()
            # What was late is not made up for: two samples at once would say nothing.
            missed = math.floor((time.monotonic() - due) / self.interval_s)
            due += self.interval_s * (1 + max(0, missed))
        if time.monotonic() - self.last > self.interval_s / 2:
            self.sample()
        for probe in self.probes:
            if hasattr(probe, "close"):
                probe.close()

    def sample(self):
        """One row."""
        before, self.last = self.last, time.monotonic()
        seconds = self.last - before
        row = {"t_s": round(self.last - self.begun, 3), **self.look(seconds),
               **self.probe(self.last)}
        self.rows.append(row)
        self.own_cpu_seconds = time.thread_time()

    def look(self, seconds=0.0):
        """What the processes say; CPU of the `seconds` since the last look."""
        found = self.processes.look() if self.processes else None
        if found is None:
            return {"cpu_cores": None, "memory_mib": None, "threads": None}
        if seconds:
            self.cpu = [self.cpu[0] + found[0], self.cpu[1] + seconds]
        return {"cpu_cores": found[0] / seconds if seconds else None,
                "memory_mib": found[2] / MIB, "threads": found[1]}

    def probe(self, moment):
        """What the probes say."""
        found = {}
        for probe in self.probes:
            try:
                found.update(probe())
            except Exception:  # one that cannot be asked now may be asked the next time
                self.failures += 1
        rate, requests = None, found.get("requests")
        if requests is not None:
            if self.requests:
                rate = max(0.0, requests - self.requests[0]) / (moment - self.requests[1])
            self.requests = requests, moment
        return {**{name: found.get(name) for name in GAUGES}, "requests_per_second": rate}

    def series(self):
        """All rows until now, None in them where something was not known."""
        return list(self.rows)

    def summary(self):
        """What the rows come to; None: never known."""
        def most(name):
            return max((row[name] for row in self.series() if row[name] is not None), default=None)

        used, seen = self.cpu
        seconds = self.last - self.begun
        return {
            "cpu_cores_mean": used / seen if seen else None,
            **{f"{name}_max": most(name) for name in (
                "cpu_cores", "memory_mib", "threads", "connections_active", "connections_pending",
                "backlog")},
            "samples": len(self.rows),
            "samples_failed": self.failures,
            "sampler_cpu_cores": self.own_cpu_seconds / seconds if seconds else None,
        }
