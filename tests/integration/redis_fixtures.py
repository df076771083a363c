"""Fixtures on real Redis: lock nodes that all tests share, or nodes of a test's own, to be killed,
paused, emptied or cut off.

A test names its nodes before `serve`: what is set up last stops first.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import raw_http
from redis_nodes import (
    LOCK_NODES,
    FarRedis,
    LockNodes,
    SteppedClock,
    SteppedRedis,
    make_nodes,
    shared_nodes,
)

HERE = Path(__file__).resolve().parent


@pytest.fixture
def nodes():
    """Three; not to be harmed."""
    return shared_nodes(3)


@pytest.fixture(params=LOCK_NODES)
def lock_kind(request):
    """Each kind of resvd that locks."""
    return request.param


@pytest.fixture
def lock_nodes(lock_kind):
    """Those that it uses; not to be harmed."""
    return shared_nodes(LOCK_NODES[lock_kind])


@pytest.fixture
def own_nodes(tmp_path_factory):
    """Three of this test's own."""
    nodes = make_nodes(tmp_path_factory.mktemp("locks"), 3)
    yield nodes
    nodes.stop()


@pytest.fixture(scope="session")
def clock_library(tmp_path_factory):
    path = tmp_path_factory.mktemp("shim") / "stepped_clock.so"
    subprocess.run(
        [os.environ.get("CC", "cc").split()[-1], "-shared", "-fPIC", "-O1", "-Wall", "-Werror",
         str(HERE / "stepped_clock.c"), "-o", str(path)],
        check=True,
    )
    return path


@pytest.fixture
def clock(clock_library, tmp_path, monkeypatch):
    monkeypatch.setattr(raw_http, "DATE_SLACK_S", float("inf"))
    return SteppedClock(clock_library, tmp_path)


@pytest.fixture
def stepped_nodes(tmp_path_factory, clock):
    folder = tmp_path_factory.mktemp("locks")
    nodes = LockNodes([SteppedRedis(clock, folder / f"node-{i}", name=f"node {i}") for i in range(3)])
    nodes.start()
    yield nodes
    nodes.stop()


@pytest.fixture
def far_nodes(tmp_path_factory):
    """Three, each behind a cable of its own."""
    folder = tmp_path_factory.mktemp("locks")
    nodes = LockNodes([FarRedis(folder / f"node-{i}", i + 1) for i in range(3)])
    try:
        try:
            for node in nodes:
                node.lay_cable()
        except (OSError, subprocess.CalledProcessError) as error:
            said = getattr(error, "stderr", None) or error
            pytest.skip(f"network namespaces cannot be made here (root and iproute2 are needed): {said}")
        nodes.start()
        yield nodes
    finally:
        nodes.stop()
        for node in nodes:
            node.remove_cable()
