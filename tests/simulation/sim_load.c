/* The load: requests in bursts, to processes by chance. */
#include "sim_load.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "resvd/assert.h"
#include "sim_process.h"
#include "sim_variants.h"

struct sim_load {
    struct sim_world *world;
    struct sim_event burst;
    size_t left;
    uint64_t ids;
};

static struct sim_process *some_process(struct sim_world *world)
{
    struct sim_process *found = NULL;
    uint64_t seen = 0;
    for (struct sim_process *process = world->processes; process != NULL; process = process->next) {
        if (process_accepts(process) && chance_below(&world->chance, ++seen) == 0)
            found = process;
    }
    return found;
}

static struct resv_id new_id(struct sim_load *load)
{
    struct resv_id id;
    uint64_t halves[2] = {chance_next(&load->world->chance), htobe64(++load->ids)};
    memcpy(id.bytes, halves, sizeof id.bytes);
    return id;
}

/* One of the latest, rather. */
static const struct sim_request *earlier(struct sim_world *world)
{
    const struct sim_checker *checker = world->checker;
    if (checker->count == 0)
        return NULL;
    return checker->requests[checker->count - 1 - chance_skewed(&world->chance, checker->count)];
}

static const struct sim_request *earlier_reserve(struct sim_world *world, bool keyed)
{
    for (unsigned tries = 0; tries < 8; tries++) {
        const struct sim_request *request = earlier(world);
        if (request != NULL && request->kind == RESV_OP_RESERVE && (request->keyed || !keyed))
            return request;
    }
    return NULL;
}

/* --- what somebody wants ---------------------------------------------------------------------- */

static int64_t some_concert(struct sim_world *world)
{
    int64_t concerts = (int64_t)world->server->concert_count;
    if (chance_of(&world->chance, world->scenario.nobody))
        return concerts + chance_between(&world->chance, 1, 2);
    return chance_of(&world->chance, world->scenario.hot)
               ? 1
               : chance_between(&world->chance, 1, concerts);
}

static int64_t some_quantity(struct sim_world *world)
{
    return 1 + (int64_t)chance_skewed(&world->chance, (uint64_t)world->scenario.quantity_max);
}

static void want_new(struct sim_load *load, struct sim_request *request)
{
    struct sim_world *world = load->world;
    int64_t members = (int64_t)world->server->member_count;
    request->kind = RESV_OP_RESERVE;
    request->keyed = chance_of(&world->chance, world->scenario.keyed);
    request->id = new_id(load);
    request->concert_id = some_concert(world);
    request->member_id =
        chance_of(&world->chance, world->scenario.nobody + world->scenario.strangers)
            ? members + chance_between(&world->chance, 1, 2)
            : chance_between(&world->chance, 1, members);
    request->quantity = some_quantity(world);
}

/* The same key again: the id follows from the member and the key, so the member is the same. */
static bool want_again(struct sim_load *load, struct sim_request *request)
{
    struct sim_world *world = load->world;
    const struct sim_request *first = earlier_reserve(world, true);
    if (first == NULL)
        return false;
    request->kind = RESV_OP_RESERVE;
    request->keyed = true;
    request->id = first->id;
    request->concert_id = first->concert_id;
    request->member_id = first->member_id;
    request->quantity = first->quantity;
    if (chance_of(&world->chance, world->scenario.changed)) {
        if (chance_of(&world->chance, 500000))
            request->concert_id = some_concert(world);
        else
            request->quantity = some_quantity(world);
    }
    return true;
}

/* Rather one that there is, or may be. */
static const struct sim_request *earlier_taken(struct sim_world *world)
{
    const struct sim_request *request = NULL;
    for (unsigned tries = 0; tries < 5; tries++) {
        request = earlier_reserve(world, false);
        if (request != NULL && !request->answered && world->variant->accepts)
            break; /* with a key its id is known before the answer */
        if (request != NULL && request->answered &&
            (request->outcome == RESV_GRANTED || request->outcome == RESV_ACCEPTED ||
             request->outcome == RESV_UNKNOWN))
            break;
    }
    return request;
}

static void want_known(struct sim_load *load, struct sim_request *request, enum resv_op_kind kind)
{
    const struct sim_request *known = earlier_taken(load->world);
    request->kind = kind;
    request->id =
        known != NULL && chance_of(&load->world->chance, 950000) ? known->id : new_id(load);
}

/* --- the admin -------------------------------------------------------------------------------- */

