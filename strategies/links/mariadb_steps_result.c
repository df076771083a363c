/* What the server answered to a step, put into the step. */
#include "mariadb_steps.h"

#include <errno.h>
#include <stdlib.h>

/* --- columns ---------------------------------------------------------------------------------- */

int64_t mariadb_column_integer(const char *text)
{
    return text == NULL ? 0 : strtoll(text, NULL, 10); /* beyond the range: the nearest */
}

/* --- rows ------------------------------------------------------------------------------------- */

/* Four columns: capacity, sold, member limit, fence. */
static void take_concert(struct database_concert_step *step, const MYSQL_ROW row)
{
    step->found = true;
    step->capacity = mariadb_column_integer(row[0]);
    step->sold = mariadb_column_integer(row[1]);
    step->member_limit = mariadb_column_integer(row[2]);
    step->fence = mariadb_column_integer(row[3]);
}

static bool read_concert(struct database_concert_step *step, MYSQL_RES *rows)
{
    MYSQL_ROW row = mysql_fetch_row(rows);
    step->found = row != NULL;
    if (row != NULL)
        take_concert(step, row);
    return true;
}

static struct database_reservation *find_reservation(const struct database_reservations_step *step,
                                                     const char *id)
{
    size_t low = 0, high = step->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = memcmp(step->items[middle].id.bytes, id, RESV_ID_SIZE);
        if (order == 0)
            return &step->items[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

bool mariadb_status_of(int64_t stored, enum resv_status *status)
{
    switch ((enum mariadb_stored_status)stored) {
    case MARIADB_STORED_HELD:
        *status = RESV_STATUS_HELD;
        return true;
    case MARIADB_STORED_CONFIRMED:
        *status = RESV_STATUS_CONFIRMED;
        return true;
    case MARIADB_STORED_CANCELLED:
        *status = RESV_STATUS_CANCELLED;
        return true;
    case MARIADB_STORED_EXPIRED:
        *status = RESV_STATUS_EXPIRED;
        return true;
    case MARIADB_STORED_REJECTED:
        *status = RESV_STATUS_REJECTED;
        return true;
    }
    return false; /* the table's CHECK forbids it */
}

/* Four columns: concert, member, quantity, status. */
static bool take_reservation(struct resv_reservation *reservation, const MYSQL_ROW row)
{
    reservation->concert_id = mariadb_column_integer(row[0]);
    reservation->member_id = mariadb_column_integer(row[1]);
    reservation->quantity = mariadb_column_integer(row[2]);
    return mariadb_status_of(mariadb_column_integer(row[3]), &reservation->status);
}

static bool read_reservations(struct database_reservations_step *step, MYSQL_RES *rows)
{
    for (size_t i = 0; i < step->count; i++)
        step->items[i].found = false;
    MYSQL_ROW row;
    while ((row = mysql_fetch_row(rows)) != NULL) {
        if (mysql_fetch_lengths(rows)[0] != RESV_ID_SIZE)
            return false;
        struct database_reservation *item = find_reservation(step, row[0]);
        if (item == NULL || !take_reservation(&item->row, row + 1))
            return false;
        item->found = true;
    }
    return true;
}

static struct database_member *find_member(const struct database_members_step *step, int64_t id)
{
    size_t low = 0, high = step->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (step->items[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < step->count && step->items[low].id == id ? &step->items[low] : NULL;
}

static bool read_members(struct database_members_step *step, MYSQL_RES *rows, bool with_seats)
{
    for (size_t i = 0; i < step->count; i++) {
        if (with_seats)
            step->items[i].seats = 0;
        else
            step->items[i].found = false;
    }
    MYSQL_ROW row;
    while ((row = mysql_fetch_row(rows)) != NULL) {
        struct database_member *member = find_member(step, mariadb_column_integer(row[0]));
        if (member == NULL)
            return false;
        if (with_seats)
            member->seats = mariadb_column_integer(row[1]);
        else
            member->found = true;
    }
    return true;
}

/* --- what a consumer asks for ----------------------------------------------------------------- */

/* The epoch, and the position or NULL. */
static bool read_position(struct database_position_step *step, MYSQL_RES *rows, bool locked)
{
    MYSQL_ROW row = mysql_fetch_row(rows);
    if (row == NULL || row[0] == NULL || (locked && row[1] == NULL))
        return false;
    step->epoch = mariadb_column_integer(row[0]);
    step->next_offset = mariadb_column_integer(row[1]);
    if (!locked)
        step->found = row[1] != NULL;
    return true;
}

/* The answer to the INSERT says whether the row is new, that to the SELECT has it. */
static bool lock_position(struct database_position_step *step, MYSQL_RES *rows,
                          uint64_t affected_rows)
{
    if (rows != NULL)
        return read_position(step, rows, true);
    step->found = affected_rows != 1;
    return true;
}

static bool read_epoch(struct database_epoch_step *step, MYSQL_RES *rows)
{
    MYSQL_ROW row = mysql_fetch_row(rows);
    if (row == NULL)
        return false;
    step->epoch = mariadb_column_integer(row[0]);
    return true;
}

static bool read_member_page(struct database_member_page_step *step, MYSQL_RES *rows)
{
    MYSQL_ROW row;
    step->count = 0;
    while ((row = mysql_fetch_row(rows)) != NULL) {
        if (step->count == step->room)
            return false;
        struct database_member *item = &step->items[step->count++];
        item->id = mariadb_column_integer(row[0]);
        item->seats = mariadb_column_integer(row[1]);
    }
    return true;
}

static bool read_concert_page(struct database_concert_page_step *step, MYSQL_RES *rows)
{
    MYSQL_ROW row;
    step->count = 0;
    while ((row = mysql_fetch_row(rows)) != NULL) {
        if (step->count == step->room)
            return false;
        struct database_concert_step *item = &step->items[step->count++];
        item->concert_id = mariadb_column_integer(row[0]);
        take_concert(item, row + 1);
    }
    return true;
}

/* --- the procedure ---------------------------------------------------------------------------- */

static bool read_call(struct database_call_step *step, MYSQL_RES *rows)
{
    static const enum resv_outcome outcomes[] = {
        [MARIADB_CALL_GRANTED] = RESV_GRANTED,
        [MARIADB_CALL_EXISTING] = RESV_GRANTED,
        [MARIADB_CALL_SOLD_OUT] = RESV_SOLD_OUT,
        [MARIADB_CALL_LIMIT] = RESV_LIMIT,
        [MARIADB_CALL_UNKNOWN_CONCERT] = RESV_UNKNOWN_CONCERT,
        [MARIADB_CALL_UNKNOWN_MEMBER] = RESV_UNKNOWN_MEMBER,
    };
    MYSQL_ROW row = mysql_fetch_row(rows);
    if (row == NULL)
        return false;
    int64_t code = mariadb_column_integer(row[0]);
    if (code < 0 || code >= (int64_t)(sizeof outcomes / sizeof outcomes[0]))
        return false;
    step->outcome = outcomes[code];
    if (step->outcome != RESV_GRANTED)
        return true;
    struct resv_reservation *found = &step->reservation;
    if (!take_reservation(found, row + 1))
        return false;
    found->replay = code == MARIADB_CALL_EXISTING;
    if (found->concert_id != step->concert_id || found->member_id != step->row.member_id ||
        found->quantity != step->row.quantity)
        step->outcome = RESV_KEY_REUSED;
    return true;
}

/* --- all -------------------------------------------------------------------------------------- */

bool mariadb_step_result(struct database_step *step, MYSQL_RES *rows, uint64_t affected_rows)
{
    switch (step->kind) {
    case DATABASE_READ_CONCERT:
    case DATABASE_LOCK_CONCERT:
        return rows != NULL && read_concert(&step->concert, rows);
    case DATABASE_READ_RESERVATIONS:
        return rows != NULL && read_reservations(&step->reservations, rows);
    case DATABASE_READ_MEMBERS:
        return rows != NULL && read_members(&step->members, rows, false);
    case DATABASE_READ_MEMBER_SEATS:
        return rows != NULL && read_members(&step->members, rows, true);
    case DATABASE_CALL_RESERVE:
        /* Its rows, then its end; that there were rows is mariadb_steps.c's to see. */
        return rows == NULL || read_call(&step->call, rows);
    case DATABASE_TAKE_SEATS:
        step->seats.changed = affected_rows > 0;
        return true;
    case DATABASE_CANCEL_RESERVATION:
        step->reservation.changed = affected_rows > 0;
        return true;
    case DATABASE_BEGIN:
    case DATABASE_COMMIT:
    case DATABASE_ROLLBACK:
    case DATABASE_END_SESSION:
    case DATABASE_TAKE_SEATS_OR_FAIL:
    case DATABASE_WRITE_SOLD:
    case DATABASE_INSERT_RESERVATIONS:
    case DATABASE_GIVE_BACK_SEATS:
    case DATABASE_INSERT_EVENTS:
    case DATABASE_MOVE_POSITION:
        break;
    case DATABASE_READ_POSITION:
        return rows != NULL && read_position(&step->position, rows, false);
    case DATABASE_LOCK_POSITION:
        return lock_position(&step->position, rows, affected_rows);
    case DATABASE_READ_EPOCH:
        return rows != NULL && read_epoch(&step->epoch, rows);
    case DATABASE_READ_ALL_MEMBER_SEATS:
        return rows != NULL && read_member_page(&step->member_page, rows);
    case DATABASE_READ_CONCERTS:
        return rows != NULL && read_concert_page(&step->concert_page, rows);
    case DATABASE_SYNC:
        return affected_rows > 0; /* else nothing was written, and so nothing flushed */
    }
    return true;
}
