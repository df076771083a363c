/* A second port with threads of its own: it answers while all of the first one's are taken. */
package peer.admin;

import org.apache.catalina.connector.Connector;
import org.springframework.boot.web.embedded.tomcat.TomcatServletWebServerFactory;
import org.springframework.boot.web.server.WebServerFactoryCustomizer;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import peer.PeerSettings;

@Configuration
class AdminPort {
    @Bean
    WebServerFactoryCustomizer<TomcatServletWebServerFactory> adminConnector(
            PeerSettings settings) {
        var connector = new Connector(TomcatServletWebServerFactory.DEFAULT_PROTOCOL);
        connector.setPort(settings.adminPort());
        connector.setProperty("address", "127.0.0.1");
        connector.setProperty("minSpareThreads", "1");
        connector.setProperty("maxThreads", "4");
        return factory -> factory.addAdditionalTomcatConnectors(connector);
    }
}
