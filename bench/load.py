"""wrk: its command line, its result, and whether it was itself what limited the result."""

import json
import os
import pathlib
import subprocess

SCRIPT = pathlib.Path(__file__).resolve().parent / "reserve.lua"
BUSY_LIMIT = 0.8  # a generator that was busier than this may have been the limit
# "status" counts answers of 400 and above. All that resvd says below that to a reservation is 201,
# or 202 from a strategy that writes later.
COUNTS = ("requests", "duration_us", "bytes", "connect", "read", "write", "status", "timeout")


class LoadError(Exception):
    """wrk did not run to its end, or said something that cannot be."""


def wrk_command(wrk, url, shape, seconds, threads):
    """`shape` says connections, depth, member_first, member_count and concerts: see reserve.lua."""
    return [
        str(wrk),
        f"-t{min(threads, shape['connections'])}",
        f"-c{shape['connections']}",
        f"-d{seconds}s",
        "--timeout=10s",
        "-s",
        str(SCRIPT),
        url,
        "--",
        str(shape["depth"]),
        str(shape["member_first"]),
        str(shape["member_count"]),
        str(shape["concerts"]),
    ]


def is_count(value):
    """Of JSON, where true is an int, too."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def parse_wrk(text):
    """The counts of the RESULT line that reserve.lua prints."""
    lines = [line for line in text.splitlines() if line.startswith("RESULT ")]
    if len(lines) != 1:
        raise LoadError(f"wrk printed {len(lines)} results:\n{text}")
    try:
        result = json.loads(lines[0][len("RESULT "):])
    except ValueError as error:
        raise LoadError(f"wrk's result cannot be read: {lines[0]}") from error
    for name in COUNTS:
        if not isinstance(result.get(name), int) or result[name] < 0:
            raise LoadError(f"wrk's result has no {name}: {lines[0]}")
    if result["duration_us"] == 0:
        raise LoadError(f"wrk's result took no time: {lines[0]}")
    if result["status"] > result["requests"]:
        raise LoadError(f"more refusals than answers: {lines[0]}")
    return result


def accepted(result):
    """Answers that were not refusals."""
    return result["requests"] - result["status"]


def measurement(result, wrk_cpu_seconds, server_cpu_seconds, depth, threads):
    """One measurement as it stands in the results.

    wrk's percentiles are of a closed loop, with wrk's own correction for requests that were due
    while it waited; with pipelining they are of whole groups and wrk's correction spoils them, so
    they are left out there.
    """
    seconds = result["duration_us"] / 1e6
    good = accepted(result)
    busy = wrk_cpu_seconds / (seconds * threads)
    closed_loop = depth == 1 and result["requests"] > 0
    return {
        "requests_per_second": good / seconds,
        "p50_ms": result["p50_us"] / 1000 if closed_loop else None,
        "p95_ms": result["p95_us"] / 1000 if closed_loop else None,
        "p99_ms": result["p99_us"] / 1000 if closed_loop else None,
        "max_ms": result["max_us"] / 1000 if closed_loop else None,
        "server_cpu_seconds_per_1000": server_cpu_seconds / good * 1000 if good else None,
        "server_cpu_cores": server_cpu_seconds / seconds,
        "generator_cpu_seconds": wrk_cpu_seconds,
        "generator_busy": busy,
        "generator_limited": busy >= BUSY_LIMIT,
        "refused": result["status"],
        "socket_errors": result["connect"] + result["read"] + result["write"],
        "timeouts": result["timeout"],
        "counts": result,
    }


def run_wrk(wrk, url, shape, seconds, threads):
    """Runs it to its end; returns its counts and the CPU seconds that it used itself."""
    command = wrk_command(wrk, url, shape, seconds, threads)
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, start_new_session=True)
    try:
        text = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    except BaseException:
        process.kill()
        process.wait()
        raise
    finally:
        process.stdout.close()
    if process.returncode != 0:
        raise LoadError(f"{' '.join(command)}\nended with {process.returncode}:\n{text}")
    return parse_wrk(text), usage.ru_utime + usage.ru_stime
