/* The lock path: a lock in Redis for each concert, around a transaction. */
package peer.lock;

import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.redisson.api.RLock;
import org.redisson.api.RedissonClient;
import org.springframework.context.annotation.Profile;
import org.springframework.http.HttpStatus;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RestController;
import peer.PeerSettings;
import peer.ReservationRequest;

@RestController
@Profile("lock")
class LockedReservationController {
    private final RedissonClient redisson;
    private final ReservationService service;
    private final PeerSettings settings;

    LockedReservationController(RedissonClient redisson, ReservationService service,
            PeerSettings settings) {
        this.redisson = redisson;
        this.service = service;
        this.settings = settings;
    }

    @PostMapping("/api/reservations")
    ResponseEntity<?> reserve(@RequestBody ReservationRequest request)
            throws InterruptedException {
        RLock lock = redisson.getLock("lock:concert:" + request.concertId());
        if (!lock.tryLock(settings.lockWait().toMillis(), settings.lockLease().toMillis(),
                TimeUnit.MILLISECONDS)) {
            return answer(HttpStatus.SERVICE_UNAVAILABLE, Map.of("error", "contended"));
        }
        ReservationService.Outcome outcome;
        try {
            // The transaction is over when this returns: it must be before the lock is given back.
            outcome = service.reserve(request.concertId(), request.memberId());
        } finally {
            // Once the lease is over it is someone else's, and not to be given back.
            if (lock.isHeldByCurrentThread()) {
                lock.unlock();
            }
        }
        return switch (outcome.result()) {
            case GRANTED -> answer(HttpStatus.CREATED,
                    Map.of("id", outcome.id(), "status", "CONFIRMED"));
            case SOLD_OUT -> answer(HttpStatus.CONFLICT, Map.of("error", "sold-out"));
            case UNKNOWN -> answer(HttpStatus.NOT_FOUND, Map.of("error", "not-found"));
        };
    }

    private static ResponseEntity<?> answer(HttpStatus status, Map<String, ?> body) {
        return ResponseEntity.status(status).body(body);
    }
}
