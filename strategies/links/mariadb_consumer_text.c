/* What a consumer of events asks for, as SQL text: positions, the epoch, pages to rebuild from. */
#include "mariadb_schema.h"
#include "mariadb_text_internal.h"
#include "resvd/assert.h"

/* --- positions -------------------------------------------------------------------------------- */

static void add_topic(struct mariadb_text *text, const struct database_position_step *step)
{
    size_t size = strlen(step->topic);
    RESV_ASSERT(size > 0 && size <= DATABASE_TOPIC_MAX);
    MARIADB_ADD(text, "_utf8mb4 ");
    mariadb_text_hex(text, (const uint8_t *)step->topic, size);
}

static void add_where(struct mariadb_text *text, const struct database_position_step *step)
{
    MARIADB_ADD(text, "topic = ");
    add_topic(text, step);
    MARIADB_ADD(text, " AND partition_id = ");
    mariadb_text_integer(text, step->partition);
}

#define EPOCH  "(SELECT epoch FROM database_epoch)"
#define INSERT "INSERT INTO consumer_position (topic, partition_id, next_offset, updated_at) "

static void add_key(struct mariadb_text *text, const struct database_position_step *step)
{
    add_topic(text, step);
    MARIADB_ADD(text, ", ");
    mariadb_text_integer(text, step->partition);
    MARIADB_ADD(text, ", ");
}

static void add_read_position(struct mariadb_text *text, const struct database_position_step *step)
{
    MARIADB_ADD(text, "SELECT epoch, next_offset FROM database_epoch LEFT JOIN consumer_position "
                      "ON ");
    add_where(text, step);
}

/* The first statement locks the row, whoever made it, exclusively and at once. A SELECT … FOR
 * UPDATE of a row that is not there would lock nothing under READ COMMITTED, and the gap under
 * REPEATABLE READ: two who have it then wait for each other to insert. INSERT IGNORE leaves a
 * shared lock on a row that it finds: two who have it then wait for each other to write. */
static void add_lock_position(struct mariadb_text *text, const struct database_position_step *step)
{
    MARIADB_ADD(text, INSERT "VALUES (");
    add_key(text, step);
    MARIADB_ADD(text, "0, ");
    mariadb_text_integer(text, step->updated_ms);
    MARIADB_ADD(text, ") ON DUPLICATE KEY UPDATE partition_id = partition_id;"
                      "SELECT " EPOCH ", next_offset FROM consumer_position WHERE ");
    add_where(text, step);
    MARIADB_ADD(text, " FOR UPDATE");
}

/* What is not to be makes next_offset NULL, which is an error under the session's sql_mode: the
 * server executes nothing behind it. So the row is inserted rather than updated: an UPDATE of a row
 * that is not there is no error.
 *
 * The first IF sees what is committed, and decides where the row is not there; where it is, that is
 * never deleted, the second decides with the row locked. A reset waits for this transaction's end,
 * since it has read the epoch's table. */
static void add_move_position(struct mariadb_text *text, const struct database_position_step *step)
{
    RESV_ASSERT(step->from >= 0 && step->to >= 0);
    MARIADB_ADD(text, INSERT "SELECT ");
    add_key(text, step);
    MARIADB_ADD(text, "IF(" EPOCH " = ");
    mariadb_text_integer(text, step->epoch);
    if (step->from != 0) {
        MARIADB_ADD(text, " AND EXISTS (SELECT 1 FROM consumer_position WHERE ");
        add_where(text, step);
        MARIADB_ADD(text, ")");
    }
    MARIADB_ADD(text, ", ");
    mariadb_text_integer(text, step->to);
    MARIADB_ADD(text, ", NULL), ");
    mariadb_text_integer(text, step->updated_ms);
    MARIADB_ADD(text, " ON DUPLICATE KEY UPDATE next_offset = "
                      "IF(consumer_position.next_offset = ");
    mariadb_text_integer(text, step->from);
    MARIADB_ADD(text, ", ");
    mariadb_text_integer(text, step->to);
    MARIADB_ADD(text, ", NULL), updated_at = ");
    mariadb_text_integer(text, step->updated_ms);
}

/* --- pages ------------------------------------------------------------------------------------ */

/* Both in the order of an index, so that the server reads no more than it answers. */
static void add_member_page(struct mariadb_text *text, const struct database_member_page_step *step)
{
    MARIADB_ADD(text, "SELECT member_id, SUM(quantity) FROM reservations WHERE concert_id = ");
    mariadb_text_integer(text, step->concert_id);
    MARIADB_ADD(text, " AND member_id > ");
    mariadb_text_integer(text, step->after_member_id);
    MARIADB_ADD(text, " AND status IN (1, 2) GROUP BY member_id ORDER BY member_id LIMIT ");
    mariadb_text_integer(text, (int64_t)step->room);
}

static void add_concert_page(struct mariadb_text *text,
                             const struct database_concert_page_step *step)
{
    MARIADB_ADD(text, "SELECT id, capacity, sold, member_limit, fence FROM concerts WHERE id > ");
    mariadb_text_integer(text, step->after_concert_id);
    MARIADB_ADD(text, " ORDER BY id LIMIT ");
    mariadb_text_integer(text, (int64_t)step->room);
}

/* --- all -------------------------------------------------------------------------------------- */

void mariadb_consumer_text(struct mariadb_text *text, const struct database_step *step)
{
    switch (step->kind) {
    case DATABASE_READ_POSITION:
        add_read_position(text, &step->position);
        return;
    case DATABASE_LOCK_POSITION:
        add_lock_position(text, &step->position);
        return;
    case DATABASE_MOVE_POSITION:
        add_move_position(text, &step->position);
        return;
    case DATABASE_READ_EPOCH:
        MARIADB_ADD(text, "SELECT epoch FROM database_epoch");
        return;
    case DATABASE_READ_ALL_MEMBER_SEATS:
        add_member_page(text, &step->member_page);
        return;
    case DATABASE_READ_CONCERTS:
        add_concert_page(text, &step->concert_page);
        return;
    case DATABASE_BEGIN:
    case DATABASE_COMMIT:
    case DATABASE_ROLLBACK:
    case DATABASE_END_SESSION:
    case DATABASE_READ_CONCERT:
    case DATABASE_LOCK_CONCERT:
    case DATABASE_READ_RESERVATIONS:
    case DATABASE_READ_MEMBERS:
    case DATABASE_READ_MEMBER_SEATS:
    case DATABASE_TAKE_SEATS:
    case DATABASE_TAKE_SEATS_OR_FAIL:
    case DATABASE_WRITE_SOLD:
    case DATABASE_INSERT_RESERVATIONS:
    case DATABASE_CANCEL_RESERVATION:
    case DATABASE_GIVE_BACK_SEATS:
    case DATABASE_CALL_RESERVE:
    case DATABASE_SYNC:
    case DATABASE_INSERT_EVENTS:
        break;
    }
    RESV_ASSERT(false); /* mariadb_steps_text.c's own */
}
