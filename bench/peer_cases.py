"""resvd beside the Spring Boot peer: the same load on the same services, in the same round."""

import peers
import plan
import subjects as subjects_of
import written_behind


def measure(session, case):
    peer = subjects_of.PEERS.get(case.subject)
    if case.load == plan.PEER_DRAIN_LOAD:
        if peer:
            return peers.measure_drain(session, case, peer.setting, drain_events(session))
        return written_behind.measure_drain(session, case)
    if peer:
        return peers.measure(session, case, peer.path, peer.setting, warm_up_seconds(session, peer))
    return session.measure_strategy(case, subjects_of.BY_NAME[case.subject])


def drain_events(session):
    """None: as many as its setting takes a good while for."""
    return 2000 if plan.is_quick(session.seconds) else None


def warm_up_seconds(session, peer):
    return min(peers.warm_up_seconds(peer.path, peer.setting),
               plan.peer_warm_up_seconds(session.seconds))
