/* Opening listeners: addresses to sockets, systemd's sockets, stale unix sockets. */
#include "server/listen.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include "config/address.h"
#include "config/command_line.h"
#include "config/server_options.h"
#include "server/systemd.h"

#define OTHER_FILES 512 /* admin and refused connections, the store's files, the loop's own */

struct opening {
    struct http_server *server;
    uv_loop_t *loop;
    enum listener_kind kind;
    const char *option;
    struct listen_result *result;
    bool closed;        /* nothing is to listen: the API of a consumer */
    bool may_be_public; /* keys are asked for, or auth = off was written out */
};

static void note(struct opening *opening, const char *text, const char *for_curl)
{
    struct listen_result *result = opening->result;
    char *list = opening->kind == LISTENER_API ? result->api : result->admin;
    char *first = opening->kind == LISTENER_API ? result->first_api : result->first_admin;
    size_t used = strlen(list);
    snprintf(list + used, LISTEN_TEXT_SIZE - used, "%s%s", used > 0 ? "," : "", text);
    if (first[0] == '\0')
        snprintf(first, LISTEN_TEXT_SIZE, "%s", for_curl);
}

static void fail(struct opening *opening, const char *where, int error)
{
    const char *way_out = error == UV_EADDRINUSE
                              ? "something listens there already: stop it, or choose another"
                              : "choose another";
    opening->result->exit_code = error == UV_EADDRINUSE ? EXIT_CODE_UNREACHABLE : EXIT_CODE_CONFIG;
    snprintf(opening->result->message, sizeof(opening->result->message),
             "cannot listen on %s: %s; %s with [server] %s", where, uv_strerror(error), way_out,
             opening->option);
}

/* A socket file that nobody listens on any more is what a killed server leaves behind. */
static void remove_stale_socket(const char *path)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(name.sun_path))
        return;
    struct stat status;
    if (lstat(path, &status) != 0 || !S_ISSOCK(status.st_mode))
        return; /* whatever it is, it is not ours to remove */
    strcpy(name.sun_path, path);
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0)
        return;
    if (connect(probe, (struct sockaddr *)&name, sizeof(name)) != 0 && errno == ECONNREFUSED)
        unlink(path);
    close(probe);
}

static bool open_path(struct opening *opening, const struct address *address)
{
    char where[ADDRESS_TEXT_SIZE];
    char curl[ADDRESS_TEXT_SIZE + 32];
    address_format(address, where, sizeof(where));
    remove_stale_socket(address->path);
    int error = http_server_listen_path(opening->server, opening->kind, address->path);
    if (error != 0) {
        fail(opening, where, error);
        return false;
    }
    snprintf(curl, sizeof(curl), "--unix-socket %s http://localhost", address->path);
    note(opening, where, curl);
    return true;
}

static bool open_resolved(struct opening *opening, const struct addrinfo *found,
                          const struct address *address)
{
    char where[ADDRESS_TEXT_SIZE];
    char curl[ADDRESS_TEXT_SIZE + 32];
    struct address shown = *address;
    for (; found != NULL; found = found->ai_next) {
        int error = http_server_listen_address(opening->server, opening->kind, found->ai_addr,
                                               found->ai_family == AF_INET6);
        if (error != 0) {
            address_format(address, where, sizeof(where));
            fail(opening, where, error);
            return false;
        }
        shown.port = http_server_port(opening->server);
        uv_ip_name(found->ai_addr, shown.host, sizeof(shown.host));
        address_format(&shown, where, sizeof(where));
        snprintf(curl, sizeof(curl), "http://%s", where);
        note(opening, where, curl);
    }
    return true;
}

static bool open_name(struct opening *opening, const struct address *address)
{
    char port[8];
    snprintf(port, sizeof(port), "%u", address->port);
    struct addrinfo hints = {
        .ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC, .ai_flags = AI_PASSIVE};
    uv_getaddrinfo_t request;
    int error = uv_getaddrinfo(opening->loop, &request, NULL, address->host, port, &hints);
    if (error != 0) {
        fail(opening, address->host, error);
        return false;
    }
    bool opened = open_resolved(opening, request.addrinfo, address);
    uv_freeaddrinfo(request.addrinfo);
    return opened;
}

