"""Every row of the API page's table of bad input, each in many forms: what is sent, what must come.

A case that closes (C) is answered once, and nothing behind it may be acted upon; one that stays open
(K) leaves the connection as good as before.
"""

from __future__ import annotations

from dataclasses import dataclass

BODY = b'{"concertId":2,"memberId":1,"quantity":1}'
RESERVE = b"POST /api/reservations HTTP/1.1\r\n"
HOST = b"Host: test\r\n"
JSON = b"Content-Type: application/json\r\n"
GET = b"GET /api/concerts/1 HTTP/1.1\r\n"


@dataclass(frozen=True)
class Case:
    name: str
    data: bytes
    status: int | tuple[int, ...]
    closes: bool
    field: str | None = None  # 422: the field that must be named
    method: str = "GET"

    @property
    def statuses(self) -> tuple[int, ...]:
        return self.status if isinstance(self.status, tuple) else (self.status,)


def length(size: int) -> bytes:
    return b"Content-Length: %d\r\n" % size


def post(*fields: bytes, body: bytes = b"", host: bytes = HOST, kind: bytes = JSON) -> bytes:
    """A reservation with these framing fields, and the body as given."""
    return RESERVE + host + kind + b"".join(fields) + b"\r\n" + body


def get(*fields: bytes, target: bytes = b"/api/concerts/1", host: bytes = HOST) -> bytes:
    return b"GET " + target + b" HTTP/1.1\r\n" + host + b"".join(fields) + b"\r\n"


def with_json(body: bytes) -> bytes:
    return post(length(len(body)), body=body)


def chunks(*sizes_and_data: bytes) -> bytes:
    return b"".join(sizes_and_data)


CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKED_BODY = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
FIRST_CHUNK = b"%x\r\n%s\r\n" % (len(BODY), BODY)


