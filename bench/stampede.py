"""The source study's stampede by k6: 2,000 virtual users in 10 s, each request on a new connection.

Latency is that of k6's iterations, from the wish for a connection to the answer: that of its
requests leaves out the wait for a connection. Only iterations that ended have one.

The share of errors is of all iterations that began. An error is every one that was neither
accepted (2xx) nor told that there is no seat for it (409 without Retry-After): what is to come again
(409 with Retry-After, as resvd says "contended"; 503), failures, broken connections, and what k6 cut
off.
"""

import dataclasses
import json
import os
import pathlib
import resource
import shutil
import subprocess
import sys

import load

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))

from services.process import has_ended

TOP = pathlib.Path(__file__).resolve().parents[1]
SCRIPT = TOP / "bench" / "stampede.js"
STUDY_SCRIPT = TOP / "bench" / "study_calls.js"
LOAD = "the study's stages"  # its name in keys of results
LIMIT_OF_CEILING = 0.8  # as of other generators: above it k6 may be what is measured
# Each has local ports of its own: TIME_WAIT of tens of thousands of connections cannot use them up.
LOCAL_ADDRESSES = "127.0.0.1-127.0.0.8"
FILES_BESIDE = 500  # that k6 or a server has open besides the connections
START_S = 120  # 2,000 virtual users are made before the first one asks
FAULTS_MAX = 0.001  # of the iterations, for want of ports or files: above it nothing was measured
GENERATOR_FAULTS = {
    "no_port": "no local port was free (\"cannot assign requested address\"): wait a minute until "
               "TIME_WAIT is over, or give more: sysctl -w net.ipv4.ip_local_port_range='15000 "
               "65535' net.ipv4.tcp_tw_reuse=1",
    "no_file": "k6 had too many files open: raise its limit (ulimit -n, LimitNOFILE)",
}
ENDS = ("contended", "not_connected", "timed_out", "broken", *GENERATOR_FAULTS)
TIMES = ("avg", "p50", "p95", "p99", "max")


@dataclasses.dataclass(frozen=True)
class Stages:
    """From 0 to `vus` in `up_s`, that many for `hold_s`, to 0 in `down_s`."""

    up_s: float
    hold_s: float
    down_s: float
    vus: int
    patience_s: float = 30  # for an answer, also when the virtual user is to go

    def seconds(self):
        return self.up_s + self.hold_s + self.down_s


@dataclasses.dataclass(frozen=True)
class Crowd:
    """What is asked for: any of so many concerts, by any of so many members, from these ids on."""

    concerts: int = 10
    members: int = 200
    concert_first: int = 1
    member_first: int = 1


FULL = Stages(up_s=10, hold_s=30, down_s=10, vus=2000)
QUICK = Stages(up_s=1, hold_s=3, down_s=1, vus=200)
STUDY = Crowd()
CAPACITY = 100_000  # of each concert


# --- the machine ----------------------------------------------------------------------------------


def find_k6():
    """In PATH, or where tools/fetch-k6 leaves it; None when it is in neither."""
    in_path = shutil.which("k6")
    if in_path:
        return in_path
    built = sorted(path for path in (TOP / ".cache").glob("k6-[0-9]*/k6") if os.access(path, os.X_OK))
    return str(built[-1]) if built else None


def raise_file_limit(stages):
    """For k6 and for servers that are started after this: all of them inherit it."""
    wanted = stages.vus + FILES_BESIDE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise load.LoadError(
            f"{stages.vus} connections at once need {wanted} open files, and only {hard} may be "
            "opened: raise the hard limit (ulimit -Hn, /etc/security/limits.conf, LimitNOFILE)")
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else hard
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


# --- k6 -------------------------------------------------------------------------------------------


def k6_run(k6):
    """It tells nobody of the run, and opens no port of its own."""
    return [str(k6), "run", "--quiet", "--no-usage-report", "--address="]


def k6_command(k6, target, stages, summary_path, log_path, crowd=STUDY):
    values = {
        "TARGET": target, "SUMMARY": summary_path, "VUS": stages.vus, "UP_S": stages.up_s,
        "HOLD_S": stages.hold_s, "DOWN_S": stages.down_s, "PATIENCE_S": stages.patience_s,
        "CONCERTS": crowd.concerts, "MEMBERS": crowd.members,
        "CONCERT_FIRST": crowd.concert_first, "MEMBER_FIRST": crowd.member_first,
    }
    command = [
        *k6_run(k6),
        # One line for each failed request would be most of the work: they are counted.
        f"--log-output=file={log_path},level=error",
        f"--local-ips={LOCAL_ADDRESSES}",
    ]
    for name, value in values.items():
        command += ["-e", f"STAMPEDE_{name}={value}"]
    return [*command, str(SCRIPT)]


