/* Error numbers of MariaDB and MySQL in our terms. No I/O.
 *
 * Up to 1999 both servers mean the same by a number, but for those of CHECK constraints and of
 * what came after the fork: MariaDB numbers these from 4000, MySQL from 3000. */
#include "mariadb_session_internal.h"

struct meaning {
    unsigned error;
    enum database_result result;
};

/* By number. What is not listed was refused and took nothing: FAILED. */
static const struct meaning meanings[] = {
    {1020, DATABASE_DEADLOCK}, /* MariaDB 11.6.2 on: row changed since the snapshot; rolled back */
    {1022, DATABASE_DUPLICATE}, {1048, DATABASE_REFUSED}, /* NULL for what cannot be: how
                                                             TAKE_SEATS_OR_FAIL fails */
    {1053, DATABASE_LOST},                                /* server shutdown in progress */
    {1062, DATABASE_DUPLICATE}, {1077, DATABASE_LOST},    /* normal shutdown */
    {1079, DATABASE_LOST},                                /* shutdown complete */
    {1152, DATABASE_LOST},                                /* aborted connection */
    {1158, DATABASE_LOST}, /* 1158 to 1161: reading from or writing to us failed */
    {1159, DATABASE_LOST},      {1160, DATABASE_LOST},     {1161, DATABASE_LOST},
    {1184, DATABASE_LOST},      /* aborted connection */
    {1205, DATABASE_LOCK_WAIT}, /* lock wait timeout; the transaction is still open */
    {1213, DATABASE_DEADLOCK},  /* rolled back */
    {1216, DATABASE_NO_PARENT}, {1317, DATABASE_LOST}, /* query interrupted: who did that may kill
                                                          the session next */
    {1452, DATABASE_NO_PARENT}, {1613, DATABASE_DEADLOCK}, /* XA or group replication: rolled back
                                                              as a victim */
    {1614, DATABASE_DEADLOCK},  {1927, DATABASE_LOST},     /* MariaDB: connection was killed */
    {3101, DATABASE_DEADLOCK},  /* MySQL: group replication rolled back */
    {3168, DATABASE_LOST},      /* MySQL: server isn't available */
    {3169, DATABASE_LOST},      /* MySQL: session was killed */
    {3572, DATABASE_LOCK_WAIT}, /* MySQL: NOWAIT is set; MariaDB says 1205 */
    {3819, DATABASE_REFUSED},   /* MySQL: a CHECK constraint is violated */
    {4025, DATABASE_REFUSED},   /* MariaDB: a CHECK constraint failed */
    {4031, DATABASE_LOST},      /* MySQL: the client was disconnected because of inactivity */
};

enum database_result mariadb_result_of_error(unsigned error)
{
    /* The client library's, and our own: the connection cannot be used further. */
    if ((error >= 2000 && error < 3000) || (error >= 5000 && error < 5100) ||
        error >= MARIADB_ERROR_TIMEOUT)
        return DATABASE_LOST;
    if (error == 0)
        return DATABASE_DONE;
    size_t first = 0, last = sizeof meanings / sizeof meanings[0];
    while (first < last) {
        size_t middle = (first + last) / 2;
        if (meanings[middle].error == error)
            return meanings[middle].result;
        if (meanings[middle].error < error)
            first = middle + 1;
        else
            last = middle;
    }
    return DATABASE_FAILED;
}

bool mariadb_error_is_crowded(unsigned error)
{
    switch (error) {
    case 1040: /* too many connections */
    case 1203: /* too many of this user: max_user_connections of the server */
    case 1226: /* the user's own limit */
        return true;
    default:
        return false;
    }
}

bool mariadb_error_refuses_writes(unsigned error)
{
    switch (error) {
    case 1021: /* disk full */
    case 1114: /* table is full */
    case 1290: /* --read-only, --super-read-only */
    case 1785: /* replication's rules */
    case 1792: /* read-only transaction */
    case 1836: /* read-only mode */
    case 3100: /* MySQL: a replication plugin said no */
    case 3675: /* MySQL: the tablespace is full */
        return true;
    default:
        return false;
    }
}
