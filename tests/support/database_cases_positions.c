/* Database cases: positions of consumers, the epoch; and two consumers that both believe that they
 * own a partition. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "database_case_kit.h"

static void expect_position_of(struct database_cases *cases, const char *topic, int32_t partition,
                               bool found, int64_t next_offset)
{
    static const enum database_step_kind kinds[] = {DATABASE_READ_POSITION, DATABASE_LOCK_POSITION};
    struct database_session *session = case_acquire(cases);
    CASE_DONE(cases, session, step_of(DATABASE_BEGIN));
    int64_t epoch = case_epoch(cases);
    for (size_t i = 0; i < 2; i++) {
        struct database_step step = step_position(kinds[i], partition);
        step.position.topic = topic;
        step.position.next_offset = step.position.epoch = -1;
        assert_int_equal(case_step(cases, session, &step), DATABASE_DONE);
        assert_int_equal(step.position.found, found);
        assert_true(step.position.next_offset == next_offset);
        assert_true(step.position.epoch == epoch);
    }
    CASE_DONE(cases, session, step_of(DATABASE_ROLLBACK));
    database_give_back(session);
}

static void expect_position(struct database_cases *cases, int32_t partition, bool found,
                            int64_t next_offset)
{
    expect_position_of(cases, CASE_TOPIC, partition, found, next_offset);
}

static void position_that_nobody_had_is_made(struct database_cases *cases)
{
    case_reset(cases, 1, 1, 10);
    int32_t partition = case_partition(cases);
    expect_position(cases, partition, false, 0);
    expect_position(cases, partition, false, 0); /* rolled back */
    struct database_session *session = case_acquire(cases);
    struct database_step steps[] = {
        step_of(DATABASE_BEGIN), step_position(DATABASE_LOCK_POSITION, partition),
        step_position(DATABASE_LOCK_POSITION, partition),
        step_position(DATABASE_READ_POSITION, partition), step_of(DATABASE_COMMIT)};
    assert_int_equal(case_run(cases, session, steps, 5, NULL), DATABASE_DONE);
    database_give_back(session);
    for (size_t i = 1; i < 4; i++) {
        assert_int_equal(steps[i].position.found, i > 1);
        assert_true(steps[i].position.next_offset == 0);
    }
    expect_position(cases, partition, true, 0);
}

static void position_moves_from_where_it_is(struct database_cases *cases)
{
    case_reset(cases, 1, 1, 10);
    int64_t epoch = case_epoch(cases), far = INT64_MAX - 1;
    for (int locked = 0; locked < 2; locked++) {
        int32_t partition = case_partition(cases);
        struct database_session *session = case_acquire(cases);
        struct database_step early = step_move(partition, epoch, 7, 8);
        assert_int_equal(case_step(cases, session, &early), DATABASE_REFUSED);
        expect_position(cases, partition, false, 0);
        if (locked)
            CASE_DONE(cases, session, step_position(DATABASE_LOCK_POSITION, partition));
        assert_int_equal(case_step(cases, session, &early), DATABASE_REFUSED);
        CASE_DONE(cases, session, step_move(partition, epoch, 0, 7));
        expect_position(cases, partition, true, 7);
        const struct {
            int64_t from, to;
            bool moves;
        } moves[] = {{0, 7, false}, {0, 8, false},  {6, 9, false},   {8, 9, false},
                     {7, 7, true},  {7, 900, true}, {7, 901, false}, {900, far, true},
                     {0, 1, false}, {far, 3, true}, {far, 4, false}, {3, 0, true},
                     {3, 1, false}, {0, 5, true},   {5, far, true}};
        for (size_t i = 0; i < sizeof moves / sizeof moves[0]; i++) {
            struct database_step move = step_move(partition, epoch, moves[i].from, moves[i].to);
            assert_int_equal(case_step(cases, session, &move),
                             moves[i].moves ? DATABASE_DONE : DATABASE_REFUSED);
        }
        database_give_back(session);
        expect_position(cases, partition, true, far);
    }
}

