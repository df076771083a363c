"""A proxy between resvd and MariaDB that loses connections at the worst moments.

It understands the packets of the MySQL protocol just enough to see each statement before the server
does. By default everything passes. `arm` says what happens to one that matches:

    cut          it never reaches the server; the connection is lost
    lose_answer  the server executes it; the connection is lost before its answer is through
    hold_answer  the server executes it; nothing comes back any more, the connection stays open
    late         the connection is lost for resvd now; the statement reaches the server delay_s later
    stall        nothing happens for delay_s, the connection stays open; then it goes on
"""

from __future__ import annotations

import asyncio
import re
import threading

ACTIONS = ("cut", "lose_answer", "hold_answer", "late", "stall")
COM_QUERY = b"\x03"
DECISIVE = re.compile(rb"\b(COMMIT|CALL)\b", re.IGNORECASE)
SILENCE_S = 0.05
ANSWER_S = 5.0


def is_statement(payload: bytes) -> bool:
    return payload[:1] == COM_QUERY


def is_decisive(payload: bytes) -> bool:
    """A COMMIT, alone or behind others in one packet, or the call of a procedure that commits."""
    return is_statement(payload) and DECISIVE.search(payload) is not None


class Pair:
    """A connection of resvd's and the one to the server that belongs to it."""

    def __init__(self, client_reader, client_writer, server_reader, server_writer):
        self.client_reader, self.client_writer = client_reader, client_writer
        self.server_reader, self.server_writer = server_reader, server_writer
        self.holding = False  # the server's answers go nowhere
        self.answered = asyncio.Event()

    def lose_client(self) -> None:
        self.client_writer.transport.abort()

    def lose_server(self) -> None:
        self.server_writer.transport.abort()


class DatabaseProxy:
    """Listens on .port in a thread of its own. Use as a context manager."""

    def __init__(self, server_port: int):
        self.server_port = server_port
        self.port = 0
        self.refusing = False  # new connections are lost at once
        self.hits: list[bytes] = []  # the statements that something happened to
        self.statements = 0
        self.choose = lambda payload: None  # an action or None for each statement
        self.delay_s = 0.0
        self.unreachable = False
        self.lock = threading.Lock()
        self.loop = asyncio.new_event_loop()
        self.pairs: set[Pair] = set()
        self.tasks: set[asyncio.Task] = set()
        self.thread = threading.Thread(target=self.run, name="database-proxy", daemon=True)
        self.ready = threading.Event()

    def __enter__(self) -> DatabaseProxy:
        self.thread.start()
        assert self.ready.wait(10)
        return self

    def __exit__(self, *_) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)

    # --- what tests say ---

    def arm(self, action: str | None, times: int = 1, matching=is_decisive, skip: int = 0,
            delay_s: float = 0.0, unreachable: bool = False) -> None:
        """The next `times` statements that match, after `skip` of them; None: all pass again.
        unreachable: with the first, all other connections are lost, and new ones, until .refusing
        is set back."""
        assert action is None or action in ACTIONS
        state = {"skip": skip, "times": times}

        def choose(payload: bytes) -> str | None:
            if not matching(payload):
                return None
            if state["skip"] > 0:
                state["skip"] -= 1
                return None
            if state["times"] == 0:
                return None
            state["times"] -= 1
            return action

        with self.lock:
            self.hits = []
            self.delay_s = delay_s
            self.unreachable = unreachable
            self.choose = choose if action else lambda payload: None

    def arm_with(self, choose, delay_s: float = 0.0) -> None:
        """choose(payload) gives an action or None for each statement."""
        with self.lock:
            self.hits = []
            self.delay_s = delay_s
            self.choose = choose

    def cut_all(self) -> None:
        def cut() -> None:
            for pair in list(self.pairs):
                pair.lose_client()
                pair.lose_server()

        self.loop.call_soon_threadsafe(cut)

    # --- the thread ---

    def run(self) -> None:
        asyncio.set_event_loop(self.loop)
        server = self.loop.run_until_complete(asyncio.start_server(self.accept, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self.ready.set()
        try:
            self.loop.run_forever()
        finally:
            server.close()
            for task in self.tasks:
                task.cancel()
            self.loop.run_until_complete(asyncio.gather(*self.tasks, return_exceptions=True))
            self.loop.close()

    async def accept(self, reader, writer) -> None:
        task = asyncio.current_task()
        self.tasks.add(task)
        pair = None
        try:
            if self.refusing:
                writer.transport.abort()
                return
            pair = Pair(reader, writer,
                        *await asyncio.open_connection("127.0.0.1", self.server_port))
            self.pairs.add(pair)
            await asyncio.gather(self.to_server(pair), self.to_client(pair))
        except (OSError, EOFError, asyncio.CancelledError):
            pass
        finally:
            self.tasks.discard(task)
            self.pairs.discard(pair)
            if pair is not None:
                pair.lose_server()
            writer.transport.abort()

    async def to_client(self, pair: Pair) -> None:
        while data := await pair.server_reader.read(1 << 16):
            pair.answered.set()
            if not pair.holding:
                pair.client_writer.write(data)
        if not pair.holding:
            raise EOFError

    async def to_server(self, pair: Pair) -> None:
        while True:
            header = await pair.client_reader.readexactly(4)
            payload = await pair.client_reader.readexactly(int.from_bytes(header[:3], "little"))
            action = None
            if header[3] == 0 and is_statement(payload):
                with self.lock:
                    self.statements += 1
                    action = self.choose(payload)
                    if action is not None:
                        self.hits.append(payload[1:])
            if action is not None:
                await self.harm(pair, action, header + payload)
            else:
                pair.server_writer.write(header + payload)

    async def harm(self, pair: Pair, action: str, packet: bytes) -> None:
        """EOFError: this connection is over."""
        if self.unreachable:
            self.refusing = True
            for other in self.pairs - {pair}:
                other.lose_client()
                other.lose_server()
        if action == "cut":
            raise EOFError
        if action == "stall":
            await asyncio.sleep(self.delay_s)
            pair.server_writer.write(packet)
            return
        pair.holding = True
        pair.answered.clear()
        if action == "late":
            pair.lose_client()
            await asyncio.sleep(self.delay_s)
        pair.server_writer.write(packet)
        if action == "hold_answer":
            await pair.client_reader.read()  # until resvd has had enough
            raise EOFError
        try:
            await asyncio.wait_for(pair.answered.wait(), ANSWER_S)
            while pair.answered.is_set():  # until the server has said all
                pair.answered.clear()
                await asyncio.sleep(SILENCE_S)
        except asyncio.TimeoutError:
            pass
        raise EOFError
