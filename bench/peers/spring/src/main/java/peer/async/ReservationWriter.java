/* The consumer's transaction: rows of the events that have none yet, and the concerts' counts. */
package peer.async;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.UUID;
import java.util.function.Predicate;
import org.springframework.context.annotation.Profile;
import org.springframework.stereotype.Service;
import org.springframework.transaction.annotation.Transactional;
import peer.PeerSettings;
import peer.catalog.ConcertRepository;
import peer.catalog.Reservation;
import peer.catalog.ReservationRepository;

@Service
@Profile("async")
class ReservationWriter {
    private final ConcertRepository concerts;
    private final ReservationRepository reservations;
    private final boolean knownInOneQuery;

    ReservationWriter(ConcertRepository concerts, ReservationRepository reservations,
            PeerSettings settings) {
        this.concerts = concerts;
        this.reservations = reservations;
        this.knownInOneQuery = settings.knownInOneQuery();
    }

    /** How many rows were written: fewer than events when some came a second time. */
    @Transactional
    public int write(List<ReservationRequested> events) {
        Map<UUID, ReservationRequested> byId = new LinkedHashMap<>();
        events.forEach(event -> byId.putIfAbsent(event.requestId(), event));
        Predicate<UUID> known = known(byId.keySet());
        List<Reservation> rows = new ArrayList<>(byId.size());
        // In the order of the ids: two consumers never wait for each other's concerts.
        Map<Long, Long> seats = new TreeMap<>();
        for (ReservationRequested event : byId.values()) {
            if (!known.test(event.requestId())) {
                rows.add(new Reservation(event.concertId(), event.memberId(), event.requestId()));
                seats.merge(event.concertId(), 1L, Long::sum);
            }
        }
        reservations.saveAll(rows);
        seats.forEach(concerts::addSold);
        return rows.size();
    }

    private Predicate<UUID> known(Set<UUID> requestIds) {
        return knownInOneQuery
                ? reservations.findKnown(requestIds)::contains
                : reservations::existsByRequestId;
    }
}
