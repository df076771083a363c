/* A small database in memory for the grouped strategy. */
#include "grouped_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct resv_host the_host;
struct database_link the_link;

/* --- the link ----------------------------------------------------------------------------------
 */

const struct resv_option_table database_options;
const struct resv_metric_table database_metrics;

struct database_link *database_link_create(struct resv_host *host,
                                           const struct database_link_config *config,
                                           const struct database_link_events *events)
{
    (void)host;
    assert_int_equal(config->isolation, DATABASE_READ_COMMITTED);
    the_link.events = *events;
    return &the_link;
}

void database_link_start(struct database_link *link)
{
    link->events.opened(link->events.data);
}

bool database_link_is_up(const struct database_link *link)
{
    return link->up;
}

uint64_t database_link_lock_wait_ms(const struct database_link *link)
{
    (void)link;
    return 2000;
}

void database_link_interrupt(struct database_link *link)
{
    (void)link; /* the test ends runs itself */
}

void database_link_close(struct database_link *link)
{
    assert_null(link->waits_first);
    for (size_t i = 0; i < link->sessions_count; i++)
        assert_false(link->sessions[i].given);
    link->closed = true;
    link->events.closed(link->events.data);
}

struct resv_catalog *database_link_catalog(struct database_link *link)
{
    (void)link;
    return NULL;
}

size_t database_link_catalog_under_way(const struct database_link *link)
{
    (void)link;
    return 0;
}

struct database_session *database_acquire(struct database_link *link, enum database_pool pool)
{
    (void)pool;
    for (size_t i = 0; link->waits_first == NULL && i < link->sessions_count; i++) {
        struct database_session *session = &link->sessions[i];
        if (session->given)
            continue;
        *session = (struct database_session){.number = i, .given = true};
        return session;
    }
    return NULL;
}

void database_wait(struct database_link *link, struct database_wait *wait)
{
    wait->pending = true;
    wait->next = NULL;
    if (link->waits_first == NULL)
        link->waits_first = wait;
    else
        link->waits_last->next = wait;
    link->waits_last = wait;
}

void database_wait_cancel(struct database_link *link, struct database_wait *wait)
{
    struct database_wait *last = NULL;
    if (!wait->pending)
        return;
    wait->pending = false;
    for (struct database_wait **at = &link->waits_first; *at != NULL; at = &(*at)->next) {
        if (*at == wait) {
            *at = wait->next;
            break;
        }
    }
    for (struct database_wait *at = link->waits_first; at != NULL; at = at->next)
        last = at;
    link->waits_last = last;
}

struct database_session_name database_session_name(const struct database_session *session)
{
    return (struct database_session_name){.bytes = {(uint8_t)(session->number + 1)}};
}

void database_give_back(struct database_session *session)
{
    assert_true(session->given);
    assert_null(session->run);
    assert_true(session->lost || !session->open);
    session->given = false;
}

void database_run(struct database_session *session, struct database_run *run)
{
    assert_true(session->given);
    assert_false(session->lost);
    assert_null(session->run);
    session->run = run;
    the_link.runs++;
}

/* --- what the test does ------------------------------------------------------------------------
 */

static void give_sessions(void)
{
    while (the_link.waits_first != NULL) {
        struct database_wait *wait = the_link.waits_first;
        the_link.waits_first = NULL; /* acquire gives nothing while others wait */
        struct database_session *session = database_acquire(&the_link, wait->pool);
        the_link.waits_first = session == NULL ? wait : wait->next;
        if (session == NULL)
            return;
        wait->pending = false;
        wait->acquired(wait, session);
    }
}

void flush(void)
{
    do {
        fake_host_flush(&the_host);
        if (the_host.closed == 0)
            give_sessions();
    } while (the_host.deferred_first != NULL);
}

void pass_ms(uint64_t ms)
{
    fake_host_advance(&the_host, ms);
    flush();
}

