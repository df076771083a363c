/* How far the async path is: counts since the start. */
package peer.async;

import java.util.concurrent.atomic.LongAdder;
import org.springframework.context.annotation.Profile;
import org.springframework.stereotype.Component;

@Component
@Profile("async")
public class Progress {
    /** Events given to Kafka's client, taken by Kafka, not taken; rows written. */
    public record Counts(long sent, long acknowledged, long failed, long rows) {
    }

    private final LongAdder sent = new LongAdder();
    private final LongAdder acknowledged = new LongAdder();
    private final LongAdder failed = new LongAdder();
    private final LongAdder rows = new LongAdder();

    void sent() {
        sent.increment();
    }

    void acknowledged() {
        acknowledged.increment();
    }

    void failed() {
        failed.increment();
    }

    void wrote(long count) {
        rows.add(count);
    }

    public Counts counts() {
        return new Counts(sent.sum(), acknowledged.sum(), failed.sum(), rows.sum());
    }
}
