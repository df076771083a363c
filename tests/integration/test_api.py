"""The API page's contract, call by call, on every strategy of the tests."""

from __future__ import annotations

import json
import re
import uuid

import pytest
from raw_http import exchange

ISO_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def reserve(server, concert_id=1, member_id=1, quantity=None, key=None):
    body = {"concertId": concert_id, "memberId": member_id}
    if quantity is not None:
        body["quantity"] = quantity
    return server.ask("POST", "/api/reservations", body, {"Idempotency-Key": key} if key else None)


def sold(server, concert_id=1) -> int:
    return server.ask("GET", f"/api/concerts/{concert_id}").json()["sold"]


# --- reservations -----------------------------------------------------------------------------------


def test_reserve(server):
    answer = reserve(server, 2, 3, 4)
    assert answer.status == 201
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert list(body) == ["id", "concertId", "memberId", "quantity", "status"]
    assert body == {**body, "concertId": 2, "memberId": 3, "quantity": 4, "status": "CONFIRMED"}
    assert uuid.UUID(body["id"]).version == 7 and body["id"] == body["id"].lower()
    assert answer.headers["location"] == f"/api/reservations/{body['id']}"
    assert "idempotent-replay" not in answer.headers
    found = server.ask("GET", answer.headers["location"])
    assert found.status == 200 and found.json() == body
    assert sold(server, 2) == 4


def test_quantity_is_one_unless_given(server):
    assert reserve(server).json()["quantity"] == 1
    assert sold(server) == 1


def test_ids_are_unique_and_in_order_of_time(server):
    with server.connect() as connection:
        ids = [
            connection.request("POST", "/api/reservations", {"concertId": 1, "memberId": 1}).json()["id"]
            for _ in range(50)
        ]
    assert sorted(set(ids)) == ids


def test_sold_out(server):
    assert reserve(server, quantity=99).status == 201
    reserve(server, quantity=2).problem(409, "sold-out")
    assert reserve(server, quantity=1).status == 201
    answer = reserve(server)
    answer.problem(409, "sold-out")
    assert "location" not in answer.headers and "retry-after" not in answer.headers
    reserve(server, quantity=2**53 - 1).problem(409, "sold-out")
    assert sold(server) == 100


@pytest.mark.parametrize("concert_id", [11, 999999, 2**53 - 1])
def test_unknown_concert(server, concert_id):
    reserve(server, concert_id).problem(404, "unknown-concert")


@pytest.mark.parametrize("member_id", [21, 2**53 - 1])
def test_unknown_member(server, member_id):
    reserve(server, 1, member_id).problem(404, "unknown-member")
    assert reserve(server, quantity=100).status == 201
    reserve(server, 1, member_id).problem(404, "unknown-member")


def test_several_wrong_fields_are_all_named(server):
    answer = server.ask(
        "POST", "/api/reservations", {"concertId": "x", "quantity": 0, "seat": 4, "row": None}
    )
    problem = answer.problem(422, "invalid-fields")
    fields = [error["field"] for error in problem["errors"]]
    assert sorted(fields) == ["concertId", "memberId", "quantity", "row", "seat"]


@pytest.mark.parametrize(
    "text",
    ["x", "1", "018f0000-0000-7000-8000-00000000000", "018f0000-0000-7000-8000-0000000000000",
     "018f0000000070008000000000000000", "%7B018f0000-0000-7000-8000-000000000000%7D",
     "018f0000-0000-7000-8000-00000000000g", "%00", "018f0000-0000-7000-8000-000000000000",
     "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff", "%2e%2e", "a%2Fb"],
)
def test_no_such_reservation(server, text):
    server.ask("GET", "/api/reservations/" + text).problem(404)
    server.ask("DELETE", "/api/reservations/" + text).problem(404)


def test_id_in_capitals_is_the_same(server):
    body = reserve(server).json()
    found = server.ask("GET", "/api/reservations/" + body["id"].upper())
    assert found.status == 200 and found.json()["id"] == body["id"]


