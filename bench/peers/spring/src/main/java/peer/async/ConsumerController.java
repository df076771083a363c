/* Lets the consumer rest, so that a backlog can be made and then be watched. */
package peer.async;

import org.springframework.context.annotation.Profile;
import org.springframework.kafka.config.KafkaListenerEndpointRegistry;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;

@RestController
@Profile("async")
class ConsumerController {
    private final KafkaListenerEndpointRegistry registry;

    ConsumerController(KafkaListenerEndpointRegistry registry) {
        this.registry = registry;
    }

    /* Stopping waits until the batch under way is written. */
    @PostMapping("/admin/consumer")
    void run(@RequestParam boolean running) {
        var container = registry.getListenerContainer(ReservationListener.ID);
        if (running) {
            container.start();
        } else {
            container.stop();
        }
    }
}