static void positions_are_apart(struct database_cases *cases)
{
    case_reset(cases, 1, 1, 10);
    char longest[DATABASE_TOPIC_MAX + 1];
    memset(longest, 'z', DATABASE_TOPIC_MAX);
    longest[DATABASE_TOPIC_MAX] = '\0';
    const char *const topics[] = {CASE_TOPIC,   "Reservations", "reservations-2",
                                  "a'\\\"%_.-", longest,        longest + 1};
    int32_t partition = case_partition(cases);
    int64_t epoch = case_epoch(cases);
    struct database_session *session = case_acquire(cases);
    for (size_t i = 0; i < sizeof topics / sizeof topics[0]; i++) {
        for (int32_t k = 0; k < 2; k++) {
            struct database_step move = step_move(partition, epoch, 0, (int64_t)i * 2 + k + 1);
            move.position.topic = topics[i];
            move.position.partition = k == 0 ? partition : -partition;
            assert_int_equal(case_step(cases, session, &move), DATABASE_DONE);
        }
    }
    database_give_back(session);
    for (size_t i = 0; i < sizeof topics / sizeof topics[0]; i++) {
        expect_position_of(cases, topics[i], partition, true, (int64_t)i * 2 + 1);
        expect_position_of(cases, topics[i], -partition, true, (int64_t)i * 2 + 2);
    }
}

/* --- the epoch -------------------------------------------------------------------------------- */

static void reset_raises_the_epoch(struct database_cases *cases)
{
    case_reset(cases, 1, 1, 10);
    int32_t partition = case_partition(cases);
    int64_t epoch = case_epoch(cases);
    struct database_session *session = case_acquire(cases);
    CASE_DONE(cases, session, step_move(partition, epoch, 0, 5));
    for (int64_t concerts = 0; concerts < 2; concerts++) {
        case_reset(cases, concerts, 1, 10);
        assert_true(case_epoch(cases) == epoch + concerts + 1);
        expect_position(cases, partition, true, 5); /* events go on where they were */
    }
    epoch += 2;
    const struct {
        int32_t partition;
        int64_t epoch, from;
        enum database_result result;
    } moves[] = {
        {partition, epoch - 1, 5, DATABASE_REFUSED},
        {partition, epoch + 1, 5, DATABASE_REFUSED},
        {case_partition(cases), epoch - 1, 0, DATABASE_REFUSED}, /* where there is none */
        {partition, epoch, 5, DATABASE_DONE},
    };
    for (size_t i = 0; i < sizeof moves / sizeof moves[0]; i++) {
        struct database_row row = case_row(cases, 1);
        struct database_step steps[] = {
            step_of(DATABASE_BEGIN),
            step_move(moves[i].partition, moves[i].epoch, moves[i].from, 6),
            step_insert(1, &row, 1), step_seats(DATABASE_TAKE_SEATS, 1, 1),
            step_of(DATABASE_COMMIT)};
        size_t failed_at;
        assert_int_equal(case_run(cases, session, steps, 5, &failed_at), moves[i].result);
        assert_int_equal(failed_at, moves[i].result == DATABASE_DONE ? 5 : 1);
        CASE_DONE(cases, session, step_of(DATABASE_COMMIT));
        case_expect_row(cases, row.id, moves[i].result == DATABASE_DONE);
    }
    database_give_back(session);
    case_expect_seats(cases, 1, 1, 1);
}

/* A partition at `from`, which may be that nobody has had it. */
static int32_t partition_at(struct database_cases *cases, bool there, int64_t from)
{
    int32_t partition = case_partition(cases);
    if (!there)
        return partition;
    struct database_session *session = case_acquire(cases);
    CASE_DONE(cases, session, step_position(DATABASE_LOCK_POSITION, partition),
              step_move(partition, case_epoch(cases), 0, from));
    database_give_back(session);
    return partition;
}

/* --- locking ---------------------------------------------------------------------------------- */