static bool open_list(struct opening *opening, const char *list)
{
    struct address addresses[ADDRESS_LIST_MAX];
    char why[256];
    size_t count = address_parse_list(list, addresses, ADDRESS_LIST_MAX, why, sizeof(why));
    for (size_t i = 0; i < count; i++) {
        bool opened = addresses[i].kind == ADDRESS_UNIX ? open_path(opening, &addresses[i])
                                                        : open_name(opening, &addresses[i]);
        if (!opened)
            return false;
    }
    return true;
}

/* The rule of server_options_check, for sockets that are not in the configuration. */
static bool socket_is_public(int socket)
{
    struct sockaddr_storage name;
    socklen_t size = sizeof(name);
    struct address address = {.kind = ADDRESS_TCP};
    if (getsockname(socket, (struct sockaddr *)&name, &size) != 0 || name.ss_family == AF_UNIX)
        return false;
    uv_ip_name((struct sockaddr *)&name, address.host, sizeof(address.host));
    return !address_is_loopback(&address);
}

static bool open_socket(struct opening *opening, int socket)
{
    char text[64];
    if (opening->closed) {
        opening->result->exit_code = EXIT_CODE_CONFIG;
        snprintf(opening->result->message, sizeof(opening->result->message),
                 "systemd socket %d is for the API, which [server] role = consumer does not serve; "
                 "leave the socket out, or the role",
                 socket);
        return false;
    }
    if (!opening->may_be_public && socket_is_public(socket)) {
        opening->result->exit_code = EXIT_CODE_CONFIG;
        snprintf(opening->result->message, sizeof(opening->result->message),
                 "other machines can reach systemd socket %d, and no api_keys are given; give "
                 "[server] api_keys or api_keys_file, or write out auth = off",
                 socket);
        return false;
    }
    int error = http_server_listen_socket(opening->server, opening->kind, socket);
    snprintf(text, sizeof(text), "systemd socket %d", socket);
    if (error != 0) {
        fail(opening, text, error);
        return false;
    }
    note(opening, text, text);
    return true;
}

void listen_open(struct http_server *server, struct uv_loop_s *loop, const struct config *config,
                 struct listen_result *result)
{
    bool may_be_public = server_options_may_be_public(config);
    bool consumer = config_choice(config, &server_options, SERVER_ROLE) == RESV_ROLE_CONSUMER;
    struct opening api = {.server = server,
                          .loop = loop,
                          .kind = LISTENER_API,
                          .option = "listen",
                          .result = result,
                          .closed = consumer,
                          .may_be_public = may_be_public};
    struct opening admin = api;
    admin.kind = LISTENER_ADMIN;
    admin.option = "admin_listen";
    admin.closed = false;
    *result = (struct listen_result){0};
    if (consumer)
        strcpy(result->api, "none");
    struct systemd_sockets sockets;
    systemd_take_sockets(&sockets);
    bool api_given = false;
    bool admin_given = false;
    for (size_t i = 0; i < sockets.count; i++) {
        bool is_admin = strcmp(sockets.names[i], "admin") == 0;
        if (!open_socket(is_admin ? &admin : &api, sockets.first + (int)i))
            return;
        api_given = api_given || !is_admin;
        admin_given = admin_given || is_admin;
    }
    if (!consumer && !api_given &&
        !open_list(&api, config_string(config, &server_options, SERVER_LISTEN)))
        return;
    if (!admin_given)
        open_list(&admin, config_string(config, &server_options, SERVER_ADMIN_LISTEN));
}

bool listen_raise_file_limit(size_t connections, size_t *limit)
{
    struct rlimit files;
    size_t needed = connections + OTHER_FILES;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return true;
    if (files.rlim_cur < needed) {
        files.rlim_cur = needed < files.rlim_max ? needed : files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
        getrlimit(RLIMIT_NOFILE, &files);
    }
    *limit = files.rlim_cur > OTHER_FILES ? (size_t)files.rlim_cur - OTHER_FILES : 1;
    return files.rlim_cur >= needed;
}
