/* What the steps do to the test's concerts, members and rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "grouped_fixture.h"

void grouped_roll_back(struct database_session *session)
{
    size_t kept = 0;
    for (size_t i = 0; i < the_link.rows_count; i++) {
        if (the_link.rows[i].session != session->number + 1)
            the_link.rows[kept++] = the_link.rows[i];
    }
    the_link.rows_count = kept;
    for (size_t i = 1; i <= CONCERTS; i++) {
        the_link.concerts[i].sold -= session->taken[i];
        session->taken[i] = 0;
    }
    session->open = false;
}

static struct fake_row *find_row(const struct resv_id *id)
{
    for (size_t i = 0; i < the_link.rows_count; i++) {
        if (memcmp(the_link.rows[i].id.bytes, id->bytes, RESV_ID_SIZE) == 0)
            return &the_link.rows[i];
    }
    return NULL;
}

static struct fake_concert *find_concert(int64_t id)
{
    bool known = id >= 1 && id <= CONCERTS && the_link.concerts[id].exists;
    return known ? &the_link.concerts[id] : NULL;
}

static void read_concert(struct database_concert_step *step)
{
    const struct fake_concert *concert = find_concert(step->concert_id);
    step->found = concert != NULL;
    if (concert == NULL)
        return;
    step->capacity = concert->capacity;
    step->sold = concert->sold;
    step->member_limit = concert->member_limit;
}

static void read_reservations(struct database_reservations_step *step)
{
    assert_true(step->count > 0);
    for (size_t i = 0; i < step->count; i++) {
        struct database_reservation *item = &step->items[i];
        assert_true(i == 0 || memcmp(step->items[i - 1].id.bytes, item->id.bytes, 16) < 0);
        const struct fake_row *row = find_row(&item->id);
        item->found = row != NULL;
        if (row != NULL)
            item->row = row->row;
    }
}

static bool member_exists(int64_t id)
{
    return id >= 1 && id <= MEMBERS_MAX && the_link.members[id];
}

static void read_members(struct database_members_step *step, bool seats)
{
    assert_true(step->count > 0);
    for (size_t i = 0; i < step->count; i++) {
        struct database_member *item = &step->items[i];
        assert_true(i == 0 || step->items[i - 1].id < item->id);
        if (!seats) {
            item->found = member_exists(item->id);
            continue;
        }
        item->seats = 0;
        for (size_t k = 0; k < the_link.rows_count; k++) {
            const struct resv_reservation *row = &the_link.rows[k].row;
            if (row->member_id == item->id && row->concert_id == step->concert_id)
                item->seats += row->quantity;
        }
    }
}

static enum database_result take(struct database_session *session, struct database_step *step)
{
    struct fake_concert *concert = find_concert(step->seats.concert_id);
    const bool or_fail = step->kind == DATABASE_TAKE_SEATS_OR_FAIL;
    assert_int_equal(step->seats.token, 0); /* grouped has none */
    step->seats.changed = false;
    if (concert == NULL)
        return DATABASE_DONE;
    if (step->seats.seats > concert->capacity - concert->sold ||
        (or_fail && concert->member_limit != RESV_NO_MEMBER_LIMIT))
        return or_fail ? DATABASE_REFUSED : DATABASE_DONE;
    concert->sold += step->seats.seats;
    session->taken[step->seats.concert_id] += step->seats.seats;
    step->seats.changed = true;
    return DATABASE_DONE;
}

static enum database_result insert(struct database_session *session,
                                   const struct database_insert_step *step)
{
    const size_t before = the_link.rows_count;
    assert_true(step->count > 0);
    for (size_t i = 0; i < step->count; i++) {
        const struct database_row *row = &step->rows[i];
        enum database_result result = DATABASE_DONE;
        if (find_row(&row->id) != NULL)
            result = DATABASE_DUPLICATE;
        else if (find_concert(step->concert_id) == NULL || !member_exists(row->member_id))
            result = DATABASE_NO_PARENT;
        if (result != DATABASE_DONE) {
            the_link.rows_count = before;
            return result;
        }
        assert_true(the_link.rows_count < ROWS_MAX);
        the_link.rows[the_link.rows_count++] =
            (struct fake_row){.id = row->id,
                              .row = {.concert_id = step->concert_id,
                                      .member_id = row->member_id,
                                      .quantity = row->quantity,
                                      .status = RESV_STATUS_CONFIRMED},
                              .session = session->number + 1};
    }
    return DATABASE_DONE;
}

static void commit(struct database_session *session)
{
    for (size_t i = 0; i < the_link.rows_count; i++) {
        if (the_link.rows[i].session == session->number + 1)
            the_link.rows[i].session = 0;
    }
    memset(session->taken, 0, sizeof session->taken);
    session->open = false;
}

enum database_result grouped_execute_step(struct database_session *session,
                                          struct database_step *step)
{
    switch (step->kind) {
    case DATABASE_BEGIN:
        assert_false(session->open);
        session->open = true;
        return DATABASE_DONE;
    case DATABASE_COMMIT:
        assert_true(session->open);
        commit(session);
        return DATABASE_DONE;
    case DATABASE_ROLLBACK:
        grouped_roll_back(session);
        return DATABASE_DONE;
    case DATABASE_LOCK_CONCERT:
        assert_true(session->open);
        read_concert(&step->concert);
        return DATABASE_DONE;
    case DATABASE_READ_CONCERT:
        read_concert(&step->concert);
        return DATABASE_DONE;
    case DATABASE_READ_RESERVATIONS:
        read_reservations(&step->reservations);
        return DATABASE_DONE;
    case DATABASE_READ_MEMBERS:
    case DATABASE_READ_MEMBER_SEATS:
        read_members(&step->members, step->kind == DATABASE_READ_MEMBER_SEATS);
        return DATABASE_DONE;
    case DATABASE_TAKE_SEATS:
    case DATABASE_TAKE_SEATS_OR_FAIL:
        assert_true(session->open);
        return take(session, step);
    case DATABASE_INSERT_RESERVATIONS:
        assert_true(session->open);
        return insert(session, &step->insert);
    case DATABASE_END_SESSION:
        return DATABASE_DONE;
    case DATABASE_SYNC:
        assert_false(session->open);
        return DATABASE_DONE;
    case DATABASE_WRITE_SOLD:
    case DATABASE_CANCEL_RESERVATION:
    case DATABASE_GIVE_BACK_SEATS:
    case DATABASE_CALL_RESERVE:
    case DATABASE_INSERT_EVENTS:
    case DATABASE_READ_POSITION:
    case DATABASE_LOCK_POSITION:
    case DATABASE_MOVE_POSITION:
    case DATABASE_READ_EPOCH:
    case DATABASE_READ_ALL_MEMBER_SEATS:
    case DATABASE_READ_CONCERTS:
        break;
    }
    fail_msg("not grouped's step: %d", step->kind);
    return DATABASE_FAILED;
}
