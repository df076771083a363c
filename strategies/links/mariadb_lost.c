/* Sessions that were lost with a transaction open, or maybe open: ended on the server.
 *
 * A server that is not told (the network was cut, an answer came too late) keeps such a session and
 * its row locks until wait_timeout, and everybody who wants one of these rows waits for that long.
 * So the next session of the same server that is free ends it, before it serves anybody else.
 *
 *   lost ──► list ──(flush point, a free session)──► END_SESSION ──► off the list
 *             ▲                                          │ not over yet, or lost itself
 *             └────── with the next tick or login ───────┘
 *
 * It only makes waits shorter: what was written does not depend on it, so a name may be dropped
 * where there are too many.
 */
#include <stdio.h>
#include <string.h>

#include "mariadb_session_internal.h"
#include "resvd/assert.h"

void mariadb_lost_remember(struct database_session *session)
{
    struct mariadb_lost *lost = &session->link->lost;
    if (session->name.server == 0 || session->link->state == LINK_CLOSING)
        return; /* never served anybody; or the process ends, and the server is told */
    if (lost->count == lost->capacity) { /* the oldest: the server has forgotten it the soonest */
        lost->count--;
        memmove(lost->names, lost->names + 1, lost->count * sizeof lost->names[0]);
        if (lost->at > 0)
            lost->at--;
        else
            lost->dropped = true;
    }
    lost->names[lost->count++] = session->name;
    mariadb_link_schedule(session->link);
}

static struct database_session *free_session(const struct database_link *link, uint64_t server)
{
    for (size_t i = 0; i < link->pool_count; i++) {
        struct database_session *session = link->pools[i]->idle_first;
        for (; session != NULL; session = session->next) {
            if (session->name.server == server)
                return session;
        }
    }
    return NULL;
}

/* One line for all that were lost together. */
static void say_ended(struct database_link *link, uint64_t server)
{
    struct mariadb_lost *lost = &link->lost;
    for (size_t i = 0; i < lost->count; i++) {
        if (lost->names[i].server == server)
            return;
    }
    char count[24];
    snprintf(count, sizeof count, "%zu", lost->ended);
    resv_log(link->host, RESV_LOG_INFO, "lost session ended", "count", count, "why",
             "the server may have kept its transaction open, with its locks", NULL);
    lost->ended = 0;
}

static void on_ended(struct database_run *run);

static void end_one(struct database_link *link, size_t at)
{
    struct mariadb_lost *lost = &link->lost;
    struct database_session *session = free_session(link, lost->names[at].server);
    if (session == NULL)
        return;
    lost->session = session;
    lost->at = at;
    lost->dropped = false;
    lost->step =
        (struct database_step){.kind = DATABASE_END_SESSION, .end_session = lost->names[at]};
    lost->run =
        (struct database_run){.steps = &lost->step, .count = 1, .data = link, .done = on_ended};
    mariadb_session_move(session, SESSION_PINGING);
    database_run(session, &lost->run);
}

static void on_ended(struct database_run *run)
{
    struct database_link *link = run->data;
    struct mariadb_lost *lost = &link->lost;
    struct database_session *session = lost->session;
    lost->session = NULL;
    if (run->result == DATABASE_DONE) {
        lost->ended++;
        resv_metric_add(link->host, &database_metrics, METRIC_LOST_ENDED, 1);
    } else {
        lost->waits = true;
    }
    if (!lost->dropped) {
        lost->count--;
        memmove(lost->names + lost->at, lost->names + lost->at + 1,
                (lost->count - lost->at) * sizeof lost->names[0]);
        if (run->result != DATABASE_DONE) /* the others' turn */
            lost->names[lost->count++] = lost->step.end_session;
    }
    if (link->state != LINK_CLOSING && mariadb_session_is_clean(session))
        mariadb_session_move(session, SESSION_IDLE);
    else
        mariadb_session_close(session);
    if (run->result == DATABASE_DONE)
        say_ended(link, lost->step.end_session.server);
    mariadb_link_schedule(link);
}

static bool is_time(const struct database_link *link)
{
    return link->state == LINK_OPEN && link->lost.session == NULL && !link->lost.waits;
}

bool mariadb_lost_is_due(const struct database_link *link)
{
    for (size_t i = 0; i < link->lost.count && is_time(link); i++) {
        if (free_session(link, link->lost.names[i].server) != NULL)
            return true;
    }
    return false;
}

void mariadb_lost_serve(struct database_link *link)
{
    for (size_t i = 0; i < link->lost.count && is_time(link); i++)
        end_one(link, i);
}

void mariadb_lost_try_again(struct database_link *link)
{
    if (!link->lost.waits)
        return;
    link->lost.waits = false;
    mariadb_link_schedule(link);
}
