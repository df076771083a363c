/* The lock path's transaction: read, check, write. Only the lock keeps two of them apart. */
package peer.lock;

import java.util.Optional;
import org.springframework.context.annotation.Profile;
import org.springframework.stereotype.Service;
import org.springframework.transaction.annotation.Transactional;
import peer.PeerSettings;
import peer.catalog.Concert;
import peer.catalog.ConcertRepository;
import peer.catalog.MemberRepository;
import peer.catalog.Reservation;
import peer.catalog.ReservationRepository;

@Service
@Profile("lock")
class ReservationService {
    enum Result {
        GRANTED, SOLD_OUT, UNKNOWN
    }

    /** @param id of the row where it was granted, else null */
    record Outcome(Result result, Long id) {
    }

    private final ConcertRepository concerts;
    private final MemberRepository members;
    private final ReservationRepository reservations;
    private final PeerSettings settings;

    ReservationService(ConcertRepository concerts, MemberRepository members,
            ReservationRepository reservations, PeerSettings settings) {
        this.concerts = concerts;
        this.members = members;
        this.reservations = reservations;
        this.settings = settings;
    }

    @Transactional
    public Outcome reserve(long concertId, long memberId) throws InterruptedException {
        Optional<Concert> concert = concerts.findById(concertId);
        if (concert.isEmpty() || members.findById(memberId).isEmpty()) {
            return new Outcome(Result.UNKNOWN, null);
        }
        if (!settings.work().isZero()) {
            Thread.sleep(settings.work().toMillis());
        }
        if (!concert.get().sellOne()) {
            return new Outcome(Result.SOLD_OUT, null);
        }
        Reservation reservation = reservations.save(new Reservation(concertId, memberId, null));
        return new Outcome(Result.GRANTED, reservation.getId());
    }
}
