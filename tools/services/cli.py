"""./dev services: real MariaDB, Redis and Apache Kafka on loopback, for trying and benchmarking."""

from __future__ import annotations

import argparse
import fcntl
import os
import signal
import sys
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

from services import kafka_jars, ports, process
from services.mysql_wire import SqlError
from services.process import ServerError
from services.redis import RedisError
from services.service import NotYet, Service
from services.stack import BROKERS, BROKERS_MAX, FOLDER, Stack, UsageError, group_of, wipe

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_UNAVAILABLE, EXIT_INTERRUPTED = 0, 1, 64, 69, 130
LOCK_TIMEOUT_S = 300.0
NAME_WIDTH = 12

DESCRIPTION = """\
Real MariaDB, Redis and Apache Kafka on 127.0.0.1, on the ports that resvd's defaults name. Data and
logs are in var/services/; nothing else is touched, and no server that is there already.

  up       starts what is not up, and waits until each one answers
  down     stops them; the data stays
  status   one line a server; exit code 69 when one does not answer
  reset    down, wipe the data, up
"""
EPILOG = """\
SERVER is mariadb, redis (the stock node and three lock nodes), kafka, or one of those that status
shows; default all. Exit codes: 0 done, 1 failed, 64 usage, 69 a server is not to be had.
"""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./dev services", description=DESCRIPTION, epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["up", "down", "status", "reset"])
    parser.add_argument("servers", nargs="*", default=[], metavar="SERVER")
    parser.add_argument("--brokers", type=int, choices=BROKERS, metavar="N",
                        help="up and reset: Kafka of N brokers, 1 (default) or 3")
    parser.add_argument("--folder", type=Path, default=FOLDER,
                        help="data and logs there instead; needs --port-base too")
    parser.add_argument("--port-base", type=int, metavar="PORT",
                        help="ports from PORT on instead, for a second stack beside the first")
    if not arguments:
        parser.print_help(sys.stderr)
        raise SystemExit(EXIT_USAGE)
    try:
        chosen = parser.parse_intermixed_args(arguments)
    except SystemExit as end:
        raise SystemExit(EXIT_USAGE if end.code else EXIT_OK) from None
    if (chosen.folder != FOLDER) != (chosen.port_base is not None):
        raise UsageError("--folder and --port-base belong together")
    if chosen.port_base is not None and not 1024 <= chosen.port_base <= 60000:
        raise UsageError("--port-base: 1024 to 60000")
    if chosen.brokers and chosen.command not in ("up", "reset"):
        raise UsageError(f"--brokers means nothing to {chosen.command}")
    if chosen.brokers and chosen.servers and "kafka" not in chosen.servers:
        raise UsageError("--brokers is for kafka, which is not among the servers named")
    return chosen


