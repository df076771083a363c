/* What the checker knows of the stock in Redis: after every script, and when all is at rest. The
 * only place here that knows how the strategy names its keys.
 *
 *   at each script  what an open gate says adds up, with what is pending; and, where Redis has
 *                   forgotten nothing and no capacity was lowered: stock, seats that are pending
 *                   and have no row, and live seats are together not above the capacity
 *   at rest         nothing is pending, everything in the log is applied, and the stock of an open
 *                   gate is what the database has left */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim_checker.h"
#include "sim_kafka.h"
#include "sim_redis.h"
#include "sim_variants.h"

/* --- reading ---------------------------------------------------------------------------------- */

static struct sim_redis_key *find_key(struct sim_redis_node *node, int64_t concert_id,
                                      const char *what)
{
    char name[64];
    int length = snprintf(name, sizeof name, "resvd:{c:%" PRId64 "}:%s", concert_id, what);
    struct redis_text text = {name, (size_t)length};
    return keys_find(&node->keys, text, node_clock_ms(node));
}

static int64_t number_of(struct redis_text text)
{
    char digits[32];
    snprintf(digits, sizeof digits, "%.*s", (int)text.size, text.bytes);
    return strtoll(digits, NULL, 10);
}

/* 0 when there is none. */
static int64_t field_number(struct sim_redis_key *key, const char *name)
{
    const struct key_field *field = key_field(key, (struct redis_text){name, strlen(name)});
    return field != NULL ? number_of(field->value) : 0;
}

static bool gate_is_open(const struct sim_redis_node *node, struct sim_redis_key *gate)
{
    const struct key_field *run =
        gate != NULL ? key_field(gate, (struct redis_text){"run", 3}) : NULL;
    return run != NULL &&
           text_equals(run->value, (struct redis_text){node->run_id, strlen(node->run_id)});
}

/* Member and seats of what is pending. */
static void read_pending(const struct key_field *field, int64_t *member_id, int64_t *quantity)
{
    char text[200];
    snprintf(text, sizeof text, "%.*s", (int)field->value.size, field->value.bytes);
    if (sscanf(text, "1 reserve %*36s %*d %" SCNd64 " %" SCNd64, member_id, quantity) != 2)
        *member_id = *quantity = 0;
}

static bool has_row(const struct sim_world *world, const struct key_field *field)
{
    struct resv_id id;
    if (field->name.size != sizeof id.bytes)
        return false;
    memcpy(id.bytes, field->name.bytes, sizeof id.bytes);
    const struct sim_record *row = tables_find(world->server, &id);
    return row != NULL && row->exists;
}

/* Of whoever it is (0), and only what has no row. */
static int64_t seats_pending(struct sim_world *world, int64_t concert_id, int64_t of_member,
                             bool without_row)
{
    const struct sim_redis_key *pending = find_key(&world->redis->stock, concert_id, "pending");
    int64_t sum = 0;
    for (size_t i = 0; pending != NULL && i < pending->fields_count; i++) {
        int64_t member_id, quantity;
        read_pending(&pending->fields[i], &member_id, &quantity);
        if ((of_member == 0 || member_id == of_member) &&
            !(without_row && has_row(world, &pending->fields[i])))
            sum += quantity;
    }
    return sum;
}

int64_t stock_pending(struct sim_world *world, int64_t concert_id, int64_t member_id)
{
    return world->redis != NULL && world->variant->accepts
               ? seats_pending(world, concert_id, member_id, false)
               : 0;
}

/* --- at each script --------------------------------------------------------------------------- */

static void check_members(struct sim_redis_node *node, int64_t concert_id)
{
    struct sim_world *world = node->world;
    struct sim_redis_key *members = find_key(node, concert_id, "members");
    for (int64_t id = 1; id <= (int64_t)world->server->member_count; id++) {
        char name[32];
        snprintf(name, sizeof name, "p%" PRId64, id);
        int64_t said = members != NULL ? field_number(members, name) : 0;
        int64_t pending = seats_pending(world, concert_id, id, false);
        if (said != pending)
            world_violation(world,
                            "Redis, concert %" PRId64 ": member %" PRId64 " has %" PRId64
                            " seats pending, the count says %" PRId64,
                            concert_id, id, pending, said);
    }
}

static void check_sums(struct sim_redis_node *node, int64_t concert_id, struct sim_redis_key *gate)
{
    int64_t stock = field_number(gate, "stock");
    int64_t left = field_number(gate, "capacity") - field_number(gate, "sold");
    int64_t said = field_number(gate, "seats_pending");
    int64_t pending = seats_pending(node->world, concert_id, 0, false);
    if (said != pending)
        world_violation(node->world,
                        "Redis, concert %" PRId64 ": %" PRId64
                        " seats are pending, the gate says %" PRId64,
                        concert_id, pending, said);
    else if (stock != left - said)
        world_violation(node->world,
                        "Redis, concert %" PRId64 ": the stock is %" PRId64 ", and %" PRId64
                        " are left, %" PRId64 " of them pending",
                        concert_id, stock, left, said);
}

/* Redis has lost nothing, and there never were more seats than now: what it sells is there. */
static void check_truth(struct sim_redis_node *node, const struct sim_concert *concert,
                        struct sim_redis_key *gate)
{
    int64_t stock = field_number(gate, "stock");
    int64_t held = seats_pending(node->world, concert->committed.id, 0, true);
    if (stock > 0 && stock + held + concert->live > concert->committed.capacity)
        world_violation(node->world,
                        "Redis, concert %lld: %" PRId64 " seats are to be sold, %" PRId64
                        " more are pending and %" PRId64 " live, of %lld",
                        (long long)concert->committed.id, stock, held, concert->live,
                        (long long)concert->committed.capacity);
}

