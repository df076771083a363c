"""The jars of Apache Kafka: fetched once by Maven, from kafka_broker/pom.xml, into .cache/."""

from __future__ import annotations

import fcntl
import hashlib
import re
import shutil
from pathlib import Path

from services.service import ServerError, find_program, run_quietly

TOP = Path(__file__).resolve().parents[2]
CACHE = TOP / ".cache"
POM = Path(__file__).resolve().parent / "kafka_broker" / "pom.xml"
FETCH_TIMEOUT_S = 900.0


def kafka_version() -> str:
    return re.search(r"<artifactId>kafka_2\.13</artifactId>\s*<version>([^<]+)", POM.read_text())[1]


def jars_folder() -> Path:
    recipe = hashlib.sha256(POM.read_bytes()).hexdigest()[:8]
    return CACHE / f"kafka-{kafka_version()}-{recipe}"


def are_fetched() -> bool:
    return jars_folder().is_dir()


def ensure_jars() -> Path:
    """The folder with the jars; 46 MB are downloaded the first time."""
    folder = jars_folder()
    if folder.is_dir():
        return folder
    CACHE.mkdir(exist_ok=True)
    with open(CACHE / "kafka.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # released when the file is closed
        if not folder.is_dir():
            fetch(folder)
    return folder


def fetch(folder: Path) -> None:
    new = folder.with_name(folder.name + ".new")
    shutil.rmtree(new, ignore_errors=True)
    jars = new / "jars"
    jars.mkdir(parents=True)
    # A repository of its own, so that nothing outside of .cache is written; not needed afterwards.
    run_quietly(
        [find_program("mvn", "maven"), "-B", "-q", "--strict-checksums", "-f", POM,
         f"-Dmaven.repo.local={new / 'repository'}", "dependency:copy-dependencies",
         "-DincludeScope=runtime", f"-DoutputDirectory={jars}"],
        "Maven, fetching Apache Kafka", FETCH_TIMEOUT_S, cwd=new)
    if not list(jars.glob("kafka_2.13-*.jar")):
        raise ServerError(f"Maven brought no kafka_2.13 into {jars}")
    # The folder appears whole or not at all.
    jars.rename(folder)
    shutil.rmtree(new, ignore_errors=True)