const char *run_of(size_t session)
{
    static const char letters[] = {
        [DATABASE_BEGIN] = 'B',
        [DATABASE_COMMIT] = 'C',
        [DATABASE_ROLLBACK] = 'R',
        [DATABASE_END_SESSION] = 'E',
        [DATABASE_READ_CONCERT] = 'c',
        [DATABASE_LOCK_CONCERT] = 'L',
        [DATABASE_READ_RESERVATIONS] = 'i',
        [DATABASE_READ_MEMBERS] = 'm',
        [DATABASE_READ_MEMBER_SEATS] = 's',
        [DATABASE_TAKE_SEATS] = 'T',
        [DATABASE_TAKE_SEATS_OR_FAIL] = 'F',
        [DATABASE_WRITE_SOLD] = 'W',
        [DATABASE_INSERT_RESERVATIONS] = 'I',
        [DATABASE_SYNC] = 'D',
    };
    static char text[16];
    const struct database_run *run = the_link.sessions[session].run;
    size_t count = run == NULL ? 0 : run->count;
    for (size_t i = 0; i < count; i++)
        text[i] = letters[run->steps[i].kind];
    text[count] = '\0';
    return text;
}

static void run_is_done(struct database_session *session, enum database_result result,
                        size_t failed_at)
{
    struct database_run *run = session->run;
    session->run = NULL;
    run->result = result;
    run->failed_at = failed_at;
    run->done(run);
    flush();
}

void execute(size_t number)
{
    struct database_session *session = &the_link.sessions[number];
    assert_non_null(session->run);
    enum database_result result = DATABASE_DONE;
    size_t at = 0;
    while (at < session->run->count && result == DATABASE_DONE) {
        result = grouped_execute_step(session, &session->run->steps[at]);
        if (result == DATABASE_DONE)
            at++;
    }
    run_is_done(session, result, at);
}

void end_run(size_t number, enum database_result result, size_t failed_at, bool executed)
{
    struct database_session *session = &the_link.sessions[number];
    assert_non_null(session->run);
    for (size_t i = 0; i < (executed ? session->run->count : failed_at); i++) {
        if (grouped_execute_step(session, &session->run->steps[i]) != DATABASE_DONE)
            break;
    }
    if (result == DATABASE_LOST || result == DATABASE_DEADLOCK)
        grouped_roll_back(session);
    session->lost = result == DATABASE_LOST;
    run_is_done(session, result, failed_at);
}

void execute_all(void)
{
    bool found = true;
    flush();
    for (int turns = 0; found && turns < 1000; turns++) {
        found = false;
        for (size_t i = 0; i < the_link.sessions_count; i++) {
            if (the_link.sessions[i].run == NULL)
                continue;
            found = true;
            execute(i);
        }
        if (!found && fake_host_timers(&the_host) > 0) {
            found = true;
            pass_ms(200);
        }
    }
    assert_false(found);
}

void set_up(bool up)
{
    the_link.up = up;
    the_link.events.up_changed(the_link.events.data);
}

struct resv_op *make_op(struct grouped_fixture *fixture, int64_t concert_id, int64_t member_id,
                        int64_t quantity)
{
    assert_true(fixture->ops_count < OPS_MAX);
    struct resv_op *op = &fixture->ops[fixture->ops_count++];
    *op = (struct resv_op){.kind = RESV_OP_RESERVE,
                           .state = RESV_OP_SUBMITTED,
                           .concert_id = concert_id,
                           .member_id = member_id,
                           .quantity = quantity,
                           .created_ns = the_host.now_ns,
                           .deadline_ns = the_host.now_ns + 2000000000};
    /* Not in order, so that sorting has something to do. */
    op->id.bytes[0] = (uint8_t)(fixture->ops_count * 37);
    op->id.bytes[1] = (uint8_t)fixture->ops_count;
    op->strategy_private = calloc(1, resv_strategy_grouped.op_private_size);
    assert_non_null(op->strategy_private);
    return op;
}

void submit(struct grouped_fixture *fixture, struct resv_op *op)
{
    the_host.inside = true;
    assert_true(resv_strategy_grouped.submit(fixture->instance, op));
    the_host.inside = false;
}

struct resv_op *reserve(struct grouped_fixture *fixture, int64_t concert_id, int64_t member_id,
                        int64_t quantity)
{
    struct resv_op *op = make_op(fixture, concert_id, member_id, quantity);
    submit(fixture, op);
    return op;
}

struct resv_op *reserve_keyed(struct grouped_fixture *fixture, int64_t concert_id,
                              int64_t member_id, int64_t quantity, uint8_t key)
{
    struct resv_op *op = make_op(fixture, concert_id, member_id, quantity);
    op->keyed = true;
    op->id = (struct resv_id){.bytes = {[15] = key}};
    submit(fixture, op);
    return op;
}

