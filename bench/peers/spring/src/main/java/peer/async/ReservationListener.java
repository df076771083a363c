/* The consumer: a batch of events becomes rows; its offsets are committed when this returns. */
package peer.async;

import java.util.List;
import org.springframework.context.annotation.Profile;
import org.springframework.kafka.annotation.KafkaListener;
import org.springframework.stereotype.Component;

@Component
@Profile("async")
class ReservationListener {
    static final String ID = "reservations";

    private final ReservationWriter writer;
    private final Progress progress;

    ReservationListener(ReservationWriter writer, Progress progress) {
        this.writer = writer;
        this.progress = progress;
    }

    @KafkaListener(id = ID, idIsGroup = false, topics = "${peer.topic}")
    void consume(List<ReservationRequested> events) {
        progress.wrote(writer.write(events));
    }
}
