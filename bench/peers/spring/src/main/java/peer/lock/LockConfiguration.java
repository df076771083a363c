/* The lock path's client of Redis. */
package peer.lock;

import org.redisson.Redisson;
import org.redisson.api.RedissonClient;
import org.redisson.config.Config;
import org.springframework.boot.autoconfigure.data.redis.RedisProperties;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Profile;

@Configuration
@Profile("lock")
class LockConfiguration {
    @Bean(destroyMethod = "shutdown")
    RedissonClient redisson(RedisProperties redis) {
        Config config = new Config();
        config.useSingleServer()
                .setAddress("redis://" + redis.getHost() + ":" + redis.getPort());
        return Redisson.create(config);
    }
}
