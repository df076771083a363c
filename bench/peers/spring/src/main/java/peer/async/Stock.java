/* The seats that are left, as Redis counts them. */
package peer.async;

import org.springframework.context.annotation.Profile;
import org.springframework.data.redis.core.StringRedisTemplate;
import org.springframework.stereotype.Component;

@Component
@Profile("async")
public class Stock {
    private final StringRedisTemplate redis;

    Stock(StringRedisTemplate redis) {
        this.redis = redis;
    }

    /** False when none is left; what was taken too much is given back. */
    boolean take(long concertId) {
        Long left = redis.opsForValue().decrement(key(concertId));
        if (left != null && left >= 0) {
            return true;
        }
        giveBack(concertId);
        return false;
    }

    void giveBack(long concertId) {
        redis.opsForValue().increment(key(concertId));
    }

    public void set(long concertId, long seats) {
        redis.opsForValue().set(key(concertId), Long.toString(seats));
    }

    private static String key(long concertId) {
        return "concert:" + concertId + ":stock";
    }
}
