"""Request smuggling: what one parser takes for a body another takes for a request.

Each of these is known to have split two parsers somewhere. Behind each comes a request that would be
counted if anybody acted upon it; the answer must be one refusal, and then the end.
"""

from __future__ import annotations

import pytest
from bad_input_cases import BODY, FIRST_CHUNK, HOST, JSON, RESERVE, get, length, with_json
from raw_http import Lockstep, exchange, parse_all

HIDDEN = with_json(BODY)
CHUNKED = b"Transfer-Encoding: chunked\r\n"


def head(*fields: bytes, start: bytes = RESERVE) -> bytes:
    return start + HOST + JSON + b"".join(fields) + b"\r\n"


def attacks() -> dict[str, bytes]:
    te_body = b"0\r\n\r\n" + HIDDEN
    cl_body = FIRST_CHUNK + b"0\r\n\r\n" + HIDDEN
    result = {
        "CL.TE": head(length(len(te_body)), CHUNKED) + te_body,
        "CL.TE short": head(length(6), CHUNKED) + b"0\r\n\r\nG" + HIDDEN,
        "TE.CL": head(CHUNKED, length(4)) + b"%x\r\n" % len(HIDDEN) + HIDDEN + b"\r\n0\r\n\r\n",
        "CL.CL": head(length(len(HIDDEN)), length(0)) + HIDDEN,
        "CL.CL swapped": head(length(0), length(len(HIDDEN))) + HIDDEN,
        "CL list": head(b"Content-Length: 0, %d\r\n" % len(HIDDEN)) + HIDDEN,
        "CL plus": head(b"Content-Length: +%d\r\n" % len(HIDDEN)) + HIDDEN,
        "CL zero padded hex": head(b"Content-Length: 0x0\r\n") + HIDDEN,
        "CL behind NUL": head(b"Content-Length: 0\x00%d\r\n" % len(HIDDEN)) + HIDDEN,
        "CL name with space": head(b"Content-Length : %d\r\n" % len(HIDDEN), length(0)) + HIDDEN,
        "CL folded": head(b"Content-Length: 0\r\n %d\r\n" % len(HIDDEN)) + HIDDEN,
        "CL folded name": head(b"X: a\r\n Content-Length: %d\r\n" % len(HIDDEN)) + HIDDEN,
        "CL behind CR": head(b"X: a\rContent-Length: %d\r\n" % len(HIDDEN)) + HIDDEN,
        "CL behind LF": head(b"X: a\nContent-Length: %d\r\n" % len(HIDDEN)) + HIDDEN,
        "CL behind LF, first": head(b"\nContent-Length: %d\r\n" % len(HIDDEN)) + HIDDEN,
        "CL in obs-text": head(b"Content-Length: \xa00\r\n", length(len(HIDDEN))) + HIDDEN,
        "TE on 1.0": head(CHUNKED, start=b"POST /api/reservations HTTP/1.0\r\n") + te_body,
        "TE twice": head(CHUNKED, CHUNKED) + te_body,
        "TE then identity": head(CHUNKED, b"Transfer-Encoding: identity\r\n") + te_body,
        "TE with CL 0": head(length(0), CHUNKED) + te_body,
        "GET with CL.TE": head(length(len(te_body)), CHUNKED, start=b"GET / HTTP/1.1\r\n") + te_body,
        "obs-fold TE": head(b"Transfer-Encoding:\r\n chunked\r\n", length(len(te_body))) + te_body,
        "TE folded away": head(b"X: a\r\n Transfer-Encoding: chunked\r\n") + te_body,
        "bare LF head": head(length(0)).replace(b"\r\n", b"\n") + HIDDEN,
        "bare LF before the hidden": head(b"X: a\n\n" + HIDDEN),
        "bare CR before the hidden": head(b"X: a\r\r" + HIDDEN),
        "request in a header": head(b"X: a\n\nPOST /api/reservations HTTP/1.1\r\n"),
        "NUL ends the head": head(b"X: a\x00\r\n") + HIDDEN,
        "half head": RESERVE + HOST + b"X\r\n" + HIDDEN,
        "space ends the head": RESERVE + HOST + b" \r\n" + HIDDEN,
        "CR CR LF ends the head": RESERVE + HOST + b"\r\r\n" + HIDDEN,
        "Host twice": RESERVE + HOST + b"Host: other\r\n" + JSON + length(0) + b"\r\n" + HIDDEN,
        "chunk size overflow": head(CHUNKED) + b"100000000%08x\r\n" % 0 + te_body,
        "chunk size negative": head(CHUNKED) + b"-1\r\n" + te_body,
        "chunk size of spaces": head(CHUNKED) + b"   \r\n" + te_body,
        "chunk size with 0x": head(CHUNKED) + b"0x0\r\n\r\n" + HIDDEN,
        "chunk size then LF": head(CHUNKED) + b"0\n\r\n" + HIDDEN,
        "chunk size then CR": head(CHUNKED) + b"0\r\r\n\r\n" + HIDDEN,
        "chunk size in bad UTF-8": head(CHUNKED) + b"\xc2\xb0\r\n\r\n" + HIDDEN,
        "chunk extension with LF": head(CHUNKED) + b"2;\nxx\r\n4c\r\n0\r\n\r\n" + HIDDEN,
        "chunk extension with CR": head(CHUNKED) + b"2;a\rxx\r\n4c\r\n0\r\n\r\n" + HIDDEN,
        "chunk data ends with other bytes": head(CHUNKED) + b"2\r\n{}XX" + te_body,
        "chunk data ends with LF": head(CHUNKED) + b"2\r\n{}\n" + te_body,
        "trailer with a space": head(CHUNKED) + b"0\r\nX : a\r\n\r\n" + HIDDEN,
        "trailer section with LF": head(CHUNKED) + b"0\r\nX: a\n\n" + HIDDEN,
        "version 1.2": head(length(0), start=b"POST /api/reservations HTTP/1.2\r\n") + HIDDEN,
        "absolute target with Host twice": b"GET http://a/ HTTP/1.1\r\n" + HOST * 2 + b"\r\n" + HIDDEN,
        "method with a tab": b"POST\t/ HTTP/1.1\r\n" + HOST + b"\r\n" + HIDDEN,
        "target with LF": b"GET /\n HTTP/1.1\r\n" + HOST + b"\r\n" + HIDDEN,
        "target with CR": b"GET /\r HTTP/1.1\r\n" + HOST + b"\r\n" + HIDDEN,
        "target with a request": b"GET / HTTP/1.1\r\nHost:a\r\n\r\nGET /".replace(b"\r\n", b"\n")
        + b" HTTP/1.1\r\n" + HOST + b"\r\n" + HIDDEN,
        "too large length": head(length(2**63 - 1)) + HIDDEN,
        "length beyond 64 bits": head(length(2**64)) + HIDDEN,
        "length beyond 32 bits": head(length(2**32)) + HIDDEN,
        "chunk beyond 32 bits": head(CHUNKED) + b"100000000\r\n" + HIDDEN,
    }
    values = (b"xchunked", b"chunked\x0b", b"\x0bchunked", b"chunked\x00", b'"chunked"', b"chunked,",
              b"chunked, identity", b"identity, chunked, identity", b"chunked;q=1", b"chunked chunked",
              b"\xa0chunked", b"chunked\xff", b"chunk", b"CHUNKED, CHUNKED", b"chunked\t,x", b"x:chunked",
              b"'chunked'", b"[chunked]", b"chunked\x85", b"\xe2\x84\xaahunked")
    for value in values:
        for order in (0, 1):
            fields = [length(len(te_body)), b"Transfer-Encoding: " + value + b"\r\n"]
            result[f"TE {value!r}, {order}"] = head(*fields[:: 1 - 2 * order]) + te_body
    names = (b"Transfer-Encoding ", b"Transfer-Encoding\t", b" Transfer-Encoding", b"Transfer Encoding",
             b"Transfer-Encoding\x00", b"\x00Transfer-Encoding", b"Transfer-Encoding\x0b",
             b"Transfer-Encoding\r", b"Transfer-Encoding\xa0", b"Transfer\xadEncoding")
    for name in names:
        result[f"name {name!r}"] = head(length(len(te_body)), name + b": chunked\r\n") + te_body
    return result


