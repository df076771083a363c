/* What application.yml and the command line say under `peer`. */
package peer;

import java.time.Duration;
import org.springframework.boot.context.properties.ConfigurationProperties;

/**
 * @param adminPort      where GET /admin/state is answered, however busy the other port is
 * @param topic          of the events; made at the start
 * @param partitions     of the topic
 * @param lockWait       how long a request tries to get the lock
 * @param lockLease      after which Redis gives the lock to the next one, whatever its holder does
 * @param work           slept by the holder, between reading the concert and writing it
 * @param answerAfterAck whether a 202 waits until Kafka has the event
 * @param knownInOneQuery whether the consumer asks once a batch, or once an event, if it was there
 */
@ConfigurationProperties("peer")
public record PeerSettings(int adminPort, String topic, int partitions, Duration lockWait,
        Duration lockLease, Duration work, boolean answerAfterAck, boolean knownInOneQuery) {
}
