/* Every answer and every commit held against the truth. */
#include "sim_checker.h"

#include <inttypes.h>
#include <stdlib.h>

#include "resvd/assert.h"
#include "sim_log.h"
#include "sim_variants.h"

#define VIOLATION(checker, ...) world_violation((checker)->world, __VA_ARGS__)

struct sim_checker *checker_create(struct sim_world *world)
{
    struct sim_checker *checker = calloc(1, sizeof *checker);
    RESV_ASSERT(checker != NULL);
    checker->world = world;
    return checker;
}

void checker_free(struct sim_checker *checker)
{
    for (size_t i = 0; i < checker->count; i++)
        free(checker->requests[i]);
    free(checker->requests);
    free(checker->events);
    history_free(checker);
    free(checker);
}

struct sim_request *checker_request(struct sim_checker *checker)
{
    if (checker->count == checker->capacity) {
        checker->capacity = checker->capacity > 0 ? checker->capacity * 2 : 128;
        checker->requests =
            realloc(checker->requests, checker->capacity * sizeof checker->requests[0]);
        RESV_ASSERT(checker->requests != NULL);
    }
    struct sim_request *request = calloc(1, sizeof *request);
    RESV_ASSERT(request != NULL);
    checker->requests[checker->count++] = request;
    request->serial = checker->count;
    return request;
}

static struct sim_request *find_request(struct sim_checker *checker, uint64_t serial)
{
    return serial == 0 ? NULL : checker->requests[serial - 1];
}

void checker_doubt(struct sim_checker *checker, uint64_t serial)
{
    if (checker != NULL && serial != 0)
        find_request(checker, serial)->doubts++;
}

/* --- commits ---------------------------------------------------------------------------------- */

static bool says_nothing_taken(enum resv_outcome outcome)
{
    return outcome != RESV_GRANTED && outcome != RESV_UNKNOWN && outcome != RESV_RELEASED;
}

static void check_row(struct sim_checker *checker, const struct sim_record *row, bool ended)
{
    if (checker->world->variant->accepts) {
        accepted_check_row(checker, row, ended);
        return;
    }
    const struct sim_request *request = find_request(checker, ended ? row->ender : row->creator);
    if (request == NULL) {
        VIOLATION(checker, "row %s is %s for no request that is under way", sim_id_text(&row->id),
                  ended ? "cancelled" : "written");
    } else if (request->answered && !request->discarded && says_nothing_taken(request->outcome)) {
        VIOLATION(checker, "row %s is %s after request %" PRIu64 " was told %s",
                  sim_id_text(&row->id), ended ? "cancelled" : "written", request->serial,
                  sim_outcome_text(request->outcome));
    }
}

static void check_concert(struct sim_checker *checker, const struct sim_concert *concert)
{
    const struct resv_concert *now = &concert->committed;
    if (concert->live > now->capacity)
        VIOLATION(checker, "concert %lld is oversold: %lld seats of %lld", (long long)now->id,
                  (long long)concert->live, (long long)now->capacity);
    else if (now->sold != concert->live)
        VIOLATION(checker, "concert %lld: sold is %lld, but %lld seats are in live rows",
                  (long long)now->id, (long long)now->sold, (long long)concert->live);
}

/* The rule of database.h: after less can be sold than before, the fence is higher; and a token was
 * above all fences that were there. Compared with the concert as the history has it last. */
static void check_fence(struct sim_checker *checker, const struct sim_concert *concert)
{
    const struct resv_concert *now = &concert->committed;
    struct sim_seen last;
    if (!history_last(checker, now->id, &last))
        return;
    bool less =
        now->sold > last.sold || now->capacity < last.capacity || now->member_limit != last.limit;
    if (concert->fence < last.fence)
        VIOLATION(checker, "concert %lld: its fence goes back, from %lld to %lld",
                  (long long)now->id, (long long)last.fence, (long long)concert->fence);
    else if (concert->token != 0 && last.fence >= concert->token)
        VIOLATION(checker, "concert %lld: seats are taken with token %lld, the fence was %lld",
                  (long long)now->id, (long long)concert->token, (long long)last.fence);
    else if (less && !concert->overwritten && concert->fence == last.fence)
        VIOLATION(checker, "concert %lld: less can be sold than before, its fence is still %lld",
                  (long long)now->id, (long long)concert->fence);
}

