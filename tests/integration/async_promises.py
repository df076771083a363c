"""What clients of the strategy async were promised, and the audit of it.

    def test_it(promises):
        server = promises.start()               # as stack.start of async_fixtures.py
        answer = promises.reserve(server)       # remembered when it is a 202
        promises.wait_for(server, answer, CONFIRMED)

In the end, when nothing is pending, each 202 must have its one row and no row may be without one;
and seats sold, rows and Redis' numbers must agree.
"""

from __future__ import annotations

import threading

import pytest
from async_fixtures import PENDING, REJECTED, AsyncStack
from database_fixtures import STANDARD
from raw_http import Response
from resvd_process import Resvd, wait_until

NOBODY = "018f0000-0000-7000-8000-000000000000"
STATUS = {1: "HELD", 2: "CONFIRMED", 3: "CANCELLED", 4: "EXPIRED", 5: "REJECTED"}


class Promises:
    def __init__(self, stack: AsyncStack):
        self.stack = stack
        self.servers: list[Resvd] = []
        self.accepted: dict[str, tuple[int, int, int]] = {}
        self.possible: set[str] = set()  # answered by 500: they may have a row
        self.letters: set[str] = set()  # they went to the dead letters, and so have none
        self.rejected_max = 0  # so many may not have fitted
        self.lock = threading.Lock()

    def start(self, role: str = "all", reset: dict | None = STANDARD, **options) -> Resvd:
        server = self.stack.start(role=role, reset=reset, **options)
        server.role = role
        self.servers.append(server)
        return server

    def forget(self) -> None:
        """There was a reset."""
        self.accepted.clear()
        self.possible.clear()

    # --- asking ---

    def reserve(self, server: Resvd, concert: int = 1, member: int = 1, quantity: int = 1,
                key: str | None = None, path: str = "/api/reservations") -> Response:
        body = {"concertId": concert, "memberId": member, "quantity": quantity}
        answer = server.ask("POST", path, body, {"Idempotency-Key": key} if key else None)
        self.note(answer, (concert, member, quantity))
        return answer

    def note(self, answer: Response, content: tuple[int, int, int]) -> None:
        with self.lock:
            if answer.status == 202:
                found = answer.json()
                assert (found["concertId"], found["memberId"], found["quantity"]) == content
                assert self.accepted.get(found["id"], content) == content
                self.accepted[found["id"]] = content
            elif answer.status == 500:
                self.possible.add(answer.json()["id"])

    def sell(self, server: Resvd, *arguments, **options) -> str:
        """As reserve, of a patient client: gates open when somebody asks. The location."""
        answers = []

        def is_accepted() -> bool:
            answers.append(self.reserve(server, *arguments, **options))
            assert answers[-1].status in (202, 503), answers[-1].raw
            return answers[-1].status == 202

        wait_until(is_accepted, "accepted", 15)
        return answers[-1].headers["location"]

    @staticmethod
    def status(server: Resvd, location: str) -> str:
        answer = server.ask("GET", location)
        assert answer.status == 200, answer.raw
        return answer.json()["status"]

    def wait_for(self, server: Resvd, location: str, status: str, timeout_s: float = 15.0) -> None:
        wait_until(lambda: self.status(server, location) == status, f"{location} is {status}", timeout_s)

    def release(self, server: Resvd, location: str) -> None:
        answer = server.ask("DELETE", location)
        assert answer.status == 202, answer.raw
        assert answer.headers["location"] == location

    @staticmethod
    def wait_complete(server: Resvd) -> None:
        """Until then a GET of what is not there is 503, and so is a key that is new."""
        wait_until(lambda: server.ask("GET", f"/api/reservations/{NOBODY}").status == 404,
                   "all partitions are complete")

    @staticmethod
    def line(server: Resvd, concert: int = 1) -> dict:
        """Of the audit."""
        return next(line for line in server.audit()["concerts"] if line["id"] == concert)

    def wait_settled(self, server: Resvd, concert: int = 1) -> None:
        """Its gate is open, and Redis has what the rows have."""
        def is_settled() -> bool:
            line = self.line(server, concert)
            return line["consistent"] and line.get("pending") == 0

        wait_until(is_settled, f"concert {concert} is settled")

    # --- in the end ---

    def check(self) -> None:
        """Waits until nothing is pending."""
        self.stack.servers.start()
        self.stack.wait_until_settled()
        alive = [server for server in self.servers if server.process.poll() is None]
        for server in alive:
            wait_until(lambda server=server: server.audit()["consistent"], "the audit agrees")
        rows = self.stack.database.rows()
        lost = set(self.accepted) - set(rows) - self.letters
        assert not lost, f"{len(lost)} of {len(self.accepted)} lost: {sorted(lost)[:5]}"
        strange = set(rows) - set(self.accepted) - self.possible
        assert not strange, f"nobody was promised {sorted(strange)[:5]}"
        rejected = 0
        for row_id, content in self.accepted.items():
            if row_id in rows:
                assert rows[row_id][:3] == content
                rejected += STATUS[rows[row_id][3]] == REJECTED
        assert rejected <= self.rejected_max, f"{rejected} that were accepted did not fit"
        self.stack.check_quiet()
        for server in alive:
            for location in [f"/api/reservations/{found}" for found in sorted(rows)[:5]]:
                if server.role != "consumer":
                    assert self.status(server, location) != PENDING


@pytest.fixture
def promises(stack):
    promised = Promises(stack)
    yield promised
    promised.check()
