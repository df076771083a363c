/* Listening to who lets the lock go.
 *
 * Invariant: each release that was sent to a node to which this process listened brings one message
 * back, which is nobody's wake-up: as many are passed over. A node whose connection was lost starts
 * anew; a message more or less that is taken for somebody else's costs an attempt or a timer. */
#include "lock.h"

static void listening(struct redis_subscription *subscription, size_t node)
{
    struct lock *lock = subscription->data;
    lock->echoes[node] = 0;
    lock->events->listening(lock, node);
}

static void heard(struct redis_subscription *subscription, size_t node)
{
    struct lock *lock = subscription->data;
    if (lock->echoes[node] > 0)
        lock->echoes[node]--;
    else
        lock->events->heard(lock, node);
}

void lock_listen(struct lock *lock)
{
    if (lock->listens)
        return;
    lock->listens = true;
    for (size_t i = 0; i < lock->nodes; i++)
        lock->echoes[i] = 0;
    lock->channel.data = lock;
    lock->channel.listening = listening;
    lock->channel.heard = heard;
    redis_subscribe(lock->settings->redis, &lock->channel);
}

void lock_unlisten(struct lock *lock)
{
    if (lock->listens)
        redis_unsubscribe(lock->settings->redis, &lock->channel);
    lock->listens = false;
}

bool lock_expect_echo(struct lock *lock, size_t node)
{
    bool listens = lock->listens && (lock->channel.listens & (1U << node)) != 0;
    lock->echoes[node] += listens;
    return listens;
}

void lock_forget_echo(struct lock *lock, size_t node)
{
    if (lock->echoes[node] > 0)
        lock->echoes[node]--;
}
