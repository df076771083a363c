/* The one-line mistakes that the simulation puts back, by the names that RESV_FAULT asks for.
 *
 * FAULT(name, strategies, sentence): where it does harm ("procedure" is pessimistic's form), and
 * what is done wrong then. Where a lost session keeps the concert locked until its COMMIT, nobody
 * has to end it: so no_end_session is not listed for pessimistic. A strategy with mistakes of its
 * own has a table of the same shape beside its code.
 */
#ifndef RESVD_COMMON_FAULTS_H
#define RESVD_COMMON_FAULTS_H

/* clang-format off */
#define COMMON_FAULTS(FAULT)                                                                       \
    FAULT(lost_commit_is_nothing_taken, "pessimistic procedure grouped redlock",                   \
          "a COMMIT whose answer was lost counts as not executed")                                 \
    FAULT(lost_commit_is_granted, "pessimistic procedure grouped redlock",                         \
          "a COMMIT whose answer was lost counts as executed")                                     \
    FAULT(no_end_session, "procedure grouped redlock",                                             \
          "the next attempt begins while the lost session may still execute its COMMIT")           \
    FAULT(given_up_in_doubt_is_nothing_taken, "pessimistic procedure grouped redlock",             \
          "a work given up in doubt says UNAVAILABLE instead of UNKNOWN")                          \
    FAULT(no_rollback_after_lock_wait, "pessimistic grouped redlock",                              \
          "after a lock wait the next attempt begins on the open transaction, which BEGIN commits") \
    FAULT(go_on_after_deadlock, "pessimistic procedure grouped redlock",                           \
          "after a deadlock the rest of the steps runs on, each statement committing by itself")   \
    FAULT(release_twice_gives_back_twice, "pessimistic procedure grouped redlock async",           \
          "a release gives seats back without asking whether its row was still live")              \
    FAULT(release_answers_before_commit, "pessimistic procedure grouped redlock",                  \
          "a release is answered without its COMMIT")                                              \
    FAULT(replay_not_compared, "pessimistic grouped redlock",                                      \
          "a row with the operation's id is its first answer, whatever it was for")                \
    FAULT(answer_before_commit, "pessimistic",                                                     \
          "GRANTED is said when the row is inserted, without the COMMIT")                          \
    FAULT(take_without_condition, "pessimistic",                                                   \
          "the concert is read without its lock and the sum written back without a condition")     \
    FAULT(limit_before_lock, "pessimistic",                                                        \
          "the member's seats are counted before the concert is locked")                           \
    FAULT(sold_out_without_look, "pessimistic",                                                    \
          "sold out is said without looking for the row of this id")                               \
    FAULT(replay_without_sync, "pessimistic procedure grouped redlock",                            \
          "a row that is there is told although its COMMIT may not be on disk yet")                \
    FAULT(release_again_without_sync, "pessimistic procedure grouped redlock",                     \
          "released is said although the release that did it may not be on disk yet")              \
    FAULT(fence_left_alone, "pessimistic procedure grouped",                                       \
          "seats are taken and the concert's fence stays as it was")                               \
    FAULT(ignore_quantity_in_fit, "grouped",                                                       \
          "each reservation counts as one seat in what fits and in what is taken")                 \
    FAULT(limit_ignores_group, "grouped redlock",                                                  \
          "a member's seats granted before in the same group do not count for the limit")          \
    FAULT(replay_counts_again, "grouped redlock",                                                  \
          "an answer that is given again takes its seats again")
/* clang-format on */

#endif