void have_row(uint8_t key, int64_t concert_id, int64_t member_id, int64_t quantity)
{
    the_link.rows[the_link.rows_count++] =
        (struct fake_row){.id = {.bytes = {[15] = key}},
                          .row = {.concert_id = concert_id,
                                  .member_id = member_id,
                                  .quantity = quantity,
                                  .status = RESV_STATUS_CONFIRMED}};
    the_link.concerts[concert_id].sold += quantity;
}

void cancel(struct grouped_fixture *fixture, struct resv_op *op)
{
    the_host.inside = true;
    resv_strategy_grouped.cancel(fixture->instance, op, RESV_CANCEL_DEADLINE);
    the_host.inside = false;
}

int64_t live_seats(int64_t concert_id)
{
    int64_t seats = 0;
    for (size_t i = 0; i < the_link.rows_count; i++) {
        if (the_link.rows[i].row.concert_id == concert_id)
            seats += the_link.rows[i].row.quantity;
    }
    return seats;
}

/* --- life --------------------------------------------------------------------------------------
 */

void grouped_open(struct grouped_fixture *fixture)
{
    the_link = (struct database_link){.up = true, .sessions_count = 2};
    for (size_t i = 1; i <= 4; i++)
        the_link.concerts[i] = (struct fake_concert){.exists = true, .capacity = 1000};
    for (size_t i = 1; i <= MEMBERS_MAX; i++)
        the_link.members[i] = true;
    assert_int_equal(resv_strategy_grouped.open(&the_host, &fixture->instance), 0);
    resv_strategy_grouped.start(fixture->instance);
    assert_int_equal(the_host.started, 1);
    /* Concerts that are there, with seats and without a limit: the plain way is for these. */
    for (int64_t id = 1; id <= 4; id++) {
        const struct resv_op *op = reserve(fixture, id, MEMBERS_MAX, RESV_INTEGER_MAX);
        execute_all();
        assert_int_equal(op->outcome, RESV_SOLD_OUT);
    }
    the_link.runs = 0;
}

int grouped_set_up(void **state)
{
    struct grouped_fixture *fixture = calloc(1, sizeof *fixture);
    *state = fixture;
    fake_host_init(&the_host);
    return fixture == NULL;
}

int grouped_tear_down(void **state)
{
    struct grouped_fixture *fixture = *state;
    execute_all();
    if (the_host.drained == 0)
        resv_strategy_grouped.drain(fixture->instance, the_host.now_ns + 1000000000);
    flush();
    assert_int_equal(the_host.drained, 1);
    resv_strategy_grouped.close(fixture->instance);
    assert_int_equal(the_host.closed, 1);
    assert_null(the_host.deferred_first);
    assert_int_equal(fake_host_timers(&the_host), 0);
    for (size_t i = 0; i < fixture->ops_count; i++) {
        assert_int_equal(fixture->ops[i].state, RESV_OP_DONE);
        free(fixture->ops[i].strategy_private);
    }
    for (int64_t id = 1; id <= CONCERTS; id++)
        assert_int_equal(the_link.concerts[id].sold, live_seats(id));
    free(fixture);
    return 0;
}

/* --- what must be ------------------------------------------------------------------------------
 */

void assert_done(const struct resv_op *op, enum resv_outcome outcome)
{
    assert_int_equal(op->state, RESV_OP_DONE);
    assert_int_equal(op->outcome, outcome);
}

void assert_granted(const struct resv_op *op, bool replay)
{
    assert_done(op, RESV_GRANTED);
    assert_int_equal(op->reservation.concert_id, op->concert_id);
    assert_int_equal(op->reservation.member_id, op->member_id);
    assert_int_equal(op->reservation.quantity, op->quantity);
    assert_int_equal(op->reservation.status, RESV_STATUS_CONFIRMED);
    assert_int_equal(op->reservation.replay, replay);
}

void assert_under_way(const struct resv_op *op)
{
    assert_int_equal(op->state, RESV_OP_SUBMITTED);
}

size_t rows_of_insert(size_t session)
{
    const struct database_run *run = the_link.sessions[session].run;
    assert_non_null(run);
    for (size_t i = 0; i < run->count; i++) {
        if (run->steps[i].kind == DATABASE_INSERT_RESERVATIONS)
            return run->steps[i].insert.count;
    }
    return 0;
}
