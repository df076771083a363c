/* The one-line mistakes of async that the simulation puts back, by the names that RESV_FAULT asks
 * for; the table is of the shape of common/faults.h. */
#ifndef RESVD_ASYNC_FAULTS_H
#define RESVD_ASYNC_FAULTS_H

/* clang-format off */
#define ASYNC_FAULTS(FAULT)                                                                        \
    FAULT(accepted_before_the_log, "async",                                                        \
          "ACCEPTED is said when Redis has taken the seat, before the delivery report")            \
    FAULT(refusal_after_lost_answer, "async",                                                      \
          "a refusal is said though a call whose answer was lost may yet take the seat")           \
    FAULT(key_without_look, "async",                                                               \
          "a key's row is not looked for: what Redis says is enough, though it may have forgotten") \
    FAULT(undo_what_is_shared, "async",                                                            \
          "the seat of an event that is somebody else's too is given back")                        \
    FAULT(undo_what_may_be_in_the_log, "async",                                                    \
          "the seat of an event that is possibly persisted is given back")                         \
    FAULT(undo_gives_back_twice, "async",                                                          \
          "an undo gives back twice as many seats as were taken")                                  \
    FAULT(no_second_look, "async",                                                                 \
          "not found is said when an id is not pending, without another look for its row")         \
    FAULT(not_found_though_forgotten, "async",                                                     \
          "not found is said though Redis has lost what was pending, and not all of it has rows")  \
    FAULT(release_before_its_reservation, "async",                                                 \
          "a release is published without the reservation, whose event may not be in the log yet") \
    FAULT(release_does_not_mark, "async",                                                          \
          "a reservation that a release publishes, too, is not marked in Redis")                   \
    FAULT(sweep_does_not_mark, "async",                                                            \
          "an event that the sweep publishes again is not marked in Redis")                        \
    FAULT(position_by_itself, "async",                                                             \
          "a batch has no transaction: its position is committed before its rows are")             \
    FAULT(decides_without_locks, "async",                                                          \
          "position and concerts are read without their locks")                                    \
    FAULT(settle_without_position, "async",                                                        \
          "a settle is believed however old it is")                                                \
    FAULT(settles_what_was_rolled_back, "async",                                                   \
          "a batch whose transaction failed is settled like one that was committed")               \
    FAULT(settles_what_is_not_durable, "async",                                                    \
          "what somebody else has applied is settled before it is on disk")                        \
    FAULT(complete_before_its_end, "async",                                                        \
          "a gate is opened behind a barrier from before Redis lost what was pending")
/* clang-format on */

#endif
