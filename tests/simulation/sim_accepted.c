/* A strategy that answers first, when an event is in the log, and writes the rows later: what its
 * answers promise, at each answer, at each commit, and when all is at rest.
 *
 *   ACCEPTED          its event is in the log now, and has exactly one row in the end; REJECTED
 *                     where capacity or limit were lowered; or no more of them than seats that
 *                     Redis had forgotten when their events came into the log
 *   a refusal         no row is ever written because of this attempt; nor was there one, or an
 *                     accepted event, before it was asked
 *   SOLD_OUT, LIMIT   true at some instant since it was asked, for who counts what is pending too;
 *                     where something has gone wrong, at some instant before
 *   RELEASE_ACCEPTED  the release is in the log, behind what it releases: cancelled in the end
 *   FOUND, NOT_FOUND  what was accepted is there, whatever Redis or the database have forgotten
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "resvd/assert.h"
#include "sim_checker.h"
#include "sim_redis.h"
#include "sim_variants.h"

#define VIOLATION(checker, ...) world_violation((checker)->world, __VA_ARGS__)

/* How long, where nothing is wrong, the stock may be below the truth: a batch, and its settling. */
#define BATCH_NS (3 * NS_PER_S)

/* --- attempts --------------------------------------------------------------------------------- */

static bool same_content(const struct sim_request *request, const struct resv_reservation *row)
{
    return request->concert_id == row->concert_id && request->member_id == row->member_id &&
           request->quantity == row->quantity;
}

/* Something may have been taken for it, or may be yet. */
static bool may_have_taken(const struct sim_request *request)
{
    return !request->answered || request->discarded || request->outcome == RESV_ACCEPTED ||
           request->outcome == RESV_UNKNOWN;
}

static bool may_have_released(const struct sim_request *request)
{
    return !request->answered || request->discarded || request->outcome == RESV_RELEASED ||
           request->outcome == RESV_RELEASE_ACCEPTED || request->outcome == RESV_UNKNOWN;
}

/* An attempt with this id was told ACCEPTED by then: that one, or NULL. */
static const struct sim_request *accepted_before(const struct sim_checker *checker,
                                                 const struct resv_id *id, uint64_t before_ns)
{
    for (size_t i = 0; i < checker->count; i++) {
        const struct sim_request *request = checker->requests[i];
        if (request->kind == RESV_OP_RESERVE && request->answered && !request->discarded &&
            request->outcome == RESV_ACCEPTED && request->answered_ns < before_ns &&
            events_same_id(&request->id, id))
            return request;
    }
    return NULL;
}

/* A seat was given back, and Redis, which keeps what is more than a second old, has forgotten that:
 * it is pending again, and gets its row. */
static bool was_taken_again(const struct sim_checker *checker, const struct sim_request *refused)
{
    return refused->outcome == RESV_UNAVAILABLE &&
           checker->world->scenario.nodes_keep == NODES_KEEP_UP_TO_A_SECOND &&
           node_forgot(&checker->world->redis->stock, refused->answered_ns,
                       refused->answered_ns + NS_PER_S);
}

void accepted_check_row(struct sim_checker *checker, const struct sim_record *row, bool ended)
{
    const struct sim_request *refused = NULL;
    for (size_t i = 0; i < checker->count; i++) {
        const struct sim_request *request = checker->requests[i];
        if (!events_same_id(&request->id, &row->id))
            continue;
        if (ended ? request->kind == RESV_OP_RELEASE && may_have_released(request)
                  : request->kind == RESV_OP_RESERVE && same_content(request, &row->content) &&
                        may_have_taken(request))
            return;
        if (!request->answered || request->kind != (ended ? RESV_OP_RELEASE : RESV_OP_RESERVE))
            continue;
        if (!ended && was_taken_again(checker, request))
            return;
        refused = request;
    }
    if (refused == NULL)
        VIOLATION(checker, "row %s is %s, and nobody has asked for that", sim_id_text(&row->id),
                  ended ? "cancelled" : "written");
    else
        VIOLATION(checker, "row %s is %s after request %" PRIu64 " was told %s",
                  sim_id_text(&row->id), ended ? "cancelled" : "written", refused->serial,
                  sim_outcome_text(refused->outcome));
}

/* --- answers to RESERVE ----------------------------------------------------------------------- */

