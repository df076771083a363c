/* resvd_reserve: one reservation in one round trip, its transaction included.
 *
 * The concert's row is always locked first, as by every other transaction: the INSERT's foreign key
 * takes a shared lock on it, so that two who began with the INSERT would deadlock. Mostly the
 * conditional UPDATE is that lock and the decision in one. Where it changes nothing, or the INSERT
 * fails, the second half looks why; and a concert with a member limit is decided there. A row that
 * was there before is told when it is on disk for certain: its own COMMIT may not be, yet. Taking
 * seats raises the concert's fence (database.h).
 *
 * Results are the numbers of enum mariadb_call_code, then the row's concert, member, quantity and
 * status. Errors keep their numbers; one at COMMIT becomes 1180 (error during COMMIT), for then it
 * is not known what was taken.
 */
#include "mariadb_schema.h"

#define INSERT_RESERVATION                                                                         \
    "INSERT INTO reservations (id, concert_id, member_id, quantity, status, created_at, "          \
    "updated_at) VALUES (p_id, p_concert_id, p_member_id, p_quantity, 2, p_created_at, "           \
    "p_created_at);"

#define TAKE_IT                                                                                    \
    "  IF p_hold_ms > 0 THEN DO SLEEP(p_hold_ms / 1000); END IF;\n"                                \
    "  BEGIN\n"                                                                                    \
    "    DECLARE CONTINUE HANDLER FOR 1062 SET v_failed = 1062;\n"                                 \
    "    DECLARE CONTINUE HANDLER FOR 1452, 1216 SET v_failed = 1452;\n"                           \
    "    " INSERT_RESERVATION "\n"                                                                 \
    "  END;\n"                                                                                     \
    "  IF v_failed = 0 THEN\n"                                                                     \
    "    SET v_committing = 1;\n"                                                                  \
    "    COMMIT;\n"                                                                                \
    "    SELECT 0, p_concert_id, p_member_id, p_quantity, 2;\n"                                    \
    "    LEAVE reserve;\n"                                                                         \
    "  END IF;\n"                                                                                  \
    "  ROLLBACK;\n"

const char mariadb_procedure_text[] =
    "resvd_reserve(\n"
    "  IN p_concert_id BIGINT, IN p_id BINARY(16), IN p_member_id BIGINT,\n"
    "  IN p_quantity BIGINT, IN p_created_at BIGINT, IN p_hold_ms BIGINT)\n"
    "  MODIFIES SQL DATA SQL SECURITY INVOKER COMMENT 'resvd 3'\n"
    "reserve: BEGIN\n"
    "  DECLARE v_failed INT DEFAULT 0;\n"
    "  DECLARE v_committing INT DEFAULT 0;\n"
    "  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN\n"
    "    IF v_committing = 1 THEN\n"
    "      SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1180, MESSAGE_TEXT = 'COMMIT failed';\n"
    "    END IF;\n"
    "    ROLLBACK;\n"
    "    RESIGNAL;\n"
    "  END;\n"
    "  START TRANSACTION;\n"
    "  UPDATE concerts SET sold = sold + p_quantity, fence = fence + 1\n"
    "    WHERE id = p_concert_id AND member_limit = 0 AND sold + p_quantity <= capacity;\n"
    "  IF ROW_COUNT() = 1 THEN\n" TAKE_IT
    "    IF v_failed = 1452 THEN\n" /* the concert is there: so it is the member */
    "      SELECT 5;\n"
    "      LEAVE reserve;\n"
    "    END IF;\n"
    "    START TRANSACTION;\n"
    "  END IF;\n"
    /* With the lock (if there is such a concert), so that nothing changes while looking. A block of
     * its own: its variables cost nothing where it is not entered. */
    " BEGIN\n"
    "  DECLARE v_capacity, v_sold, v_limit, v_seats, v_member BIGINT;\n"
    "  DECLARE v_concert_id, v_member_id, v_quantity, v_status BIGINT;\n"
    "  SELECT capacity, sold, member_limit INTO v_capacity, v_sold, v_limit\n"
    "    FROM concerts WHERE id = p_concert_id FOR UPDATE;\n"
    "  SELECT concert_id, member_id, quantity, status\n"
    "    INTO v_concert_id, v_member_id, v_quantity, v_status\n"
    "    FROM reservations WHERE id = p_id;\n"
    "  IF v_concert_id IS NOT NULL THEN\n"
    "    ROLLBACK;\n"
    "    " MARIADB_SYNC_TEXT ";\n"
    "    SELECT 1, v_concert_id, v_member_id, v_quantity, v_status;\n"
    "    LEAVE reserve;\n"
    "  END IF;\n"
    "  IF v_failed = 1062 THEN\n" /* was there a moment ago: a reset came between */
    "    SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213, MESSAGE_TEXT = 'try again';\n"
    "  END IF;\n"
    "  IF v_capacity IS NULL THEN\n"
    "    ROLLBACK;\n"
    "    SELECT 4;\n"
    "    LEAVE reserve;\n"
    "  END IF;\n"
    "  SELECT id INTO v_member FROM members WHERE id = p_member_id;\n"
    "  IF v_member IS NULL THEN\n"
    "    ROLLBACK;\n"
    "    SELECT 5;\n"
    "    LEAVE reserve;\n"
    "  END IF;\n"
    "  IF v_sold + p_quantity > v_capacity THEN\n"
    "    ROLLBACK;\n"
    "    SELECT 2;\n"
    "    LEAVE reserve;\n"
    "  END IF;\n"
    "  IF v_limit > 0 THEN\n"
    "    SELECT COALESCE(SUM(quantity), 0) INTO v_seats FROM reservations\n"
    "      WHERE concert_id = p_concert_id AND member_id = p_member_id AND status IN (1, 2);\n"
    "    IF v_seats + p_quantity > v_limit THEN\n"
    "      ROLLBACK;\n"
    "      SELECT 3;\n"
    "      LEAVE reserve;\n"
    "    END IF;\n"
    "  END IF;\n"
    "  UPDATE concerts SET sold = sold + p_quantity, fence = fence + 1\n"
    "    WHERE id = p_concert_id;\n" TAKE_IT
    /* The id came in by another concert's transaction, or the member went, just now. */
    "  SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213, MESSAGE_TEXT = 'try again';\n"
    " END;\n"
    "END";
