/* Why a RESERVE with a transaction of its own is not granted now: what `pessimistic` and `naive`
 * say when they will not, or cannot, insert its row.
 *
 * The order of what is said is that of every strategy: the first answer of this id, if its row is
 * there; then unknown concert, unknown member, and the refusal itself. The works are those of
 * base_work_start; both functions end in an answer. */
#ifndef RESVD_COMMON_REFUSAL_H
#define RESVD_COMMON_REFUSAL_H

#include "common/base.h"

/* UNKNOWN_CONCERT, SOLD_OUT or LIMIT, found inside the open transaction, which is rolled back. */
void refusal_explain(struct work *work, enum resv_outcome refusal);

/* What an INSERT's run leaves to its owner: see work_try. */
#define REFUSALS_OF_INSERT (WORK_DECIDES(DATABASE_DUPLICATE) | WORK_DECIDES(DATABASE_NO_PARENT))

/* The INSERT ended as DUPLICATE or NO_PARENT; the transaction is open and rolled back. The concert
 * was read in it: a missing parent is the member. */
void refusal_of_insert(struct work *work, enum database_result result);

#endif
