/* Events to Kafka; a seat whose event Kafka does not take is given back. */
package peer.async;

import java.util.concurrent.CompletableFuture;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.context.annotation.Profile;
import org.springframework.kafka.KafkaException;
import org.springframework.kafka.core.KafkaTemplate;
import org.springframework.kafka.support.SendResult;
import org.springframework.stereotype.Component;
import peer.PeerSettings;

@Component
@Profile("async")
class EventSender {
    private static final Logger log = LoggerFactory.getLogger(EventSender.class);

    private final KafkaTemplate<String, ReservationRequested> kafka;
    private final Stock stock;
    private final Progress progress;
    private final PeerSettings settings;

    EventSender(KafkaTemplate<String, ReservationRequested> kafka, Stock stock,
            Progress progress, PeerSettings settings) {
        this.kafka = kafka;
        this.stock = stock;
        this.progress = progress;
        this.settings = settings;
    }

    /** True once Kafka has the event, false when it does not take it. */
    CompletableFuture<Boolean> send(ReservationRequested event) {
        progress.sent();
        return hand(event).handle((result, error) -> {
            if (error == null) {
                progress.acknowledged();
                return true;
            }
            log.warn("Kafka did not take {}", event, error);
            stock.giveBack(event.concertId());
            progress.failed();
            return false;
        });
    }

    private CompletableFuture<SendResult<String, ReservationRequested>> hand(
            ReservationRequested event) {
        try {
            // The concert is the key: its events keep their order, in one partition.
            return kafka.send(settings.topic(), Long.toString(event.concertId()), event);
        } catch (KafkaException error) {
            return CompletableFuture.failedFuture(error);
        }
    }
}
