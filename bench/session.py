"""Runs the cases: servers that stay up, fresh databases, and what each measurement says."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import load
import plan
import servers
import summary

CAPACITY = 1_000_000_000
LOOP_CACHE_BYTES = 67108864  # embedded's defaults, see --print-default-config
LOOP_WAL_MAX_BYTES = 4194304


class Session:
    """Everything that a run has open. `tools` has the paths of all programs."""

    def __init__(self, tools, folder, seconds, threads):
        self.tools = tools
        self.seconds = seconds
        self.threads = threads
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="resvd-bench-", dir=folder))
        self.folder.chmod(0o755)  # nginx's workers are not root
        self.running = {}
        self.template = None
        self.violations = []
        self.batch_rows = {}  # connections: rows a transaction in this round

    def close(self):
        for server in self.running.values():
            server.stop()
        self.running.clear()
        shutil.rmtree(self.folder, ignore_errors=True)

    def new_folder(self, name):
        path = self.folder / name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
        return path

    def load_on(self, server, case, seconds, member_count=plan.MEMBER_COUNT):
        """One run of wrk; the counts, and the CPU seconds of wrk and of the server."""
        shape = {"connections": case.connections, "depth": case.depth,
                 "member_first": plan.MEMBER_FIRST, "member_count": member_count}
        before = server.cpu_seconds()
        result, wrk_cpu = load.run_wrk(self.tools["wrk"], server.url, shape, seconds, self.threads)
        return result, wrk_cpu, server.cpu_seconds() - before

    def measure_load(self, server, case, member_count=plan.MEMBER_COUNT):
        result, wrk_cpu, cpu = self.load_on(server, case, self.seconds, member_count)
        threads = min(self.threads, case.connections)
        return load.measurement(result, wrk_cpu, cpu, case.depth, threads)

    # --- servers that stay up over all rounds -----------------------------------------------------

    def standing(self, subject):
        """Started and warmed up when it is asked for first; idle while others are measured."""
        if subject not in self.running:
            folder = self.new_folder(subject)
            if subject == "fixed-answer":
                server = servers.FixedAnswer(self.tools["fixed_answer"], folder)
            elif subject == "resvd":
                server = servers.Resvd(self.tools["resvd_fake"], folder, "fake", {})
            else:
                workers = 1 if subject == "nginx" else "auto"
                server = servers.Nginx(self.tools["nginx"], folder, workers)
            self.running[subject] = server
            warm_up = plan.Case("warm-up", subject, "", connections=64)
            self.load_on(server, warm_up, plan.WARM_UP_SECONDS)
        return self.running[subject]

    def measure_ceiling(self, connections, depth):
        """What wrk and the loopback device reach against the cheapest server."""
        case = plan.Case("ceiling", "fixed-answer", "", connections, depth)
        member_count = plan.MEMBER_COUNT if depth == 1 else 1
        return self.measure_load(self.standing("fixed-answer"), case, member_count)

    def measure_http(self, case):
        # One member: the fixed text costs wrk least, and nobody looks at it.
        return self.measure_load(self.standing(case.subject), case, member_count=1)

    # --- embedded: a fresh database each time -----------------------------------------------------

    def start_embedded(self, folder, options):
        server = servers.Resvd(self.tools["resvd"], folder, "embedded", {
            "server.allow_reset": "on",
            "strategy.embedded.file": str(folder / "resvd.db"),
            **options,
        })
        server.admin_json("POST", "/admin/reset", {
            "concerts": 1, "capacity": CAPACITY,
            "members": plan.MEMBER_FIRST + plan.MEMBER_COUNT - 1})
        return server

    def measure_embedded(self, case):
        if case.subject == "nginx":
            return self.measure_load(self.standing("nginx"), case)
        options = {"strategy.embedded.batch_max": "1"} if case.subject == "resvd-single" else {}
        folder = self.new_folder("embedded")
        server = self.start_embedded(folder, options)
        try:
            self.load_on(server, case, plan.WARM_UP_SECONDS)
            server.wait_until_idle()
            rows_before = sum(c["live"] for c in
                              server.admin_json("GET", "/admin/audit")["concerts"])
            metrics_before = server.metrics()
            result = self.measure_load(server, case)
            result["batch"] = batch_sizes(metrics_before, server.metrics())
            result["violations"] = self.audit(server, case, rows_before, result)
        finally:
            server.stop()
            shutil.rmtree(folder, ignore_errors=True)
        if case.subject == "resvd":
            self.batch_rows[case.connections] = result["batch"]["mean"]
        return result

    def audit(self, server, case, rows_before, result):
        """After every run; what is wrong is shown at once and fails the run in the end."""
        server.wait_until_idle()
        audit = server.admin_json("GET", "/admin/audit")
        result["audit"] = audit
        violations = summary.audit_violations(
            audit, rows_before, result["counts"], case.connections, case.depth)
        self.violations += [f"{case.title}: {text}" for text in violations]
        return violations

    # --- the raw loop -----------------------------------------------------------------------------

    def make_template(self):
        """A database as resvd makes it, with the concert and the members in it."""
        folder = self.new_folder("template")
        self.start_embedded(folder, {}).stop()
        self.template = folder / "resvd.db"

    def measure_loop(self, case):
        rows = case.rows or round(self.batch_rows.get(case.connections) or 0)
        if rows == 0:
            return None
        if self.template is None:
            self.make_template()
        folder = self.new_folder("loop")
        file = folder / "loop.db"
        shutil.copyfile(self.template, file)
        os.sync()  # the copy's own pages must not go to the disk during the measurement
        result = run_loop(self.tools["sqlite_loop"], file, rows, plan.loop_seconds(self.seconds))
        shutil.rmtree(folder, ignore_errors=True)
        if result["sold_minus_rows"] != 0:
            self.violations.append(f"{case.title}: sold and rows differ")
        return {**result, "rows_per_transaction": rows,
                "rows_per_second": result["rows"] / result["seconds"],
                "transactions_per_second": result["transactions"] / result["seconds"],
                "cpu_seconds_per_1000": result["cpu_seconds"] / result["rows"] * 1000}

    def measure(self, case):
        """The case's measurement, or None where it cannot be taken in this round."""
        if case.scenario == "http":
            return self.measure_http(case)
        if case.scenario == "embedded":
            return self.measure_embedded(case)
        return self.measure_loop(case)


def run_loop(binary, file, rows, seconds):
    """One run of sqlite_loop to its end."""
    command = [str(binary), str(file), str(rows), str(seconds), str(LOOP_CACHE_BYTES),
               str(LOOP_WAL_MAX_BYTES), str(plan.MEMBER_FIRST), str(plan.MEMBER_COUNT)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, start_new_session=True)
    try:
        text, _ = process.communicate()
    except BaseException:
        process.kill()
        process.communicate()
        raise
    if process.returncode != 0:
        raise servers.ServerError(f"{' '.join(command)}\nended with {process.returncode}:\n{text}")
    return json.loads(text)


def batch_sizes(before, after):
    """Transactions and their mean size between two readings of the metrics."""
    def grown(name):
        return sum(after[key] - before.get(key, 0) for key in after
                   if key.split("{")[0] == f"resvd_embedded_{name}")

    transactions = grown("batch_operations_count")
    operations = grown("batch_operations_sum")
    commit_seconds = grown("commit_seconds_sum")
    return {
        "transactions": transactions,
        "mean": operations / transactions if transactions else None,
        "commit_ms": commit_seconds / transactions * 1000 if transactions else None,
    }
