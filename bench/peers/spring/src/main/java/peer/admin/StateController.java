/* GET /admin/state: what the process holds, and how far the async path is. */
package peer.admin;

import com.zaxxer.hikari.HikariDataSource;
import com.zaxxer.hikari.HikariPoolMXBean;
import java.lang.management.ManagementFactory;
import org.apache.tomcat.util.threads.ThreadPoolExecutor;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.boot.web.embedded.tomcat.TomcatWebServer;
import org.springframework.boot.web.servlet.context.ServletWebServerApplicationContext;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;
import peer.async.Progress;

@RestController
class StateController {
    /**
     * @param requestsActive those that have a thread of the first port or wait for one; none of the
     *                       admin port
     * @param threads        of all kinds
     * @param async          null on the other path
     */
    record State(int connectionsActive, int connectionsPending, int connectionsTotal,
            int requestsActive, int threads, Progress.Counts async) {
    }

    private final HikariDataSource dataSource;
    private final ServletWebServerApplicationContext context;
    private final ObjectProvider<Progress> progress;

    StateController(HikariDataSource dataSource, ServletWebServerApplicationContext context,
            ObjectProvider<Progress> progress) {
        this.dataSource = dataSource;
        this.context = context;
        this.progress = progress;
    }

    @GetMapping("/admin/state")
    State state() {
        HikariPoolMXBean pool = dataSource.getHikariPoolMXBean();
        Progress found = progress.getIfAvailable();
        return new State(pool.getActiveConnections(), pool.getThreadsAwaitingConnection(),
                pool.getTotalConnections(), requestsActive(),
                ManagementFactory.getThreadMXBean().getThreadCount(),
                found == null ? null : found.counts());
    }

    private int requestsActive() {
        var server = (TomcatWebServer) context.getWebServer();
        var handler = server.getTomcat().getConnector().getProtocolHandler();
        return ((ThreadPoolExecutor) handler.getExecutor()).getSubmittedCount();
    }
}
