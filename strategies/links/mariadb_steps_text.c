/* Steps as SQL text: what is short. Rows are in mariadb_rows_text.c, what only a consumer of events
 * asks for in mariadb_consumer_text.c. */
#include "mariadb_text_internal.h"

#include "mariadb_internal.h"
#include "mariadb_schema.h"
#include "resvd/assert.h"

#define FIXED_BYTES 400 /* more than the words of any other step with all of its numbers */

/* --- numbers and bytes ------------------------------------------------------------------------ */

void mariadb_text_integer(struct mariadb_text *text, int64_t value)
{
    char digits[MARIADB_INTEGER_BYTES];
    size_t at = sizeof digits;
    uint64_t rest = value < 0 ? -(uint64_t)value : (uint64_t)value;
    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest != 0);
    if (value < 0)
        digits[--at] = '-';
    mariadb_text_add(text, digits + at, sizeof digits - at);
}

static char *put_hex(char *at, const uint8_t *bytes, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        *at++ = digits[bytes[i] >> 4];
        *at++ = digits[bytes[i] & 15];
    }
    return at;
}

void mariadb_text_hex(struct mariadb_text *text, const uint8_t *bytes, size_t size)
{
    MARIADB_ADD(text, "0x");
    text->at = put_hex(text->at, bytes, size);
}

void mariadb_lock_name(const struct database_session_name *name, char text[MARIADB_LOCK_NAME_SIZE])
{
    memcpy(text, "resvd-", 6);
    *put_hex(text + 6, name->bytes, sizeof name->bytes) = '\0';
}

/* --- statements ------------------------------------------------------------------------------- */

static void add_id(struct mariadb_text *text, const struct resv_id *id)
{
    mariadb_text_hex(text, id->bytes, RESV_ID_SIZE);
}

static void add_concert(struct mariadb_text *text, const struct database_concert_step *step)
{
    MARIADB_ADD(text, "SELECT capacity, sold, member_limit, fence FROM concerts WHERE id = ");
    mariadb_text_integer(text, step->concert_id);
}

static void add_reservations(struct mariadb_text *text,
                             const struct database_reservations_step *step)
{
    MARIADB_ADD(text, "SELECT id, concert_id, member_id, quantity, status FROM reservations "
                      "WHERE id IN (");
    for (size_t i = 0; i < step->count; i++) {
        if (i > 0)
            MARIADB_ADD(text, ",");
        add_id(text, &step->items[i].id);
    }
    MARIADB_ADD(text, ")");
}

static void add_member_list(struct mariadb_text *text, const struct database_members_step *step)
{
    MARIADB_ADD(text, " IN (");
    for (size_t i = 0; i < step->count; i++) {
        if (i > 0)
            MARIADB_ADD(text, ",");
        mariadb_text_integer(text, step->items[i].id);
    }
    MARIADB_ADD(text, ")");
}

static void add_member_seats(struct mariadb_text *text, const struct database_members_step *step)
{
    MARIADB_ADD(text, "SELECT member_id, SUM(quantity) FROM reservations WHERE concert_id = ");
    mariadb_text_integer(text, step->concert_id);
    MARIADB_ADD(text, " AND status IN (1, 2) AND member_id");
    add_member_list(text, step);
    MARIADB_ADD(text, " GROUP BY member_id");
}

static void add_fence(struct mariadb_text *text, const struct database_seats_step *step)
{
    MARIADB_ADD(text, ", fence = ");
    if (step->token == 0)
        MARIADB_ADD(text, "fence + 1");
    else
        mariadb_text_integer(text, step->token);
}

static void add_take_seats(struct mariadb_text *text, const struct database_seats_step *step)
{
    MARIADB_ADD(text, "UPDATE concerts SET sold = sold + ");
    mariadb_text_integer(text, step->seats);
    add_fence(text, step);
    MARIADB_ADD(text, " WHERE id = ");
    mariadb_text_integer(text, step->concert_id);
    if (step->token != 0) {
        MARIADB_ADD(text, " AND fence < ");
        mariadb_text_integer(text, step->token);
    }
    MARIADB_ADD(text, " AND sold + ");
    mariadb_text_integer(text, step->seats);
    MARIADB_ADD(text, " <= capacity");
}