static bool status_was(const struct sim_request *request, const struct sim_record *row,
                       enum resv_status status)
{
    switch (status) {
    case RESV_STATUS_PENDING:
        return true;
    case RESV_STATUS_CONFIRMED:
        return row != NULL && row->exists && row->content.status == RESV_STATUS_CONFIRMED &&
               (row->live || row->ended_ns >= request->submitted_ns);
    case RESV_STATUS_CANCELLED:
        return row != NULL && row->exists && !row->live &&
               row->content.status == RESV_STATUS_CONFIRMED;
    case RESV_STATUS_REJECTED:
        return row != NULL && row->exists && row->content.status == RESV_STATUS_REJECTED;
    case RESV_STATUS_HELD:
    case RESV_STATUS_EXPIRED:
    case RESV_STATUS_COUNT:
        break;
    }
    return false;
}

/* A crash has taken back what could be read of it. */
static bool was_lost(const struct sim_request *request, const struct sim_record *row)
{
    return row != NULL && row->lost_ns >= request->submitted_ns;
}

static const char *untrue_accepted(const struct sim_checker *checker,
                                   const struct sim_request *request, const struct sim_record *row)
{
    const struct resv_reservation *told = &request->op->reservation;
    if (events_find(checker, &request->id, false) == NULL)
        return "nothing of it is in the log";
    if (!same_content(request, told))
        return "something else is told";
    if (row != NULL && row->exists && !same_content(request, &row->content))
        return "the row is for something else";
    if (!was_lost(request, row) && !status_was(request, row, told->status))
        return "the row did not have that status";
    /* Within one millisecond the texts of both are the same: each takes the event for its own. */
    if (!told->replay &&
        accepted_before(checker, &request->id, request->submitted_ns - NS_PER_MS) != NULL)
        return "not a replay, but it was accepted before";
    return NULL;
}

/* What the member may have of the concert, other than by this attempt. */
static int64_t seats_of_others(const struct sim_checker *checker, const struct sim_request *own,
                               uint64_t since_ns)
{
    int64_t seats = 0;
    for (size_t i = 0; i < checker->count; i++) {
        const struct sim_request *request = checker->requests[i];
        if (request->kind != RESV_OP_RESERVE || request->member_id != own->member_id ||
            request->concert_id != own->concert_id || events_same_id(&request->id, &own->id))
            continue;
        const struct sim_record *row = tables_find(checker->world->server, &request->id);
        bool over = row != NULL && row->exists && !row->live &&
                    row->content.status == RESV_STATUS_CONFIRMED && row->ended_ns < since_ns;
        if (!over && (may_have_taken(request) || request->answered_ns >= since_ns))
            seats += request->quantity;
    }
    return seats;
}

static const char *untrue_shortage(const struct sim_checker *checker,
                                   const struct sim_request *request, enum resv_outcome outcome)
{
    bool all_is_well = checker->world->scenario.harmless || request->probe == PROBE_FREE;
    uint64_t since_ns = all_is_well ? request->submitted_ns - BATCH_NS : 0;
    if (outcome == RESV_SOLD_OUT)
        return history_seemed_short(checker, request, since_ns) ? NULL
                                                                : "there were seats all the time";
    int64_t limit = history_lowest_limit(checker, request->concert_id, since_ns);
    if (limit == RESV_NO_MEMBER_LIMIT)
        return "there was no limit";
    /* A copy of a call that came late is pending once more, until it is swept. */
    int64_t seats = seats_of_others(checker, request, since_ns);
    if (!all_is_well)
        seats += stock_pending(checker->world, request->concert_id, request->member_id);
    return seats + request->quantity > limit ? NULL
                                             : "it was within the member's limit all the time";
}

static const char *untrue_refusal(const struct sim_checker *checker,
                                  const struct sim_request *request, enum resv_outcome outcome)
{
    struct sim_server *server = checker->world->server;
    const struct sim_record *row = tables_find(server, &request->id);
    if (row != NULL && row->exists && row->created_ns < request->submitted_ns)
        return "the row of this id was there before";
    if (accepted_before(checker, &request->id, request->submitted_ns) != NULL)
        return "it was accepted before";
    if (outcome == RESV_SOLD_OUT || outcome == RESV_LIMIT)
        return untrue_shortage(checker, request, outcome);
    const struct sim_concert *concert = tables_concert(server, request->concert_id);
    const struct sim_member *member = tables_member(server, request->member_id);
    if (outcome == RESV_UNKNOWN_CONCERT && concert != NULL &&
        concert->created_ns < request->submitted_ns)
        return "the concert was there";
    if (outcome == RESV_UNKNOWN_MEMBER && member != NULL &&
        member->created_ns < request->submitted_ns)
        return "the member was there";
    return NULL;
}

