"""What a result must say about where it came from: code, compiler, machine, versions, disk."""

import datetime
import hashlib
import json
import os
import pathlib
import platform
import re
import shutil
import sqlite3
import statistics
import subprocess
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
MEMORY_FILE_SYSTEMS = {"tmpfs", "ramfs", "devtmpfs"}
SYNC_COUNT = 200


def output_of(*command, cwd=None):
    """Its text, standard error too; "" when it cannot be run."""
    try:
        run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                             cwd=cwd, timeout=20, check=False, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return run.stdout.strip()


def find_program(name):
    """In PATH or where daemons are; None when it is not there."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/sbin")


def cpu_model(text):
    match = re.search(r"^(?:model name|Model)\s*:\s*(.+)$", text, re.MULTILINE)
    return match[1].strip() if match else platform.machine()


def file_system_of(folder, mounts_text):
    """Device and type of the file system that holds the folder: the longest mount point wins."""
    path = str(pathlib.Path(folder).resolve())
    best = ("", "?", "?")
    for line in mounts_text.splitlines():
        device, point, kind = line.split()[:3]
        point = point.replace("\\040", " ")
        inside = point == "/" or path == point or path.startswith(point + "/")
        if inside and len(point) >= len(best[0]):
            best = (point, device, kind)
    return {"mount": best[0], "device": best[1], "type": best[2]}


def sync_microseconds(folder):
    """Median time of appending 4 KiB and fdatasync: what a commit cannot be quicker than."""
    path = pathlib.Path(folder) / "sync-probe"
    times = []
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        for _ in range(SYNC_COUNT):
            started = time.perf_counter()
            os.write(descriptor, b"\0" * 4096)
            os.fdatasync(descriptor)
            times.append(time.perf_counter() - started)
    finally:
        os.close(descriptor)
        path.unlink()
    return statistics.median(times) * 1e6


def build_options(build_folder):
    """What meson was told; {} where it does not say."""
    path = pathlib.Path(build_folder) / "meson-info" / "intro-buildoptions.json"
    try:
        options = {option["name"]: option["value"] for option in json.loads(path.read_text())}
    except (OSError, ValueError):
        return {}
    return {name: options[name]
            for name in ("buildtype", "optimization", "debug", "b_lto", "b_sanitize", "b_ndebug")
            if name in options}


def first_line(text):
    return text.splitlines()[0] if text else "?"


def config_digest(*parts):
    """One digest of everything that decides what is measured."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(json.dumps(part, sort_keys=True, default=str).encode() + b"\n")
    return digest.hexdigest()


def gather(resvd, wrk, nginx, build_folder, data_folder):
    """All of them, as they stand in the results."""
    mounts = pathlib.Path("/proc/mounts").read_text()
    status = output_of("git", "status", "--porcelain", cwd=TOP)
    compiled = [line for line in output_of(str(resvd), "--version").splitlines() if line.strip()]
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "commit": first_line(output_of("git", "describe", "--always", "--tags", cwd=TOP)),
        "tree_is_clean": status == "",
        "resvd": compiled,
        "build": build_options(build_folder),
        "wrk": first_line(output_of(str(wrk), "--version")),
        "nginx": first_line(output_of(str(nginx), "-v")),
        "sqlite": sqlite3.sqlite_version,
        "cpu": cpu_model(pathlib.Path("/proc/cpuinfo").read_text()),
        "cores": len(os.sched_getaffinity(0)),
        "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20,
        "kernel": f"{platform.system()} {platform.release()}",
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", "?"),
        "file_system": file_system_of(data_folder, mounts),
        "sync_us": sync_microseconds(data_folder),
    }


def warnings_of(facts):
    """What makes the figures worth less than they look."""
    found = []
    if facts["file_system"]["type"] in MEMORY_FILE_SYSTEMS:
        found.append("the database was in memory (" + facts["file_system"]["type"]
                     + "): its commits cost no disk; choose a folder on a disk with --folder")
    if facts["build"].get("b_sanitize", "none") not in ("none", []):
        found.append("the build is sanitized: its figures say nothing about speed")
    if facts["build"].get("optimization") in ("0", "g"):
        found.append("the build is not optimized")
    if not facts["tree_is_clean"]:
        found.append("the tree has changes that are not committed")
    return found


def database_warnings(variables):
    """The same for the MariaDB of the run; none was used: nothing."""
    found = []
    if variables and variables.get("innodb_flush_log_at_trx_commit") != "1":
        found.append("MariaDB did not sync its log at each commit: its rates are not durable ones")
    if variables and variables.get("log_bin") not in (None, "OFF", "0"):
        found.append("MariaDB wrote a binary log: each commit paid for it too")
    return found