/* Whoever comes second has the lock when the first has gone, and knows what the first has left. */
static void second_lock_waits(struct database_cases *cases)
{
    case_reset(cases, 1, 1, 10);
    for (unsigned form = 0; form < 4; form++) {
        bool there = (form & 1) != 0, committed = (form & 2) != 0;
        int64_t from = there ? 3 : 0;
        int32_t partition = partition_at(cases, there, from);
        struct database_session *first = case_acquire(cases), *second = case_acquire(cases);
        struct database_step lock = step_position(DATABASE_LOCK_POSITION, partition);
        CASE_DONE(cases, first, step_of(DATABASE_BEGIN), lock);
        /* What was read before may be a snapshot; what is locked is not. */
        CASE_DONE(cases, second, step_of(DATABASE_BEGIN), step_concert(DATABASE_READ_CONCERT, 1));
        struct case_run run;
        case_start(&run, second, &lock, 1);
        case_expect_waiting(cases, &run);
        struct database_position_step seen = case_read_position(cases, partition); /* never waits */
        assert_true(seen.found == there && seen.next_offset == from);
        CASE_DONE(cases, first, step_move(partition, case_epoch(cases), from, 9),
                  step_of(committed ? DATABASE_COMMIT : DATABASE_ROLLBACK));
        assert_int_equal(case_finish(cases, &run), DATABASE_DONE);
        assert_int_equal(lock.position.found, committed || there);
        assert_true(lock.position.next_offset == (committed ? 9 : from));
        CASE_DONE(cases, second,
                  step_move(partition, case_epoch(cases), lock.position.next_offset, 11),
                  step_of(DATABASE_COMMIT));
        database_give_back(second);
        database_give_back(first);
        seen = case_read_position(cases, partition);
        assert_true(seen.found && seen.next_offset == 11);
    }
}

/* Who waits has nothing yet that another who waits would have to wait for. */
static void many_wait_for_one_lock(struct database_cases *cases)
{
    case_reset(cases, 1, 1, 10);
    for (int there = 0; there < 2; there++) {
        int64_t next = there ? 3 : 0;
        int32_t partition = partition_at(cases, there != 0, next);
        struct database_session *sessions[3];
        struct case_run runs[3];
        struct database_step locks[3];
        for (size_t i = 0; i < 3; i++) {
            sessions[i] = case_acquire(cases);
            locks[i] = step_position(DATABASE_LOCK_POSITION, partition);
            CASE_DONE(cases, sessions[i], step_of(DATABASE_BEGIN));
            case_start(&runs[i], sessions[i], &locks[i], 1);
            if (i == 0)
                assert_int_equal(case_finish(cases, &runs[0]), DATABASE_DONE);
            else
                case_expect_waiting(cases, &runs[i]);
        }
        bool first = true;
        for (size_t left = 3, i = 0; left > 0; left--, first = false) {
            if (!first) {
                cases->run_for_ms(cases->data, 200);
                i = runs[1].done && sessions[1] != NULL ? 1 : 2;
                assert_int_equal(case_finish(cases, &runs[i]), DATABASE_DONE);
            }
            assert_true(locks[i].position.next_offset == next);
            CASE_DONE(cases, sessions[i], step_move(partition, case_epoch(cases), next, next + 1),
                      step_of(DATABASE_COMMIT));
            database_give_back(sessions[i]);
            sessions[i] = NULL;
            next++;
        }
        assert_true(case_read_position(cases, partition).next_offset == (there ? 6 : 3));
    }
}

/* Both apply the same events: once. */
static void second_move_waits_and_is_refused(struct database_cases *cases)
{
    for (unsigned form = 0; form < 4; form++) {
        bool there = (form & 1) != 0, committed = (form & 2) != 0;
        case_reset(cases, 1, 2, 10);
        int64_t from = there ? 3 : 0;
        int32_t partition = partition_at(cases, there, from);
        struct database_session *first = case_acquire(cases), *second = case_acquire(cases);
        struct database_row rows[] = {case_row(cases, 1), case_row(cases, 2)};
        CASE_DONE(cases, first, step_of(DATABASE_BEGIN),
                  step_move(partition, case_epoch(cases), from, 9),
                  step_seats(DATABASE_TAKE_SEATS_OR_FAIL, 1, 1), step_insert(1, &rows[0], 1));
        struct database_step steps[] = {step_of(DATABASE_BEGIN),
                                        step_move(partition, case_epoch(cases), from, 9),
                                        step_seats(DATABASE_TAKE_SEATS_OR_FAIL, 1, 1),
                                        step_insert(1, &rows[1], 1), step_of(DATABASE_COMMIT)};
        struct case_run run;
        case_start(&run, second, steps, 5);
        case_expect_waiting(cases, &run);
        CASE_DONE(cases, first, step_of(committed ? DATABASE_COMMIT : DATABASE_ROLLBACK));
        assert_int_equal(case_finish(cases, &run), committed ? DATABASE_REFUSED : DATABASE_DONE);
        assert_int_equal(run.run.failed_at, committed ? 1 : 5);
        CASE_DONE(cases, second, step_of(DATABASE_ROLLBACK));
        database_give_back(second);
        database_give_back(first);
        case_expect_row(cases, rows[0].id, committed);
        case_expect_row(cases, rows[1].id, !committed);
        case_expect_seats(cases, 1, 1, 1);
        assert_true(case_read_position(cases, partition).next_offset == 9);
    }
}

