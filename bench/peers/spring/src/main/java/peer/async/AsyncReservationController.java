/* The async path: a seat from Redis, an event to Kafka, and a 202. */
package peer.async;

import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import org.springframework.context.annotation.Profile;
import org.springframework.http.HttpStatus;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RestController;
import peer.PeerSettings;
import peer.ReservationRequest;

@RestController
@Profile("async")
class AsyncReservationController {
    private final Stock stock;
    private final EventSender sender;
    private final PeerSettings settings;

    AsyncReservationController(Stock stock, EventSender sender, PeerSettings settings) {
        this.stock = stock;
        this.sender = sender;
        this.settings = settings;
    }

    /* A future: no thread is held while Kafka writes. */
    @PostMapping("/api/reservations/async")
    CompletableFuture<ResponseEntity<?>> reserve(@RequestBody ReservationRequest request) {
        if (!stock.take(request.concertId())) {
            return CompletableFuture.completedFuture(
                    answer(HttpStatus.CONFLICT, Map.of("error", "sold-out")));
        }
        var event = new ReservationRequested(
                UUID.randomUUID(), request.concertId(), request.memberId());
        ResponseEntity<?> accepted = answer(HttpStatus.ACCEPTED,
                Map.of("requestId", event.requestId(), "status", "PENDING"));
        CompletableFuture<Boolean> taken = sender.send(event);
        if (!settings.answerAfterAck()) {
            return CompletableFuture.completedFuture(accepted);
        }
        return taken.thenApply(done -> done ? accepted
                : answer(HttpStatus.SERVICE_UNAVAILABLE, Map.of("error", "unavailable")));
    }

    private static ResponseEntity<?> answer(HttpStatus status, Map<String, ?> body) {
        return ResponseEntity.status(status).body(body);
    }
}