ATTACKS = attacks()


@pytest.mark.parametrize("name", ATTACKS)
def test_one_refusal(fake, name):
    before = fake.metric("fake_reserve_taken_total")
    responses = exchange(fake.address, ATTACKS[name] + get(target=b"/api/concerts/3"))
    assert len(responses) == 1, [response.raw for response in responses]
    assert responses[0].status in (400, 413, 501, 505), responses[0].raw
    assert responses[0].closes
    assert fake.metric("fake_reserve_taken_total") == before


def test_split_at_every_byte(fake):
    before = fake.metric("fake_reserve_taken_total")
    lockstep = Lockstep(fake.address)
    work = [(name, place) for name, data in ATTACKS.items() for place in range(1, len(data))]
    for i in range(0, len(work), 1500):
        part = work[i : i + 1500]
        received = lockstep.run([[ATTACKS[name][:at], ATTACKS[name][at:]] for name, at in part])
        for (name, place), data in zip(part, received):
            responses = parse_all(data)
            assert len(responses) == 1, f"{name} split at {place}: {data!r}"
            assert responses[0].status in (400, 413, 501, 505), f"{name} split at {place}: {data!r}"
    lockstep.close()
    assert fake.metric("fake_reserve_taken_total") == before


# Names that are close to one that frames, and are none: they must frame nothing.
HARMLESS = {
    "underscore": b"Transfer_Encoding: chunked\r\n",
    "prefix": b"XTransfer-Encoding: chunked\r\n",
    "suffix": b"Transfer-Encodings: chunked\r\n",
    "trailing minus": b"Transfer-Encoding-: chunked\r\n",
    "length with underscore": b"Content_Length: 3\r\n",
    "length with dot": b"Content.Length: 3\r\n",
    "TE": b"TE: chunked\r\n",
    "Trailer": b"Trailer: Content-Length\r\n",
    "proxy": b"Proxy-Connection: keep-alive\r\n",
    "override": b"X-HTTP-Method-Override: DELETE\r\nX-Original-URL: /admin/reset\r\n",
}


