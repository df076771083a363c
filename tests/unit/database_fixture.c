/* A database link that only records, and a strategy between it and the fake host. */
#include "database_fixture.h"

#include <stdlib.h>
#include <string.h>

struct database_link the_link;

const struct resv_option_table database_options = {.section = "database"};
const struct resv_metric_table database_metrics;

/* --- the link's life --------------------------------------------------------------------------
 */

struct database_link *database_link_create(struct resv_host *host,
                                           const struct database_link_config *config,
                                           const struct database_link_events *events)
{
    (void)host;
    the_link.config = *config;
    the_link.events = *events;
    return &the_link;
}

void database_link_start(struct database_link *link)
{
    link->up = true;
    link->events.opened(link->events.data);
}

bool database_link_is_up(const struct database_link *link)
{
    return link->up;
}

uint64_t database_link_lock_wait_ms(const struct database_link *link)
{
    (void)link;
    return LOCK_WAIT_MS;
}

void database_link_interrupt(struct database_link *link)
{
    link->interrupted = true;
}

void database_link_close(struct database_link *link)
{
    assert_int_equal(link->held, 0);
    assert_int_equal(link->waits, 0);
    link->closed = true;
    link->events.closed(link->events.data);
}

struct resv_catalog *database_link_catalog(struct database_link *link)
{
    static struct resv_catalog catalog;
    catalog.self = link;
    return &catalog;
}

size_t database_link_catalog_under_way(const struct database_link *link)
{
    return link->catalog_under_way;
}

/* --- sessions ---------------------------------------------------------------------------------
 */

static struct database_session *new_session(struct database_link *link, enum database_pool pool)
{
    assert_true(link->sessions_used < SESSIONS_MAX);
    struct database_session *session = &link->sessions[link->sessions_used++];
    *session = (struct database_session){.link = link, .pool = pool, .held = true};
    link->held++;
    return session;
}

struct database_session *database_acquire(struct database_link *link, enum database_pool pool)
{
    if (link->first_wait != NULL || link->sessions_free[pool] == 0)
        return NULL;
    link->sessions_free[pool]--;
    return new_session(link, pool);
}

void database_wait(struct database_link *link, struct database_wait *wait)
{
    assert_false(wait->pending);
    assert_non_null(wait->acquired);
    assert_non_null(wait->refused);
    wait->pending = true;
    wait->next = NULL;
    wait->previous = link->last_wait;
    if (link->last_wait == NULL)
        link->first_wait = wait;
    else
        link->last_wait->next = wait;
    link->last_wait = wait;
    link->waits++;
}

void database_wait_cancel(struct database_link *link, struct database_wait *wait)
{
    if (!wait->pending)
        return;
    wait->pending = false;
    if (wait->previous == NULL)
        link->first_wait = wait->next;
    else
        wait->previous->next = wait->next;
    if (wait->next == NULL)
        link->last_wait = wait->previous;
    else
        wait->next->previous = wait->previous;
    link->waits--;
}

struct database_session_name database_session_name(const struct database_session *session)
{
    assert_true(session->held);
    struct database_session_name name = {.bytes = {0}};
    name.bytes[0] = (uint8_t)(session - session->link->sessions + 1);
    return name;
}

uint64_t database_session_number(const struct database_session *session)
{
    return session->link->session_number;
}

uint64_t database_link_sessions_connected(const struct database_link *link)
{
    return link->session_number;
}

void database_give_back(struct database_session *session)
{
    struct database_link *link = session->link;
    assert_true(session->held);
    assert_null(session->run);
    session->held = false;
    link->held--;
    link->closed_open += session->lost || session->open || session->rolled_back;
    link->sessions_free[session->pool]++;
}

void link_reset(void)
{
    the_link =
        (struct database_link){.up = true, .sessions_free = {1000, 1000}, .session_number = 1};
}

void link_sessions(enum database_pool pool, size_t count)
{
    the_link.sessions_free[pool] = count;
}

