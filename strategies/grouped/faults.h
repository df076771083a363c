/* The one-line mistakes of grouped that the simulation puts back, by the names that RESV_FAULT asks
 * for; the table is of the shape of common/faults.h. */
#ifndef RESVD_GROUPED_FAULTS_H
#define RESVD_GROUPED_FAULTS_H

/* clang-format off */
#define GROUPED_FAULTS(FAULT)                                                                      \
    FAULT(answer_before_commit, "grouped",                                                         \
          "a group's answers are given when its rows are sent, without the COMMIT")                \
    FAULT(sold_out_from_memory, "grouped",                                                         \
          "sold out is said from what is remembered, without a look")                              \
    FAULT(in_doubt_goes_plain, "grouped",                                                          \
          "an attempt in doubt goes the usual ways and reads only the ids that are keys")          \
    FAULT(neighbours_granted_after_refusal, "grouped",                                             \
          "a group that the database refused as a whole is granted as a whole")                    \
    FAULT(take_without_condition, "grouped",                                                       \
          "the concert is read without its lock and the sum written back without a condition")     \
    FAULT(member_limit_before_lock, "grouped",                                                     \
          "the members' seats are counted before the concert is locked")
/* clang-format on */

#endif
