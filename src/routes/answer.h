/* Giving answers: each answer_* function below fills the answer, counts it and tells the HTTP
 * layer, so that the call must not be touched afterwards.
 *
 * What is special (Location, Allow, …) is set in call->answer between answer_start and them.
 */
#ifndef RESVD_ROUTES_ANSWER_H
#define RESVD_ROUTES_ANSWER_H

#include <cjson/cJSON.h>
#include <stdint.h>

#include "routes/call.h"
#include "routes/problems.h"
#include "text.h"

/* Forgets the last answer; its inline body is left as it is. */
void answer_start(struct call *call);

/* No body. */
void answer_empty(struct call *call, uint16_t status);
void answer_static(struct call *call, uint16_t status, enum content_type type, struct text body);
/* `size` bytes of call->answer.inline_body. */
void answer_inline(struct call *call, uint16_t status, enum content_type type, size_t size);
/* Takes `heap`; NULL (out of memory) answers 503. */
void answer_heap(struct call *call, uint16_t status, enum content_type type, char *heap,
                 size_t size);
/* Prints and frees the item; NULL (out of memory) answers 503. */
void answer_json(struct call *call, uint16_t status, enum content_type type, cJSON *item);

/* With the default detail: costs no allocation. */
void answer_problem(struct call *call, enum problem problem);
/* `detail` NULL for the default; `id` of the reservation, or NULL; `errors`, an array of field and
 * detail, is taken, NULL for none. */
void answer_problem_with(struct call *call, enum problem problem, const char *detail,
                         const struct resv_id *id, cJSON *errors);

#endif