def k6_environment(folder):
    """Without settings of the user's own, and without looking for extensions elsewhere."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("K6_")}
    return {**own, "XDG_CONFIG_HOME": str(folder), "K6_AUTO_EXTENSION_RESOLUTION": "false"}


def run(k6, server_url, path, stages, out_folder, crowd=STUDY):
    """One run to its end; its summary, and the CPU seconds that k6 used itself.

    `server_url` is scheme, host and port; the summary and k6's own words stay in `out_folder`.
    """
    folder = pathlib.Path(out_folder).resolve()
    summary_path, log_path = folder / "stampede.json", folder / "k6.log"
    summary_path.unlink(missing_ok=True)
    log_path.unlink(missing_ok=True)
    raise_file_limit(stages)
    command = k6_command(k6, server_url.rstrip("/") + path, stages, summary_path, log_path, crowd)
    with open(folder / "k6.txt", "w+b") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            cwd=folder, env=k6_environment(folder), start_new_session=True)
        cpu_seconds = wait_for(process, stages.seconds() + 2 * stages.patience_s + START_S)
        output.seek(0)
        said = output.read().decode(errors="replace")
    if log_path.is_file():
        said += log_path.read_text(errors="replace")
    if process.returncode != 0:
        raise load.LoadError(f"{' '.join(command)}\nended with {process.returncode}:\n"
                             + said[-4000:])
    if not summary_path.is_file():
        raise load.LoadError(f"k6 left no summary:\n{said[-4000:]}")
    summary = parse_summary(summary_path.read_text())
    refuse_faults(summary)
    return summary, cpu_seconds


def study_calls_command(k6, server_url, users=10, iterations=100):
    """The calls of the study's own script: ends with 0 when every answer was what it counts on."""
    return [*k6_run(k6), "-e", f"BASE_URL={server_url}", "-e", f"VUS={users}",
            "-e", f"ITERATIONS={iterations}", str(STUDY_SCRIPT)]


def wait_for(process, timeout_s):
    """Until it ends; its CPU seconds. It does not outlive this call."""
    try:
        handle = os.pidfd_open(process.pid)
        try:
            if not has_ended(handle, timeout_s):
                raise load.LoadError(f"k6 did not end within {timeout_s} s")
        finally:
            os.close(handle)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    except BaseException:
        process.kill()
        process.wait()
        raise
    return usage.ru_utime + usage.ru_stime


# --- its summary ----------------------------------------------------------------------------------


def parse_summary(text):
    """What stampede.js left, held against itself."""
    try:
        summary = json.loads(text)
        counts, times = summary["counts"], summary["iteration_ms"]
        duration_ms = summary["duration_ms"]
    except (ValueError, KeyError, TypeError) as error:
        raise load.LoadError(f"k6's summary cannot be read ({error}): {text[:1000]}") from error
    wrong = [name for name in ("begun", "status_other", "hold_answered", "hold_accepted", *ENDS)
             if not load.is_count(counts.get(name))]
    wrong += [name for name, value in counts.items() if not load.is_count(value)]
    wrong += [name for name in ("ended", "received_bytes")
              if not load.is_count(summary.get(name))]
    if wrong:
        raise load.LoadError(f"k6's summary has no {wrong[0]}: {text[:1000]}")
    if not isinstance(duration_ms, (int, float)) or duration_ms <= 0:
        raise load.LoadError(f"k6's summary took no time: {text[:1000]}")
    if summary["ended"] == 0:
        raise load.LoadError(
            f"none of {counts['begun']} iterations ended: no answer within the patience")
    if any(not isinstance(times.get(name), (int, float)) for name in TIMES):
        raise load.LoadError(f"k6's summary has not all times: {text[:1000]}")
    check_sums(summary)
    return summary


def check_sums(summary):
    """Every iteration ended once, in one way."""
    counts = summary["counts"]
    ended = answered(summary) + failed(summary)
    if ended > counts["begun"] or summary["ended"] > ended:
        raise load.LoadError(f"{summary['ended']} iterations ended of {counts['begun']}, but "
                             f"{ended} were counted")
    if counts["contended"] > statuses(summary).get("409", 0):
        raise load.LoadError(f"{counts['contended']} were contended, of fewer 409")
    if not counts["hold_accepted"] <= counts["hold_answered"] <= answered(summary):
        raise load.LoadError(f"more answers in the hold stage than in all: {counts}")


