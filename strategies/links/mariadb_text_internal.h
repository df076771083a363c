/* Writes SQL text into a buffer that was made large enough before: nothing here can fail, and
 * nothing that comes from outside gets in unescaped: numbers, ids in hex, fixed words. */
#ifndef RESVD_LINKS_MARIADB_TEXT_INTERNAL_H
#define RESVD_LINKS_MARIADB_TEXT_INTERNAL_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "database.h"

#define MARIADB_INTEGER_BYTES   20               /* the longest, with its sign */
#define MARIADB_HEX_BYTES(size) (2 + 2 * (size)) /* 0x… */

struct mariadb_text {
    char *at;
    char *begin;
    char *end; /* asserted when it is sent */
};

static inline void mariadb_text_add(struct mariadb_text *text, const char *words, size_t size)
{
    memcpy(text->at, words, size);
    text->at += size;
}

/* A string literal. */
#define MARIADB_ADD(text, literal) mariadb_text_add(text, "" literal, sizeof(literal) - 1)

void mariadb_text_integer(struct mariadb_text *text, int64_t value);
/* As 0x…; not for no bytes at all, which has no such form. */
void mariadb_text_hex(struct mariadb_text *text, const uint8_t *bytes, size_t size);

/* --- steps (mariadb_steps_text.c) --------------------------------------------------------------
 */

/* Bytes that mariadb_step_text needs at most. */
size_t mariadb_step_text_size(const struct database_step *step);
/* Its statements, with a semicolon between two. Not for END_SESSION. */
void mariadb_step_text(struct mariadb_text *text, const struct database_step *step);
/* How many statements these are. */
size_t mariadb_step_statements(const struct database_step *step);

/* --- rows (mariadb_rows_text.c) ----------------------------------------------------------------
 */

/* Bytes of one row at most, with the comma before it. */
#define MARIADB_ROW_BYTES (MARIADB_HEX_BYTES(RESV_ID_SIZE) + 5 * MARIADB_INTEGER_BYTES + 11)

void mariadb_insert_text(struct mariadb_text *text, const struct database_insert_step *step);
void mariadb_events_text(struct mariadb_text *text, const struct database_events_step *step);

/* --- what a consumer asks for (mariadb_consumer_text.c) -----------------------------------------
 */

/* Bytes of a step that names a position at most: words and numbers, and its topic twice. */
#define MARIADB_POSITION_BYTES (640 + 2 * (size_t)MARIADB_HEX_BYTES(DATABASE_TOPIC_MAX))

/* A step of a position, of the epoch, or that reads a page. */
void mariadb_consumer_text(struct mariadb_text *text, const struct database_step *step);

#endif