static struct resv_catalog_request *want_catalog(struct sim_load *load, struct sim_request *request)
{
    struct sim_world *world = load->world;
    struct resv_catalog_request *catalog = calloc(1, sizeof *catalog);
    struct resv_concert *concert = calloc(1, sizeof *concert);
    RESV_ASSERT(catalog != NULL && concert != NULL);
    uint64_t kind = chance_below(&world->chance, 10);
    if (chance_of(&world->chance, world->scenario.new_limits)) {
        kind = 6;
        concert->member_limit = chance_between(&world->chance, 0, 1);
    }
    catalog->count = 1;
    catalog->concerts = concert;
    concert->capacity = chance_between(&world->chance, 0, world->scenario.capacity_max * 2);
    concert->member_limit = chance_between(&world->chance, 0, 4);
    request->kind = RESV_OP_CONCERT_UPDATE;
    request->concert_id = some_concert(world);
    if (world->variant->accepts && chance_of(&world->chance, 200000)) {
        request->kind = chance_of(&world->chance, 700000) ? RESV_OP_RECONCILE : RESV_OP_AUDIT;
    } else if (kind < 6) {
        catalog->fields = RESV_CONCERT_CAPACITY;
    } else if (kind < 8) {
        catalog->fields = RESV_CONCERT_MEMBER_LIMIT;
    } else if (kind < 9) {
        request->kind = RESV_OP_CONCERT_CREATE;
    } else {
        request->kind = RESV_OP_MEMBER_CREATE;
        catalog->members = calloc(1, sizeof *catalog->members);
        RESV_ASSERT(catalog->members != NULL);
    }
    return catalog;
}

/* --- bursts ----------------------------------------------------------------------------------- */

static void one_request(struct sim_load *load)
{
    struct sim_world *world = load->world;
    const struct sim_scenario *scenario = &world->scenario;
    struct sim_process *process = some_process(world);
    struct resv_catalog_request *catalog = NULL;
    if (process == NULL)
        return; /* nobody listens */
    struct sim_request wanted = {0};
    if (chance_of(&world->chance, scenario->catalog))
        catalog = want_catalog(load, &wanted);
    else if (chance_of(&world->chance, scenario->releases))
        want_known(load, &wanted, RESV_OP_RELEASE);
    else if (chance_of(&world->chance, scenario->lookups))
        want_known(load, &wanted, RESV_OP_LOOKUP);
    else if (!chance_of(&world->chance, scenario->repeated) || !want_again(load, &wanted))
        want_new(load, &wanted);
    /* Core answers "in progress" itself. */
    if (wanted.kind == RESV_OP_RESERVE && wanted.keyed && process_has_key(process, &wanted.id))
        return;
    struct sim_request *request = checker_request(world->checker);
    wanted.serial = request->serial;
    *request = wanted;
    process_submit(process, request, catalog);
}

static void burst(struct sim_event *event)
{
    struct sim_load *load = event->data;
    struct sim_world *world = load->world;
    size_t count = 1 + chance_skewed(&world->chance, world->scenario.burst_max);
    for (; count > 0 && load->left > 0; count--, load->left--)
        one_request(load);
    if (load->left > 0)
        schedule_after(&world->schedule, &load->burst,
                       chance_skewed(&world->chance, world->scenario.gap_max_us * NS_PER_US));
}

static void make_stock(struct sim_world *world)
{
    const struct sim_scenario *scenario = &world->scenario;
    for (int64_t i = 0; i < scenario->concerts; i++) {
        struct resv_concert concert = {
            .capacity = chance_between(&world->chance, 0, scenario->capacity_max)};
        if (chance_of(&world->chance, scenario->limited))
            concert.member_limit = chance_between(&world->chance, 1, 4);
        tables_add_concert(world->server, &concert);
        SIM_TRACE(world, "load", "concert %lld: capacity %lld, limit %lld", (long long)i + 1,
                  (long long)concert.capacity, (long long)concert.member_limit);
    }
    for (int64_t i = 0; i < scenario->members; i++)
        tables_add_member(world->server);
}

struct sim_load *load_create(struct sim_world *world)
{
    struct sim_load *load = calloc(1, sizeof *load);
    RESV_ASSERT(load != NULL);
    load->world = world;
    load->left = world->scenario.requests;
    load->burst = (struct sim_event){.fire = burst, .data = load};
    make_stock(world);
    for (size_t i = 0; i < world->scenario.processes; i++)
        process_start(world, world->scenario.roles[i]);
    schedule_after(&world->schedule, &load->burst,
                   world->scenario.begins_ms * NS_PER_MS +
                       chance_below(&world->chance, 100 * NS_PER_MS));
    return load;
}

bool load_is_over(const struct sim_load *load)
{
    return load->left == 0;
}

void load_probe(struct sim_load *load, enum request_probe probe, int64_t concert_id)
{
    struct sim_world *world = load->world;
    for (struct sim_process *process = world->processes; process != NULL; process = process->next) {
        if (!process_accepts(process))
            continue;
        struct sim_request *request = checker_request(world->checker);
        request->kind = RESV_OP_RESERVE;
        request->id = new_id(load);
        request->concert_id = concert_id;
        request->member_id = 1;
        request->quantity = 1;
        request->probe = probe;
        process_submit(process, request, NULL);
    }
}

void load_free(struct sim_load *load)
{
    free(load);
}
