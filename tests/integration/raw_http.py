"""HTTP/1.1 over raw sockets: sends any bytes, and is strict about the framing of what comes back.

Nothing here repairs anything. A response that a careful client could misread is an error.
"""

from __future__ import annotations

import email.utils
import json
import re
import select
import socket
import time
from dataclasses import dataclass

TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9][0-9]) ([ -~]*)")
IMF_DATE = re.compile(
    r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-3]\d (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
    r" \d{4} [0-2]\d:[0-5]\d:[0-6]\d GMT"
)
SINGLE = {"date", "content-length", "content-type", "location", "connection", "retry-after", "allow"}
DATE_SLACK_S = 30.0  # of the header Date; tests whose server has another clock raise it
TIMEOUT_S = 20.0


class FramingError(AssertionError):
    """The server's bytes are not what RFC 9112 allows."""


@dataclass
class Response:
    status: int
    headers: dict[str, str]
    body: bytes
    raw: bytes

    def json(self):
        return json.loads(self.body)

    @property
    def closes(self) -> bool:
        return self.headers.get("connection", "").lower() == "close"

    def problem(self, status: int, slug: str | None = None) -> dict:
        """Checks the shape of RFC 9457 as the API promises it; gives the members."""
        assert self.status == status, self.raw
        assert self.headers["content-type"] == "application/problem+json", self.raw
        problem = self.json()
        assert problem["status"] == status
        assert re.fullmatch(r"/problems/[a-z0-9-]+", problem["type"]), problem
        assert problem["title"] and isinstance(problem["title"], str)
        assert problem["detail"] and isinstance(problem["detail"], str)
        if slug is not None:
            assert problem["type"] == "/problems/" + slug, problem
        if "errors" in problem:
            assert status == 422
            assert problem["errors"], problem
            for error in problem["errors"]:
                assert set(error) == {"field", "detail"}, problem
                assert all(isinstance(text, str) for text in error.values()), problem
        return problem


def parse_head(data: bytes) -> tuple[int, dict[str, str], int] | None:
    """Status, headers and length of a head; None when it is not whole yet."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    lines = data[:end].split(b"\r\n")
    match = STATUS_LINE.fullmatch(lines[0])
    if match is None:
        raise FramingError(f"status line {lines[0]!r}")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        if not colon or not TOKEN.fullmatch(name):
            raise FramingError(f"header line {line!r}")
        if re.search(rb"[^\t -~]", value):
            raise FramingError(f"bytes in header {line!r}")
        key = name.decode().lower()
        if key in headers and key in SINGLE:
            raise FramingError(f"{key} came twice")
        headers[key] = value.strip(b" \t").decode()
    return int(match.group(1)), headers, end + 4


def parse_response(data: bytes, method: str = "GET") -> tuple[Response, bytes] | None:
    """The first response in data and what is behind it; None when it is not whole yet."""
    head = parse_head(data)
    if head is None:
        return None
    status, headers, size = head
    if "transfer-encoding" in headers:
        raise FramingError("the server does not send chunks")
    if status >= 200:
        date = headers.get("date")
        if date is None or not IMF_DATE.fullmatch(date):
            raise FramingError(f"Date is {date!r}")
        if abs(email.utils.parsedate_to_datetime(date).timestamp() - time.time()) > DATE_SLACK_S:
            raise FramingError(f"Date {date!r} is not now")
    length_text = headers.get("content-length")
    if status < 200 or status == 204:
        if length_text is not None:
            raise FramingError(f"{status} with Content-Length")
        length = 0
    else:
        if length_text is None or not re.fullmatch(r"0|[1-9][0-9]*", length_text):
            raise FramingError(f"{status} with Content-Length {length_text!r}")
        length = 0 if method == "HEAD" else int(length_text)
    if len(data) < size + length:
        return None
    response = Response(status, headers, data[size : size + length], data[: size + length])
    if status >= 400 and method != "HEAD":
        response.problem(status)
    return response, data[size + length :]


def parse_all(data: bytes, methods: list[str] | None = None) -> list[Response]:
    """All responses of a stream that has ended; anything left over is an error."""
    responses: list[Response] = []
    finals = 0
    while data:
        method = methods[finals] if methods and finals < len(methods) else "GET"
        parsed = parse_response(data, method)
        if parsed is None:
            raise FramingError(f"the stream ends inside a response: {data!r}")
        response, data = parsed
        responses.append(response)
        finals += response.status >= 200
    return responses


def connect(address, timeout_s: float = TIMEOUT_S, receive_buffer: int | None = None):
    """address: ("127.0.0.1", port), ("::1", port) or a unix socket's path."""
    if isinstance(address, str):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    else:
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if receive_buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.settimeout(timeout_s)
    sock.connect(address)
    return sock


