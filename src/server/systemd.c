/* systemd's protocols: sockets by environment, readiness by a datagram. */
#include "server/systemd.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define FIRST_DESCRIPTOR 3

static void take_names(struct systemd_sockets *sockets, const char *names)
{
    for (size_t i = 0; i < sockets->count && names != NULL; i++) {
        size_t size = strcspn(names, ":");
        size_t kept = size < SYSTEMD_NAME_BYTES_MAX ? size : SYSTEMD_NAME_BYTES_MAX;
        memcpy(sockets->names[i], names, kept);
        names = names[size] == ':' ? names + size + 1 : NULL;
    }
}

void systemd_take_sockets(struct systemd_sockets *sockets)
{
    *sockets = (struct systemd_sockets){.first = FIRST_DESCRIPTOR};
    const char *pid = getenv("LISTEN_PID");
    const char *count = getenv("LISTEN_FDS");
    if (pid != NULL && count != NULL && strtol(pid, NULL, 10) == (long)getpid()) {
        long given = strtol(count, NULL, 10);
        if (given > 0 && given <= SYSTEMD_SOCKETS_MAX)
            sockets->count = (size_t)given;
        for (size_t i = 0; i < sockets->count; i++)
            fcntl(FIRST_DESCRIPTOR + (int)i, F_SETFD, FD_CLOEXEC);
        take_names(sockets, getenv("LISTEN_FDNAMES"));
    }
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
}

void systemd_notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    if (path == NULL || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof(name.sun_path))
        return;
    memcpy(name.sun_path, path, strlen(path));
    if (name.sun_path[0] == '@')
        name.sun_path[0] = '\0'; /* abstract */
    int notifier = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (notifier < 0)
        return;
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    sendto(notifier, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&name,
           size);
    close(notifier);
}
