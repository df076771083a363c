/* POST /api/test/init, the study's: all is as before the first sale. */
package peer.admin;

import java.util.List;
import java.util.Map;
import java.util.stream.LongStream;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.http.HttpStatus;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.transaction.support.TransactionTemplate;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.ResponseStatus;
import org.springframework.web.bind.annotation.RestController;
import peer.async.Stock;

@RestController
class InitController {
    private static final int BATCH = 1000;

    private final JdbcTemplate database;
    private final TransactionTemplate transaction;
    private final ObjectProvider<Stock> stock;

    InitController(JdbcTemplate database, TransactionTemplate transaction,
            ObjectProvider<Stock> stock) {
        this.database = database;
        this.transaction = transaction;
        this.stock = stock;
    }

    /* Not to be asked while a request or an event is under way. */
    @PostMapping("/api/test/init")
    @ResponseStatus(HttpStatus.CREATED)
    Map<String, Object> init(@RequestParam(defaultValue = "10") int concerts,
            @RequestParam(defaultValue = "100000") long capacity,
            @RequestParam(defaultValue = "200") int members) {
        for (String table : List.of("reservations", "concerts", "members")) {
            database.execute("TRUNCATE TABLE " + table);
        }
        transaction.executeWithoutResult(status -> {
            insert("INSERT INTO concerts (id, capacity) VALUES (?, " + capacity + ")", concerts);
            insert("INSERT INTO members (id) VALUES (?)", members);
        });
        stock.ifAvailable(it -> ids(concerts).forEach(id -> it.set(id, capacity)));
        return Map.of("concertCount", concerts, "memberCount", members);
    }

    private void insert(String statement, int count) {
        database.batchUpdate(statement, ids(count), BATCH, (row, id) -> row.setLong(1, id));
    }

    private static List<Long> ids(int count) {
        return LongStream.rangeClosed(1, count).boxed().toList();
    }
}