def test_release(server):
    location = reserve(server, quantity=60).headers["location"]
    for _ in range(3):
        answer = server.ask("DELETE", location)
        assert (answer.status, answer.body) == (204, b"")
        assert sold(server) == 0
    assert server.ask("GET", location).json()["status"] == "CANCELLED"
    assert reserve(server, quantity=100).status == 201


def test_async_path_is_for_async_only(server):
    body = {"concertId": 1, "memberId": 1}
    problem = server.ask("POST", "/api/reservations/async", body).problem(404)
    assert "async" in problem["detail"]
    assert sold(server) == 0


# --- Idempotency-Key ----------------------------------------------------------------------------------


def test_key_replay(server):
    first = reserve(server, 1, 1, 2, key="a-1")
    assert first.status == 201 and "idempotent-replay" not in first.headers
    assert uuid.UUID(first.json()["id"]).version == 5
    for _ in range(3):
        again = reserve(server, 1, 1, 2, key="a-1")
        assert again.status == 201
        assert again.headers["idempotent-replay"] == "true"
        assert again.headers["location"] == first.headers["location"]
        assert again.json() == first.json()
    assert sold(server) == 2


def test_key_is_compared_by_meaning(server):
    headers = {"Idempotency-Key": "meaning"}
    first = server.ask("POST", "/api/reservations", b'{"concertId":1,"memberId":1}', headers)
    again = server.ask(
        "POST", "/api/reservations", b' {"quantity" : 10e-1, "memberId":1E0,\n"\\u0063oncertId":1}', headers
    )
    assert first.status == again.status == 201
    assert again.headers["idempotent-replay"] == "true"
    assert sold(server) == 1


def test_key_belongs_to_the_member(server):
    ids = {reserve(server, 1, member, 1, key="shared").json()["id"] for member in range(1, 6)}
    assert len(ids) == 5
    assert sold(server) == 5


@pytest.mark.parametrize(("concert_id", "quantity"), [(2, 1), (1, 2), (2, 2), (99, 1)])
def test_key_reused_for_another_request(server, concert_id, quantity):
    assert reserve(server, 1, 1, 1, key="reused").status == 201
    reserve(server, concert_id, 1, quantity, key="reused").problem(422, "key-reused")
    assert sold(server) == 1


def test_key_of_a_refusal_is_free(server):
    assert reserve(server, quantity=100).status == 201
    reserve(server, 1, 2, 1, key="free").problem(409, "sold-out")
    location = reserve(server, 2, 2, 1, key="free").headers["location"]
    assert server.ask("GET", location).json()["concertId"] == 2


def test_key_replay_when_sold_out(server):
    first = reserve(server, 1, 1, 60, key="early")
    assert reserve(server, quantity=40).status == 201
    again = reserve(server, 1, 1, 60, key="early")
    assert again.status == 201 and again.json() == first.json()


def test_key_replay_after_release_sells_nothing(server):
    first = reserve(server, 1, 1, 3, key="gone")
    assert server.ask("DELETE", first.headers["location"]).status == 204
    again = reserve(server, 1, 1, 3, key="gone")
    assert again.status == 201 and again.headers["idempotent-replay"] == "true"
    assert again.json() == {**first.json(), "status": "CANCELLED"}
    assert sold(server) == 0
    reserve(server, 1, 1, 4, key="gone").problem(422, "key-reused")


@pytest.mark.parametrize("key", ["k", "!", "~" * 255, '"quoted"', "a,b;c=d", "018f-é".encode().hex()])
def test_good_keys(server, key):
    assert reserve(server, key=key).status == 201
    assert reserve(server, key=key).headers["idempotent-replay"] == "true"


# --- catalog ----------------------------------------------------------------------------------------------


def test_concert(server):
    answer = server.ask("GET", "/api/concerts/3")
    assert answer.status == 200
    assert list(answer.json()) == ["id", "title", "venue", "startsAt", "capacity", "sold", "available",
                                   "memberLimit"]
    assert reserve(server, 3, quantity=7).status == 201
    body = server.ask("GET", "/api/concerts/3").json()
    assert (body["capacity"], body["sold"], body["available"]) == (100, 7, 93)
    assert body["memberLimit"] is None and body["venue"] is None and body["startsAt"] is None


