/* What a server must be to be used, and which of its settings lose data without a word: from what
 * it says by INFO. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis_internal.h"

#define MAJOR_LEAST 6
#define MINOR_LEAST 2

/* The value of "\nkey:value\r\n"; "" when it is not there. */
static const char *value_of(const char *info, const char *key, char *value, size_t value_size)
{
    size_t key_size = strlen(key);
    value[0] = '\0';
    for (const char *line = info; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, key_size) == 0 && line[key_size] == ':') {
            const char *text = line + key_size + 1;
            snprintf(value, value_size, "%.*s", (int)strcspn(text, "\r\n"), text);
            break;
        }
    }
    return value;
}

static bool is_old(const char *version)
{
    unsigned major = 0, minor = 0;
    if (sscanf(version, "%u.%u", &major, &minor) != 2)
        return true;
    return major < MAJOR_LEAST || (major == MAJOR_LEAST && minor < MINOR_LEAST);
}

bool redis_check_info(struct redis_node *node, const char *info, bool *final, int *exit_code,
                      char *why, size_t why_size)
{
    struct redis_facts *facts = &node->facts;
    char value[128], other[128];
    *final = true;
    *exit_code = REDIS_EXIT_CONFIG;
    value_of(info, "redis_version", value, sizeof value);
    /* Valkey says which Redis it can replace, and then what it is. */
    bool is_valkey = value_of(info, "valkey_version", other, sizeof other)[0] != '\0';
    snprintf(facts->software, sizeof facts->software, "%s", is_valkey ? "Valkey" : "Redis");
    snprintf(facts->version, sizeof facts->version, "%.39s", is_valkey ? other : value);
    if (is_old(value)) {
        snprintf(why, why_size, "it is Redis %s: resvd needs Redis 6.2 or newer, or Valkey",
                 value[0] != '\0' ? value : "of an unknown version");
        return false;
    }
    value_of(info, "redis_mode", value, sizeof value);
    if (strcmp(value, "standalone") != 0 && value[0] != '\0') {
        snprintf(why, why_size, "it runs as %s: resvd needs a server of its own (standalone)",
                 value);
        return false;
    }
    *final = false;
    value_of(info, "role", value, sizeof value);
    if (strcmp(value, "master") != 0) {
        char port[16];
        value_of(info, "master_host", other, sizeof other);
        snprintf(why, why_size, "it is a replica of %s:%s: name that one in [redis]",
                 other[0] != '\0' ? other : "another",
                 value_of(info, "master_port", port, sizeof port));
        return false;
    }
    *exit_code = REDIS_EXIT_UNAVAILABLE;
    if (strcmp(value_of(info, "loading", value, sizeof value), "1") == 0) {
        value_of(info, "loading_loaded_perc", other, sizeof other);
        snprintf(why, why_size, "it is loading its data (%s%% done)", other);
        return false;
    }
    value_of(info, "run_id", value, sizeof value);
    snprintf(node->run_id, sizeof node->run_id, "%.40s", value);
    facts->known = true;
    return true;
}

/* --- warnings ------------------------------------------------------------------------------------
 */

static void add(char *text, size_t text_size, const char *words)
{
    size_t used = strlen(text);
    snprintf(text + used, text_size - used, "%s%s", used > 0 ? "; " : "", words);
}

/* One log line each time that what may be lost has changed. */
void redis_check_warn(struct redis_node *node, const char *info)
{
    char text[sizeof node->warned] = "";
    char value[64], words[192];
    bool keeps_stock = node->link->config.use == REDIS_STOCK;
    value_of(info, "maxmemory", value, sizeof value);
    bool is_limited = strtoull(value, NULL, 10) > 0;
    value_of(info, "maxmemory_policy", value, sizeof value);
    if (is_limited && value[0] != '\0' && strcmp(value, "noeviction") != 0) {
        snprintf(words, sizeof words,
                 "maxmemory-policy=%s drops %s when memory is full (set it to noeviction)", value,
                 keeps_stock ? "stock" : "locks that are held");
        add(text, sizeof text, words);
    }
    if (keeps_stock) {
        const char *fsync = node->facts.appendfsync;
        if (strcmp(value_of(info, "aof_enabled", value, sizeof value), "0") == 0)
            add(text, sizeof text,
                "appendonly=no: what was taken and not published is free again when it restarts, "
                "and all numbers are made anew (set it to yes)");
        else if (strcmp(fsync, "everysec") == 0)
            add(text, sizeof text,
                "appendfsync=everysec: when its machine loses power, seats given back in the last "
                "two seconds may be sold to who was told 503 (set it to always)");
        else if (strcmp(fsync, "no") == 0)
            add(text, sizeof text,
                "appendfsync=no: when its machine loses power, seats given back in the last half "
                "minute may be sold to who was told 503 (set it to always)");
    }
    if (strcmp(text, node->warned) == 0)
        return;
    memcpy(node->warned, text, sizeof text);
    if (text[0] != '\0')
        resv_log(node->link->host, RESV_LOG_WARNING, "Redis may lose what it was told", "node",
                 node->address->text, "server_setting", text, NULL);
}
