/* Opening the listeners that the configuration names. */
#ifndef RESVD_SERVER_LISTEN_H
#define RESVD_SERVER_LISTEN_H

#include "config/config.h"
#include "http/http_server.h"

struct uv_loop_s;

#define LISTEN_TEXT_SIZE 1024

struct listen_result {
    int exit_code;              /* 0 when all are open */
    char message[512];          /* what is wrong, and the way out */
    char api[LISTEN_TEXT_SIZE]; /* where the API listens, ports resolved, comma-separated */
    char admin[LISTEN_TEXT_SIZE];
    char first_api[LISTEN_TEXT_SIZE]; /* the first API listener as curl wants it */
    char first_admin[LISTEN_TEXT_SIZE];
};

/* A consumer opens the admin listeners only. From systemd's sockets where there are any, else from
 * [server] listen and admin_listen. Host names are resolved here, before anything is served. */
void listen_open(struct http_server *server, struct uv_loop_s *loop, const struct config *config,
                 struct listen_result *result);

/* Raises the limit on open files for so many connections. False, with the limit that there is. */
bool listen_raise_file_limit(size_t connections, size_t *limit);

#endif