/* The limit cannot change while a transaction has the concert's lock. */
static void check_limit(struct sim_checker *checker, const struct sim_concert *concert,
                        const struct sim_record *row)
{
    int64_t limit = concert->committed.member_limit;
    if (limit == RESV_NO_MEMBER_LIMIT || !row->live ||
        row->created_ns != checker->world->schedule.now_ns)
        return;
    int64_t live = tables_member_live(concert, row->content.member_id);
    if (live > limit)
        VIOLATION(checker, "concert %lld: member %lld has %lld seats, the limit is %lld",
                  (long long)concert->committed.id, (long long)row->content.member_id,
                  (long long)live, (long long)limit);
}

void checker_committed(struct sim_checker *checker, struct sim_connection *connection)
{
    if (checker == NULL)
        return;
    struct sim_server *server = connection->server;
    uint64_t now_ns = checker->world->schedule.now_ns;
    for (const struct sim_hold *hold = connection->holds; hold != NULL;
         hold = hold->next_of_connection) {
        if (hold->exclusive && hold->lock->concert != NULL)
            check_fence(checker, hold->lock->concert);
    }
    for (const struct sim_record *row = connection->rows; row != NULL;
         row = row->transaction_next) {
        const struct sim_concert *concert = tables_concert(server, row->content.concert_id);
        check_row(checker, row, !row->live && row->ended_ns == now_ns);
        history_note(checker, concert, row->content.member_id);
        check_concert(checker, concert);
        check_limit(checker, concert, row);
    }
    for (const struct sim_hold *hold = connection->holds; hold != NULL;
         hold = hold->next_of_connection) {
        if (hold->exclusive && hold->lock->concert != NULL) {
            history_note(checker, hold->lock->concert, 0);
            check_concert(checker, hold->lock->concert);
        }
    }
}

void checker_lost(struct sim_checker *checker, const struct sim_concert *concert, int64_t member_id)
{
    if (checker == NULL)
        return;
    history_note(checker, concert, member_id);
    check_concert(checker, concert);
}

void checker_concert_made(struct sim_checker *checker, const struct sim_concert *concert)
{
    if (checker != NULL)
        history_note(checker, concert, 0);
}

void checker_check_failed(struct sim_checker *checker, const struct sim_concert *concert,
                          int64_t sold)
{
    if (checker != NULL)
        VIOLATION(checker, "concert %lld: sold was to become %lld of %lld",
                  (long long)concert->now.id, (long long)sold, (long long)concert->now.capacity);
}

/* --- answers ---------------------------------------------------------------------------------- */

static bool same_content(const struct sim_request *request, const struct resv_reservation *row)
{
    return request->concert_id == row->concert_id && request->member_id == row->member_id &&
           request->quantity == row->quantity;
}

/* The status that is told was the row's at some instant since the request. */
static bool status_was(const struct sim_request *request, const struct sim_record *row,
                       enum resv_status status)
{
    if (status == RESV_STATUS_CONFIRMED)
        return row->live || row->ended_ns >= request->submitted_ns;
    return status == RESV_STATUS_CANCELLED && !row->live;
}

/* A crash has taken back what could be read of it. */
static bool was_lost(const struct sim_request *request, const struct sim_record *row)
{
    return row != NULL && row->lost_ns >= request->submitted_ns;
}

static const char *untrue_granted(const struct sim_server *server,
                                  const struct sim_request *request, const struct sim_record *row)
{
    const struct resv_reservation *told = &request->op->reservation;
    if (row == NULL || !row->exists)
        return "no such row is committed";
    if (!log_is_durable(server, row->created_at) ||
        (told->status == RESV_STATUS_CANCELLED && !log_is_durable(server, row->ended_at)))
        return "a crash could still take it back";
    if (!same_content(request, &row->content))
        return "the row is for something else";
    if (!same_content(request, told))
        return "something else is told";
    if (!status_was(request, row, told->status))
        return "the row did not have that status";
    if (told->replay && row->creator == request->serial)
        return "replay, but the row is its own";
    if (!told->replay && row->creator != request->serial && request->doubts == 0)
        return "not a replay, but the row was there before";
    return NULL;
}

