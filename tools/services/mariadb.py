"""MariaDB: a server with the database and the user that resvd's defaults name.

    with MariaDB(folder) as server:
        server.sql("SELECT COUNT(*) FROM reservations")     # as root, by the unix socket

User `resvd` without a password, from this machine only, has all rights on the database `resvd`.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from services import mysql_wire
from services.mariadb_template import copy_template, find_server, running_user
from services.ports import LOOPBACK
from services.service import NotYet, Service
from services.tls import Certificates, make_certificates

SOCKET_PATH_MAX = 107  # bytes, of sockaddr_un
DATABASE = "resvd"
USER = "resvd"
CONNECTIONS_MAX = 500

# What durability and the strategies rest on; the rest is for a short start.
OPTIONS = {
    "innodb-flush-log-at-trx-commit": 1,
    "transaction-isolation": "READ-COMMITTED",
    "skip-log-bin": None,
    "character-set-server": "utf8mb4",
    "collation-server": "utf8mb4_bin",
    "skip-name-resolve": None,
    "max-connections": CONNECTIONS_MAX,
    "innodb-buffer-pool-load-at-startup": "OFF",
    "innodb-buffer-pool-dump-at-shutdown": "OFF",
}


class MariaDB(Service):
    """options: more of mariadbd's, by name without dashes; None as value: a flag; they come last
    and so win. tls: True makes certificates (see .certificates), or give your own."""

    kind = "mariadb"

    def __init__(self, folder, port: int | None = None, *, options: dict | None = None,
                 tls: bool | Certificates = False, **common):
        super().__init__(folder, port, **common)
        self.options = dict(options or {})
        self.certificates = tls if isinstance(tls, Certificates) else None
        self.make_certificates = tls is True
        self.socket = self.folder / "mariadb.sock"
        self.socket_folder: Path | None = None
        if len(os.fsencode(self.socket)) > SOCKET_PATH_MAX:
            self.socket_folder = Path(tempfile.mkdtemp(prefix="resvd-"))
            self.socket = self.socket_folder / "mariadb.sock"

    def prepare(self) -> None:
        (self.folder / "tmp").mkdir(exist_ok=True)
        if self.socket_folder:
            self.socket_folder.mkdir(mode=0o700, exist_ok=True)
        else:
            self.folder.chmod(0o700)  # the socket lets everybody who can reach it be root
        if not (self.data_dir / "mysql").is_dir():
            copy_template(self.data_dir)
        if self.make_certificates and self.certificates is None:
            self.certificates = make_certificates(self.folder / "tls")

    def command(self) -> list:
        options = {
            "datadir": self.data_dir,
            "tmpdir": self.folder / "tmp",
            "pid-file": self.folder / "mariadb.pid",
            "socket": self.socket,
            "bind-address": LOOPBACK,
            "port": self.port,
            **OPTIONS,
        }
        if self.certificates:
            options["ssl-ca"] = self.certificates.authority
            options["ssl-cert"] = self.certificates.certificate
            options["ssl-key"] = self.certificates.key
        options.update(self.options)
        return [find_server(), "--no-defaults", *running_user(), *(
            f"--{name}" if value is None else f"--{name}={value}"
            for name, value in options.items())]

    # --- asking ---

    def connect(self, user: str = "root", database: str | None = DATABASE,
                timeout_s: float = 30.0) -> mysql_wire.Connection:
        """A session of its own: for locks that are held, and for a transaction left open."""
        return mysql_wire.Connection(self.socket, user, database, timeout_s)

    def sql(self, statements: str, database: str | None = DATABASE, user: str = "root",
            timeout_s: float = 30.0) -> list[list[str | None]]:
        """Rows as text, None for NULL. Several statements: those of the last that has rows."""
        with self.connect(user, database, timeout_s) as connection:
            return connection.query(statements)

    def ask(self) -> None:
        self.ask_as_resvd(5.0)

    def ask_ready(self) -> None:
        """As resvd will come: over TCP, as its user, into its database. A test may have taken these
        away on purpose: then it is enough that both doors are answered."""
        try:
            self.ask_as_resvd(2.0)
        except mysql_wire.SqlError as error:
            if self.lasting or self.ask_as_root() != [["1"]]:
                raise NotYet(str(error)) from None

    def ask_as_root(self) -> list | None:
        try:
            return self.sql("SELECT 1", database=None, timeout_s=2.0)
        except mysql_wire.SqlError:
            return None

    def ask_as_resvd(self, timeout_s: float) -> None:
        address = (LOOPBACK, self.port)
        with mysql_wire.Connection(address, USER, DATABASE, timeout_s) as connection:
            if connection.query("SELECT 1") != [["1"]]:
                raise NotYet("a wrong answer")

    def reap(self) -> int | None:
        code = super().reap()
        if self.socket_folder:
            shutil.rmtree(self.socket_folder, ignore_errors=True)
        return code
