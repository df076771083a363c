/* Concerts in the database. */
package peer.catalog;

import org.springframework.data.jpa.repository.JpaRepository;
import org.springframework.data.jpa.repository.Modifying;
import org.springframework.data.jpa.repository.Query;

public interface ConcertRepository extends JpaRepository<Concert, Long> {
    /** One statement: nothing that was read before is written back. */
    @Modifying
    @Query("update Concert c set c.sold = c.sold + :seats where c.id = :id")
    int addSold(long id, long seats);
}
