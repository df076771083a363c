/* Why a start has failed, in one line that names the setting to change and the way out. The
 * password is never part of it: servers and libraries do not repeat it, and neither does this. */
#include <stdio.h>
#include <string.h>

#include <errmsg.h>

#include "mariadb_session_internal.h"

struct place {
    char text[320]; /* "MariaDB at db.example:3306" */
    const char *settings;
};

static struct place place_of(const struct database_link *link)
{
    struct place place;
    const struct mariadb_settings *settings = &link->settings;
    if (settings->socket[0] != '\0') {
        snprintf(place.text, sizeof place.text, "the database at the socket %s", settings->socket);
        place.settings = "[database] socket";
    } else {
        bool is_v6 = strchr(settings->host, ':') != NULL;
        snprintf(place.text, sizeof place.text, "the database at %s%s%s:%u", is_v6 ? "[" : "",
                 settings->host, is_v6 ? "]" : "", settings->port);
        place.settings = "[database] host and port";
    }
    return place;
}

static int say_login(const struct mariadb_settings *settings, unsigned error,
                     const char *server_message, char *text, size_t size)
{
    const char *user = settings->user;
    const char *name = settings->name;
    switch (error) {
    case 1045: /* access denied, wrong password */
    case 1698: /* access denied: the account has no password but another plugin */
        snprintf(text, size,
                 "%s: set [database] user and password to an account of the server, or make "
                 "it there: CREATE USER '%s'@'%%' IDENTIFIED BY '…'; GRANT ALL ON `%s`.* TO "
                 "'%s'@'%%'",
                 server_message, user, name, user);
        break;
    case 1130: /* host is not allowed */
        snprintf(text, size,
                 "%s: the server has no account for the machine that resvd runs on: CREATE USER "
                 "'%s'@'%%' IDENTIFIED BY '…'; GRANT ALL ON `%s`.* TO '%s'@'%%', or connect from "
                 "another ([database] host)",
                 server_message, user, name, user);
        break;
    case 1049: /* unknown database */
        snprintf(text, size,
                 "%s: set [database] name, or make it on the server: CREATE DATABASE `%s` "
                 "CHARACTER SET utf8mb4; GRANT ALL ON `%s`.* TO '%s'@'%%'",
                 server_message, name, name, user);
        break;
    case 1044: /* access denied to the database */
    case 1142: /* command denied for a table */
    case 1143:
    case 1227: /* a privilege is needed */
    case 1370: /* denied for a routine */
    case 1419: /* creating routines needs SUPER or log_bin_trust_function_creators */
        snprintf(text, size,
                 "%s: give [database] user its rights on the server: GRANT ALL ON `%s`.* TO "
                 "'%s'@'%%'%s",
                 server_message, name, user,
                 error == 1419 ? "; SET GLOBAL log_bin_trust_function_creators = 1" : "");
        break;
    case 1820: /* the password must be changed */
    case 1862: /* the password has expired */
    case 4151: /* MariaDB: the account is locked */
    case 3118: /* MySQL: the same */
        snprintf(text, size, "%s: unlock [database] user '%s' on the server or set another",
                 server_message, user);
        break;
    default:
        return 0;
    }
    return MARIADB_EXIT_CONFIG;
}

static int say_client(const struct mariadb_settings *settings, unsigned error,
                      const char *server_message, char *text, size_t size)
{
    switch (error) {
    case CR_AUTH_PLUGIN_CANNOT_LOAD:
    case CR_AUTH_PLUGIN_ERR:
    case CR_PLUGIN_NOT_ALLOWED: /* its words name the plugin wrongly */
        snprintf(text, size,
                 "%s%sthe account's authentication plugin cannot be used over this connection: for "
                 "caching_sha2_password set [database] ssl_mode = required or "
                 "get_server_public_key = on, else ALTER USER '%s'@'%%' IDENTIFIED WITH another",
                 error == CR_PLUGIN_NOT_ALLOWED ? "" : server_message,
                 error == CR_PLUGIN_NOT_ALLOWED ? "" : ": ", settings->user);
        return MARIADB_EXIT_CONFIG;
    case CR_SSL_CONNECTION_ERROR:
        snprintf(text, size,
                 "%s: look at [database] ssl_mode, ssl_ca, ssl_cert and ssl_key; verify_identity "
                 "wants a certificate for '%s'",
                 server_message, settings->host);
        return MARIADB_EXIT_CONFIG;
    case MARIADB_ERROR_TLS_MISSING:
        snprintf(
            text, size,
            "the server offers no TLS: give it a certificate (ssl_cert, ssl_key there), or set "
            "[database] ssl_mode = off if nobody can listen in between");
        return MARIADB_EXIT_CONFIG;
    case 3159: /* both: connections using insecure transport are prohibited */
    case 4227:
        snprintf(text, size, "%s: set [database] ssl_mode = required", server_message);
        return MARIADB_EXIT_CONFIG;
    case MARIADB_ERROR_SERVER:
        snprintf(text, size, "%s", server_message);
        return MARIADB_EXIT_CONFIG;
    default:
        return 0;
    }
}

static void say_unreachable(const struct place *place, const struct mariadb_settings *settings,
                            unsigned error, const char *server_message, char *text, size_t size)
{
    switch (error) {
    case MARIADB_ERROR_TIMEOUT:
        snprintf(text, size,
                 "%s within %llu ms: is it running and not stalled, and is nothing in between? "
                 "(%s, connect_timeout_ms)",
                 server_message, (unsigned long long)settings->connect_timeout_ms, place->settings);
        return;
    case MARIADB_ERROR_RESOLVE:
        snprintf(text, size, "the name '%s' was not found (%s): correct [database] host",
                 settings->host, server_message);
        return;
    case 1040:
    case 1203:
    case 1226:
        snprintf(text, size,
                 "%s: raise the server's max_connections (or the user's own), or lower [database] "
                 "pool_max and catalog_pool",
                 server_message);
        return;
    default:
        snprintf(text, size, "%s: is it running? (%s)", server_message, place->settings);
        return;
    }
}

int mariadb_explain_start_error(const struct database_link *link, unsigned error,
                                const char *server_message, char *text, size_t text_size)
{
    char reason[640];
    struct place place = place_of(link);
    int exit_code = say_login(&link->settings, error, server_message, reason, sizeof reason);
    if (exit_code == 0)
        exit_code = say_client(&link->settings, error, server_message, reason, sizeof reason);
    if (exit_code == 0) {
        exit_code = MARIADB_EXIT_UNAVAILABLE;
        say_unreachable(&place, &link->settings, error, server_message, reason, sizeof reason);
    }
    snprintf(text, text_size, "%s: %s", place.text, reason);
    return exit_code;
}
