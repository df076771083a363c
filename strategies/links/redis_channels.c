/* Subscriptions, by channel: a hash table that grows with them, and a list of all. */
#include <stdlib.h>
#include <string.h>

#include "redis_internal.h"
#include "resvd/assert.h"
#include "resvd/hash.h"

#define BUCKETS_AT_FIRST 256

/* Channels are named by ourselves, nobody chooses them to collide. */
static uint64_t hash_of(struct redis_text channel)
{
    const uint64_t hash = resv_hash_bytes(channel.bytes, channel.size);
    return hash ^ (hash >> 32);
}

static struct redis_text channel_of(const struct redis_subscription *subscription)
{
    return (struct redis_text){.bytes = subscription->channel,
                               .size = strlen(subscription->channel)};
}

static struct redis_subscription **bucket_of(const struct redis_channels *channels,
                                             struct redis_text channel)
{
    return &channels->buckets[hash_of(channel) & (channels->buckets_count - 1)];
}

bool redis_channels_create(struct redis_channels *channels)
{
    channels->buckets = calloc(BUCKETS_AT_FIRST, sizeof(struct redis_subscription *));
    channels->buckets_count = BUCKETS_AT_FIRST;
    return channels->buckets != NULL;
}

void redis_channels_free(struct redis_channels *channels)
{
    free(channels->buckets);
    channels->buckets = NULL;
}

struct redis_subscription *redis_channels_find(const struct redis_channels *channels,
                                               struct redis_text channel)
{
    struct redis_subscription *found = *bucket_of(channels, channel);
    while (found != NULL && !(strncmp(found->channel, channel.bytes, channel.size) == 0 &&
                              found->channel[channel.size] == '\0'))
        found = found->hash_next;
    return found;
}

static void put(struct redis_channels *channels, struct redis_subscription *subscription)
{
    struct redis_subscription **bucket = bucket_of(channels, channel_of(subscription));
    subscription->hash_next = *bucket;
    *bucket = subscription;
}

/* Without memory it stays as it is, and is slower. */
static void grow(struct redis_channels *channels)
{
    struct redis_subscription **buckets =
        calloc(channels->buckets_count * 2, sizeof(struct redis_subscription *));
    if (buckets == NULL)
        return;
    free(channels->buckets);
    channels->buckets = buckets;
    channels->buckets_count *= 2;
    for (struct redis_subscription *at = channels->first; at != NULL; at = at->next)
        put(channels, at);
}

void redis_subscribe(struct redis_link *link, struct redis_subscription *subscription)
{
    struct redis_channels *channels = &link->channels;
    struct redis_text channel = channel_of(subscription);
    RESV_ASSERT(link->config.subscribes && !subscription->pending && channel.size > 0);
    RESV_ASSERT(redis_channels_find(channels, channel) == NULL);
    subscription->pending = true;
    subscription->listens = 0;
    memset(subscription->asked, 0, sizeof subscription->asked);
    subscription->previous = NULL;
    subscription->next = channels->first;
    if (channels->first != NULL)
        channels->first->previous = subscription;
    channels->first = subscription;
    put(channels, subscription);
    if (++channels->count > channels->buckets_count)
        grow(channels);
    for (size_t i = 0; i < link->nodes_count; i++)
        redis_listener_subscribe(&link->nodes[i], subscription);
}

void redis_unsubscribe(struct redis_link *link, struct redis_subscription *subscription)
{
    struct redis_channels *channels = &link->channels;
    if (!subscription->pending)
        return;
    subscription->pending = false;
    subscription->listens = 0;
    channels->count--;
    if (subscription->previous != NULL)
        subscription->previous->next = subscription->next;
    else
        channels->first = subscription->next;
    if (subscription->next != NULL)
        subscription->next->previous = subscription->previous;
    struct redis_subscription **at = bucket_of(channels, channel_of(subscription));
    while (*at != subscription)
        at = &(*at)->hash_next;
    *at = subscription->hash_next;
    for (size_t i = 0; i < link->nodes_count; i++)
        redis_listener_unsubscribe(&link->nodes[i], subscription);
}
