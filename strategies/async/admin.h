/* The admin's inside: what its files share. One operation at a time is under way here. */
#ifndef RESVD_ASYNC_ADMIN_H
#define RESVD_ASYNC_ADMIN_H

#include "arguments.h"
#include "async.h"

enum { ADMIN_PAGE = 200 };

struct admin {
    struct async *async;
    struct resv_catalog seam;
    struct resv_op *op; /* its turn; NULL: none */
    struct resv_op *first, *last;
    struct resv_deferred soon;
    bool passed; /* RESET: the database has it */
    bool abandoned;

    /* Of the operation. */
    struct resv_timer timer;
    struct redis_call call;
    struct arguments arguments;
    bool works; /* a work is under way */
    struct work work;
    struct database_step step;
    void (*read)(struct admin *admin, bool good);
    struct database_concert_step *concerts;
    struct database_member *members;
    size_t at;
    /* RESET: the concerts that there were, of which some are opened again before they are gone. */
    int64_t *old;
    size_t old_count, old_room, old_at;
    bool behind; /* it is done */
    void (*walked)(struct admin *admin, bool good);
    enum resv_outcome outcome;
    uint64_t until_ns;
    struct resv_audit_line line, reading; /* what was read wholly, and what is being read */
    bool has_line;
    void (*line_read)(struct admin *admin, enum resv_outcome outcome);
};

/* Completes what has its turn. */
void admin_finish(struct admin *admin, enum resv_outcome outcome);
void admin_pass_reset_on(struct admin *admin);

/* Admin works with: the step of admin->step, then `read`. */
void admin_read_database(struct admin *admin, void (*read)(struct admin *admin, bool good));
void admin_call(struct admin *admin, const struct redis_script *script, int64_t concert_id,
                void (*done)(struct redis_call *call));
size_t admin_page_size(const struct admin *admin);

/* Each goes on to admin_finish. */
void admin_audit(struct admin *admin);
void admin_reset(struct admin *admin);
void admin_was_reset(struct admin *admin, enum resv_outcome outcome);
void admin_reconcile(struct admin *admin);

#endif