static const char *untrue_found(const struct sim_request *request, const struct sim_record *row)
{
    const struct resv_reservation *told = &request->op->reservation;
    if (was_lost(request, row))
        return NULL; /* a lookup promises nothing */
    if (row == NULL || !row->exists)
        return "there is no such row";
    if (told->concert_id != row->content.concert_id || told->member_id != row->content.member_id ||
        told->quantity != row->content.quantity)
        return "the row is for something else";
    if (!status_was(request, row, told->status))
        return "the row did not have that status";
    return NULL;
}

/* A refusal that says something about the world, not about the server. */
static const char *untrue_refusal(struct sim_checker *checker, const struct sim_request *request,
                                  const struct sim_record *row, enum resv_outcome outcome)
{
    struct sim_server *server = checker->world->server;
    if (row != NULL && row->exists && row->created_ns < request->submitted_ns)
        return "the row of this id was there before";
    const struct sim_concert *concert = tables_concert(server, request->concert_id);
    const struct sim_member *member = tables_member(server, request->member_id);
    if (outcome == RESV_UNKNOWN_CONCERT && concert != NULL &&
        concert->created_ns < request->submitted_ns)
        return "the concert was there";
    if (outcome == RESV_UNKNOWN_MEMBER && member != NULL &&
        member->created_ns < request->submitted_ns)
        return "the member was there";
    if (outcome == RESV_SOLD_OUT &&
        !history_was_short(checker, request->concert_id, request->quantity, request->submitted_ns))
        return "there were seats all the time";
    if (outcome == RESV_LIMIT &&
        !history_was_over_limit(checker, request->concert_id, request->member_id, request->quantity,
                                request->submitted_ns))
        return "it was within the member's limit all the time";
    return NULL;
}

static const char *untrue_reserve(struct sim_checker *checker, const struct sim_request *request,
                                  enum resv_outcome outcome)
{
    const struct sim_record *row = tables_find(checker->world->server, &request->id);
    bool own = row != NULL && row->exists && row->creator == request->serial;
    if (says_nothing_taken(outcome) && own)
        return "its row is committed";
    switch (outcome) {
    case RESV_GRANTED:
        return untrue_granted(checker->world->server, request, row);
    case RESV_UNKNOWN:
        return request->doubts == 0 ? "no COMMIT of it was in doubt" : NULL;
    case RESV_KEY_REUSED:
        return !was_lost(request, row) &&
                       (row == NULL || !row->exists || same_content(request, &row->content))
                   ? "no other row has this id"
                   : NULL;
    case RESV_SOLD_OUT:
    case RESV_LIMIT:
    case RESV_UNKNOWN_CONCERT:
    case RESV_UNKNOWN_MEMBER:
        return untrue_refusal(checker, request, row, outcome);
    case RESV_CONTENDED:
    case RESV_CANCELLED:
    case RESV_UNAVAILABLE:
        return NULL;
    case RESV_ACCEPTED:
    case RESV_FOUND:
    case RESV_NOT_FOUND:
    case RESV_RELEASED:
    case RESV_RELEASE_ACCEPTED:
    case RESV_STORED:
    case RESV_CAPACITY_TOO_LOW:
    case RESV_OUTCOME_COUNT:
        break;
    }
    return "that is no answer to this";
}

