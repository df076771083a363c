/* The one-line mistakes of redlock that the simulation puts back, by the names that RESV_FAULT asks
 * for; the table is of the shape of common/faults.h.
 *
 * Those of the lock alone harm nobody as long as each write carries its token: they are seen by two
 * processes that hold one lock at a time, by locks that stay, or by waiters that nobody wakes. */
#ifndef RESVD_REDLOCK_FAULTS_H
#define RESVD_REDLOCK_FAULTS_H

/* clang-format off */
#define REDLOCK_FAULTS(FAULT)                                                                      \
    FAULT(no_fencing, "redlock",                                                                   \
          "the sum of what was read and what is sold is written back without a condition")         \
    FAULT(fence_ignored_for_limit, "redlock",                                                      \
          "seats of a concert with a member limit are taken without the token")                    \
    FAULT(neighbours_seats_refuse, "redlock",                                                      \
          "who did not fit because of others in the group is refused without another look")        \
    FAULT(remembered_over_a_crash, "redlock",                                                      \
          "what is remembered is written on though the database may have forgotten it in a crash") \
    FAULT(given_up_but_written, "redlock",                                                         \
          "in doubt, and with the lock lost, contended is said without a look for the rows")       \
    FAULT(validity_ignored, "redlock",                                                             \
          "a lock that was granted is held for valid until it is let go")                          \
    FAULT(held_without_majority, "redlock",                                                        \
          "one node that grants the lock is enough")                                               \
    FAULT(release_without_compare, "redlock",                                                      \
          "a release deletes the lock whoever has it")                                             \
    FAULT(value_reused, "redlock",                                                                 \
          "every attempt, of every process, has the same value")                                   \
    FAULT(lost_grant_not_released, "redlock",                                                      \
          "a node that has not answered is not told that the lock is let go")                      \
    FAULT(wake_up_lost, "redlock",                                                                 \
          "a lock that is held elsewhere is asked for again by no message and no timer")           \
    FAULT(limit_not_watched, "redlock",                                                            \
          "nobody looks whether a waiter's time is up")
/* clang-format on */

#endif
