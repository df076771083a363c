/* Somebody who may reserve. */
package peer.catalog;

import jakarta.persistence.Entity;
import jakarta.persistence.Id;
import jakarta.persistence.Table;

@Entity
@Table(name = "members")
public class Member {
    @Id
    private Long id;

    protected Member() {
    }
}
