/* Who gets seats: in order of arrival, the first that fit.
 *
 * Invariant: the seats given by one call are never more than the concert had left, nor a member's
 * more than its limit leaves; a smaller request behind a larger one that did not fit may still fit;
 * and one refusal changes nothing for the others. */
#include "common/decide.h"

#include "resvd/assert.h"
#include "resvd/fault.h"

/* The order of refusals is that of all strategies: sold out goes before the member's limit. */
enum verdict decide_one(const struct decide_concert *concert, const struct request *request)
{
    const struct resv_op *op = request->op;
    const int64_t seats = RESV_FAULT(ignore_quantity_in_fit) ? 1 : op->quantity;
    if (request->found != NULL && request->found->found)
        return VERDICT_ROW;
    if (!concert->exists)
        return VERDICT_UNKNOWN_CONCERT;
    if (!request->member->found)
        return VERDICT_UNKNOWN_MEMBER;
    if (seats > concert->remaining)
        return VERDICT_SOLD_OUT;
    if (concert->member_limit != RESV_NO_MEMBER_LIMIT &&
        op->quantity > concert->member_limit - request->member->seats)
        return VERDICT_LIMIT;
    return VERDICT_TAKE;
}

static void take(struct decide_concert *concert, struct request *request, int64_t seats)
{
    const struct resv_op *op = request->op;
    concert->remaining -= seats;
    if (!RESV_FAULT(limit_ignores_group))
        request->member->seats += op->quantity;
    if (request->found == NULL)
        return;
    /* For a later request with the same id. */
    request->found->found = true;
    request->found->row = (struct resv_reservation){.concert_id = op->concert_id,
                                                    .member_id = op->member_id,
                                                    .quantity = op->quantity,
                                                    .status = RESV_STATUS_CONFIRMED};
}

int64_t decide_in_order(struct decide_concert *concert, struct request *requests, size_t count,
                        size_t *takers)
{
    const int64_t before = concert->remaining;
    *takers = 0;
    for (size_t i = 0; i < count; i++) {
        struct request *request = &requests[i];
        if (request->op == NULL)
            continue;
        request->verdict = decide_one(concert, request);
        if (request->verdict == VERDICT_TAKE) {
            take(concert, request, RESV_FAULT(ignore_quantity_in_fit) ? 1 : request->op->quantity);
            (*takers)++;
        } else if (request->verdict == VERDICT_ROW && RESV_FAULT(replay_counts_again)) {
            concert->remaining -= request->op->quantity;
        }
    }
    RESV_ASSERT(before < 0 || concert->remaining >= 0 || RESV_FAULT(replay_counts_again));
    return before - concert->remaining;
}