/* What is not to be makes sold NULL, which is an error under the session's sql_mode: the server
 * executes nothing behind it. Not a matter of the table's CHECK, which can be switched off.
 * Assignments are made from left to right, and a column that was assigned has its new value then:
 * so sold comes first, while the fence is still the one to compare with. */
static void add_take_seats_or_fail(struct mariadb_text *text,
                                   const struct database_seats_step *step)
{
    MARIADB_ADD(text, "UPDATE concerts SET sold = IF(");
    if (step->token == 0) {
        MARIADB_ADD(text, "member_limit = 0");
    } else {
        MARIADB_ADD(text, "fence < ");
        mariadb_text_integer(text, step->token);
    }
    MARIADB_ADD(text, " AND sold + ");
    mariadb_text_integer(text, step->seats);
    MARIADB_ADD(text, " <= capacity, sold + ");
    mariadb_text_integer(text, step->seats);
    MARIADB_ADD(text, ", NULL)");
    add_fence(text, step);
    MARIADB_ADD(text, " WHERE id = ");
    mariadb_text_integer(text, step->concert_id);
}

static void add_write_sold(struct mariadb_text *text, const struct database_seats_step *step)
{
    MARIADB_ADD(text, "UPDATE concerts SET sold = ");
    mariadb_text_integer(text, step->seats);
    MARIADB_ADD(text, " WHERE id = ");
    mariadb_text_integer(text, step->concert_id);
}

static void add_give_back_seats(struct mariadb_text *text, const struct database_seats_step *step)
{
    MARIADB_ADD(text, "UPDATE concerts SET sold = GREATEST(sold - ");
    mariadb_text_integer(text, step->seats);
    MARIADB_ADD(text, ", 0) WHERE id = ");
    mariadb_text_integer(text, step->concert_id);
}

static void add_cancel(struct mariadb_text *text, const struct database_cancel_step *step)
{
    MARIADB_ADD(text, "UPDATE reservations SET status = 3, updated_at = ");
    mariadb_text_integer(text, step->updated_ms);
    MARIADB_ADD(text, " WHERE id = ");
    add_id(text, &step->id);
    MARIADB_ADD(text, " AND status IN (1, 2)");
}

static void add_call(struct mariadb_text *text, const struct database_call_step *step)
{
    MARIADB_ADD(text, "CALL resvd_reserve(");
    mariadb_text_integer(text, step->concert_id);
    MARIADB_ADD(text, ", ");
    add_id(text, &step->row.id);
    MARIADB_ADD(text, ", ");
    mariadb_text_integer(text, step->row.member_id);
    MARIADB_ADD(text, ", ");
    mariadb_text_integer(text, step->row.quantity);
    MARIADB_ADD(text, ", ");
    mariadb_text_integer(text, step->created_ms);
    MARIADB_ADD(text, ", ");
    mariadb_text_integer(text, step->hold_ms);
    MARIADB_ADD(text, ")");
}

#define ID_BYTES     (MARIADB_HEX_BYTES(RESV_ID_SIZE) + 1)
#define MEMBER_BYTES (MARIADB_INTEGER_BYTES + 1)
_Static_assert(MARIADB_ROW_BYTES >= ID_BYTES + 2 * MEMBER_BYTES,
               "inserting needs more than looking");

/* A run inserts its rows, or looks for their ids, members and members' seats: not both. */
uint64_t mariadb_steps_bytes_max(size_t steps, size_t rows)
{
    /* Who has positions has many steps. */
    size_t positions = steps > DATABASE_STEPS_FEW ? DATABASE_POSITIONS_MAX : 0;
    return MARIADB_PACKET_RESERVE + steps * FIXED_BYTES + positions * MARIADB_POSITION_BYTES +
           (uint64_t)rows * MARIADB_ROW_BYTES;
}

size_t mariadb_step_statements(const struct database_step *step)
{
    return step->kind == DATABASE_LOCK_POSITION ? 2 : 1;
}

