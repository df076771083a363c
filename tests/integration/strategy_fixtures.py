"""Fixtures: each strategy in turn under the same tests, so that the API is the same on all of them."""

from __future__ import annotations

import pytest
from database_fixtures import HONEST, Database, strategy_options
from resvd_fixtures import finish, starter


@pytest.fixture(scope="module", params=["embedded", "fake", *HONEST])
def shared_server(request, tmp_path_factory):
    options, database = {"strategy": request.param}, None
    if request.param == "fake":
        options["binary"] = "resvd-fake"
    elif request.param != "embedded":
        database = Database(request.getfixturevalue("mariadb"))
        options = {**database.options(), **strategy_options(request.param, database)}
    function, servers = starter(request, tmp_path_factory)
    server = function(server__allow_reset="on", **options)
    server.contents = database.contents if database else None
    server.fresh = None
    yield server
    finish(request.session, servers)


@pytest.fixture
def server(shared_server):
    """10 concerts of 100 seats and 20 members, nothing sold; the audit must agree at the end."""
    make_fresh(shared_server)
    yield shared_server
    assert shared_server.audit()["consistent"] is True


def make_fresh(server) -> None:
    """A reset makes tables anew, which takes a database 0.1 s: not where a test has changed nothing."""
    if server.contents and server.fresh == server.contents():
        return
    server.reset()
    server.fresh = server.contents() if server.contents else None
