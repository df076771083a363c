/* The body of a request, of both paths: one seat. */
package peer;

public record ReservationRequest(long concertId, long memberId) {
}
