"""The stampede as cases: resvd's strategies and the peer under the study's own stages, with what
each uses over time."""

import contextlib
import shutil

import peer_cases
import peers
import plan
import samples
import stampede
import subjects as subjects_of
import summary
import written_behind

WARM_UP_CONNECTIONS = 64
# What the published peer is given to answer whom nobody waits for any more, and to write its rows:
# thousands of requests stand in its queue, each with up to 30 s for a connection to the database.
PUBLISHED_SETTLE_S = 15.0
CEILING = "k6, " + plan.STAMPEDE_LOAD  # its name among the ceilings


def stages_of(seconds):
    return stampede.QUICK if plan.is_quick(seconds) else stampede.FULL


def measure_ceiling(session):
    """k6's own limit, as it stands among the ceilings."""
    folder = session.new_folder("k6")
    result = stampede.ceiling(session.tools["k6"], session.standing("nginx"),
                              stages_of(session.seconds), folder)
    return {"load": CEILING, "connections": 0, "depth": 1,
            "generator_ceiling": result["hold_requests_per_second"], **result}


def measure(session, case):
    if case.subject in subjects_of.PEERS:
        return measure_peer(session, case, subjects_of.PEERS[case.subject])
    return measure_strategy(session, case, subjects_of.BY_NAME[case.subject])


def measure_strategy(session, case, subject):
    """Start, fill, warm up, the stages, audit, stop."""
    stampede.raise_file_limit(stages_of(session.seconds))  # the server's too, which inherits it
    folder = session.new_folder("store")
    server = session.start_strategy(subject, folder, case.concerts, plan.STAMPEDE_CAPACITY)
    store = session.database() if "mariadb" in subject.services else None
    try:
        session.load_on(server, warm_up_of(case), session.warm_up_seconds(subject))
        session.settle(server, subject)
        session.reset(server, case.concerts, plan.STAMPEDE_CAPACITY)  # no seat is gone yet
        if subject.writes_behind:  # the reset has closed the gates
            written_behind.open_gates(server, case.concerts)
            session.settle(server, subject)
        rows_before = summary.live_seats(server.admin_json("GET", "/admin/audit"))
        probes = [samples.ResvdProbe(server.admin_port)]
        if subject.writes_behind:
            probes.append(lambda: {"backlog": session.stock_and_log.seats_pending()})
        result = run(session, server, "/api/reservations", probes,
                     lambda: session.settle(server, subject))
        result["violations"] = session.audit(server, store, case, subject, rows_before, result)
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return result


def warm_up_of(case):
    return plan.Case("warm-up", case.subject, "", WARM_UP_CONNECTIONS, concerts=case.concerts)


def measure_peer(session, case, peer_of):
    stampede.raise_file_limit(stages_of(session.seconds))
    peer = peers.start(session, peer_of.path, peer_of.setting, case.concerts,
                       capacity=plan.STAMPEDE_CAPACITY)
    store = session.database()
    try:
        peers.warm_up(session, warm_up_of(case), peer, peer_of.setting,
                      peer_cases.warm_up_seconds(session, peer_of))
        peer.reset(case.concerts, plan.STAMPEDE_CAPACITY)
        rows_before = summary.live_seats(peers.audit(store))
        result = run(session, peer, peers.PATHS[peer_of.path], [lambda: connections_of(peer)],
                     lambda: settle_peer(peer, peer_of))
        result.update(give_up(peer, store))
        result["audit"] = peers.audit(store)
        result["violations"] = violations_of_peer(result, rows_before)
    finally:
        peers.stop(peer)
    if not peer_of.oversells:
        session.violations += [f"{case.title}: {text}" for text in result["violations"]]
    return result


def settle_peer(peer, peer_of):
    """The one that is known to oversell does not always come to an end."""
    if not peer_of.oversells:
        peer.wait_until_settled()
    else:
        peer.settles_within(PUBLISHED_SETTLE_S)


def give_up(peer, store):
    """What is still under way is not waited for: how many requests, and events without a row. The
    tables are at rest then."""
    state = peer.state()
    left = {"abandoned": peers.under_way(state), "backlog_left": peers.without_row(state)}
    if any(left.values()):
        peer.kill(store)
    return left


def violations_of_peer(result, rows_before):
    """Rows against answers. A request that was abandoned may have its row; an event that was left
    has perhaps none, though it was answered."""
    counts, left = result["counts"], result["backlog_left"]
    answered = {**counts, "status": min(counts["requests"], counts["status"] + left)}
    return summary.audit_violations(
        result["audit"], rows_before, answered, result["unknown"] + result["abandoned"] + left, 1)


def connections_of(peer):
    state = peer.state()
    found = {"connections_active": state["connectionsActive"],
             "connections_pending": state["connectionsPending"]}
    with contextlib.suppress(TypeError):  # the lock path writes nothing behind
        found["backlog"] = state["async"]["sent"] - state["async"]["rows"]
    return found


def run(session, server, path, probes, settle):
    """The stages, sampled. What 1,000 reservations cost is counted until the last row is there."""
    stages = stages_of(session.seconds)
    cpu = server.cpu_seconds()
    with samples.Sampler(server.process.pid, probes) as sampler:
        found, k6_cpu = stampede.run(
            session.tools["k6"], f"http://127.0.0.1:{server.port}", path, stages,
            session.new_folder("k6"),
            stampede.Crowd(concerts=plan.STAMPEDE_CONCERTS))
    loaded_cpu = server.cpu_seconds() - cpu
    settle()
    result = stampede.measurement(found, stages, k6_cpu, loaded_cpu, session.stampede_ceiling,
                                  server.cpu_seconds() - cpu)
    result["series"] = sampler.series()
    result.update(sampler.summary())
    return result
