/* The topic, and what becomes of a batch that could not be written. */
package peer.async;

import org.apache.kafka.clients.admin.NewTopic;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Profile;
import org.springframework.kafka.config.TopicBuilder;
import org.springframework.kafka.listener.CommonErrorHandler;
import org.springframework.kafka.listener.DefaultErrorHandler;
import org.springframework.util.backoff.FixedBackOff;
import peer.PeerSettings;

@Configuration
@Profile("async")
class AsyncConfiguration {
    @Bean
    NewTopic topic(PeerSettings settings) {
        return TopicBuilder.name(settings.topic()).partitions(settings.partitions()).build();
    }

    /* Again and again: every event was accepted. By default it would be left out after ten. */
    @Bean
    CommonErrorHandler errorHandler() {
        return new DefaultErrorHandler(new FixedBackOff(1000, FixedBackOff.UNLIMITED_ATTEMPTS));
    }
}
