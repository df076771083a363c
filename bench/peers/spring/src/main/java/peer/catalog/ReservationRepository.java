/* Reservations in the database. */
package peer.catalog;

import java.util.Collection;
import java.util.Set;
import java.util.UUID;
import org.springframework.data.jpa.repository.JpaRepository;
import org.springframework.data.jpa.repository.Query;

public interface ReservationRepository extends JpaRepository<Reservation, Long> {
    boolean existsByRequestId(UUID requestId);

    /** Those of the ids that have a row. */
    @Query("select r.requestId from Reservation r where r.requestId in :requestIds")
    Set<UUID> findKnown(Collection<UUID> requestIds);
}