@pytest.mark.parametrize(
    "text", ["0", "11", "x", "-1", "1.0", "01", "+1", "%31x", "1e0", "9007199254740993",
             "18446744073709551617", "%20", "0x1", "1%00"],
)
@pytest.mark.parametrize("kind", ["concerts", "members"])
def test_no_such_concert_or_member(server, kind, text):
    if kind == "members" and text == "11":
        text = "21"
    server.ask("GET", f"/api/{kind}/{text}").problem(404, "not-found")


def test_member(server):
    answer = server.ask("GET", "/api/members/4")
    assert answer.status == 200 and list(answer.json()) == ["id", "name"]
    assert answer.json()["id"] == 4 and answer.json()["name"]


def test_list(server):
    answer = server.ask("GET", "/api/concerts")
    assert [item["id"] for item in answer.json()["items"]] == list(range(1, 11))
    assert answer.json()["nextCursor"] is None
    assert answer.json()["items"][2] == server.ask("GET", "/api/concerts/3").json()


@pytest.mark.parametrize(("limit", "pages"), [(1, 10), (3, 4), (5, 2), (9, 2), (10, 1), (1000, 1)])
def test_list_by_pages(server, limit, pages):
    seen, cursor, count = [], None, 0
    while cursor is not None or count == 0:
        target = f"/api/concerts?limit={limit}" + (f"&cursor={cursor}" if cursor else "")
        answer = server.ask("GET", target)
        assert answer.status == 200
        page = answer.json()
        assert set(page) == {"items", "nextCursor"}
        assert len(page["items"]) <= limit
        seen += [item["id"] for item in page["items"]]
        cursor = page["nextCursor"]
        assert cursor is None or isinstance(cursor, str)
        count += 1
    assert seen == list(range(1, 11)) and count == pages


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=1001", "limit=-1", "limit=x", "limit=", "limit=1.0", "limit=1&limit=2",
     "limit=99999999999999999999", "cursor=", "cursor=%00", "cursor=%ff", "cursor=!!!", "cursor=a&cursor=b"],
)
def test_list_with_bad_parameters(server, query):
    answer = server.ask("GET", "/api/concerts?" + query)
    assert answer.status in (400, 422)
    field = query.split("=")[0]
    if answer.status == 422:
        assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_fifty_are_listed_unless_told(server):
    server.reset(concerts=120)
    page = server.ask("GET", "/api/concerts").json()
    assert [item["id"] for item in page["items"]] == list(range(1, 51))
    page = server.ask("GET", f"/api/concerts?cursor={page['nextCursor']}").json()
    assert [item["id"] for item in page["items"]] == list(range(51, 101))


def test_list_of_nothing(start):
    server = start()
    assert server.ask("GET", "/api/concerts").json() == {"items": [], "nextCursor": None}


# --- admin ----------------------------------------------------------------------------------------------------


def test_create_concert(server):
    answer = server.admin("POST", "/admin/concerts", {"title": "Small", "capacity": 2})
    assert answer.status == 201
    assert answer.json() == {"id": 11, "title": "Small", "venue": None, "startsAt": None, "capacity": 2,
                             "sold": 0, "available": 2, "memberLimit": None}
    full = {"title": "Grüße 🎶 \"\\/", "venue": "Café", "startsAt": "2031-05-06T20:15:00Z",
            "capacity": 5, "memberLimit": 2}
    answer = server.admin("POST", "/admin/concerts", full)
    assert answer.status == 201
    body = answer.json()
    assert ISO_TIME.fullmatch(body["startsAt"])
    assert {key: body[key] for key in full} == full
    assert server.ask("GET", f"/api/concerts/{body['id']}").json() == body
    assert reserve(server, body["id"], 1, 2).status == 201
    reserve(server, body["id"], 1, 1).problem(409, "member-limit")