class Connection:
    """One connection, used step by step."""

    def __init__(self, address, timeout_s: float = TIMEOUT_S, receive_buffer: int | None = None):
        self.sock = connect(address, timeout_s, receive_buffer)
        self.data = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def read(self, method: str = "GET") -> Response:
        """The next response, 1xx included."""
        while True:
            parsed = parse_response(self.data, method)
            if parsed is not None:
                response, self.data = parsed
                return response
            more = self.sock.recv(1 << 16)
            if not more:
                raise FramingError(f"closed inside a response: {self.data!r}")
            self.data += more

    def read_until_closed(self, methods: list[str] | None = None) -> list[Response]:
        while True:
            more = self.sock.recv(1 << 16)
            if not more:
                break
            self.data += more
        data, self.data = self.data, b""
        return parse_all(data, methods)

    def assert_closed(self) -> None:
        """The server has closed, or does so now, and has said nothing more."""
        assert not self.data, self.data
        assert self.sock.recv(1 << 16) == b""

    def assert_silent(self, seconds: float = 0.1) -> None:
        """Nothing comes, and the connection stays open."""
        assert not self.data, self.data
        readable, _, _ = select.select([self.sock], [], [], seconds)
        if readable:
            raise AssertionError(f"not silent: {self.sock.recv(1 << 16)!r}")

    def request(self, method: str, target: str, body=None, headers: dict | None = None) -> Response:
        self.send(make_request(method, target, body, headers))
        return self.read(method)


def make_request(
    method: str, target: str, body=None, headers: dict | None = None, close: bool = False
) -> bytes:
    """A well-formed request; a body that is not bytes is sent as JSON."""
    fields = {"Host": "test"}
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
    if body is not None:
        fields["Content-Type"] = "application/json"
        fields["Content-Length"] = str(len(body))
    if close:
        fields["Connection"] = "close"
    fields.update(headers or {})
    head = f"{method} {target} HTTP/1.1\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return head.encode("latin-1") + b"\r\n" + (body or b"")


def ask(
    address, method: str, target: str, body=None, headers: dict | None = None, timeout_s=TIMEOUT_S
) -> Response:
    """One request on a connection of its own."""
    with Connection(address, timeout_s) as connection:
        connection.send(make_request(method, target, body, headers, close=True))
        response = connection.read(method)
        connection.assert_closed()
        return response


def exchange(address, data: bytes, methods: list[str] | None = None) -> list[Response]:
    """Sends all, reads until the server closes."""
    with Connection(address) as connection:
        try:
            connection.send(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has answered and closed already; the answer must still be readable
        return connection.read_until_closed(methods)


class Lockstep:
    """Many connections that take each step together.

    After each step a request on a connection of its own is answered, three times over: so the
    server has seen, apart from each other, the pieces before and after. No sleeps.
    """

    def __init__(self, address):
        self.address = address
        self.control = Connection(address)

    def close(self) -> None:
        self.control.sock.close()

    def barrier(self) -> None:
        for _ in range(3):
            assert self.control.request("OPTIONS", "/api/reservations").status == 204

    def run(self, scripts: list[list[bytes]]) -> list[bytes]:
        """scripts[i]: the pieces for connection i; gives what each got until it was closed."""
        socks = [connect(self.address) for _ in scripts]
        received = [bytearray() for _ in scripts]
        ended = [False] * len(scripts)
        try:
            self.barrier()
            for step in range(max(map(len, scripts))):
                for i, script in enumerate(scripts):
                    if step < len(script) and not ended[i]:
                        self._send(socks[i], script[step])
                self.barrier()
            self._read_all(socks, received, ended)
        finally:
            for sock in socks:
                sock.close()
        return [bytes(data) for data in received]

    @staticmethod
    def _send(sock, data: bytes) -> None:
        try:
            sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # answered and closed already

    @staticmethod
    def _read_all(socks, received, ended) -> None:
        poll = select.poll()
        by_fd = {}
        for i, sock in enumerate(socks):
            sock.setblocking(False)
            by_fd[sock.fileno()] = i
            poll.register(sock, select.POLLIN)
        give_up = time.monotonic() + TIMEOUT_S
        while by_fd:
            events = poll.poll(1000)
            if time.monotonic() > give_up:
                stuck = [(i, bytes(received[i])) for i in by_fd.values()]
                raise AssertionError(f"never closed: {stuck[:5]}")
            for fd, _ in events:
                i = by_fd[fd]
                try:
                    data = socks[i].recv(1 << 16)
                except ConnectionResetError:
                    data = b""
                if data:
                    received[i] += data
                else:
                    ended[i] = True
                    poll.unregister(fd)
                    del by_fd[fd]