def refuse_faults(summary):
    """A run that lacked ports or files has measured this machine's settings."""
    for name, text in GENERATOR_FAULTS.items():
        number = summary["counts"][name]
        if number > summary["counts"]["begun"] * FAULTS_MAX:
            raise load.LoadError(f"in {number} of {summary['counts']['begun']} iterations " + text)


def statuses(summary):
    """Answers by status, those that there were."""
    return {name.removeprefix("status_"): number for name, number in summary["counts"].items()
            if name.startswith("status_") and number > 0}


def answered(summary):
    return sum(statuses(summary).values())


def failed(summary):
    """Iterations that ended without an answer."""
    return sum(summary["counts"][name] for name in ("not_connected", "timed_out", "broken"))


def accepted(summary):
    return sum(number for status, number in statuses(summary).items() if status.startswith("2"))


def cut_off(summary):
    """Iterations that k6 did not let end: what they asked for may have been sold."""
    return summary["counts"]["begun"] - answered(summary) - failed(summary)


def audit_counts(summary):
    """In load.COUNTS, for the audit. What never connected has asked for nothing, and is none of
    the broken connections that may each have sold a seat without an answer."""
    counts = summary["counts"]
    return {
        "requests": answered(summary), "status": answered(summary) - accepted(summary),
        "duration_us": round(summary["duration_ms"] * 1000), "bytes": summary["received_bytes"],
        "connect": 0, "read": counts["broken"], "write": 0, "timeout": counts["timed_out"],
    }


# --- as it stands in the results ------------------------------------------------------------------


def measurement(summary, stages, k6_cpu_seconds, server_cpu_seconds, ceiling=None,
                settled_cpu_seconds=None):
    """One measurement. `ceiling` is what ceiling() gave for the same stages, where it was measured.

    `server_cpu_seconds` are the load's own; `settled_cpu_seconds` have what it left to do, too: all
    that the reservations cost, but over a longer time.
    `unknown` is what the audit has to allow for, besides broken connections: what k6 cut off, and
    500, which says that nobody knows.
    """
    counts, seconds = summary["counts"], summary["duration_ms"] / 1000
    found, good = statuses(summary), accepted(summary)
    sold_out = found.get("409", 0) - counts["contended"]
    times = {f"{name}_ms": summary["iteration_ms"][name] for name in TIMES}
    spent = server_cpu_seconds if settled_cpu_seconds is None else settled_cpu_seconds
    result = {
        "requests_per_second": answered(summary) / seconds,
        "granted_per_second": good / seconds,
        "sold_out_per_second": sold_out / seconds,
        "hold_requests_per_second": counts["hold_answered"] / stages.hold_s,
        "hold_granted_per_second": counts["hold_accepted"] / stages.hold_s,
        "error_rate": 1 - (good + sold_out) / counts["begun"],
        **times,
        "statuses": found,
        "ends": {"begun": counts["begun"], "cut_off": cut_off(summary),
                 **{name: counts[name] for name in ENDS}},
        "seconds": seconds,
        "server_cpu_seconds_per_1000": spent / good * 1000 if good else None,
        "server_cpu_cores": server_cpu_seconds / seconds,
        "generator_cpu_seconds": k6_cpu_seconds,
        "generator_busy": k6_cpu_seconds / (seconds * len(os.sched_getaffinity(0))),
        "generator_limited": False,
        "refused": answered(summary) - good,
        "unknown": cut_off(summary) + found.get("500", 0),
        "counts": audit_counts(summary),
    }
    if ceiling:
        mark_limited(result, ceiling)
    return result


def mark_limited(result, ceiling):
    """k6 shares the cores with what it measures: at most this part of its own ceiling is a server's
    own rate."""
    share = result["hold_requests_per_second"] / ceiling["hold_requests_per_second"]
    result["share_of_ceiling"] = share
    result["generator_limited"] = share >= LIMIT_OF_CEILING


def ceiling(k6, nginx, stages, out_folder):
    """What k6 reaches by the same stages against an nginx (bench/servers.py) that only answers: no
    two servers can be told apart above it."""
    before = nginx.cpu_seconds()
    summary, k6_cpu_seconds = run(k6, f"http://127.0.0.1:{nginx.port}", "/api/reservations", stages,
                                  out_folder)
    result = measurement(summary, stages, k6_cpu_seconds, nginx.cpu_seconds() - before)
    if not result["hold_requests_per_second"]:
        raise load.LoadError("k6 reached nothing against nginx, which only answers")
    result["generator_limited"] = True
    return result
