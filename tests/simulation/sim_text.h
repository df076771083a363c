/* Words for traces and violations. All static, or valid until a few more calls. */
#ifndef SIMULATION_TEXT_H
#define SIMULATION_TEXT_H

#include "database.h"
#include "resvd/op.h"

const char *database_result_text(enum database_result result);
const char *sim_outcome_text(enum resv_outcome outcome);
const char *sim_kind_text(enum resv_op_kind kind);
/* "a1b2c3d4", the last bytes. */
const char *sim_id_text(const struct resv_id *id);

#endif