def test_times_are_in_utc(server):
    for text, shown in {
        "2031-05-06T20:15:00+02:00": "2031-05-06T18:15:00Z",
        "2031-01-01T00:30:00+01:00": "2030-12-31T23:30:00Z",
        "2032-02-29T12:00:00Z": "2032-02-29T12:00:00Z",
    }.items():
        answer = server.admin("POST", "/admin/concerts", {"title": "t", "capacity": 1, "startsAt": text})
        assert answer.status == 201
        assert re.sub(r"\.0+Z$", "Z", answer.json()["startsAt"]) == shown


def test_create_many(server):
    concerts = [{"title": f"T{i}", "capacity": i + 1} for i in range(100)]
    answer = server.admin("POST", "/admin/concerts", concerts)
    assert answer.status == 201
    assert [(c["title"], c["capacity"]) for c in answer.json()] == [(f"T{i}", i + 1) for i in range(100)]
    answer = server.admin("POST", "/admin/members", [{"name": f"N{i}"} for i in range(100)])
    assert answer.status == 201
    for member in answer.json():
        assert server.ask("GET", f"/api/members/{member['id']}").json() == member


def test_create_one_in_an_array_answers_with_an_array(server):
    assert isinstance(server.admin("POST", "/admin/members", [{"name": "a"}]).json(), list)
    assert server.admin("POST", "/admin/members", {"name": "b"}).json()["name"] == "b"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "title"),
        ({}, "capacity"),
        ({"title": "", "capacity": 1}, "title"),
        ({"title": "a\u0000b", "capacity": 1}, "title"),
        ({"title": "a\nb", "capacity": 1}, "title"),
        ({"title": "t", "capacity": 1, "venue": "\u007f"}, "venue"),
        ({"title": 5, "capacity": 1}, "title"),
        ({"title": None, "capacity": 1}, "title"),
        ({"title": "x" * 201, "capacity": 1}, "title"),
        ({"title": "é" * 101, "capacity": 1}, "title"),
        ({"title": "t", "capacity": 0}, "capacity"),
        ({"title": "t", "capacity": -1}, "capacity"),
        ({"title": "t", "capacity": 1.5}, "capacity"),
        ({"title": "t", "capacity": "1"}, "capacity"),
        ({"title": "t", "capacity": 2**53}, "capacity"),
        ({"title": "t", "capacity": 1, "memberLimit": 0}, "memberLimit"),
        ({"title": "t", "capacity": 1, "memberLimit": -1}, "memberLimit"),
        ({"title": "t", "capacity": 1, "startsAt": "tomorrow"}, "startsAt"),
        ({"title": "t", "capacity": 1, "startsAt": "2031-13-01T00:00:00Z"}, "startsAt"),
        ({"title": "t", "capacity": 1, "startsAt": "2031-02-29T00:00:00Z"}, "startsAt"),
        ({"title": "t", "capacity": 1, "startsAt": "2031-05-06T20:15:00"}, "startsAt"),
        ({"title": "t", "capacity": 1, "startsAt": 5}, "startsAt"),
        ({"title": "t", "capacity": 1, "venue": 5}, "venue"),
        ({"title": "t", "capacity": 1, "venue": "v" * 201}, "venue"),
        ({"title": "t", "capacity": 1, "id": 5}, "id"),
        ({"title": "t", "capacity": 1, "sold": 5}, "sold"),
    ],
)
def test_create_concert_refused(server, body, field):
    problem = server.admin("POST", "/admin/concerts", body).problem(422, "invalid-fields")
    assert field in [error["field"] for error in problem["errors"]]
    server.admin("POST", "/admin/concerts", [{"title": "good", "capacity": 1}, body]).problem(422)
    assert len(server.ask("GET", "/api/concerts").json()["items"]) == 10  # all or nothing


@pytest.mark.parametrize("body", [5, "text", None, True, [5], [[]], [None]])
@pytest.mark.parametrize("path", ["/admin/concerts", "/admin/members"])
def test_create_of_no_object(server, path, body):
    server.admin("POST", path, json.dumps(body).encode()).problem(422)


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": 5}, {"name": "x" * 201}, {"name": "a", "x": 1}])
def test_create_member_refused(server, body):
    server.admin("POST", "/admin/members", body).problem(422, "invalid-fields")


