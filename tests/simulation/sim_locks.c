/* Row locks: shared and exclusive, in line, and deadlocks found when somebody begins to wait. */
#include <stdlib.h>

#include "resvd/assert.h"
#include "sim_server.h"

#define CYCLE_MAX 64

static struct sim_hold *find_hold(const struct sim_connection *connection,
                                  const struct sim_lock *lock)
{
    struct sim_hold *hold = lock->holds;
    while (hold != NULL && hold->connection != connection)
        hold = hold->next_of_lock;
    return hold;
}

bool lock_is_held(const struct sim_connection *connection, const struct sim_lock *lock,
                  bool exclusive)
{
    const struct sim_hold *hold = find_hold(connection, lock);
    return hold != NULL && (hold->exclusive || !exclusive);
}

bool lock_is_of_others(const struct sim_connection *connection, const struct sim_lock *lock)
{
    for (const struct sim_hold *hold = lock->holds; hold != NULL; hold = hold->next_of_lock) {
        if (hold->connection != connection)
            return true;
    }
    return false;
}

/* --- who waits for whom ----------------------------------------------------------------------- */

/* Calls `each` for everybody that this request would have to wait for: holders, and who waits in
 * front. Stops and returns what is not NULL. */
static struct sim_connection *
blockers(struct sim_connection *connection, const struct sim_lock *lock, bool exclusive,
         struct sim_connection *(*each)(struct sim_connection *blocker, void *data), void *data)
{
    for (struct sim_hold *hold = lock->holds; hold != NULL; hold = hold->next_of_lock) {
        if (hold->connection == connection || (!hold->exclusive && !exclusive))
            continue;
        struct sim_connection *found = each(hold->connection, data);
        if (found != NULL)
            return found;
    }
    for (struct sim_connection *waiter = lock->waiters; waiter != NULL && waiter != connection;
         waiter = waiter->wait_next) {
        if (!waiter->waits_exclusive && !exclusive)
            continue;
        struct sim_connection *found = each(waiter, data);
        if (found != NULL)
            return found;
    }
    return NULL;
}

static struct sim_connection *itself(struct sim_connection *blocker, void *data)
{
    (void)data;
    return blocker;
}

struct walk {
    struct sim_connection *goal;
    struct sim_connection *path[CYCLE_MAX];
    size_t length;
    struct sim_connection *seen[CYCLE_MAX];
    size_t seen_count;
};

/* Not NULL when the way from `from` leads to the goal; path then holds it. */
static struct sim_connection *walk_on(struct sim_connection *from, void *data)
{
    struct walk *walk = data;
    if (from == walk->goal)
        return from;
    if (from->waits_for == NULL || walk->length == CYCLE_MAX || walk->seen_count == CYCLE_MAX)
        return NULL;
    for (size_t i = 0; i < walk->seen_count; i++) {
        if (walk->seen[i] == from)
            return NULL;
    }
    walk->seen[walk->seen_count++] = from;
    walk->path[walk->length++] = from;
    struct sim_connection *found =
        blockers(from, from->waits_for, from->waits_exclusive, walk_on, walk);
    if (found == NULL)
        walk->length--;
    return found;
}

/* A connection on a cycle through this one, chosen by chance, or NULL. */
static struct sim_connection *deadlock_victim(struct sim_connection *connection)
{
    struct walk walk = {.goal = connection};
    if (blockers(connection, connection->waits_for, connection->waits_exclusive, walk_on, &walk) ==
        NULL)
        return NULL;
    struct sim_chance *chance = &connection->server->world->chance;
    if (walk.length == 0 || chance_of(chance, 500000))
        return connection;
    return walk.path[chance_below(chance, walk.length)];
}

/* --- taking ----------------------------------------------------------------------------------- */

static void hold(struct sim_connection *connection, struct sim_lock *lock, bool exclusive)
{
    struct sim_hold *held = find_hold(connection, lock);
    if (held != NULL) {
        held->exclusive = held->exclusive || exclusive;
        return;
    }
    struct sim_server *server = connection->server;
    held = server->free_holds;
    if (held != NULL)
        server->free_holds = held->next_of_lock;
    else
        held = malloc(sizeof *held);
    RESV_ASSERT(held != NULL);
    *held = (struct sim_hold){.lock = lock,
                              .connection = connection,
                              .exclusive = exclusive,
                              .next_of_lock = lock->holds,
                              .next_of_connection = connection->holds};
    lock->holds = held;
    connection->holds = held;
}

static void leave_line(struct sim_connection *connection)
{
    struct sim_connection **link = &connection->waits_for->waiters;
    while (*link != connection)
        link = &(*link)->wait_next;
    *link = connection->wait_next;
    connection->wait_next = NULL;
    connection->waits_for = NULL;
    schedule_cancel(&connection->server->world->schedule, &connection->wait_end);
}

enum lock_try lock_take(struct sim_connection *connection, struct sim_lock *lock, bool exclusive)
{
    RESV_ASSERT(connection->waits_for == NULL);
    if (lock_is_held(connection, lock, exclusive))
        return LOCK_HELD;
    struct sim_world *world = connection->server->world;
    if (blockers(connection, lock, exclusive, itself, NULL) == NULL) {
        hold(connection, lock, exclusive);
        return LOCK_HELD;
    }
    struct sim_connection **last = &lock->waiters;
    while (*last != NULL)
        last = &(*last)->wait_next;
    *last = connection;
    connection->waits_for = lock;
    connection->waits_exclusive = exclusive;
    schedule_after(&world->schedule, &connection->wait_end,
                   world->scenario.lock_wait_ms * NS_PER_MS);
    SIM_TRACE(world, connection->who, "waits for a lock");
    for (;;) {
        struct sim_connection *victim =
            connection->waits_for == NULL ? NULL : deadlock_victim(connection);
        if (victim == NULL)
            return LOCK_WAITS;
        if (victim == connection) {
            lock_stop_waiting(connection);
            tables_rollback(connection);
            return LOCK_DEADLOCK;
        }
        server_victim(victim);
    }
}

/* --- letting go ------------------------------------------------------------------------------- */

static void serve_waiters(struct sim_lock *lock)
{
    struct sim_connection *waiter = lock->waiters;
    while (waiter != NULL) {
        struct sim_connection *next = waiter->wait_next;
        bool exclusive = waiter->waits_exclusive;
        if (blockers(waiter, lock, exclusive, itself, NULL) == NULL) {
            leave_line(waiter);
            hold(waiter, lock, exclusive);
            server_wake(waiter);
        }
        waiter = next;
    }
}

void lock_stop_waiting(struct sim_connection *connection)
{
    struct sim_lock *lock = connection->waits_for;
    if (lock == NULL)
        return;
    leave_line(connection);
    serve_waiters(lock);
}

void lock_let_go(struct sim_connection *connection, struct sim_lock *lock)
{
    struct sim_hold *held = find_hold(connection, lock);
    if (held == NULL)
        return;
    struct sim_hold **link = &lock->holds;
    while (*link != held)
        link = &(*link)->next_of_lock;
    *link = held->next_of_lock;
    link = &connection->holds;
    while (*link != held)
        link = &(*link)->next_of_connection;
    *link = held->next_of_connection;
    held->next_of_lock = connection->server->free_holds;
    connection->server->free_holds = held;
    serve_waiters(lock);
}

void lock_release_all(struct sim_connection *connection)
{
    while (connection->holds != NULL)
        lock_let_go(connection, connection->holds->lock);
}
