"""Servers under test: started on free loopback ports in folders of their own, stopped by pid."""

import getpass
import grp
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))

from services.ports import free_port
from services.process import TICKS_PER_SECOND, ServerError, cpu_ticks, parent_of, start_owned

START_TIMEOUT_S = 30
STOP_TIMEOUT_S = 30

# What resvd is asked not to do during a measurement, nginx is not either: no access log, no limit
# on the requests of a connection that a run could reach.
NGINX_CONFIG = """\
daemon off;
user {user} {group};
worker_processes {workers};
worker_rlimit_nofile 16384;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{
    worker_connections 8192;
}}
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 75s;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} backlog=4096{reuseport};
        location / {{
            return 202;
        }}
    }}
}}
"""
RESVD_OPTIONS = {
    "server.max_requests_per_connection": "1000000000",
    "server.log_level": "warning",
}


class Server:
    """A process and its children, by pid."""

    def __init__(self, command, folder, port, path):
        self.folder = pathlib.Path(folder)
        self.port = port
        self.url = f"http://127.0.0.1:{port}{path}"
        self.log_path = self.folder / "log.txt"
        with open(self.log_path, "wb") as log:
            self.process = start_owned(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
                start_new_session=True)

    def wait_for(self, ready):
        give_up = time.monotonic() + START_TIMEOUT_S
        while True:
            if self.process.poll() is not None:
                raise ServerError(f"{self.process.args[0]} ended with {self.process.returncode}:\n"
                                  + self.log_path.read_text(errors="replace"))
            try:
                if ready():
                    return
            except (OSError, http.client.HTTPException):
                pass
            if time.monotonic() > give_up:
                self.stop()
                raise ServerError(f"{self.process.args[0]} was not ready in {START_TIMEOUT_S} s")
            time.sleep(0.02)

    def pids(self):
        """Itself and its children (nginx's workers)."""
        children = []
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                if parent_of(stat.read_text()) == self.process.pid:
                    children.append(int(stat.parent.name))
            except OSError:
                continue
        return [self.process.pid, *children]

    def cpu_seconds(self):
        """Of all its processes so far."""
        ticks = 0
        for pid in self.pids():
            ticks += cpu_ticks(pathlib.Path(f"/proc/{pid}/stat").read_text())
        return ticks / TICKS_PER_SECOND

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class FixedAnswer(Server):
    """The cheapest server: what the load generator can reach at all."""

    def __init__(self, binary, folder):
        port = free_port()
        super().__init__([binary, port], folder, port, "/api/reservations")
        self.wait_for(lambda: socket.create_connection(("127.0.0.1", port)).close() is None)


class Nginx(Server):
    """nginx that answers 202 to everything."""

    def __init__(self, binary, folder, workers):
        port = free_port()
        config = pathlib.Path(folder) / "nginx.conf"
        config.write_text(NGINX_CONFIG.format(
            folder=folder, port=port, workers=workers, user=getpass.getuser(),
            group=grp.getgrgid(os.getgid()).gr_name,
            reuseport=" reuseport" if workers != 1 else ""))
        command = [binary, "-c", config, "-p", folder, "-e", "error.log"]
        super().__init__(command, folder, port, "/api/reservations")
        self.wait_for(lambda: socket.create_connection(("127.0.0.1", port)).close() is None)


class Resvd(Server):
    """resvd, or resvd-fake, with a strategy, further options by their full names, and flags."""

    def __init__(self, binary, folder, strategy, options, flags=()):
        port = free_port()
        self.admin_port = free_port()
        values = {
            "server.listen": f"127.0.0.1:{port}",
            "server.admin_listen": f"127.0.0.1:{self.admin_port}",
            **RESVD_OPTIONS,
            **options,
        }
        command = [binary, f"--strategy={strategy}"]
        command += [f"--{key}={value}" for key, value in values.items()]
        command += flags
        super().__init__(command, folder, port, "/api/reservations")
        self.wait_for(lambda: self.admin("GET", "/readyz")[0] == 200)

    def admin(self, method, target, body=None):
        """Status and text of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=60)
        try:
            headers = {} if body is None else {"Content-Type": "application/json"}
            text = None if body is None else json.dumps(body)
            connection.request(method, target, text, headers)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def admin_json(self, method, target, body=None):
        status, text = self.admin(method, target, body)
        if status >= 300:
            raise ServerError(f"{method} {target}: {status} {text}")
        return json.loads(text)

    def wait_until_idle(self):
        """What the load left under way when it went is done: only then can rows be counted."""
        give_up = time.monotonic() + STOP_TIMEOUT_S
        quiet = 0
        while quiet < 3:
            samples = self.metrics()
            under_way = sum(value for name, value in samples.items()
                            if re.match(r"resvd_operations_(queued|submitted)\b", name))
            quiet = quiet + 1 if under_way == 0 else 0
            if time.monotonic() > give_up:
                raise ServerError(f"{under_way} operations are under way without a client")
            time.sleep(0.01)

    def metrics(self):
        return parse_metrics(self.admin("GET", "/metrics")[1])


def parse_metrics(text):
    """Samples of the Prometheus text by name, labels and all."""
    samples = {}
    for line in text.splitlines():
        match = re.fullmatch(r"([a-zA-Z_:][^ {]*(?:\{.*\})?) (\S+)(?: \d+)?", line)
        if match and not line.startswith("#"):
            samples[match[1]] = float(match[2])
    return samples
