/* A seat that a member has. */
package peer.catalog;

import jakarta.persistence.Column;
import jakarta.persistence.Entity;
import jakarta.persistence.EnumType;
import jakarta.persistence.Enumerated;
import jakarta.persistence.GeneratedValue;
import jakarta.persistence.GenerationType;
import jakarta.persistence.Id;
import jakarta.persistence.Table;
import java.util.UUID;
import org.hibernate.annotations.JdbcTypeCode;
import org.hibernate.type.SqlTypes;

@Entity
@Table(name = "reservations")
public class Reservation {
    public enum Status {
        CONFIRMED
    }

    /* As most programs have it. Setting "fair" maps it otherwise: META-INF/fair.orm.xml. */
    @Id
    @GeneratedValue(strategy = GenerationType.IDENTITY)
    private Long id;

    @Column(updatable = false)
    private long concertId;

    @Column(updatable = false)
    private long memberId;

    @Enumerated(EnumType.STRING)
    @JdbcTypeCode(SqlTypes.VARCHAR)
    private Status status = Status.CONFIRMED;

    /* Of the event that it comes from; unique, so that an event that comes twice has one row. */
    @JdbcTypeCode(SqlTypes.BINARY)
    @Column(updatable = false)
    private UUID requestId;

    protected Reservation() {
    }

    /** requestId: null where no event stands behind it. */
    public Reservation(long concertId, long memberId, UUID requestId) {
        this.concertId = concertId;
        this.memberId = memberId;
        this.requestId = requestId;
    }

    public Long getId() {
        return id;
    }
}