size_t mariadb_step_text_size(const struct database_step *step)
{
    switch (step->kind) {
    case DATABASE_READ_RESERVATIONS:
        return FIXED_BYTES + step->reservations.count * ID_BYTES;
    case DATABASE_READ_MEMBERS:
    case DATABASE_READ_MEMBER_SEATS:
        return FIXED_BYTES + step->members.count * MEMBER_BYTES;
    case DATABASE_INSERT_RESERVATIONS:
        return FIXED_BYTES + step->insert.count * MARIADB_ROW_BYTES;
    case DATABASE_INSERT_EVENTS:
        return FIXED_BYTES + step->events.count * MARIADB_ROW_BYTES;
    case DATABASE_READ_POSITION:
    case DATABASE_LOCK_POSITION:
    case DATABASE_MOVE_POSITION:
        return MARIADB_POSITION_BYTES;
    case DATABASE_BEGIN:
    case DATABASE_COMMIT:
    case DATABASE_ROLLBACK:
    case DATABASE_END_SESSION:
    case DATABASE_READ_CONCERT:
    case DATABASE_LOCK_CONCERT:
    case DATABASE_TAKE_SEATS:
    case DATABASE_TAKE_SEATS_OR_FAIL:
    case DATABASE_WRITE_SOLD:
    case DATABASE_CANCEL_RESERVATION:
    case DATABASE_GIVE_BACK_SEATS:
    case DATABASE_CALL_RESERVE:
    case DATABASE_SYNC:
    case DATABASE_READ_EPOCH:
    case DATABASE_READ_ALL_MEMBER_SEATS:
    case DATABASE_READ_CONCERTS:
        break;
    }
    return FIXED_BYTES;
}

void mariadb_step_text(struct mariadb_text *text, const struct database_step *step)
{
    switch (step->kind) {
    case DATABASE_BEGIN:
        MARIADB_ADD(text, "START TRANSACTION");
        return;
    case DATABASE_COMMIT:
        MARIADB_ADD(text, "COMMIT");
        return;
    case DATABASE_ROLLBACK:
        MARIADB_ADD(text, "ROLLBACK");
        return;
    case DATABASE_READ_CONCERT:
        add_concert(text, &step->concert);
        return;
    case DATABASE_LOCK_CONCERT:
        add_concert(text, &step->concert);
        MARIADB_ADD(text, " FOR UPDATE");
        return;
    case DATABASE_READ_RESERVATIONS:
        add_reservations(text, &step->reservations);
        return;
    case DATABASE_READ_MEMBERS:
        MARIADB_ADD(text, "SELECT id FROM members WHERE id");
        add_member_list(text, &step->members);
        return;
    case DATABASE_READ_MEMBER_SEATS:
        add_member_seats(text, &step->members);
        return;
    case DATABASE_TAKE_SEATS:
        add_take_seats(text, &step->seats);
        return;
    case DATABASE_TAKE_SEATS_OR_FAIL:
        add_take_seats_or_fail(text, &step->seats);
        return;
    case DATABASE_WRITE_SOLD:
        add_write_sold(text, &step->seats);
        return;
    case DATABASE_GIVE_BACK_SEATS:
        add_give_back_seats(text, &step->seats);
        return;
    case DATABASE_INSERT_RESERVATIONS:
        mariadb_insert_text(text, &step->insert);
        return;
    case DATABASE_CANCEL_RESERVATION:
        add_cancel(text, &step->reservation);
        return;
    case DATABASE_CALL_RESERVE:
        add_call(text, &step->call);
        return;
    case DATABASE_SYNC:
        MARIADB_ADD(text, MARIADB_SYNC_TEXT);
        return;
    case DATABASE_INSERT_EVENTS:
        mariadb_events_text(text, &step->events);
        return;
    case DATABASE_READ_POSITION:
    case DATABASE_LOCK_POSITION:
    case DATABASE_MOVE_POSITION:
    case DATABASE_READ_EPOCH:
    case DATABASE_READ_ALL_MEMBER_SEATS:
    case DATABASE_READ_CONCERTS:
        mariadb_consumer_text(text, step);
        return;
    case DATABASE_END_SESSION:
        break;
    }
    RESV_ASSERT(false); /* END_SESSION has its own round trips */
}