/* Neither by the position nor by the epoch that both look at. */
static void partitions_do_not_wait_for_each_other(struct database_cases *cases)
{
    case_reset(cases, 2, 1, 10);
    for (int there = 0; there < 2; there++) {
        int32_t partitions[2];
        struct database_session *sessions[2];
        for (int i = 0; i < 2; i++)
            partitions[i] = partition_at(cases, there != 0, 3);
        for (int i = 0; i < 2; i++) {
            sessions[i] = case_acquire(cases);
            CASE_DONE(cases, sessions[i], step_of(DATABASE_BEGIN),
                      step_position(DATABASE_LOCK_POSITION, partitions[i]),
                      step_move(partitions[i], case_epoch(cases), there ? 3 : 0, 5 + i),
                      step_seats(DATABASE_TAKE_SEATS, i + 1, 1));
        }
        for (int i = 0; i < 2; i++) {
            CASE_DONE(cases, sessions[i], step_of(DATABASE_COMMIT));
            database_give_back(sessions[i]);
            assert_true(case_read_position(cases, partitions[i]).next_offset == 5 + i);
        }
    }
}

/* --- a COMMIT without an answer --------------------------------------------------------------- */

static void position_tells_what_became_of_a_commit(struct database_cases *cases)
{
    for (int executed = 0; executed < 2; executed++) {
        case_reset(cases, 1, 1, 10);
        int32_t partition = case_partition(cases);
        struct database_session *victim = case_acquire(cases), *other = case_acquire(cases);
        struct database_row row = case_row(cases, 1);
        CASE_DONE(cases, victim, step_of(DATABASE_BEGIN),
                  step_move(partition, case_epoch(cases), 0, 1),
                  step_seats(DATABASE_TAKE_SEATS, 1, 1), step_insert(1, &row, 1));
        if (executed)
            CASE_DONE(cases, victim, step_of(DATABASE_COMMIT));
        struct database_step steps[] = {step_end_session(database_session_name(victim)),
                                        step_of(DATABASE_BEGIN),
                                        step_position(DATABASE_LOCK_POSITION, partition)};
        assert_int_equal(case_run(cases, other, steps, 3, NULL), DATABASE_DONE);
        assert_int_equal(steps[2].position.found, executed);
        assert_true(steps[2].position.next_offset == executed);
        CASE_DONE(cases, other, step_of(DATABASE_ROLLBACK));
        database_give_back(victim);
        database_give_back(other);
        case_expect_row(cases, row.id, executed);
        case_expect_seats(cases, 1, executed, executed);
    }
}

const struct database_case database_cases_positions[] = {
    {"position: that nobody had is made", position_that_nobody_had_is_made},
    {"position: moves from where it is", position_moves_from_where_it_is},
    {"position: each is apart", positions_are_apart},
    {"position: reset raises the epoch", reset_raises_the_epoch},
    {"position: second lock waits", second_lock_waits},
    {"position: many wait for one lock", many_wait_for_one_lock},
    {"position: second move waits and is refused", second_move_waits_and_is_refused},
    {"position: partitions do not wait for each other", partitions_do_not_wait_for_each_other},
    {"position: tells what became of a commit", position_tells_what_became_of_a_commit},
    {NULL, NULL},
};
