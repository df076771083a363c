/* Runs of steps: all of them in one text, and the answers back into them.
 *
 * END_SESSION, which comes first in its run, takes up to three round trips of its own before the
 * others are sent: who holds the lost session's lock, KILL, and waiting for the lock. Neither
 * server has a KILL that does nothing when there is nobody to kill. Another server than the lost
 * session's cannot tell whether it is over, and is not asked.
 *
 *   find --nobody-------------------------------> rest
 *     '--> kill --(or it ended meanwhile)--> wait --> rest
 */
#include "mariadb_steps.h"

#include <stdio.h>

#include "resvd/assert.h"

#define ERROR_NO_SUCH_THREAD 1094
#define ERROR_DURING_COMMIT  1180
#define END_TEXT_BYTES       160
#define END_WAIT_S           1

struct steps_run {
    struct mariadb_query query;
    struct database_session *session;
    struct database_run *run;
    size_t first;   /* step of the text's first statement */
    size_t at;      /* the step whose answer comes next, */
    size_t part;    /* and which of its statements' */
    bool nonsense;  /* an answer that is none to its step */
    int64_t number; /* END_SESSION: the one number of the answer, 0 for NULL */
    bool called;    /* CALL_RESERVE has answered with a row */
    struct resv_deferred refusal;
    char end_text[END_TEXT_BYTES];
};
_Static_assert(sizeof(struct steps_run) <= MARIADB_SESSION_RUN_BYTES, "the session has the room");

static void complete(struct steps_run *self, enum database_result result, size_t failed_at)
{
    struct database_run *run = self->run;
    self->run = NULL;
    run->result = result;
    run->failed_at = failed_at;
    run->done(run);
}

/* --- the steps' text -------------------------------------------------------------------------- */

static void take_result(struct mariadb_query *query, size_t statement, MYSQL_RES *rows,
                        uint64_t affected_rows)
{
    struct steps_run *self = query->data;
    struct database_run *run = self->run;
    (void)statement;
    if (self->at >= run->count ||
        !mariadb_step_result(&run->steps[self->at], rows, affected_rows)) {
        self->nonsense = true;
    } else if (run->steps[self->at].kind == DATABASE_CALL_RESERVE) {
        self->called = self->called || rows != NULL; /* its rows, then its end */
    } else if (++self->part == mariadb_step_statements(&run->steps[self->at])) {
        self->at++;
        self->part = 0;
    }
}

/* What an error means at this step. */
static enum database_result result_of_step(const struct database_step *step, unsigned error)
{
    if (step->kind == DATABASE_COMMIT)
        return DATABASE_LOST; /* whether it was committed cannot be known from it */
    if (step->kind == DATABASE_CALL_RESERVE && error == ERROR_DURING_COMMIT)
        return DATABASE_LOST; /* the procedure's word for the same */
    return mariadb_result_of_error(error);
}

/* No error, but less than was asked for: as nonsense as an answer to something else. */
static bool is_short(const struct steps_run *self)
{
    const struct database_run *run = self->run;
    if (run->steps[0].kind == DATABASE_CALL_RESERVE)
        return !self->called;
    return self->at != run->count;
}

static void steps_done(struct mariadb_query *query)
{
    struct steps_run *self = query->data;
    const struct database_run *run = self->run;
    size_t failed_at = self->at < run->count ? self->at : run->count - 1;
    if (query->lost)
        complete(self, DATABASE_LOST, failed_at);
    else if (query->error != 0)
        complete(self, result_of_step(&run->steps[failed_at], query->error), failed_at);
    else if (self->nonsense || is_short(self))
        complete(self, DATABASE_LOST, self->first);
    else
        complete(self, DATABASE_DONE, run->count);
}

static void refuse(struct resv_deferred *deferred)
{
    struct steps_run *self = deferred->data;
    complete(self, DATABASE_FAILED, self->first);
}

static void send_steps(struct steps_run *self)
{
    struct database_run *run = self->run;
    const struct database_link *link = mariadb_session_link(self->session);
    size_t size = 0;
    uint64_t timeout_ms = mariadb_link_statement_timeout_ms(link);
    for (size_t i = self->first; i < run->count; i++) {
        size += mariadb_step_text_size(&run->steps[i]) + 1;
        if (run->steps[i].kind == DATABASE_CALL_RESERVE)
            timeout_ms += (uint64_t)run->steps[i].call.hold_ms;
    }
    char *buffer = mariadb_session_text(self->session, size);
    if (buffer == NULL) { /* too large for this server */
        self->refusal = (struct resv_deferred){.run = refuse, .data = self};
        resv_defer(mariadb_link_host(link), &self->refusal);
        return;
    }
    struct mariadb_text text = {.at = buffer, .begin = buffer, .end = buffer + size};
    for (size_t i = self->first; i < run->count; i++) {
        if (i > self->first)
            MARIADB_ADD(&text, ";");
        mariadb_step_text(&text, &run->steps[i]);
    }
    RESV_ASSERT(text.at <= text.end);
    self->nonsense = self->called = false;
    self->at = self->first;
    self->part = 0;
    self->query = (struct mariadb_query){
        .text = buffer,
        .length = (size_t)(text.at - buffer),
        .timeout_ms = timeout_ms,
        .data = self,
        .result = take_result,
        .done = steps_done,
    };
    mariadb_session_query(self->session, &self->query);
}

