/* The cheapest server that there can be, to find the load generator's own ceiling.
 *
 *   fixed_answer PORT
 *
 * One epoll loop on 127.0.0.1. It looks at the first request of a connection only to learn how long
 * requests are (the load sends them all alike), then gives one fixed answer for every so many
 * bytes, all those of one read in one write. What wrk reaches against it, wrk and the loopback
 * device can reach at most on this machine with one server thread. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define DESCRIPTORS_MAX 16384
#define READ_BYTES      65536
#define ANSWERS_MAX     256 /* in one write */
#define EVENTS_MAX      512

/* As long as resvd's own. */
static const char answer[] =
    "HTTP/1.1 201 Created\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
    "Content-Type: application/json\r\nContent-Length: 106\r\n"
    "Location: /api/reservations/00000000-0000-7000-8000-000000000000\r\n\r\n"
    "{\"id\":\"00000000-0000-7000-8000-000000000000\",\"concertId\":1,\"memberId\":7,"
    "\"quantity\":1,\"status\":\"CONFIRMED\"}";
#define ANSWER_BYTES (sizeof answer - 1)

static struct peer {
    size_t request_bytes; /* 0: not known yet */
    size_t pending_bytes; /* received and not answered */
} peers[DESCRIPTORS_MAX];

static char read_buffer[READ_BYTES + 1];
static char answers[ANSWERS_MAX * ANSWER_BYTES];

static void fail(const char *doing)
{
    fprintf(stderr, "fixed_answer: %s: %s\n", doing, strerror(errno));
    exit(1);
}

/* Bytes of the request at the start of the text, 0 when its head is not whole. */
static size_t measure_request(const char *text)
{
    const char *end = strstr(text, "\r\n\r\n");
    const char *length = strcasestr(text, "\r\nContent-Length:");
    if (end == NULL)
        return 0;
    size_t body = length == NULL || length > end ? 0 : strtoul(length + 17, NULL, 10);
    return (size_t)(end - text) + 4 + body;
}

/* False: the connection is to be closed. The load waits for its answers, so the socket's own
 * buffer always takes them. */
static bool give_answers(int descriptor, size_t count)
{
    while (count > 0) {
        size_t now = count < ANSWERS_MAX ? count : ANSWERS_MAX;
        ssize_t written = send(descriptor, answers, now * ANSWER_BYTES, MSG_NOSIGNAL);
        if (written != (ssize_t)(now * ANSWER_BYTES))
            return false;
        count -= now;
    }
    return true;
}

static bool serve(int descriptor)
{
    struct peer *peer = &peers[descriptor];
    ssize_t size = recv(descriptor, read_buffer, READ_BYTES, 0);
    if (size <= 0)
        return size < 0 && errno == EAGAIN;
    if (peer->request_bytes == 0) {
        read_buffer[size] = '\0';
        peer->request_bytes = measure_request(read_buffer);
        if (peer->request_bytes == 0)
            return false;
    }
    peer->pending_bytes += (size_t)size;
    size_t count = peer->pending_bytes / peer->request_bytes;
    peer->pending_bytes -= count * peer->request_bytes;
    return give_answers(descriptor, count);
}

static int listen_on(const char *port)
{
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)strtoul(port, NULL, 10)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0)
        fail("bind");
    if (listen(listener, 4096) != 0)
        fail("listen");
    return listener;
}

static void accept_all(int poller, int listener)
{
    int descriptor;
    while ((descriptor = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        if (descriptor >= DESCRIPTORS_MAX) {
            close(descriptor);
            continue;
        }
        int on = 1;
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        peers[descriptor] = (struct peer){0};
        struct epoll_event event = {.events = EPOLLIN, .data.fd = descriptor};
        if (epoll_ctl(poller, EPOLL_CTL_ADD, descriptor, &event) != 0)
            fail("epoll_ctl");
    }
}

int main(int count, char **arguments)
{
    if (count != 2) {
        fprintf(stderr, "usage: fixed_answer PORT\n");
        return 64;
    }
    for (size_t i = 0; i < ANSWERS_MAX; i++)
        memcpy(answers + i * ANSWER_BYTES, answer, ANSWER_BYTES);
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    int listener = listen_on(arguments[1]);
    int poller = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    if (poller < 0 || epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event) != 0)
        fail("epoll");
    for (;;) {
        struct epoll_event events[EVENTS_MAX];
        int ready = epoll_wait(poller, events, EVENTS_MAX, -1);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.fd == listener)
                accept_all(poller, listener);
            else if (!serve(events[i].data.fd))
                close(events[i].data.fd);
        }
    }
}
