/* The fake's store from inside: for the files in this folder only. */
#ifndef TESTS_FAKE_STORE_INTERNAL_H
#define TESTS_FAKE_STORE_INTERNAL_H

#include "fake_store.h"

struct record {
    struct resv_id id;
    struct resv_reservation reservation;
};

struct stored_concert {
    struct resv_concert concert; /* id 0: there is none with this number */
    int64_t unremembered;        /* live seats that have no record */
    bool counted_only;
    /* Asynchronous only: stock is capacity - sold - pending - drift. */
    int64_t pending; /* seats accepted, their events not applied yet */
    int64_t drift;   /* seats by which the stock is wrong; reconciling finds them */
    bool closed;     /* nothing is sold until its gate is opened */
};

struct fake_store {
    bool asynchronous;
    bool gates;                      /* concerts of a reset are closed at first */
    struct stored_concert *concerts; /* concert n at [n - 1] */
    int64_t concerts_max;
    int64_t last_concert_id;
    char **member_names; /* member n at [n - 1]; NULL: "Member n" */
    int64_t member_names_max;
    int64_t members_count;
    uint32_t record_count;
    uint32_t *record_index; /* positions + 1, open addressing */
    struct record *records;
};

/* NULL when there is none. */
struct record *fake_store_record(const struct fake_store *store, const struct resv_id *id);
struct stored_concert *fake_store_concert(const struct fake_store *store, int64_t id);

/* AUDIT, and RECONCILE of one concert. */
enum resv_outcome fake_store_audit(const struct fake_store *store, struct resv_op *op);
enum resv_outcome fake_store_reconcile(struct fake_store *store, struct resv_op *op);

#endif