static const char *untrue_other(struct sim_checker *checker, const struct sim_request *request,
                                enum resv_outcome outcome)
{
    const struct sim_record *row = tables_find(checker->world->server, &request->id);
    bool release = request->kind == RESV_OP_RELEASE;
    bool own = row != NULL && row->exists && !row->live && row->ender == request->serial;
    if (release && says_nothing_taken(outcome) && own)
        return "it has cancelled the row";
    if (outcome == RESV_FOUND && !release)
        return untrue_found(request, row);
    if (outcome == RESV_NOT_FOUND)
        return row != NULL && row->exists && row->created_ns < request->submitted_ns
                   ? "the row was there"
                   : NULL;
    if (outcome == RESV_RELEASED && release) {
        if (row == NULL || !row->exists || row->live)
            return "the row is live";
        return log_is_durable(checker->world->server, row->ended_at)
                   ? NULL
                   : "a crash could still take it back";
    }
    if (outcome == RESV_UNKNOWN && release)
        return request->doubts == 0 ? "no COMMIT of it was in doubt" : NULL;
    if (outcome == RESV_UNAVAILABLE || outcome == RESV_CANCELLED ||
        (outcome == RESV_CONTENDED && release))
        return NULL;
    return "that is no answer to this";
}

/* Who waits 2 s, while a few others have the lock for some milliseconds each, gets it. */
static const char *untrue_probe(const struct sim_checker *checker,
                                const struct sim_request *request, enum resv_outcome outcome)
{
    const struct sim_scenario *scenario = &checker->world->scenario;
    uint64_t took_ns = checker->world->schedule.now_ns - request->submitted_ns;
    bool about_seats = outcome == RESV_GRANTED || outcome == RESV_ACCEPTED ||
                       outcome == RESV_SOLD_OUT || outcome == RESV_LIMIT;
    switch (request->probe) {
    case PROBE_NONE:
    case PROBE_FIRST:
        break;
    case PROBE_FREE:
        return about_seats || (outcome == RESV_CONTENDED && scenario->wait_ms < 2000)
                   ? NULL
                   : "nothing was wrong any more";
    case PROBE_LOCKED:
        if (outcome != RESV_CONTENDED)
            return "somebody else had the lock";
        return took_ns > (scenario->wait_ms + 100) * NS_PER_MS ? "the wait was over long before"
                                                               : NULL;
    }
    return NULL;
}

void checker_answered(struct sim_checker *checker, struct sim_request *request,
                      enum resv_outcome outcome)
{
    checker->outcomes[outcome]++;
    request->answered = true;
    request->answered_ns = checker->world->schedule.now_ns;
    request->outcome = outcome;
    if (request->discarded || request->kind > RESV_OP_LOOKUP)
        return;
    const char *untrue =
        checker->world->variant->accepts   ? accepted_untrue(checker, request, outcome)
        : request->kind == RESV_OP_RESERVE ? untrue_reserve(checker, request, outcome)
                                           : untrue_other(checker, request, outcome);
    if (untrue == NULL)
        untrue = untrue_probe(checker, request, outcome);
    if (untrue != NULL)
        VIOLATION(checker, "request %" PRIu64 " (%s %s) is told %s, which is not true: %s",
                  request->serial, sim_kind_text(request->kind), sim_id_text(&request->id),
                  sim_outcome_text(outcome), untrue);
}

/* What somebody was promised is there in the end, whatever has crashed since. */
static void check_kept(struct sim_checker *checker, const struct sim_request *request)
{
    const struct sim_record *row = tables_find(checker->world->server, &request->id);
    if (request->discarded)
        return;
    if (request->outcome == RESV_GRANTED && (row == NULL || !row->exists))
        VIOLATION(checker, "request %" PRIu64 " was granted, and its row is gone", request->serial);
    if (request->outcome == RESV_RELEASED && row != NULL && row->live)
        VIOLATION(checker, "request %" PRIu64 " was released, and its row is live again",
                  request->serial);
}

void checker_final(struct sim_checker *checker)
{
    struct sim_server *server = checker->world->server;
    for (size_t i = 0; i < server->concert_count; i++)
        check_concert(checker, server->concerts[i]);
    for (size_t i = 0; i < checker->count; i++) {
        const struct sim_request *request = checker->requests[i];
        if (!request->answered)
            VIOLATION(checker, "request %" PRIu64 " was never answered", request->serial);
        check_kept(checker, request);
    }
    if (checker->world->variant->accepts)
        accepted_final(checker);
}