@pytest.mark.parametrize("name", HARMLESS)
def test_other_names_frame_nothing(fake, name):
    before = fake.metric("fake_reserve_taken_total")
    data = head(length(len(BODY)), HARMLESS[name]) + BODY
    responses = exchange(fake.address, data + get(b"Connection: close\r\n"))
    assert [response.status for response in responses] == [201, 200]
    assert fake.metric("fake_reserve_taken_total") == before + 1


@pytest.mark.parametrize("field", [b"Content-Length: 100", b"Transfer-Encoding: chunked", b"Host: other"])
def test_trailers_frame_nothing(fake, field):
    """Framing fields in a trailer: refused or ignored, but never believed."""
    before = fake.metric("fake_reserve_taken_total")
    data = head(CHUNKED) + FIRST_CHUNK + b"0\r\n" + field + b"\r\n\r\n"
    statuses = [r.status for r in exchange(fake.address, data + get(b"Connection: close\r\n"))]
    assert statuses in ([400], [201, 200])
    assert fake.metric("fake_reserve_taken_total") == before + (statuses[0] == 201)


def test_body_that_looks_like_a_request_is_a_body(fake):
    before = fake.metric("fake_reserve_taken_total")
    data = head(length(len(HIDDEN))) + HIDDEN + get(b"Connection: close\r\n")
    assert [response.status for response in exchange(fake.address, data)] == [400, 200]
    data = head(CHUNKED) + b"%x\r\n%s\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN)
    responses = exchange(fake.address, data + get(b"Connection: close\r\n"))
    assert [response.status for response in responses] == [400, 200]
    assert fake.metric("fake_reserve_taken_total") == before


def test_body_of_a_get_is_a_body(fake):
    before = fake.metric("fake_reserve_taken_total")
    data = get(length(len(HIDDEN))) + HIDDEN + get(b"Connection: close\r\n", target=b"/api/concerts/3")
    responses = exchange(fake.address, data)
    assert [response.json()["id"] for response in responses] == [1, 3]
    assert fake.metric("fake_reserve_taken_total") == before