def framing() -> list[Case]:
    cases: list[Case] = []

    def bad(name: str, data: bytes, status: int = 400) -> None:
        cases.append(Case("framing: " + name, data, status, True))

    both = {
        "length then chunked": (length(len(BODY)), CHUNKED),
        "chunked then length": (CHUNKED, length(len(BODY))),
        "length 0 and chunked": (length(0), CHUNKED),
        "length and identity": (length(len(BODY)), b"Transfer-Encoding: identity\r\n"),
        "length and gzip": (b"Transfer-Encoding: gzip\r\n", length(len(BODY))),
        "length and empty coding": (b"Transfer-Encoding:\r\n", length(len(BODY))),
        "length and malformed coding": (b"Transfer-Encoding: chunked,\x20,\r\n", length(5)),
    }
    for name, fields in both.items():
        bad("both, " + name, post(*fields, body=CHUNKED_BODY))

    lengths = {
        "list of equals": b"%d, %d" % (len(BODY), len(BODY)),
        "list without space": b"%d,%d" % (len(BODY), len(BODY)),
        "list of different": b"%d, 0" % len(BODY),
        "trailing comma": b"%d," % len(BODY),
        "leading comma": b",%d" % len(BODY),
        "plus": b"+%d" % len(BODY),
        "minus": b"-%d" % len(BODY),
        "minus zero": b"-0",
        "hex": b"0x%x" % len(BODY),
        "hex digits": b"2a",
        "empty": b"",
        "spaces only": b"   ",
        "fraction": b"%d.0" % len(BODY),
        "exponent": b"4e1",
        "underscore": b"4_1",
        "semicolon": b"%d;" % len(BODY),
        "inner space": b"4 1",
        "quoted": b'"%d"' % len(BODY),
        "word": b"chunked",
        "2^64": b"18446744073709551616",
        "2^64 + length": b"%d" % (2**64 + len(BODY)),
        "huge": b"9" * 60,
    }
    for name, value in lengths.items():
        bad("length, " + name, post(b"Content-Length: " + value + b"\r\n", body=BODY))
        bad("length of GET, " + name, get(b"Content-Length: " + value + b"\r\n"))
    bad("length twice", post(length(len(BODY)), length(len(BODY)), body=BODY))
    bad("length twice, different", post(length(len(BODY)), length(0), body=BODY))
    bad("length twice, other case", post(length(len(BODY)), b"content-length: 0\r\n", body=BODY))

    codings = {
        "trailing comma": b"chunked,",
        "empty": b"",
        "quoted": b'"chunked"',
        "two words": b"cow chunked",
        "chunked not last": b"chunked, gzip",
        "chunked not last, identity": b"chunked, identity",
        "chunked twice": b"chunked, chunked",
        "chunked with slash": b"chunked/1",
        "braces": b"{chunked}",
        "parameter without name": b"chunked;=1",
        "vertical tab": b"\x0bchunked",
        "form feed": b"chunked\x0c",
        "NUL": b"chunked\x00",
        "high byte": b"chunked\xa0",
        "comma only": b",",
    }
    for name, value in codings.items():
        bad(
            "coding, " + name,
            post(b"Transfer-Encoding: " + value + b"\r\n", body=CHUNKED_BODY),
        )
    bad("coding twice", post(CHUNKED, CHUNKED, body=CHUNKED_BODY))
    bad("coding twice, identity", post(b"Transfer-Encoding: identity\r\n", CHUNKED, body=CHUNKED_BODY))
    bad("coding twice, gzip", post(b"Transfer-Encoding: gzip\r\n", CHUNKED, body=CHUNKED_BODY))
    bad(
        "coding on 1.0",
        b"POST /api/reservations HTTP/1.0\r\n" + HOST + JSON + CHUNKED + b"\r\n" + CHUNKED_BODY,
    )
    for name in (b"gzip", b"identity", b"xchunked", b"chunkedx", b"gzip, chunked", b"compress"):
        data = post(b"Transfer-Encoding: " + name + b"\r\n", body=CHUNKED_BODY)
        bad("coding unknown, " + name.decode(), data, 501)

    sizes = {
        "word": b"xyz\r\n",
        "empty": b"\r\n",
        "minus": b"-1\r\n",
        "plus": b"+3\r\n",
        "0x": b"0x29\r\n",
        "leading space": b" 29\r\n",
        "overflow": b"1" + b"0" * 16 + b"\r\n",
        "overflow to the size": b"1" + b"0" * 14 + b"29\r\n",
        "underscore": b"2_9\r\n",
        "NUL": b"29\x00\r\n",
        "comma": b"29,\r\n",
        "bare LF": b"29\n",
        "bare CR": b"29\r",
        "NUL in extension": b"29;a\x00b\r\n",
        "LF in extension": b"29;a\nb\r\n",
        "CR in extension": b"29;a\rb\r\n",
        "control in extension": b"29;a\x01b\r\n",
    }
    for name, line in sizes.items():
        bad("chunk size, " + name, post(CHUNKED, body=line + BODY + b"\r\n0\r\n\r\n"))
    tail = b"0\r\n\r\n"
    bad("chunk data too short", post(CHUNKED, body=b"30\r\n" + BODY + b"\r\n" + tail))
    bad("chunk data too long", post(CHUNKED, body=b"28\r\n" + BODY + b"\r\n" + tail))
    bad("chunk ends with LF", post(CHUNKED, body=b"29\r\n" + BODY + b"\n" + tail))
    bad("chunk ends with CR", post(CHUNKED, body=b"29\r\n" + BODY + b"\r" + tail))
    bad("chunk ends with CR CR LF", post(CHUNKED, body=b"29\r\n" + BODY + b"\r\r\n" + tail))
    bad("chunk without end", post(CHUNKED, body=b"29\r\n" + BODY + tail))
    bad("last chunk with LF", post(CHUNKED, body=FIRST_CHUNK + b"0\n\r\n"))
    bad("last chunk, end with LF", post(CHUNKED, body=FIRST_CHUNK + b"0\r\n\n"))
    bad("last chunk, end with CR", post(CHUNKED, body=FIRST_CHUNK + b"0\r\n\rX"))

    trailers = {
        "no colon": b"X-Trailer\r\n",
        "empty name": b": a\r\n",
        "space before colon": b"X : a\r\n",
        "space in name": b"X Y: a\r\n",
        "obs-fold": b"X: a\r\n b\r\n",
        "leading space": b" X: a\r\n",
        "NUL": b"X: a\x00b\r\n",
        "DEL": b"X: a\x7fb\r\n",
        "control": b"X: a\x02b\r\n",
        "bare LF": b"X: a\n",
        "bare CR": b"X: a\rb\r\n",
        "high byte in name": b"X\xe9: a\r\n",
        "request line": b"POST /api/reservations HTTP/1.1\r\n",
    }
    for name, line in trailers.items():
        bad("trailer, " + name, post(CHUNKED, body=FIRST_CHUNK + b"0\r\n" + line + b"\r\n"))
    return cases


