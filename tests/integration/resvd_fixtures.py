"""Fixtures: a resvd with the fake strategy or with embedded, fresh or shared by a file of tests."""

from __future__ import annotations

import pytest
from resvd_process import Resvd, raise_file_limit

raise_file_limit()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for server in getattr(item.session, "resvd_servers", []):
            report.sections.append((f"resvd {server.pid} {server.folder}", server.log()[-4000:]))


def finish(session, servers, must_exit_clean: bool = True) -> None:
    for server in servers:
        try:
            if server.process.poll() is None:
                code = server.stop()
                assert code == 0 or not must_exit_clean, f"exit code {code}:\n{server.log()}"
            log = server.log()
            for word in ("resvd: impossible", "AddressSanitizer", "runtime error:", "LeakSanitizer"):
                assert word not in log, log
        finally:
            server.kill()
            session.resvd_servers.remove(server)


def starter(request, folders):
    session = request.session
    if not hasattr(session, "resvd_servers"):
        session.resvd_servers = []
    servers: list[Resvd] = []

    def start(**options) -> Resvd:
        folder = options.pop("folder", None) or folders.mktemp("resvd")
        server = Resvd(folder, **options)
        servers.append(server)
        session.resvd_servers.append(server)
        return server

    return start, servers


@pytest.fixture
def start(request, tmp_path_factory):
    """Starts any resvd; all are stopped, and must have exited clean, at the end of the test."""
    function, servers = starter(request, tmp_path_factory)
    yield function
    finish(request.session, servers)


@pytest.fixture
def start_fake(start):
    def function(**options) -> Resvd:
        return start(binary="resvd-fake", strategy="fake", **options)

    return function


@pytest.fixture(scope="module")
def fake(request, tmp_path_factory):
    """The fake strategy, shared by the tests of one file."""
    function, servers = starter(request, tmp_path_factory)
    yield function(binary="resvd-fake", strategy="fake", server__allow_reset="on")
    finish(request.session, servers)
