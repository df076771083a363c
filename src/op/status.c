/* Names of a reservation's states, as clients see them. */
#include "resvd/assert.h"
#include "resvd/op.h"

const char *resv_status_name(enum resv_status status)
{
    static const char *const names[RESV_STATUS_COUNT] = {
        [RESV_STATUS_PENDING] = "PENDING",     [RESV_STATUS_HELD] = "HELD",
        [RESV_STATUS_CONFIRMED] = "CONFIRMED", [RESV_STATUS_CANCELLED] = "CANCELLED",
        [RESV_STATUS_EXPIRED] = "EXPIRED",     [RESV_STATUS_REJECTED] = "REJECTED",
    };
    RESV_ASSERT(status >= 0 && status < RESV_STATUS_COUNT);
    return names[status];
}
