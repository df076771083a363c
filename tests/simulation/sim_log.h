/* The simulated server's log: which commits are on disk, and what a crash loses. */
#ifndef SIMULATION_LOG_H
#define SIMULATION_LOG_H

#include "sim_server.h"

void log_open(struct sim_server *server);
/* The connection's transaction, while its rows and locks are still listed and before it is applied;
 * or an empty one. connection->committed_at says where in the log it is. */
void log_commit(struct sim_connection *connection);
bool log_is_durable(const struct sim_server *server, uint64_t position);
/* What is done otherwise than by log_commit is on disk at once, and so all before it. */
void log_flush_all(struct sim_server *server);
/* Nobody is connected any more. */
void log_crash(struct sim_server *server);

#endif