def test_update_concert(server):
    assert reserve(server, quantity=40).status == 201
    answer = server.admin("PUT", "/admin/concerts/1", {"capacity": 41, "title": "New"})
    assert answer.status == 200
    assert (answer.json()["capacity"], answer.json()["available"], answer.json()["title"]) == (41, 1, "New")
    server.admin("PUT", "/admin/concerts/1", {"capacity": 39, "title": "No"}).problem(409, "capacity-too-low")
    assert server.ask("GET", "/api/concerts/1").json() == answer.json()
    assert server.admin("PUT", "/admin/concerts/1", {"capacity": 40}).status == 200
    reserve(server).problem(409, "sold-out")
    assert server.admin("PUT", "/admin/concerts/1", {"capacity": 50}).status == 200
    assert reserve(server, quantity=10).status == 201


def test_update_concert_refused(server):
    server.admin("PUT", "/admin/concerts/11", {"capacity": 1}).problem(404)
    server.admin("PUT", "/admin/concerts/x", {"capacity": 1}).problem(404)
    server.admin("PUT", "/admin/concerts/1", {"capacity": 0}).problem(422)
    server.admin("PUT", "/admin/concerts/1", {"colour": "red"}).problem(422)
    server.admin("PUT", "/admin/concerts/1", [{"capacity": 1}]).problem(422)


def test_member_limit_is_set_and_lifted(server):
    assert server.admin("PUT", "/admin/concerts/1", {"memberLimit": 2}).status == 200
    assert reserve(server, quantity=2).status == 201
    reserve(server).problem(409, "member-limit")
    assert reserve(server, member_id=2).status == 201
    assert server.admin("PUT", "/admin/concerts/1", {"memberLimit": None}).json()["memberLimit"] is None
    assert reserve(server).status == 201


def test_audit(server):
    assert reserve(server, 2, quantity=5).status == 201
    location = reserve(server, 2, quantity=9).headers["location"]
    assert server.ask("DELETE", location).status == 204
    audit = server.audit()
    assert audit["consistent"] is True and len(audit["concerts"]) == 10
    assert audit["concerts"][1] == {"id": 2, "capacity": 100, "sold": 5, "live": 5, "consistent": True}


def test_reset(server):
    location = reserve(server).headers["location"]
    answer = server.admin("POST", "/admin/reset", {"concerts": 3, "capacity": 7, "members": 2})
    assert answer.status in (200, 201, 204)
    server.ask("GET", location).problem(404)
    items = server.ask("GET", "/api/concerts").json()["items"]
    assert [(item["id"], item["capacity"], item["sold"]) for item in items] == [(i, 7, 0) for i in (1, 2, 3)]
    server.ask("GET", "/api/members/3").problem(404)


@pytest.mark.parametrize("body", [{"concerts": -1, "capacity": 1, "members": 1},
                                  {"concerts": 1, "capacity": 0, "members": 1},
                                  {"concerts": 10_001, "capacity": 1, "members": 1},
                                  {"concerts": 1, "capacity": 1, "members": 1_000_001},
                                  {"concerts": 1}, {"concerts": 1, "capacity": 1, "members": 1, "x": 1}])
def test_reset_refused(server, body):
    assert reserve(server).status == 201
    server.admin("POST", "/admin/reset", body).problem(422, "invalid-fields")
    assert sold(server) == 1


@pytest.mark.parametrize("strategy", ["embedded", "fake"])
def test_reset_is_guarded(start, strategy):
    server = start(binary="resvd-fake" if strategy == "fake" else "resvd", strategy=strategy)
    body = {"concerts": 1, "capacity": 1, "members": 1}
    assert "allow_reset" in server.admin("POST", "/admin/reset", body).problem(403, "forbidden")["detail"]


@pytest.mark.parametrize(("method", "path"), [("GET", "/admin/dead-letters"),
                                              ("POST", "/admin/dead-letters/1/retry"),
                                              ("POST", "/admin/concerts/1/reconcile")])
def test_async_admin_is_for_async_only(server, method, path):
    server.admin(method, path, {} if method == "POST" else None).problem(404, "async-only")


