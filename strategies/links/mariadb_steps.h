/* What the files of the steps share, and how things are stored. */
#ifndef RESVD_LINKS_MARIADB_STEPS_H
#define RESVD_LINKS_MARIADB_STEPS_H

#include "mariadb_internal.h"
#include "mariadb_text_internal.h"

/* How a status is stored; never renumber. */
enum mariadb_stored_status {
    MARIADB_STORED_HELD = 1,
    MARIADB_STORED_CONFIRMED = 2,
    MARIADB_STORED_CANCELLED = 3,
    MARIADB_STORED_EXPIRED = 4,
    MARIADB_STORED_REJECTED = 5,
};
/* False: no version has written such a one. */
bool mariadb_status_of(int64_t stored, enum resv_status *status);

/* What the procedure says; the same numbers in its text (mariadb_procedure.c). */
enum mariadb_call_code {
    MARIADB_CALL_GRANTED = 0,
    MARIADB_CALL_EXISTING = 1, /* a row has the id: the same request's or another's */
    MARIADB_CALL_SOLD_OUT = 2,
    MARIADB_CALL_LIMIT = 3,
    MARIADB_CALL_UNKNOWN_CONCERT = 4,
    MARIADB_CALL_UNKNOWN_MEMBER = 5,
};

/* NULL is 0; beyond 64 bits the nearest. */
int64_t mariadb_column_integer(const char *text);

/* Puts one statement's answer into its step. False: not an answer to it. */
bool mariadb_step_result(struct database_step *step, MYSQL_RES *rows, uint64_t affected_rows);

#endif