/* Somebody else has, or may have, the id for something else. */
static const char *untrue_reused(const struct sim_checker *checker,
                                 const struct sim_request *request)
{
    for (size_t i = 0; i < checker->count; i++) {
        const struct sim_request *other = checker->requests[i];
        if (other != request && other->kind == RESV_OP_RESERVE &&
            events_same_id(&other->id, &request->id) &&
            (other->concert_id != request->concert_id || other->quantity != request->quantity) &&
            (may_have_taken(other) || other->answered_ns >= request->submitted_ns))
            return NULL;
    }
    return "nothing else has this id";
}

static const char *untrue_reserve(const struct sim_checker *checker,
                                  const struct sim_request *request, enum resv_outcome outcome)
{
    switch (outcome) {
    case RESV_ACCEPTED:
        return untrue_accepted(checker, request, tables_find(checker->world->server, &request->id));
    case RESV_UNKNOWN:
        return checker->world->scenario.harmless ? "nothing went wrong" : NULL;
    case RESV_KEY_REUSED:
        return untrue_reused(checker, request);
    case RESV_SOLD_OUT:
    case RESV_LIMIT:
    case RESV_UNKNOWN_CONCERT:
    case RESV_UNKNOWN_MEMBER:
        return untrue_refusal(checker, request, outcome);
    case RESV_CANCELLED:
    case RESV_UNAVAILABLE:
        return NULL;
    case RESV_GRANTED:
    case RESV_CONTENDED:
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

/* --- answers to RELEASE and LOOKUP ------------------------------------------------------------ */

static bool was_asked_for(const struct sim_checker *checker, const struct resv_id *id,
                          const struct resv_reservation *told)
{
    for (size_t i = 0; i < checker->count; i++) {
        const struct sim_request *request = checker->requests[i];
        if (request->kind == RESV_OP_RESERVE && events_same_id(&request->id, id) &&
            same_content(request, told))
            return true;
    }
    return false;
}

static const char *untrue_found(const struct sim_checker *checker,
                                const struct sim_request *request, const struct sim_record *row)
{
    const struct resv_reservation *told = &request->op->reservation;
    if (was_lost(request, row))
        return NULL; /* a lookup promises nothing */
    if (!was_asked_for(checker, &request->id, told))
        return "nobody has asked for such a one";
    if (told->status == RESV_STATUS_PENDING)
        return row != NULL && row->exists && row->created_ns < request->submitted_ns
                   ? "its row was there"
                   : NULL;
    return status_was(request, row, told->status) ? NULL : "the row did not have that status";
}

/* Redis lost it between taking the seat and its event's coming into the log. */
static bool was_forgotten(const struct sim_checker *checker, const struct sim_request *first)
{
    const struct checker_event *event = events_find(checker, &first->id, false);
    return event != NULL &&
           node_forgot(&checker->world->redis->stock, first->submitted_ns, event->at_ns);
}

static const char *untrue_not_found(const struct sim_checker *checker,
                                    const struct sim_request *request, const struct sim_record *row)
{
    const struct sim_request *first = accepted_before(checker, &request->id, request->submitted_ns);
    if (first != NULL && !was_forgotten(checker, first))
        return "it was accepted before";
    return !was_lost(request, row) && row != NULL && row->exists &&
                   row->created_ns < request->submitted_ns
               ? "the row was there"
               : NULL;
}

static const char *untrue_release(const struct sim_checker *checker,
                                  const struct sim_request *request, enum resv_outcome outcome,
                                  const struct sim_record *row)
{
    if (outcome == RESV_RELEASED)
        return was_lost(request, row) || (row != NULL && row->exists && !row->live)
                   ? NULL
                   : "the row is live";
    if (outcome == RESV_RELEASE_ACCEPTED)
        return events_release_it(checker, &request->id, row != NULL && row->exists)
                   ? NULL
                   : "no release behind what it releases is in the log";
    if (outcome == RESV_UNKNOWN)
        return checker->world->scenario.harmless ? "nothing went wrong" : NULL;
    return outcome == RESV_UNAVAILABLE || outcome == RESV_CANCELLED ? NULL
                                                                    : "that is no answer to this";
}

const char *accepted_untrue(struct sim_checker *checker, const struct sim_request *request,
                            enum resv_outcome outcome)
{
    const struct sim_record *row = tables_find(checker->world->server, &request->id);
    if (request->kind == RESV_OP_RESERVE)
        return untrue_reserve(checker, request, outcome);
    if (outcome == RESV_NOT_FOUND)
        return untrue_not_found(checker, request, row);
    if (request->kind == RESV_OP_RELEASE)
        return untrue_release(checker, request, outcome, row);
    if (outcome == RESV_FOUND)
        return untrue_found(checker, request, row);
    return outcome == RESV_UNAVAILABLE || outcome == RESV_CANCELLED ? NULL
                                                                    : "that is no answer to this";
}

/* --- in the end ------------------------------------------------------------------------------- */

static const struct sim_request *first_attempt(const struct sim_checker *checker,
                                               const struct resv_id *id)
{
    for (size_t i = 0; i < checker->count; i++) {
        const struct sim_request *request = checker->requests[i];
        if (request->kind == RESV_OP_RESERVE && events_same_id(&request->id, id))
            return request;
    }
    return NULL;
}

/* Seats of the concert that Redis had forgotten when their events came into the log: so many may
 * have been sold to others by then. */
static int64_t seats_forgotten(const struct sim_checker *checker, int64_t concert_id)
{
    int64_t seats = 0;
    for (size_t i = 0; i < checker->events_count; i++) {
        const struct checker_event *event = &checker->events[i];
        if (event->releases || event->concert_id != concert_id ||
            events_find(checker, &event->id, false) != event)
            continue;
        const struct sim_request *first = first_attempt(checker, &event->id);
        if (first != NULL &&
            node_forgot(&checker->world->redis->stock, first->submitted_ns, event->at_ns))
            seats += first->quantity;
    }
    return seats;
}

/* As many accepted seats as were sold too often find no place, and less than one request more,
 * which would have needed more than was left. */
static void check_rejected(struct sim_checker *checker, const struct sim_concert *concert)
{
    int64_t id = concert->committed.id;
    int64_t forgotten = seats_forgotten(checker, id);
    int64_t rejected = 0;
    for (const struct sim_record *row = concert->rows; row != NULL; row = row->concert_next) {
        if (row->content.status == RESV_STATUS_REJECTED)
            rejected += row->content.quantity;
    }
    if (forgotten > 0)
        forgotten += checker->world->scenario.quantity_max - 1;
    if (rejected > forgotten && !history_was_lowered(checker, id) &&
        !history_limit_changed(checker, id))
        VIOLATION(checker,
                  "concert %" PRId64 ": %" PRId64 " accepted seats were rejected in the end, Redis "
                  "has forgotten %" PRId64 " that were not in the log, and there were never more",
                  id, rejected, forgotten);
}

static void check_kept(struct sim_checker *checker, const struct sim_request *request)
{
    const struct sim_record *row = tables_find(checker->world->server, &request->id);
    bool there = row != NULL && row->exists;
    if (request->outcome == RESV_ACCEPTED && !there)
        VIOLATION(checker, "request %" PRIu64 " (%s) was accepted, and has no row", request->serial,
                  sim_id_text(&request->id));
    if ((request->outcome == RESV_RELEASED || request->outcome == RESV_RELEASE_ACCEPTED) &&
        (!there || row->live))
        VIOLATION(checker, "request %" PRIu64 " released %s, and its row is %s", request->serial,
                  sim_id_text(&request->id), there ? "live" : "not there");
    if (request->outcome == RESV_ACCEPTED && there && row->content.status == RESV_STATUS_REJECTED)
        checker->rejected++;
}

void accepted_final(struct sim_checker *checker)
{
    struct sim_server *server = checker->world->server;
    for (size_t i = 0; i < checker->count; i++) {
        if (!checker->requests[i]->discarded)
            check_kept(checker, checker->requests[i]);
    }
    for (size_t i = 0; i < server->concert_count; i++)
        check_rejected(checker, server->concerts[i]);
    for (size_t i = 0; i < checker->events_count; i++) {
        const struct checker_event *event = &checker->events[i];
        const struct sim_record *row = tables_find(server, &event->id);
        if (!event->releases && (row == NULL || !row->exists))
            VIOLATION(checker, "%s is in the log and has no row", sim_id_text(&event->id));
    }
}
