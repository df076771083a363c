/* What every conformance test stands on: one strategy under a real host and a real loop.
 *
 * Two ways of driving it. Through the dispatcher, as core does: request_* functions. Or with the
 * harness in the dispatcher's place (seam_* functions), to see the seam itself: when completions
 * come, how often, and what cancel does.
 */
#ifndef TESTS_CONFORMANCE_HARNESS_H
#define TESTS_CONFORMANCE_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "op/dispatch.h"
#include "resvd/strategy.h"

#define HARNESS_DEADLINE_MS 20000
#define HARNESS_GRACE_MS    20000

struct harness;

/* From the command line: strategy name, then --section.key=value, where {tmp} stands for a folder
 * that is new for each test, and {NAME} for a variable of the environment that says where a server
 * is: its store is emptied for each test. False after saying what is wrong. */
bool harness_arguments(int argc, char **argv);

/* cmocka set-up and tear-down: a fresh instance that has started, with the dispatcher; tear-down
 * drains and closes it and asserts that the loop closes clean and that the audit was consistent. */
int harness_set_up(void **state);
int harness_tear_down(void **state);
/* The same with the harness in the dispatcher's place. */
int harness_set_up_seam(void **state);

/* For tests that need other limits than the usual: closes what set-up made, starts anew. */
void harness_restart(struct harness *harness, const struct dispatcher_config *config);
/* Closes and opens the same store again. */
void harness_reopen(struct harness *harness);

struct dispatcher *harness_dispatcher(struct harness *harness);
const struct resv_strategy *harness_strategy(void);
/* The store outlives close. */
bool harness_is_durable(void);

/* --- through the dispatcher --------------------------------------------------------------------
 */

struct request {
    struct harness *harness;
    struct resv_op *op; /* NULL once done */
    enum resv_op_kind kind;
    struct resv_id id;
    enum resv_outcome outcome;
    struct resv_reservation reservation;
    struct resv_catalog_request catalog;
    unsigned completions;
};

void make_id(struct harness *harness, struct resv_id *id);

/* False: the pool is used up. The request must stay where it is until it is done. */
bool request_reserve(struct harness *harness, struct request *request, const struct resv_id *key,
                     int64_t concert_id, int64_t member_id, int64_t quantity);
bool request_of_id(struct harness *harness, struct request *request, enum resv_op_kind kind,
                   const struct resv_id *id);
/* request->catalog is filled by the caller, and holds the result once done; request_free frees what
 * it points to. */
bool request_catalog(struct harness *harness, struct request *request, enum resv_op_kind kind,
                     int64_t concert_id, int64_t member_id);
void request_free(struct request *request);
void request_client_gone(struct request *request);

/* Turns the loop until nothing is under way; fails the test after 20 s. */
void harness_run_until_idle(struct harness *harness);
/* One turn of the loop, without waiting. */
void harness_turn(struct harness *harness);
/* done calls of operations whose client had gone. */
unsigned harness_done_without_client(const struct harness *harness);

/* --- whole steps: ask, run until done, give the outcome -----------------------------------------
 */

/* With an asynchronous strategy again while it is UNAVAILABLE: a concert's gate opens when somebody
 * asks. */
enum resv_outcome reserve(struct harness *harness, struct request *request,
                          const struct resv_id *key, int64_t concert_id, int64_t member_id,
                          int64_t quantity);
enum resv_outcome release(struct harness *harness, const struct resv_id *id);
enum resv_outcome look_up(struct harness *harness, const struct resv_id *id,
                          struct resv_reservation *reservation);
/* With an asynchronous strategy it also opens the gates, so that requests at once are sold to. */
void reset(struct harness *harness, int64_t concerts, int64_t members, int64_t capacity);
/* The concert as the catalog shows it; fails the test when there is none. */
struct resv_concert get_concert(struct harness *harness, int64_t concert_id);
/* Sets `fields` of it. With an asynchronous strategy a new member limit is in force behind this:
 * what it had accepted until it heard of the limit would be rejected later. */
enum resv_outcome update_concert(struct harness *harness, struct resv_concert *concert,
                                 unsigned fields);
/* Asynchronous strategies only: the numbers are made anew. With RESV_STORED the line is filled. */
enum resv_outcome reconcile(struct harness *harness, int64_t concert_id,
                            struct resv_audit_line *line);
/* What an asynchronous strategy still has to apply is applied, and gates that are closed are
 * opened; the audit is consistent, or the test fails. */
void settle(struct harness *harness);
struct resv_audit_line audit_of(struct harness *harness, int64_t concert_id);

static inline bool is_granted(enum resv_outcome outcome)
{
    return outcome == RESV_GRANTED || outcome == RESV_ACCEPTED;
}
static inline bool is_released(enum resv_outcome outcome)
{
    return outcome == RESV_RELEASED || outcome == RESV_RELEASE_ACCEPTED;
}
/* A refusal that may go away by itself: the caller tries again. */
static inline bool is_try_again(enum resv_outcome outcome)
{
    return outcome == RESV_CONTENDED || outcome == RESV_UNAVAILABLE;
}

/* --- the seam itself ----------------------------------------------------------------------------
 */

struct seam_op {
    struct resv_op op;
    unsigned completions;
    bool taken;
};

/* Puts the operation in front of submit, now, and asserts that it is not completed inside; when
 * submit says busy, again when the strategy is ready for more. op.kind and the rest are filled. */
void seam_submit(struct harness *harness, struct seam_op *op);
void seam_cancel(struct harness *harness, struct seam_op *op, enum resv_cancel_reason reason);
void seam_run_until_complete(struct harness *harness);
/* Calls drain; with run, until the strategy says that it has drained. */
void seam_drain(struct harness *harness, uint64_t deadline_ms);
bool seam_drained(const struct harness *harness);
void seam_run_until_drained(struct harness *harness);
void seam_op_init(struct seam_op *op, enum resv_op_kind kind);
void seam_op_free(struct seam_op *op);

#endif