static struct database_wait *take_wait(void)
{
    struct database_wait *wait = the_link.first_wait;
    assert_non_null(wait);
    database_wait_cancel(&the_link, wait);
    return wait;
}

void link_grant(void)
{
    struct database_wait *wait = take_wait();
    wait->acquired(wait, new_session(&the_link, wait->pool));
}

void link_refuse(enum database_refusal refusal)
{
    struct database_wait *wait = take_wait();
    wait->refused(wait, refusal);
}

/* --- runs -------------------------------------------------------------------------------------
 */

/* A transaction, when this step is executed. */
static bool is_open(const struct database_session *session, const struct database_run *run,
                    size_t step)
{
    for (; step > 0; step--) {
        enum database_step_kind before = run->steps[step - 1].kind;
        if (before == DATABASE_BEGIN)
            return true;
        if (before == DATABASE_COMMIT || before == DATABASE_ROLLBACK)
            return false;
    }
    return session->open;
}

void database_run(struct database_session *session, struct database_run *run)
{
    assert_true(session->held);
    assert_null(session->run);
    assert_false(session->lost);
    assert_true(run->count > 0);
    for (size_t i = 0; i < run->count; i++) {
        enum database_step_kind kind = run->steps[i].kind;
        assert_false(kind == DATABASE_BEGIN && session->open);
        assert_false(kind == DATABASE_SYNC && is_open(session, run, i));
        if (session->rolled_back)
            assert_true(i > 0 || kind == DATABASE_BEGIN || kind == DATABASE_ROLLBACK);
    }
    session->run = run;
}

size_t runs_under_way(void)
{
    size_t runs = 0;
    for (size_t i = 0; i < the_link.sessions_used; i++)
        runs += the_link.sessions[i].run != NULL;
    return runs;
}

void expect_no_run(void)
{
    assert_int_equal(runs_under_way(), 0);
}

struct database_run *expect_run(int first_kind, ...)
{
    struct database_run *run = NULL;
    for (size_t i = 0; run == NULL && i < the_link.sessions_used; i++)
        run = the_link.sessions[i].run;
    assert_non_null(run);
    va_list kinds;
    va_start(kinds, first_kind);
    int kind = first_kind;
    for (size_t i = 0; i < run->count; i++) {
        assert_int_equal((int)run->steps[i].kind, kind);
        kind = va_arg(kinds, int);
    }
    assert_int_equal(kind, END);
    va_end(kinds);
    return run;
}

struct database_session *session_of(const struct database_run *run)
{
    for (size_t i = 0; i < the_link.sessions_used; i++) {
        if (the_link.sessions[i].run == run)
            return &the_link.sessions[i];
    }
    fail_msg("not under way");
    return NULL;
}

/* What the steps that were executed did to the transaction. */
static void follow(struct database_session *session, const struct database_run *run, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        enum database_step_kind kind = run->steps[i].kind;
        if (kind == DATABASE_BEGIN) {
            session->open = true;
            session->rolled_back = false;
        } else if (kind == DATABASE_COMMIT || kind == DATABASE_ROLLBACK) {
            session->open = false;
            session->rolled_back = false;
        }
    }
}

static void end_run(struct resv_host *host, struct database_run *run, enum database_result result,
                    size_t failed_at)
{
    struct database_session *session = session_of(run);
    run->result = result;
    run->failed_at = failed_at;
    follow(session, run, failed_at);
    if (result == DATABASE_DEADLOCK) {
        session->open = false;
        session->rolled_back = true;
    }
    session->lost = result == DATABASE_LOST;
    session->run = NULL;
    run->done(run);
    fake_host_flush(host);
}

void run_done(struct resv_host *host, struct database_run *run)
{
    end_run(host, run, DATABASE_DONE, run->count);
}

void run_fails(struct resv_host *host, struct database_run *run, enum database_result result,
               size_t failed_at)
{
    assert_true(result != DATABASE_DONE && failed_at < run->count);
    end_run(host, run, result, failed_at);
}