/* --- END_SESSION ------------------------------------------------------------------------------ */

static void take_number(struct mariadb_query *query, size_t statement, MYSQL_RES *rows,
                        uint64_t affected_rows)
{
    (void)affected_rows;
    struct steps_run *self = query->data;
    MYSQL_ROW row = rows == NULL ? NULL : mysql_fetch_row(rows);
    if (row != NULL && statement == 0)
        self->number = mariadb_column_integer(row[0]);
}

static void send_end(struct steps_run *self, int length, void (*done)(struct mariadb_query *query))
{
    RESV_ASSERT(length > 0 && (size_t)length < sizeof self->end_text);
    self->number = 0;
    self->query = (struct mariadb_query){
        .text = self->end_text,
        .length = (size_t)length,
        .timeout_ms = mariadb_link_statement_timeout_ms(mariadb_session_link(self->session)),
        .data = self,
        .result = take_number,
        .done = done,
    };
    mariadb_session_query(self->session, &self->query);
}

/* False: it went wrong, and the run has been completed. */
static bool end_step_succeeded(struct steps_run *self, const struct mariadb_query *query)
{
    if (query->lost)
        complete(self, DATABASE_LOST, 0);
    else if (query->error != 0)
        complete(self, mariadb_result_of_error(query->error), 0);
    else
        return true;
    return false;
}

static void session_is_over(struct steps_run *self)
{
    self->first = 1;
    if (self->run->count == 1)
        complete(self, DATABASE_DONE, 1);
    else
        send_steps(self);
}

static void lock_waited_for(struct mariadb_query *query)
{
    struct steps_run *self = query->data;
    if (!end_step_succeeded(self, query))
        return;
    if (self->number == 1)
        session_is_over(self);
    else
        complete(self, DATABASE_LOCK_WAIT, 0); /* it still winds up: rolls back, or commits */
}

static void wait_for_lock(struct steps_run *self)
{
    char name[MARIADB_LOCK_NAME_SIZE];
    mariadb_lock_name(&self->run->steps[0].end_session, name);
    send_end(self,
             snprintf(self->end_text, sizeof self->end_text,
                      "SELECT GET_LOCK('%s', %d);SELECT RELEASE_LOCK('%s')", name, END_WAIT_S,
                      name),
             lock_waited_for);
}

static void killed(struct mariadb_query *query)
{
    struct steps_run *self = query->data;
    if (!query->lost && query->error == ERROR_NO_SUCH_THREAD)
        query->error = 0; /* it ended by itself */
    if (end_step_succeeded(self, query))
        wait_for_lock(self);
}

static void holder_found(struct mariadb_query *query)
{
    struct steps_run *self = query->data;
    if (!end_step_succeeded(self, query))
        return;
    if (self->number == 0) {
        session_is_over(self);
        return;
    }
    /* The same session may be ended by another of ours, which has its lock for a moment. */
    if (mariadb_link_has_another(mariadb_session_link(self->session), self->number,
                                 &self->run->steps[0].end_session)) {
        wait_for_lock(self);
        return;
    }
    send_end(self,
             snprintf(self->end_text, sizeof self->end_text, "KILL CONNECTION %lld",
                      (long long)self->number),
             killed);
}

static void is_elsewhere(struct resv_deferred *deferred)
{
    complete(deferred->data, DATABASE_LOCK_WAIT, 0);
}

static void find_holder(struct steps_run *self)
{
    const struct database_session_name *lost = &self->run->steps[0].end_session;
    if (lost->server != database_session_name(self->session).server) {
        self->refusal = (struct resv_deferred){.run = is_elsewhere, .data = self};
        resv_defer(mariadb_link_host(mariadb_session_link(self->session)), &self->refusal);
        return;
    }
    char name[MARIADB_LOCK_NAME_SIZE];
    mariadb_lock_name(lost, name);
    send_end(self,
             snprintf(self->end_text, sizeof self->end_text, "SELECT IS_USED_LOCK('%s')", name),
             holder_found);
}

/* --- the run ---------------------------------------------------------------------------------- */

static void check_order(const struct database_session *session, const struct database_run *run)
{
    bool open = mariadb_session_in_transaction(session);
    RESV_ASSERT(run->count > 0);
    RESV_ASSERT(run->count <= mariadb_link_config(mariadb_session_link(session))->steps_max);
    for (size_t i = 0; i < run->count; i++) {
        enum database_step_kind kind = run->steps[i].kind;
        RESV_ASSERT(kind != DATABASE_END_SESSION || i == 0);
        RESV_ASSERT(kind != DATABASE_CALL_RESERVE || run->count == 1);
        RESV_ASSERT(kind != DATABASE_SYNC || !open);
        if (kind == DATABASE_BEGIN)
            open = true;
        else if (kind == DATABASE_COMMIT || kind == DATABASE_ROLLBACK)
            open = false;
    }
}

void database_run(struct database_session *session, struct database_run *run)
{
    check_order(session, run);
    struct steps_run *self = mariadb_session_run(session);
    RESV_ASSERT(self->run == NULL);
    self->session = session;
    self->run = run;
    self->first = 0;
    if (run->steps[0].kind == DATABASE_END_SESSION)
        find_holder(self);
    else
        send_steps(self);
}
