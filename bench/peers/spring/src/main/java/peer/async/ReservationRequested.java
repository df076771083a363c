/* The event: a seat was taken in Redis, and its row is still to be written. */
package peer.async;

import java.util.UUID;

public record ReservationRequested(UUID requestId, long concertId, long memberId) {
}