# --- listeners, documents, health -----------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/metrics", "/livez", "/readyz", "/admin/audit", "/admin/concerts"])
def test_admin_is_not_on_the_api(server, path):
    server.ask("GET", path).problem(404, "not-found")
    server.ask("POST", path, {}).problem(404, "not-found")


@pytest.mark.parametrize("path", ["/api/concerts", "/api/concerts/1", "/api/reservations"])
def test_api_is_not_on_the_admin_listener(server, path):
    server.admin("GET", path).problem(404, "not-found")


@pytest.mark.parametrize(
    "path",
    ["/", "//", "/api", "/api/", "/api/concerts/", "/api//concerts", "/api/concerts/1/", "/API/concerts",
     "/api/./concerts", "/api/x/../concerts", "/api%2Fconcerts", "/api/concerts/1/x", "/problems/none",
     "/problems/", "/favicon.ico", "/..", "/api/concerts;a=b", "/api/test/init",
     "/api/reservations/request/1"],
)
def test_no_such_path(server, path):
    server.ask("GET", path).problem(404)


def test_percent_encoded_path_is_the_same(server):
    assert server.ask("GET", "/%61pi/concerts/%31").json()["id"] == 1


def test_every_problem_has_a_page(server):
    seen = set()
    document = server.ask("GET", "/openapi.json").body.decode()
    slugs = set(re.findall(r"/problems/([a-z0-9-]+)", document)) | {
        "sold-out", "member-limit", "contended", "unavailable", "unknown-outcome", "in-progress"}
    for slug in slugs:
        answer = server.ask("GET", f"/problems/{slug}")
        assert answer.status == 200
        assert answer.headers["content-type"].startswith("text/plain")
        assert len(answer.body) > 50
        seen.add(answer.body)
        assert server.admin("GET", f"/problems/{slug}").body == answer.body
    assert len(seen) == len(slugs)


def test_openapi_document(server):
    answer = server.ask("GET", "/openapi.json")
    assert answer.status == 200
    assert "json" in answer.headers["content-type"]
    assert answer.json()["openapi"].startswith("3.1")


def test_health(server):
    assert server.admin("GET", "/livez").status == 200
    assert server.admin("GET", "/readyz").status == 200
    answer = server.admin("GET", "/readyz?verbose")
    assert answer.status == 200
    components = answer.json()["components"]
    assert components and all(component["state"] == "up" for component in components)


def test_metrics(server):
    assert reserve(server).status == 201
    answer = server.admin("GET", "/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    names = {}
    for line in answer.body.decode().splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in names, f"{name} twice"
            names[name] = kind
        elif line.startswith("# HELP "):
            assert len(line.split(" ", 3)) == 4
        else:
            assert re.fullmatch(r'[a-z_]+(\{([a-z_]+="[^"\n]*",?)*\})? -?[0-9.e+-]+|.* (\+Inf|NaN)', line), line
    assert all(kind != "counter" or name.endswith("_total") for name, kind in names.items())
    for name in ("process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds",
                 "process_start_time_seconds", "resvd_build_info", "resvd_http_requests_total"):
        assert name in names, sorted(names)
    assert all(name.startswith(("resvd_", "process_")) for name in names)


def test_requests_are_counted_by_route_and_status(server):
    def count(route, status):
        return sum(value for name, value in server.metrics().items()
                   if name.startswith("resvd_http_requests_total{")
                   and f'route="{route}"' in name and f'status="{status}"' in name)

    before = count("/api/concerts/{id}", 200), count("/api/concerts/{id}", 404)
    for i in range(5):
        server.ask("GET", "/api/concerts/1")
        server.ask("GET", "/api/concerts/99")
    after = count("/api/concerts/{id}", 200), count("/api/concerts/{id}", 404)
    assert (after[0] - before[0], after[1] - before[1]) == (5, 5)


def test_admin_listener_is_as_strict(server):
    for data in (b"GET /livez HTTP/1.1\r\nHost : a\r\n\r\n", b"GET /livez HTTP/1.1\n\n",
                 b"POST /admin/reset HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
                 b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"):
        answers = exchange(server.admin_address, data + b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
        assert [answer.status for answer in answers] == [400]
