/* The program: a reservation service of the study's architecture, by either of its two paths. */
package peer;

import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.boot.context.properties.ConfigurationPropertiesScan;

@SpringBootApplication
@ConfigurationPropertiesScan
public class PeerApplication {
    public static void main(String[] arguments) {
        SpringApplication.run(PeerApplication.class, arguments);
    }
}