@contextmanager
def only_one(folder: Path):
    """Keeps a second command out of the same folder until this one is done."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "a+") as lock:
        give_up = time.monotonic() + LOCK_TIMEOUT_S
        waiting = False
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > give_up:
                    raise ServerError(f"another ./dev services has been at work in {folder} for "
                                      f"{LOCK_TIMEOUT_S:.0f} s") from None
                if not waiting:
                    say("-- waiting for another ./dev services that is at work")
                waiting = True
                time.sleep(0.1)
        yield


# --- doing the same to several servers at once --------------------------------------------------


def line_of(service: Service, text: str) -> str:
    return f"-- {service.name:<{NAME_WIDTH}} 127.0.0.1:{service.port:<5} {text}"


def at_once(servers: list[Service], function, verb: str) -> list[Exception]:
    """function(service) says what it did; a line as each is done. What went wrong is said after."""
    if not servers:
        return []
    began = time.monotonic()
    failures: list[Exception] = []
    with ThreadPoolExecutor(len(servers)) as pool:
        jobs: dict[Future, Service] = {pool.submit(function, one): one for one in servers}
        try:
            while jobs:
                done, _ = wait(jobs, timeout=1.0, return_when=FIRST_COMPLETED)
                clear_ticker()
                for job in done:
                    service = jobs.pop(job)
                    if error := job.exception():
                        failures.append(error)
                    took = f"{time.monotonic() - began:.1f} s"
                    outcome = f"failed after {took}" if error else f"{job.result()} {took}"
                    say(line_of(service, outcome))
                if jobs:
                    names = ", ".join(service.name for service in jobs.values())
                    show_ticker(f"-- {verb} {names} … {time.monotonic() - began:.0f} s")
        except KeyboardInterrupt:
            process.interrupt()
            raise
        finally:
            clear_ticker()
    for failure in failures:
        say(f"./dev services: {failure}")
        if not isinstance(failure, (ServerError, OSError)):
            raise failure
    return failures


def show_ticker(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text[:os.get_terminal_size(2).columns - 1]}", end="", file=sys.stderr,
              flush=True)


def clear_ticker() -> None:
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


# --- commands -----------------------------------------------------------------------------------


def up(stack: Stack, chosen: argparse.Namespace) -> int:
    stack.require_brokers(chosen.brokers)
    servers = stack.select(chosen.servers, chosen.brokers)
    there = [service for service in servers if service.running]
    missing = [service for service in servers if service not in there]
    if any(group_of(one.name) == "kafka" for one in missing) and not kafka_jars.are_fetched():
        say(f"-- Apache Kafka {kafka_jars.kafka_version()} comes by Maven: 46 MB, once")
    began = time.monotonic()
    try:
        failures = at_once(servers, lambda one: bring_up(one, one in there), "starting")
    except KeyboardInterrupt:
        at_once([one for one in missing if one.running], stop_one, "stopping")
        raise
    if failures:
        say("./dev services: not all of it is up (./dev services status)")
        return EXIT_UNAVAILABLE
    took = f"after {time.monotonic() - began:.1f} s" if missing else "already"
    which = "" if chosen.port_base is None else (
        f" --folder {shorten(stack.folder)} --port-base {chosen.port_base}")
    say(f"all up {took}; data and logs: {shorten(stack.folder)}; to stop: "
        f"./dev services down{which}")
    return EXIT_OK


def bring_up(service: Service, is_there: bool) -> str:
    if is_there:
        service.wait_ready()
        return f"was up already, pid {service.pid}; answered after"
    service.keep_old_log()
    service.start()
    return "ready after"


def stop_one(service: Service) -> str:
    service.stop()
    return "stopped after"


def down(stack: Stack, chosen: argparse.Namespace) -> int:
    servers = stack.select(chosen.servers)
    running = [service for service in servers if service.running]
    for service in servers:
        if service not in running:
            service.record.unlink(missing_ok=True)
    failures = at_once(running, stop_one, "stopping")
    if not running:
        say("nothing of it was up")
    return EXIT_FAILED if failures else EXIT_OK


def reset(stack: Stack, chosen: argparse.Namespace) -> int:
    if stack.existing_brokers() == BROKERS_MAX and any(
            name.startswith("kafka-") for name in chosen.servers):
        raise UsageError("a broker of several cannot be reset alone: ./dev services reset kafka")
    if down(stack, chosen) != EXIT_OK:
        return EXIT_FAILED
    servers = stack.select(chosen.servers)
    chosen.brokers = chosen.brokers or stack.existing_brokers()
    for service in servers:
        wipe(service)
    say(f"-- wiped the data of {', '.join(service.name for service in servers)}")
    return up(stack, chosen)


def status(stack: Stack, chosen: argparse.Namespace) -> int:
    servers = stack.select(chosen.servers)
    lines = [describe(service) for service in servers]
    for _, line in lines:
        print(line)
    return EXIT_OK if all(answers for answers, _ in lines) else EXIT_UNAVAILABLE


def describe(service: Service) -> tuple[bool, str]:
    """Whether it answers, and its line."""
    begin = f"{service.name:<{NAME_WIDTH}} {{:<6}} 127.0.0.1:{service.port:<5} "
    end = shorten(service.data_dir)
    if not service.running:
        holder = ports.find_holder(service.port)
        return False, begin.format("down") + (f"port taken by {holder}" if holder else end)
    memory = f"pid {service.pid:<7} {service.resident_bytes() / 2**20:>5.0f} MiB  "
    began = time.monotonic()
    try:
        service.ask()
    except (NotYet, OSError, SqlError, RedisError) as error:
        return False, begin.format("silent") + memory + f"no answer: {error}  {end}"
    took = f"answers in {(time.monotonic() - began) * 1000:.1f} ms"
    return True, begin.format("up") + memory + f"{took:<22}{end}"


def shorten(path: Path) -> str:
    """As seen from where the reader is."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


COMMANDS = {"up": up, "down": down, "status": status, "reset": reset}


def interrupt(*_) -> None:
    """The first signal ends the work in order; the tidying up after it is not to be disturbed."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def main(arguments: list[str]) -> int:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    try:
        chosen = parse_arguments(arguments)
        stack = Stack(chosen.folder, chosen.port_base)
        stack.select(chosen.servers, chosen.brokers)  # wrong names are said before anything is done
        if chosen.command == "status":
            return status(stack, chosen)
        with only_one(stack.folder):
            return COMMANDS[chosen.command](stack, chosen)
    except UsageError as error:
        say(f"./dev services: {error}")
        return EXIT_USAGE
    except ServerError as error:
        say(f"./dev services: {error}")
        return EXIT_FAILED
    except KeyboardInterrupt:
        say("./dev services: interrupted; what this command had started is stopped again")
        return EXIT_INTERRUPTED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
