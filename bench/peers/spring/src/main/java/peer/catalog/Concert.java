/* A concert: how many seats it has and how many are sold. */
package peer.catalog;

import jakarta.persistence.Entity;
import jakarta.persistence.Id;
import jakarta.persistence.Table;

@Entity
@Table(name = "concerts")
public class Concert {
    @Id
    private Long id;
    private long capacity;
    private long sold;

    protected Concert() {
    }

    /** False when there is none left. */
    public boolean sellOne() {
        if (sold >= capacity) {
            return false;
        }
        sold++;
        return true;
    }
}