/* --- a strategy -------------------------------------------------------------------------------
 */

void strategy_start(struct database_fixture *fixture, const struct resv_strategy *strategy)
{
    fixture->strategy = strategy;
    assert_int_equal(strategy->open(&fixture->host, &fixture->instance), 0);
    strategy->start(fixture->instance);
    assert_int_equal(fixture->host.started, 1);
}

void strategy_stop(struct database_fixture *fixture)
{
    struct resv_host *host = &fixture->host;
    if (host->drained == 0)
        drain(fixture, 0);
    assert_int_equal(host->drained, 1);
    fixture->strategy->close(fixture->instance);
    assert_int_equal(host->closed, 1);
    assert_null(host->deferred_first);
    assert_int_equal(fake_host_timers(host), 0);
    for (size_t i = 0; i < fixture->ops_count; i++) {
        assert_int_equal(fixture->ops[i].state, RESV_OP_DONE);
        free(fixture->ops[i].strategy_private);
    }
    assert_int_equal(host->completed, fixture->ops_count);
}

static struct resv_op *submit(struct database_fixture *fixture, const struct resv_op *like)
{
    assert_true(fixture->ops_count < OPS_MAX);
    struct resv_op *op = &fixture->ops[fixture->ops_count++];
    *op = *like;
    op->state = RESV_OP_SUBMITTED;
    op->created_ns = fixture->host.now_ns;
    op->deadline_ns = op->created_ns + 5000 * FAKE_NS_PER_MS;
    op->strategy_private = calloc(1, fixture->strategy->op_private_size);
    assert_non_null(op->strategy_private);
    fixture->host.inside = true;
    assert_true(fixture->strategy->submit(fixture->instance, op));
    fixture->host.inside = false;
    fake_host_flush(&fixture->host);
    return op;
}

struct resv_op *submit_kind(struct database_fixture *fixture, enum resv_op_kind kind, uint8_t id)
{
    return submit(fixture, &(struct resv_op){.kind = kind, .id = {{id}}});
}

struct resv_op *submit_reserve(struct database_fixture *fixture, bool keyed, int64_t concert_id,
                               int64_t member_id, int64_t quantity)
{
    return submit(fixture, &(struct resv_op){.kind = RESV_OP_RESERVE,
                                             .keyed = keyed,
                                             .id = {{(uint8_t)(fixture->ops_count + 100)}},
                                             .concert_id = concert_id,
                                             .member_id = member_id,
                                             .quantity = quantity});
}

void cancel_op(struct database_fixture *fixture, struct resv_op *op)
{
    fixture->host.inside = true;
    fixture->strategy->cancel(fixture->instance, op, RESV_CANCEL_DEADLINE);
    fixture->host.inside = false;
    fake_host_flush(&fixture->host);
}

void drain(struct database_fixture *fixture, uint64_t ms)
{
    fixture->host.inside = true;
    fixture->strategy->drain(fixture->instance, fixture->host.now_ns + ms * FAKE_NS_PER_MS);
    fixture->host.inside = false;
    fake_host_advance(&fixture->host, 0);
}

void fill_concert(struct database_step *step, int64_t capacity, int64_t sold, int64_t limit)
{
    assert_true(step->kind == DATABASE_LOCK_CONCERT || step->kind == DATABASE_READ_CONCERT);
    step->concert.found = true;
    step->concert.capacity = capacity;
    step->concert.sold = sold;
    step->concert.member_limit = limit;
}

void fill_row(struct database_step *step, size_t item, int64_t concert_id, int64_t member_id,
              int64_t quantity, enum resv_status status)
{
    assert_int_equal(step->kind, DATABASE_READ_RESERVATIONS);
    assert_true(item < step->reservations.count);
    step->reservations.items[item].found = true;
    step->reservations.items[item].row = (struct resv_reservation){
        .concert_id = concert_id, .member_id = member_id, .quantity = quantity, .status = status};
}
