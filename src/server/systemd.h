/* What systemd offers and wants, without its library: sd_listen_fds(3) and sd_notify(3). */
#ifndef RESVD_SERVER_SYSTEMD_H
#define RESVD_SERVER_SYSTEMD_H

#include <stddef.h>

#define SYSTEMD_SOCKETS_MAX    16
#define SYSTEMD_NAME_BYTES_MAX 63

struct systemd_sockets {
    int first; /* descriptor of the first one; the others follow */
    size_t count;
    char names[SYSTEMD_SOCKETS_MAX][SYSTEMD_NAME_BYTES_MAX + 1]; /* FileDescriptorName= */
};

/* Once; the environment variables are removed so that no child takes them for its own. */
void systemd_take_sockets(struct systemd_sockets *sockets);
/* "READY=1", "STOPPING=1"; does nothing when nobody listens. */
void systemd_notify(const char *state);

#endif
