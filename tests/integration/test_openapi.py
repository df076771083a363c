"""The OpenAPI document against the routes and the answers; schemathesis drives the running server."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jsonschema_rs
import pytest
import schemathesis
from resvd_fixtures import finish, starter

ADMIN = re.compile(r"/(admin/.*|livez|readyz|metrics)")
METHODS = ("get", "post", "put", "delete")
# What schemathesis expects and the API page decides otherwise:
EXCLUDED_CHECKS = ",".join(
    [
        "unsupported_method",  # an unknown method is 501 here, not 405
        "not_a_server_error",  # so 5xx alone is no failure; test_no_server_error looks at those
        "positive_data_acceptance",  # JSON Schema calls 5.0 an integer, the API page does not
        "ensure_resource_availability",  # admin paths of async are 404 under all other strategies
    ]
)


@pytest.fixture(scope="module")
def shared_server(request, tmp_path_factory):
    function, servers = starter(request, tmp_path_factory)
    yield function(server__allow_reset="on")
    finish(request.session, servers)


@pytest.fixture(scope="module")
def document(shared_server):
    return shared_server.ask("GET", "/openapi.json").json()


def run_schemathesis(server, address, only: str) -> str:
    environment = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    result = subprocess.run(
        [
            *(sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()", "run"),
            f"http://127.0.0.1:{server.port}/openapi.json",
            *("--url", f"http://127.0.0.1:{address[1]}"),
            *("--include-path-regex", only),
            *("--exclude-path", "/api/reservations/async"),
            *("--checks", "all", "--exclude-checks", EXCLUDED_CHECKS),
            *("--generation-deterministic", "--max-examples", "8"),
            *("--no-color", "--request-timeout", "10"),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=server.folder,
        env=environment,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-8000:] + result.stderr[-2000:]
    return result.stdout


def test_version():
    assert schemathesis.__version__.startswith("4.")


def test_api_listener(shared_server):
    shared_server.reset()
    assert "passed" in run_schemathesis(shared_server, shared_server.address, "^/(api|openapi|problems)")
    assert shared_server.audit()["consistent"] is True


def test_admin_listener(shared_server):
    shared_server.reset()
    output = run_schemathesis(shared_server, shared_server.admin_address, "^/(admin|livez|readyz|metrics)")
    assert "passed" in output
    assert shared_server.audit()["consistent"] is True


def test_no_server_error(shared_server):
    """All that schemathesis sent before was answered, and none of it with a 500 or 503."""
    counted = {
        name: value
        for name, value in shared_server.metrics().items()
        if name.startswith("resvd_http_requests_total{")
        and re.search(r'status="50[0234]"', name)
        and 'route="/readyz"' not in name  # asked before it was ready, too
    }
    assert all(value == 0 for value in counted.values()), counted


def test_every_path_has_just_the_methods_of_the_document(shared_server, document):
    values = {"id": "1", "requestId": "x", "slug": "sold-out"}
    for path, item in document["paths"].items():
        if path.startswith("/api/test") or "/request/" in path or path.endswith("/async"):
            continue  # not there with these settings
        target = re.sub(r"\{(\w+)\}", lambda match: values[match.group(1)], path)
        wanted = {method.upper() for method in METHODS if method in item} | {"OPTIONS"}
        wanted |= {"HEAD"} if "GET" in wanted else set()
        call = shared_server.admin if ADMIN.fullmatch(path) else shared_server.ask
        answer = call("OPTIONS", target)
        assert answer.status == 204, path
        assert set(answer.headers["allow"].split(", ")) == wanted, path


def test_every_problem_of_the_document_has_a_page_and_back(shared_server, document):
    slugs = set(re.findall(r"/problems/([a-z0-9-]+)", str(document)))
    for slug in slugs:
        assert shared_server.ask("GET", f"/problems/{slug}").status == 200, slug


def check_answer(document, path: str, method: str, answer) -> None:
    """Status and body are what the document says of this call."""
    responses = document["paths"][path][method]["responses"]
    assert str(answer.status) in responses, f"{method} {path} answered {answer.status}"
    response = responses[str(answer.status)]
    while "$ref" in response:
        response = document["components"]["responses"][response["$ref"].rsplit("/", 1)[1]]
    content = response.get("content")
    if not answer.body:
        assert not content, f"{method} {path} {answer.status} has no body"
        return
    kind = answer.headers["content-type"].split(";")[0]
    kinds = {name.split(";")[0]: value for name, value in content.items()}
    assert kind in kinds, f"{method} {path} {answer.status}: {kind}"
    if "json" in kind:
        schema = {**kinds[kind].get("schema", {}), "components": document["components"]}
        jsonschema_rs.Draft202012Validator(schema).validate(answer.json())


def test_answers_are_as_the_document_says(shared_server, document):
    shared_server.reset()
    ask, admin = shared_server.ask, shared_server.admin
    body = {"concertId": 1, "memberId": 1, "quantity": 2}
    made = ask("POST", "/api/reservations", body)
    location = made.headers["location"]
    calls = [
        ("/api/reservations", "post", made),
        ("/api/reservations", "post", ask("POST", "/api/reservations", {**body, "quantity": 101})),
        ("/api/reservations", "post", ask("POST", "/api/reservations", {**body, "memberId": 99})),
        ("/api/reservations", "post", ask("POST", "/api/reservations", {"x": 1})),
        ("/api/reservations", "post", ask("POST", "/api/reservations", b"{")),
        ("/api/reservations/async", "post", ask("POST", "/api/reservations/async", body)),
        ("/api/reservations/{id}", "get", ask("GET", location)),
        ("/api/reservations/{id}", "get", ask("GET", "/api/reservations/x")),
        ("/api/reservations/{id}", "delete", ask("DELETE", location)),
        ("/api/reservations/{id}", "get", ask("GET", location)),
        ("/api/concerts", "get", ask("GET", "/api/concerts?limit=3")),
        ("/api/concerts", "get", ask("GET", "/api/concerts?limit=0")),
        ("/api/concerts/{id}", "get", ask("GET", "/api/concerts/1")),
        ("/api/concerts/{id}", "get", ask("GET", "/api/concerts/x")),
        ("/api/members/{id}", "get", ask("GET", "/api/members/1")),
        ("/admin/concerts", "post", admin("POST", "/admin/concerts", {"title": "t", "capacity": 1})),
        ("/admin/concerts", "post", admin("POST", "/admin/concerts", [{"title": "t", "capacity": 1}])),
        ("/admin/concerts/{id}", "put", admin("PUT", "/admin/concerts/1", {"capacity": 7})),
        ("/admin/concerts/{id}", "put", admin("PUT", "/admin/concerts/99", {"capacity": 7})),
        ("/admin/members", "post", admin("POST", "/admin/members", [{"name": "n"}])),
        ("/admin/audit", "get", admin("GET", "/admin/audit")),
        ("/admin/dead-letters", "get", admin("GET", "/admin/dead-letters")),
        ("/livez", "get", admin("GET", "/livez")),
        ("/readyz", "get", admin("GET", "/readyz?verbose")),
        ("/metrics", "get", admin("GET", "/metrics")),
        ("/openapi.json", "get", ask("GET", "/openapi.json")),
        ("/problems/{slug}", "get", ask("GET", "/problems/contended")),
        ("/admin/reset", "post",
         admin("POST", "/admin/reset", {"concerts": 1, "capacity": 1, "members": 1})),
    ]
    for path, method, answer in calls:
        check_answer(document, path, method, answer)


def test_document_is_the_file_of_the_repository(document):
    path = Path(__file__).resolve().parents[2] / "src" / "routes" / "openapi.json"
    assert document == json.loads(path.read_text())
