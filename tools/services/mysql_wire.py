"""A small client of the MySQL protocol: to ask a server without starting a program each time.

Accounts without a password and the text protocol only; unix sockets and TCP; no TLS.
"""

from __future__ import annotations

import socket
import struct

CLIENT_LONG_PASSWORD = 1
CLIENT_CONNECT_WITH_DB = 1 << 3
CLIENT_PROTOCOL_41 = 1 << 9
CLIENT_TRANSACTIONS = 1 << 13
CLIENT_SECURE_CONNECTION = 1 << 15
CLIENT_MULTI_STATEMENTS = 1 << 16
CLIENT_MULTI_RESULTS = 1 << 17
CLIENT_PLUGIN_AUTH = 1 << 19
CAPABILITIES = (
    CLIENT_LONG_PASSWORD | CLIENT_PROTOCOL_41 | CLIENT_TRANSACTIONS | CLIENT_SECURE_CONNECTION
    | CLIENT_MULTI_STATEMENTS | CLIENT_MULTI_RESULTS | CLIENT_PLUGIN_AUTH)
UTF8MB4_GENERAL = 45
COM_QUERY = b"\x03"
MORE_RESULTS = 0x0008


class SqlError(Exception):
    """The server's own error."""

    def __init__(self, number: int, text: str):
        super().__init__(f"error {number}: {text}")
        self.number = number
        self.text = text


def error_of(packet: bytes) -> SqlError:
    text = packet[3:].decode(errors="replace")
    return SqlError(struct.unpack_from("<H", packet, 1)[0],
                    text[6:] if text.startswith("#") else text)


def read_length(packet: bytes, at: int) -> tuple[int | None, int]:
    """A length-encoded integer, and where it ends; None stands for NULL."""
    first = packet[at]
    if first < 0xFB:
        return first, at + 1
    if first == 0xFB:
        return None, at + 1
    size = {0xFC: 2, 0xFD: 3, 0xFE: 8}[first]
    return int.from_bytes(packet[at + 1:at + 1 + size], "little"), at + 1 + size


class Connection:
    """One session. address: (host, port), or the path of a unix socket."""

    def __init__(self, address, user: str, database: str | None = None, timeout_s: float = 30.0):
        if isinstance(address, tuple):
            self.socket = socket.create_connection(address, timeout_s)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        else:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout_s)
        try:
            if not isinstance(address, tuple):
                self.socket.connect(str(address))
            self.file = self.socket.makefile("rb")
            self.sequence = 0
            self.version = ""
            self.thread_id = 0
            self.log_in(user, database)
        except BaseException:
            self.socket.close()
            raise

    # --- packets ---

    def read_packet(self) -> bytes:
        whole = b""
        while True:
            header = self.file.read(4)
            if len(header) < 4:
                raise ConnectionError("the server closed the connection")
            size = int.from_bytes(header[:3], "little")
            self.sequence = (header[3] + 1) % 256
            part = self.file.read(size)
            if len(part) < size:
                raise ConnectionError("the server closed the connection")
            whole += part
            if size < 0xFFFFFF:
                return whole

    def send_packet(self, payload: bytes) -> None:
        if len(payload) >= 0xFFFFFF:
            raise ValueError("statement too long")
        self.socket.sendall(len(payload).to_bytes(3, "little") + bytes([self.sequence]) + payload)

    # --- session ---

    def log_in(self, user: str, database: str | None) -> None:
        greeting = self.read_packet()
        if greeting[0] == 0xFF:
            raise error_of(greeting)
        end = greeting.index(b"\0", 1)
        self.version = greeting[1:end].decode(errors="replace")
        self.thread_id = struct.unpack_from("<I", greeting, end + 1)[0]
        capabilities = CAPABILITIES | (CLIENT_CONNECT_WITH_DB if database else 0)
        self.send_packet(
            struct.pack("<IIB23x", capabilities, 1 << 24, UTF8MB4_GENERAL)
            + user.encode() + b"\0" + b"\0"  # no password: an answer of length 0
            + (database.encode() + b"\0" if database else b"")
            + b"mysql_native_password\0")
        answer = self.read_packet()
        while answer[0] in (0xFE, 0x01):  # another method: no password is the same in all of them
            if answer[0] == 0xFE:
                self.send_packet(b"")
            answer = self.read_packet()
        if answer[0] == 0xFF:
            raise error_of(answer)

    def query(self, statements: str) -> list[list[str | None]]:
        """Runs one statement, or several with semicolons between; the rows of the last that had
        rows. Bytes that are not UTF-8 come as lone surrogates: ask for HEX(column)."""
        self.sequence = 0
        self.send_packet(COM_QUERY + statements.encode(errors="surrogateescape"))
        rows: list[list[str | None]] = []
        more = True
        while more:
            found, more = self.read_result()
            rows = found if found is not None else rows
        return rows

    def read_result(self) -> tuple[list | None, bool]:
        """Rows, or None where there is no result set; and whether another result follows."""
        packet = self.read_packet()
        if packet[0] == 0xFF:
            raise error_of(packet)
        if packet[0] == 0x00:
            _, at = read_length(packet, 1)
            _, at = read_length(packet, at)
            return None, bool(struct.unpack_from("<H", packet, at)[0] & MORE_RESULTS)
        columns, _ = read_length(packet, 0)
        for _ in range(columns + 1):  # their descriptions, and an end mark
            self.read_packet()
        rows = []
        while True:
            packet = self.read_packet()
            if packet[0] == 0xFF:
                raise error_of(packet)
            if packet[0] == 0xFE and len(packet) < 9:
                return rows, bool(struct.unpack_from("<H", packet, 3)[0] & MORE_RESULTS)
            rows.append(read_row(packet, columns))

    def close(self) -> None:
        self.file.close()
        self.socket.close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_) -> None:
        self.close()


def read_row(packet: bytes, columns: int) -> list[str | None]:
    values: list[str | None] = []
    at = 0
    for _ in range(columns):
        size, at = read_length(packet, at)
        if size is None:
            values.append(None)
        else:
            values.append(packet[at:at + size].decode(errors="surrogateescape"))
            at += size
    return values
