/* What front.c and ids.c, which decide on answers, share. */
#ifndef RESVD_ASYNC_FRONT_H
#define RESVD_ASYNC_FRONT_H

#include "async.h"

/* What is pending, as a reservation. */
void front_fill_pending(struct resv_op *op, const struct event *event, bool replay);
/* Of a value of KEY_PENDING. False: it is no RESERVE, which is all that can be pending. */
bool front_read_pending(struct redis_text text, struct event *event);
/* The text that is to be published: such a value's event, which was read; or a new one. */
void front_set_text(struct resv_op *op, struct redis_text text, const struct event *event);
void front_write_text(struct async *async, struct resv_op *op, enum event_kind kind,
                      int64_t concert_id);
/* The rows are looked at (known.c). */
void front_look(struct async *async, struct resv_op *op);

/* Of a RESERVE whose key says it is pending: answers, and says true, when that is another one. */
bool reserve_is_of_another(struct async *async, struct resv_op *op, const struct event *pending);

/* --- ids.c: what front.c is told of a RELEASE --------------------------------------------------
 */

void release_known(struct async *async, struct resv_op *op, const struct known_row *known);
void release_published(struct async *async, struct resv_op *op, enum kafka_result result);

#endif