static void check_concert(struct sim_redis_node *node, const struct sim_concert *concert)
{
    struct sim_world *world = node->world;
    int64_t concert_id = concert->committed.id;
    struct sim_redis_key *gate = find_key(node, concert_id, "gate");
    if (!gate_is_open(node, gate))
        return;
    check_sums(node, concert_id, gate);
    if (field_number(gate, "limit") > 0)
        check_members(node, concert_id);
    if (node->forgets == 0 && !history_was_lowered(world->checker, concert_id))
        check_truth(node, concert, gate);
}

void stock_scripted(struct sim_redis_node *node)
{
    struct sim_world *world = node->world;
    if (world->checker == NULL || !world->variant->accepts || !node->script_wrote)
        return;
    for (size_t i = 0; i < world->server->concert_count; i++) {
        check_concert(node, world->server->concerts[i]);
        history_note(world->checker, world->server->concerts[i], 0);
    }
}

/* What leaves pending has its row on disk: unless Redis itself forgot it. */
void stock_check_lost(struct sim_world *world, const struct sim_record *row)
{
    if (!world->variant->accepts || world->redis->stock.forgets > 0)
        return;
    struct sim_redis_key *pending =
        find_key(&world->redis->stock, row->content.concert_id, "pending");
    struct redis_text id = {(const char *)row->id.bytes, sizeof row->id.bytes};
    if (pending == NULL || key_field(pending, id) == NULL)
        world_violation(world, "row %s was not on disk, and was not pending any more",
                        sim_id_text(&row->id));
}

/* --- at rest ---------------------------------------------------------------------------------- */

static int64_t position_of(const struct sim_world *world, int32_t partition)
{
    for (const struct sim_position *each = world->server->positions; each != NULL;
         each = each->next) {
        if (each->partition == partition)
            return each->exists ? each->next_offset : 0;
    }
    return 0;
}

/* What is not at rest yet, in words; NULL: everything is. */
static const char *unrest(const struct sim_world *world, char words[static 128])
{
    struct sim_redis_node *node = &world->redis->stock;
    for (int32_t i = 0; i < kafka_partitions(world->kafka, KAFKA_EVENTS); i++) {
        int64_t end = kafka_end(world->kafka, KAFKA_EVENTS, i);
        int64_t position = position_of(world, i);
        if (position == end)
            continue;
        snprintf(words, 128, "partition %d is applied up to %" PRId64 " of %" PRId64, (int)i,
                 position, end);
        return words;
    }
    for (size_t i = 0; i < world->server->concert_count; i++) {
        int64_t concert_id = (int64_t)i + 1;
        const struct sim_redis_key *pending = find_key(node, concert_id, "pending");
        if (pending == NULL)
            continue;
        snprintf(words, 128, "concert %" PRId64 " has %zu reservations pending", concert_id,
                 pending->fields_count);
        return words;
    }
    return NULL;
}

bool stock_rests(const struct sim_world *world)
{
    char words[128];
    return unrest(world, words) == NULL;
}

void stock_tell_unrest(struct sim_world *world)
{
    char words[128];
    const char *what = unrest(world, words);
    if (what != NULL)
        world_violation(world, "nothing is wrong any more, but %s", what);
}

static void check_members_at_rest(struct sim_redis_node *node, const struct sim_concert *concert)
{
    struct sim_world *world = node->world;
    struct sim_redis_key *members = find_key(node, concert->committed.id, "members");
    for (int64_t id = 1; id <= (int64_t)world->server->member_count; id++) {
        char name[32];
        snprintf(name, sizeof name, "%" PRId64, id);
        int64_t said = members != NULL ? field_number(members, name) : 0;
        int64_t live = tables_member_live(concert, id);
        if (said != live)
            world_violation(world,
                            "Redis at rest, concert %lld: member %" PRId64 " has %" PRId64
                            " live seats, the count says %" PRId64,
                            (long long)concert->committed.id, id, live, said);
    }
}

static void check_at_rest(struct sim_redis_node *node, const struct sim_concert *concert,
                          bool must_be_open)
{
    const struct resv_concert *row = &concert->committed;
    struct sim_redis_key *gate = find_key(node, row->id, "gate");
    if (!gate_is_open(node, gate)) {
        if (must_be_open)
            world_violation(node->world,
                            "Redis at rest, concert %lld: the gate is closed, though somebody has "
                            "asked",
                            (long long)row->id);
        return;
    }
    int64_t stock = field_number(gate, "stock");
    if (stock != row->capacity - concert->live)
        world_violation(node->world,
                        "Redis at rest, concert %lld: the stock is %" PRId64
                        ", but %lld seats are left",
                        (long long)row->id, stock, (long long)(row->capacity - concert->live));
    if (field_number(gate, "limit") != row->member_limit)
        world_violation(
            node->world, "Redis at rest, concert %lld: the limit is %lld, the gate says %" PRId64,
            (long long)row->id, (long long)row->member_limit, field_number(gate, "limit"));
    else if (row->member_limit > 0)
        check_members_at_rest(node, concert);
}

void stock_check_at_rest(struct sim_world *world, bool must_be_open)
{
    struct sim_redis_node *node = &world->redis->stock;
    static const char all[] = "resvd:pending_concerts";
    const struct sim_redis_key *index =
        keys_find(&node->keys, (struct redis_text){all, sizeof all - 1}, node_clock_ms(node));
    if (index != NULL)
        world_violation(world, "Redis at rest: %zu ids are said to be pending, and none is",
                        index->fields_count);
    for (size_t i = 0; i < world->server->concert_count; i++)
        check_at_rest(node, world->server->concerts[i], must_be_open);
}