def bytes_and_fields() -> list[Case]:
    cases: list[Case] = []

    def bad(name: str, data: bytes, status: int = 400) -> None:
        cases.append(Case("bytes: " + name, data, status, True))

    bad("LF before the request line", b"\n" + get())
    bad("CR before the request line", b"\r" + get())
    bad("CR CR LF before the request line", b"\r\r\n" + get())
    bad("CRLF LF before the request line", b"\r\n\n" + get())
    bad("space before the request line", b" " + get())
    bad("NUL before the request line", b"\x00" + get())
    bad("BOM before the request line", b"\xef\xbb\xbf" + get())
    bad("request line ends with LF", b"GET /api/concerts/1 HTTP/1.1\n" + HOST + b"\r\n")
    bad("request line ends with CR", b"GET /api/concerts/1 HTTP/1.1\r" + HOST + b"\r\n")
    bad("request line ends with CR CR LF", b"GET /api/concerts/1 HTTP/1.1\r\r\n" + HOST + b"\r\n")
    bad("all lines end with LF", get().replace(b"\r\n", b"\n"))
    bad("all lines end with CR", get().replace(b"\r\n", b"\r"))
    bad("field ends with LF", get(b"X: a\n"))
    bad("field ends with CR", get(b"X: a\rY: b\r\n"))
    bad("field ends with CR CR LF", get(b"X: a\r\r\n"))
    bad("head ends with LF", GET + HOST + b"\n")
    bad("head ends with LF LF", GET + b"Host: test\n\n")
    bad("head ends with CR", GET + HOST + b"\rX")
    bad("CR in a value", get(b"X: a\rb\r\n"))
    bad("LF in a value", get(b"X: a\nb\r\n"))
    bad("CR as the only value", get(b"X: \r\r\n"))
    bad("CR in a name", get(b"X\rY: a\r\n"))
    bad("obs-fold with a space", get(b"X: a\r\n b\r\n"))
    bad("obs-fold with a tab", get(b"X: a\r\n\tb\r\n"))
    bad("obs-fold of nothing", get(b"X: a\r\n \r\n"))
    bad("obs-fold of the length", post(b"Content-Length:\r\n %d\r\n" % len(BODY), body=BODY))
    bad("obs-fold of the coding", post(b"Transfer-Encoding:\r\n chunked\r\n", body=CHUNKED_BODY))
    bad("first field begins with a space", GET + b" " + HOST + b"\r\n")
    bad("first field begins with a tab", GET + b"\t" + HOST + b"\r\n")
    bad("space before colon", get(b"X : a\r\n"))
    bad("tab before colon", get(b"X\t: a\r\n"))
    bad("space before colon of Host", GET + b"Host : test\r\n\r\n")
    bad("space before colon of length", post(b"Content-Length : 41\r\n", body=BODY))
    bad("space before colon of coding", post(b"Transfer-Encoding : chunked\r\n", body=CHUNKED_BODY))
    bad("no colon", get(b"X\r\n"))
    bad("empty name", get(b": a\r\n"))
    for byte in b'()<>@,;\\"/[]?={} \x00\x01\x0b\x7f\x80\xe9\xff':
        bad(f"0x{byte:02x} in a name", get(b"X" + bytes([byte]) + b"Y: a\r\n"))
    for byte in (0, 1, 2, 7, 8, 0x0B, 0x0C, 0x0E, 0x1B, 0x1F, 0x7F):
        bad(f"0x{byte:02x} in a value", get(b"X: a" + bytes([byte]) + b"b\r\n"))
        bad(f"0x{byte:02x} ends a value", get(b"X: a" + bytes([byte]) + b"\r\n"))
        bad(f"0x{byte:02x} in the target", get(target=b"/api/concerts/" + bytes([byte])))
        bad(f"0x{byte:02x} in the method", b"GE" + bytes([byte]) + b"T / HTTP/1.1\r\n" + HOST + b"\r\n")
    bad("0x7f in a stored value", get(b"Idempotency-Key: a\x7fb\r\n"))

    hosts = {
        "missing": b"",
        "empty": b"Host:\r\n",
        "spaces": b"Host:   \r\n",
        "twice": HOST + HOST,
        "twice, different": HOST + b"Host: other\r\n",
        "twice, other case": HOST + b"HOST: other\r\n",
        "list": b"Host: a, b\r\n",
        "space": b"Host: a b\r\n",
        "slash": b"Host: a/b\r\n",
        "user": b"Host: user@a\r\n",
        "scheme": b"Host: http://a\r\n",
        "question mark": b"Host: a?b\r\n",
        "fragment": b"Host: a#b\r\n",
        "word as port": b"Host: a:b\r\n",
        "minus as port": b"Host: a:-1\r\n",
        "two ports": b"Host: a:1:2\r\n",
        "open bracket": b"Host: [::1\r\n",
        "close bracket": b"Host: ::1]\r\n",
        "not an address": b"Host: [:::g]\r\n",
        "bare address": b"Host: ::1\r\n",
        "bad escape": b"Host: a%zz\r\n",
        "backslash": b"Host: a\\b\r\n",
        "high byte": b"Host: caf\xe9\r\n",
        "quote": b'Host: "a"\r\n',
    }
    for name, field in hosts.items():
        bad("Host, " + name, get(host=field))
        bad("Host of POST, " + name, post(length(len(BODY)), body=BODY, host=field))
    bad("Host twice on 1.0", b"GET /api/concerts/1 HTTP/1.0\r\n" + HOST + HOST + b"\r\n")

    for char in b'#"<>\\^`{|}':
        bad(f"{chr(char)} in the target", get(target=b"/api/concerts/1" + bytes([char])))
        bad(f"{chr(char)} in the query", get(target=b"/api/concerts?a=" + bytes([char])))
    for byte in (0x80, 0xA0, 0xC3, 0xE9, 0xFF):
        bad(f"0x{byte:02x} in the target", get(target=b"/api/concerts/" + bytes([byte])))
    for escape in (b"%", b"%1", b"%zz", b"%1g"):
        bad(f"{escape.decode()} in the target", get(target=b"/api/concerts/" + escape))
    bad("relative target", get(target=b"api/concerts/1"))
    bad("empty target", b"GET  HTTP/1.1\r\n" + HOST + b"\r\n")
    bad("two spaces", b"GET  /api/concerts/1 HTTP/1.1\r\n" + HOST + b"\r\n")
    bad("two spaces before the version", b"GET /api/concerts/1  HTTP/1.1\r\n" + HOST + b"\r\n")
    bad("tabs", b"GET\t/api/concerts/1\tHTTP/1.1\r\n" + HOST + b"\r\n")
    bad("space after the version", b"GET /api/concerts/1 HTTP/1.1 \r\n" + HOST + b"\r\n")
    bad("space in the target", b"GET /api/concerts/1 2 HTTP/1.1\r\n" + HOST + b"\r\n")
    for version in (b"http/1.1", b"HTTP/1.1.1", b"HTTP/11", b"HTTP/1,1", b"HTTP/01.1", b"HTTP/1.",
                    b"HTTP/.1", b"HTTP/1.1x", b"HTTP /1.1", b"HTTPS/1.1", b"HTTP/+1.1", b"ICE/1.0"):
        bad(f"version {version.decode()}",
            b"GET /api/concerts/1 " + version + b"\r\n" + HOST + b"\r\n")
    for method in (b"G@T", b"G(T", b"G/T", b"G\xe9T", b'"GET"', b"GET:"):
        bad(f"method {method!r}", method + b" /api/concerts/1 HTTP/1.1\r\n" + HOST + b"\r\n")
    return cases


