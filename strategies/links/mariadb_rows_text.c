/* Rows of reservations as the text of one INSERT: the one text here that is long, and the one whose
 * making is paid for each reservation. */
#include "mariadb_steps.h"
#include "resvd/assert.h"

/* One row as it is written, whoever asks for it. */
struct row {
    const struct resv_id *id;
    int64_t concert_id;
    int64_t member_id;
    int64_t quantity;
    int64_t created_ms; /* and updated_at */
    enum mariadb_stored_status status;
};

static void add_head(struct mariadb_text *text)
{
    MARIADB_ADD(text, "INSERT INTO reservations (id, concert_id, member_id, quantity, status, "
                      "created_at, updated_at) VALUES ");
}

static void add_row(struct mariadb_text *text, const struct row *row)
{
    MARIADB_ADD(text, "(");
    mariadb_text_hex(text, row->id->bytes, RESV_ID_SIZE);
    MARIADB_ADD(text, ",");
    mariadb_text_integer(text, row->concert_id);
    MARIADB_ADD(text, ",");
    mariadb_text_integer(text, row->member_id);
    MARIADB_ADD(text, ",");
    mariadb_text_integer(text, row->quantity);
    MARIADB_ADD(text, ",");
    *text->at++ = (char)('0' + (int)row->status);
    MARIADB_ADD(text, ",");
    const char *created = text->at;
    mariadb_text_integer(text, row->created_ms);
    size_t size = (size_t)(text->at - created);
    MARIADB_ADD(text, ",");
    mariadb_text_add(text, created, size); /* the same again */
    MARIADB_ADD(text, ")");
}

void mariadb_insert_text(struct mariadb_text *text, const struct database_insert_step *step)
{
    add_head(text);
    for (size_t i = 0; i < step->count; i++) {
        const struct database_row *row = &step->rows[i];
        if (i > 0)
            MARIADB_ADD(text, ",");
        add_row(text, &(struct row){.id = &row->id,
                                    .concert_id = step->concert_id,
                                    .member_id = row->member_id,
                                    .quantity = row->quantity,
                                    .created_ms = step->created_ms,
                                    .status = MARIADB_STORED_CONFIRMED});
    }
}

void mariadb_events_text(struct mariadb_text *text, const struct database_events_step *step)
{
    add_head(text);
    for (size_t i = 0; i < step->count; i++) {
        const struct database_event_row *row = &step->rows[i];
        RESV_ASSERT(row->status == RESV_STATUS_CONFIRMED || row->status == RESV_STATUS_REJECTED);
        if (i > 0)
            MARIADB_ADD(text, ",");
        add_row(text, &(struct row){.id = &row->id,
                                    .concert_id = row->concert_id,
                                    .member_id = row->member_id,
                                    .quantity = row->quantity,
                                    .created_ms = row->created_ms,
                                    .status = row->status == RESV_STATUS_CONFIRMED
                                                  ? MARIADB_STORED_CONFIRMED
                                                  : MARIADB_STORED_REJECTED});
    }
}