def methods_and_versions() -> list[Case]:
    cases: list[Case] = []

    def case(name: str, data: bytes, status, closes: bool, method: str = "GET") -> None:
        cases.append(Case(name, data, status, closes, method=method))

    for version in (b"HTTP/0.9", b"HTTP/1.2", b"HTTP/1.9", b"HTTP/2.0", b"HTTP/3.0", b"HTTP/9.9"):
        line = b"GET /api/concerts/1 " + version + b"\r\n"
        case("version " + version.decode(), line + HOST + b"\r\n", 505, True)
    case("version HTTP/2.0 of POST", with_json(BODY).replace(b"HTTP/1.1", b"HTTP/2.0"), 505, True)
    case("no version", b"GET /api/concerts/1\r\n", 505, True)
    case("no version, then fields", b"GET /api/concerts/1\r\n" + HOST + b"\r\n", 505, True)
    case("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (501, 505), True)

    for method in (b"FOO", b"get", b"Post", b"PROPFIND", b"BREW", b"QUERY", b"GETX", b"GE", b"MKCOL",
                   b"X" * 60, b"!#$%&'*+-.^_`|~09"):
        line = method + b" /api/concerts/1 HTTP/1.1\r\n"
        case(f"unknown method {method.decode()[:20]}", line + HOST + b"\r\n", 501, True)
    lacking = {
        "DELETE /api/concerts/1": b"DELETE /api/concerts/1",
        "POST /api/concerts/1": b"POST /api/concerts/1",
        "PUT /api/reservations": b"PUT /api/reservations",
        "GET /api/reservations": b"GET /api/reservations",
        "HEAD /api/reservations": b"HEAD /api/reservations",
        "PATCH /api/reservations": b"PATCH /api/reservations",
        "TRACE /api/reservations": b"TRACE /api/reservations",
        "TRACE /api/concerts": b"TRACE /api/concerts",
        "PATCH a reservation": b"PATCH /api/reservations/018f0000-0000-7000-8000-000000000000",
        "POST /openapi.json": b"POST /openapi.json",
    }
    for name, start in lacking.items():
        data = start + b" HTTP/1.1\r\n" + HOST + length(0) + b"\r\n"
        case("method that the path lacks, " + name, data, 405, False, start.split()[0].decode())
    for target in (b"test:443", b"/api/concerts/1", b"test:80", b"127.0.0.1:22"):
        data = b"CONNECT " + target + b" HTTP/1.1\r\n" + HOST + b"\r\n"
        case("CONNECT " + target.decode(), data, 405, True)
    for value in (b"websocket", b"h2c", b"TLS/1.0", b"HTTP/2.0", b"websocket, h2c"):
        fields = b"Connection: Upgrade\r\nUpgrade: " + value + b"\r\n"
        case("Upgrade " + value.decode(), get(fields), 200, True)
    case(
        "Upgrade of POST",
        post(length(len(BODY)), b"Connection: upgrade\r\nUpgrade: websocket\r\n", body=b"{}"
             .ljust(len(BODY))),
        422,
        True,
    )
    return cases


def sizes() -> list[Case]:
    cases: list[Case] = []

    def case(name: str, data: bytes, status, closes: bool) -> None:
        cases.append(Case("size: " + name, data, status, closes))

    case("target of 8 KiB", get(target=b"/" + b"a" * 8191), 404, False)
    case("target of 8 KiB + 1", get(target=b"/" + b"a" * 8192), 414, True)
    case("query over 8 KiB", get(target=b"/api/concerts?" + b"a" * 8192), 414, True)
    case("target of 100 KB", get(target=b"/" + b"a" * 100_000), 414, True)
    case("target without end", b"GET /" + b"a" * 100_000, 414, True)
    case("fields of 15 KiB", get(*[b"X%02d: %s\r\n" % (i, b"v" * 500) for i in range(30)]), 200, False)
    case("fields of 17 KiB", get(*[b"X%02d: %s\r\n" % (i, b"v" * 500) for i in range(34)]), 431, True)
    case("one field of 17 KiB", get(b"X: " + b"v" * 17_408 + b"\r\n"), 431, True)
    case("one name of 17 KiB", get(b"X" * 17_408 + b": v\r\n"), 431, True)
    case("field without end", GET + HOST + b"X: " + b"v" * 100_000, 431, True)
    case("100 fields", get(*[b"X%d: v\r\n" % i for i in range(99)]), 200, False)
    case("101 fields", get(*[b"X%d: v\r\n" % i for i in range(100)]), 431, True)
    case("1,000 fields", get(*[b"X:\r\n"] * 1000), 431, True)
    trailer = b"".join(b"X%02d: %s\r\n" % (i, b"v" * 500) for i in range(34))
    case("trailers of 17 KiB", post(CHUNKED, body=FIRST_CHUNK + b"0\r\n" + trailer + b"\r\n"), 431, True)
    trailer = b"".join(b"X%d: v\r\n" % i for i in range(100))
    case("100 trailers", post(CHUNKED, body=FIRST_CHUNK + b"0\r\n" + trailer + b"\r\n"), 431, True)
    half = [b"X%02d: %s\r\n" % (i, b"v" * 500) for i in range(18)]
    data = post(CHUNKED, *half, body=FIRST_CHUNK + b"0\r\n" + b"".join(half) + b"\r\n")
    case("fields and trailers over 16 KiB together", data, 431, True)
    fifty = [b"X%d: v\r\n" % i for i in range(50)]
    data = post(CHUNKED, *fifty, body=FIRST_CHUNK + b"0\r\n" + b"".join(fifty) + b"\r\n")
    case("fields and trailers over 100 together", data, 431, True)

    case("body of 16 KiB", with_json(b" " * 16_384), 400, False)
    case("body of 16 KiB + 1", with_json(b" " * 16_385), 413, True)
    case("body of 16 KiB + 1 declared only", post(length(16_385)), 413, True)
    case("body of 2^63 - 1 declared", post(length(2**63 - 1)), 413, True)
    case("body of 2^64 - 1 declared", post(length(2**64 - 1)), 413, True)
    case("body of GET over 16 KiB declared", get(length(16_385)), 413, True)
    case("body over 16 KiB in one chunk", post(CHUNKED, body=b"4001\r\n"), 413, True)
    case("body of 2^40 in one chunk", post(CHUNKED, body=b"10000000000\r\n"), 413, True)
    kib = b"400\r\n" + b" " * 1024 + b"\r\n"
    case("body of 16 chunks of 1 KiB", post(CHUNKED, body=kib * 16 + b"0\r\n\r\n"), 400, False)
    case("body of 17 chunks of 1 KiB", post(CHUNKED, body=kib * 17 + b"0\r\n\r\n"), 413, True)
    case("body of 16 KiB and a byte", post(CHUNKED, body=kib * 16 + b"1\r\n"), 413, True)
    ext = b"1;" + b"a" * 8000 + b"\r\n \r\n"
    case("extensions of 16,000 bytes", post(CHUNKED, body=ext * 2 + b"0\r\n\r\n"), 400, False)
    case("extensions of 24,000 bytes", post(CHUNKED, body=ext * 3 + b"0\r\n\r\n"), 413, True)
    case("one extension of 17 KiB", post(CHUNKED, body=b"1;" + b"a" * 17_408 + b"\r\n"), 413, True)
    case("extension without end", post(CHUNKED, body=b"1;" + b"a" * 100_000), 413, True)
    expect = b"Expect: 100-continue\r\n"
    case("too large, with Expect", post(length(16_385), expect), 413, True)
    for value in (b"100-continued", b"200-ok", b"100-continue, x", b"x, 100-continue", b"100",
                  b"100-continue;q=1"):
        data = post(length(len(BODY)), b"Expect: " + value + b"\r\n", body=BODY)
        case("Expect " + value.decode(), data, 417, True)
    return cases


def media_types_and_keys() -> list[Case]:
    cases: list[Case] = []

    def case(name: str, status: int, *fields: bytes, kind: bytes = JSON, body: bytes = BODY) -> None:
        data = post(length(len(body)), *fields, kind=kind, body=body)
        cases.append(Case(name, data, status, False))

    for value in (b"text/plain", b"application/jsonp", b"application/json5", b"application/xml",
                  b"application/x-www-form-urlencoded", b"json", b"application/*", b"*/*", b"",
                  b"application/problem+json", b"multipart/form-data; boundary=a", b"application",
                  b"application/json, text/plain", b"text/plain; a=application/json"):
        case(f"Content-Type {value.decode() or 'empty'}", 415, kind=b"Content-Type: " + value + b"\r\n")
    case("no Content-Type", 415, kind=b"")
    for value in (b"gzip", b"identity", b"br", b"deflate, gzip"):
        case(f"Content-Encoding {value.decode()}", 415, b"Content-Encoding: " + value + b"\r\n")
    case("Content-Type twice", 400, JSON)
    for name, value in {
        "empty": b"",
        "256 bytes": b"k" * 256,
        "space inside": b"a b",
        "tab inside": b"a\tb",
        "high bytes": b"caf\xc3\xa9",
    }.items():
        case(f"Idempotency-Key, {name}", 400, b"Idempotency-Key: " + value + b"\r\n")
    key = b"Idempotency-Key: k\r\n"
    case("Idempotency-Key twice", 400, key, key)
    return cases


def json_texts() -> list[Case]:
    texts = {
        "empty": b"",
        "spaces": b"  \r\n\t ",
        "word": b"concertId",
        "unquoted key": b"{concertId:1,memberId:1}",
        "single quotes": b"{'concertId':1,'memberId':1}",
        "trailing comma": b'{"concertId":1,"memberId":1,}',
        "leading comma": b'{,"concertId":1,"memberId":1}',
        "two commas": b'{"concertId":1,,"memberId":1}',
        "no comma": b'{"concertId":1 "memberId":1}',
        "no colon": b'{"concertId" 1,"memberId":1}',
        "two colons": b'{"concertId"::1,"memberId":1}',
        "open object": b'{"concertId":1,"memberId":1',
        "open string": b'{"concertId":1,"memberId":"',
        "bytes after": BODY + b"x",
        "second value": BODY + BODY,
        "brace after": BODY + b"}",
        "NUL after": BODY + b"\x00",
        "NUL before": b"\x00" + BODY,
        "comment": b'{"concertId":1,/* */"memberId":1}',
        "line comment": b'{"concertId":1,"memberId":1}//',
        "BOM": b"\xef\xbb\xbf" + BODY,
        "UTF-16": BODY.decode().encode("utf-16"),
        "duplicate key": b'{"concertId":1,"memberId":1,"concertId":2}',
        "duplicate key, same value": b'{"concertId":1,"memberId":1,"memberId":1}',
        "duplicate key, escaped": b'{"concertId":1,"memberId":1,"\\u0063oncertId":2}',
        "duplicate key, escaped twice": b'{"\\u0063oncertId":1,"c\\u006fncertId":2,"memberId":1}',
        "duplicate key, surrogates": b'{"\\ud83d\\ude00":1,"\xf0\x9f\x98\x80":2}',
        "duplicate unknown key": b'{"concertId":1,"memberId":1,"x":1,"x":2}',
        "duplicate key inside": b'{"concertId":1,"memberId":1,"x":{"a":1,"a":2}}',
        "duplicate empty key": b'{"":1,"":2}',
        "duplicate key, escaped slash": b'{"a/":1,"a\\/":2}',
        "lone high surrogate": b'{"a":"\\ud800"}',
        "lone low surrogate": b'{"a":"\\udc00"}',
        "surrogates swapped": b'{"a":"\\udc00\\ud800"}',
        "high surrogate then letter": b'{"a":"\\ud800\\u0041"}',
        "lone surrogate in a key": b'{"\\ud800":1}',
        "surrogate in UTF-8": b'{"a":"\xed\xa0\x80"}',
        "bad UTF-8": b'{"a":"\xff"}',
        "cut UTF-8": b'{"a":"\xe2\x82"}',
        "overlong UTF-8": b'{"a":"\xc0\xaf"}',
        "overlong NUL": b'{"a":"\xc0\x80"}',
        "UTF-8 over U+10FFFF": b'{"a":"\xf4\x90\x80\x80"}',
        "bad UTF-8 in a key": b'{"\xff":1}',
        "bad UTF-8 outside strings": b'{"a":1\xff}',
        "newline in a string": b'{"a":"\n"}',
        "tab in a string": b'{"a":"\t"}',
        "NUL in a string": b'{"a":"\x00"}',
        "0x1f in a string": b'{"a":"\x1f"}',
        "control in a key": b'{"a\x01":1}',
        "bad escape": b'{"a":"\\x41"}',
        "short escape": b'{"a":"\\u004"}',
        "escape of no hex": b'{"a":"\\u00g1"}',
        "escape at the end": b'{"a":"\\"',
        "leading zero": b'{"concertId":01,"memberId":1}',
        "leading plus": b'{"concertId":+1,"memberId":1}',
        "lone minus": b'{"concertId":-,"memberId":1}',
        "point without digits": b'{"concertId":1.,"memberId":1}',
        "leading point": b'{"concertId":.1,"memberId":1}',
        "exponent without digits": b'{"concertId":1e,"memberId":1}',
        "exponent sign only": b'{"concertId":1e+,"memberId":1}',
        "hex number": b'{"concertId":0x1,"memberId":1}',
        "NaN": b'{"concertId":NaN,"memberId":1}',
        "Infinity": b'{"concertId":Infinity,"memberId":1}',
        "True": b'{"concertId":True,"memberId":1}',
        "truex": b'{"concertId":truex,"memberId":1}',
        "number as key": b'{1:1,"concertId":1,"memberId":1}',
        "form feed": b'{"concertId":1,\x0c"memberId":1}',
        "no-break space": b'{"concertId":1,\xc2\xa0"memberId":1}',
        "wrong bracket": b'{"concertId":1,"memberId":1]',
        "array 17 deep": b"[" * 17 + b"]" * 17,
        "array 17 deep inside": b'{"a":' + b"[" * 16 + b"]" * 16 + b"}",
        "array 8,000 deep": b"[" * 8000 + b"]" * 8000,
        "object 17 deep": b'{"a":' * 17 + b"1" + b"}" * 17,
        "open array 16,000 deep": b"[" * 16000,
    }
    return [Case("JSON: " + name, with_json(text), 400, False) for name, text in texts.items()]


def json_values() -> list[Case]:
    cases: list[Case] = []

    def case(name: str, text: bytes, field: str | None = None) -> None:
        cases.append(Case("value: " + name, with_json(text), 422, False, field))

    for text in (b"1", b"null", b"true", b'"text"', b"[]", b'[{"concertId":1,"memberId":1}]', b"0",
                 b"[" * 16 + b"]" * 16, b'""', b"-0.0", b"1e400"):
        case("no object, " + text.decode()[:30], text)
    case("empty object", b"{}", "concertId")
    case("empty object, other field", b"{}", "memberId")
    case("concertId missing", b'{"memberId":1}', "concertId")
    case("memberId missing", b'{"concertId":1}', "memberId")
    case("unknown field", b'{"concertId":1,"memberId":1,"seat":1}', "seat")
    case("unknown field by case", b'{"concertId":1,"memberId":1,"concertid":1}', "concertid")
    case("unknown field that is escaped", b'{"concertId":1,"memberId":1,"\\u0073eat":1}', "seat")
    case("unknown empty field", b'{"concertId":1,"memberId":1,"":1}', "")
    values = {
        "text": b'"1"',
        "null": b"null",
        "true": b"true",
        "false": b"false",
        "array": b"[1]",
        "object": b"{}",
        "float": b"1.5",
        "float that is whole": b"1.0",
        "small exponent": b"1e-1",
        "exponent that is no integer": b"1.25e1",
        "negative": b"-1",
        "zero": b"0",
        "minus zero": b"-0",
        "zero with exponent": b"0e5",
        "2^53": b"9007199254740992",
        "2^53 + 1": b"9007199254740993",
        "2^63": b"9223372036854775808",
        "2^64 + 1": b"18446744073709551617",
        "1e16": b"1e16",
        "1e400": b"1e400",
        "1e999999999999": b"1e999999999999",
        "many digits": b"1" * 400,
        "-2^63": b"-9223372036854775808",
    }
    for field in ("concertId", "memberId", "quantity"):
        for name, value in values.items():
            members = {"concertId": b"1", "memberId": b"1", "quantity": b"1", field: value}
            inner = b",".join(b'"%s":%s' % (key.encode(), text) for key, text in members.items())
            case(f"{field} is {name}", b"{" + inner + b"}", field)
    return cases


def good() -> list[Case]:
    """The other side of each line: what must not be refused."""
    cases: list[Case] = []

    def case(name: str, data: bytes, status=200, closes: bool = False, method="GET") -> None:
        cases.append(Case("good: " + name, data, status, closes, method=method))

    case("CRLF before the request line", b"\r\n" + get())
    case("CRLFs before the request line", b"\r\n" * 5 + get())
    case("chunked", post(CHUNKED, body=CHUNKED_BODY), 201)
    case("chunked, other case", post(b"transfer-encoding: CHUNKED\r\n", body=CHUNKED_BODY), 201)
    case("chunked in single bytes",
         post(CHUNKED, body=b"".join(b"1\r\n%c\r\n" % byte for byte in BODY) + b"0\r\n\r\n"), 201)
    case("chunk sizes in hex and with zeros",
         post(CHUNKED, body=b"00029\r\n" + BODY + b"\r\n000\r\n\r\n"), 201)
    case("chunk extension", post(CHUNKED, body=b"29;a=b\r\n" + BODY + b"\r\n0;c\r\n\r\n"), 201)
    case("quoted chunk extension",
         post(CHUNKED, body=b'29;a="b;c"\r\n' + BODY + b"\r\n0\r\n\r\n"), 201)
    case("trailers", post(CHUNKED, body=FIRST_CHUNK + b"0\r\nX-Sum: 1\r\nY: 2\r\n\r\n"), 201)
    case("length", with_json(BODY), 201)
    case("length with zeros", post(b"Content-Length: 0041\r\n", body=BODY), 201)
    case("length with spaces", post(b"Content-Length:   41 \t\r\n", body=BODY), 201)
    case("length of GET", get(length(4)) + b"body")
    case("high bytes in a value", get(b"X: caf\xe9 \xff\r\n"))
    case("tab in a value", get(b"X: a\tb\r\n"))
    case("empty value", get(b"X:\r\n"))
    case("every character of a name", get(b"!#$%&'*+-.^_`|~09azAZ: v\r\n"))
    case("absolute target", get(target=b"http://test/api/concerts/1"))
    case("query", get(target=b"/api/concerts/1?a=b&c=%20"))
    case("Host with port", get(host=b"Host: test:8080\r\n"))
    case("Host is an IPv6 address", get(host=b"Host: [::1]:8080\r\n"))
    case("Host is an IPv4 address", get(host=b"Host: 127.0.0.1\r\n"))
    case("HTTP/1.0 without Host", b"GET /api/concerts/1 HTTP/1.0\r\n\r\n", 200, True)
    case("HTTP/1.0 with keep-alive",
         b"GET /api/concerts/1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 200, False)
    case("Connection: close", get(b"Connection: close\r\n"), 200, True)
    case("Connection: Close in a list", get(b"Connection: x, Close\r\n"), 200, True)
    for value in (b"application/json; charset=utf-8", b"APPLICATION/JSON",
                  b'application/json;charset="utf-8"', b"application/json ; a=b"):
        case("Content-Type " + value.decode(),
             post(length(len(BODY)), kind=b"Content-Type: " + value + b"\r\n", body=BODY), 201)
    case("key of 255 bytes",
         post(length(len(BODY)), b"Idempotency-Key: " + b"k" * 255 + b"\r\n", body=BODY),
         (201, 409))  # 409: another connection of the test is there at the same moment
    case("integers with exponents",
         with_json(b'{"concertId":20e-1,"memberId":1E0,"quantity":0.1e1}'), 201)
    case("escaped keys", with_json(b'{"\\u0063oncertId":2,"memberId":1}'), 201)
    case("white space", with_json(b' \r\n\t{ "concertId" : 2 , "memberId" : 1 } \n'), 201)
    case("Expect on HTTP/1.0 is ignored",
         b"POST /api/reservations HTTP/1.0\r\n" + JSON + length(len(BODY)) +
         b"Expect: 100-continue\r\n\r\n" + BODY, 201, True)
    case("OPTIONS *", b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", 204, False, "OPTIONS")
    case("HEAD", get().replace(b"GET", b"HEAD", 1), 200, False, "HEAD")
    return cases


CASES = (framing() + bytes_and_fields() + methods_and_versions() + sizes() + media_types_and_keys()
         + json_texts() + json_values() + good())
assert len({case.name for case in CASES}) == len(CASES)
