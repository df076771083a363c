/* Error replies in our words: what is wrong there, and the way out. An error begins with a word in
 * capitals; of a command inside a script, Redis before 7 gives that word further behind.
 */
#include <stdio.h>
#include <string.h>

#include "redis_internal.h"
#include "resvd/assert.h"

#define SAY_AGAIN_NS (60000 * REDIS_NS_PER_MS)

struct error_kind {
    const char *word;
    const char *way_out;
};

enum {
    KIND_READONLY,
    KIND_NOSCRIPT,
    KIND_LOADING,
    KIND_BUSY,
    KIND_OOM,
    KIND_NOPERM,
    KIND_MISCONF,
    KIND_NOREPLICAS,
    KIND_NOAUTH,
    KIND_WRONGPASS,
    KIND_DENIED,
    KIND_MOVED,
    KIND_CLUSTERDOWN,
    KIND_OTHER,
    KINDS,
};
_Static_assert(KINDS <= REDIS_ERROR_KINDS, "each is remembered by node");

static const struct error_kind kinds[KINDS] = {
    [KIND_READONLY] = {"READONLY", "it is a replica: name its master in [redis]"},
    [KIND_NOSCRIPT] = {"NOSCRIPT", "somebody empties its scripts all the time: SCRIPT FLUSH"},
    [KIND_LOADING] = {"LOADING", "it is loading its data: it ends by itself"},
    [KIND_BUSY] = {"BUSY", "a script runs there for too long: SCRIPT KILL ends it"},
    [KIND_OOM] = {"OOM", "its memory is full: raise maxmemory there"},
    [KIND_NOPERM] = {"NOPERM", "[redis] user lacks the right there: give it the command, "
                               "its keys or channels by ACL SETUSER"},
    [KIND_MISCONF] = {"MISCONF", "it cannot write its snapshots: see its log and its disk"},
    [KIND_NOREPLICAS] = {"NOREPLICAS", "it has less replicas than its min-replicas-to-write"},
    [KIND_NOAUTH] = {"NOAUTH", "set [redis] password, and user if there is one"},
    [KIND_WRONGPASS] = {"WRONGPASS", "correct [redis] password, and user if there is one"},
    [KIND_DENIED] = {"DENIED", "it is in protected mode: set a password there and in [redis] "
                               "password"},
    [KIND_MOVED] = {"MOVED", "it is part of a cluster: resvd needs a server of its own"},
    [KIND_CLUSTERDOWN] = {"CLUSTERDOWN", "it is part of a cluster: resvd needs a server of its "
                                         "own"},
    [KIND_OTHER] = {"", "see the server's documentation of this error"},
};

static bool begins_with(const char *text, const char *word)
{
    size_t size = strlen(word);
    return strncmp(text, word, size) == 0 && (text[size] == ' ' || text[size] == '\0');
}

/* Of a command inside a script Redis 7 says it without its word; and in others by 7.2. */
static bool is_forbidden_inside(const char *text)
{
    return begins_with(text, "ERR") && (strstr(text, "The user executing the script can't") ||
                                        strstr(text, "ACL failure in script"));
}

static size_t kind_of(const char *text)
{
    for (size_t i = 0; i < KIND_OTHER; i++) {
        char inner[32];
        if (begins_with(text, kinds[i].word))
            return i;
        snprintf(inner, sizeof inner, ": -%s ", kinds[i].word);
        if (begins_with(text, "ERR") && strstr(text, inner) != NULL)
            return i;
    }
    return is_forbidden_inside(text) ? KIND_NOPERM : KIND_OTHER;
}

bool redis_error_is_readonly(const char *text)
{
    return kind_of(text) == KIND_READONLY;
}

bool redis_error_is_noperm(const char *text)
{
    return kind_of(text) == KIND_NOPERM;
}

bool redis_error_is_noscript(const char *text)
{
    return begins_with(text, kinds[KIND_NOSCRIPT].word);
}

void redis_error_say(struct redis_node *node, const char *where, const char *text)
{
    size_t kind = kind_of(text);
    uint64_t now_ns = resv_now_ns(node->link->host);
    uint64_t said_ns = node->error_said_ns[kind];
    if (said_ns != 0 && now_ns - said_ns < SAY_AGAIN_NS)
        return;
    node->error_said_ns[kind] = now_ns;
    char shown[REDIS_WORDS_SIZE];
    snprintf(shown, sizeof shown, "%.400s", text);
    resv_log(node->link->host, RESV_LOG_WARNING, "Redis refuses a call", "node",
             node->address->text, "call", where, "error", shown, "way_out", kinds[kind].way_out,
             NULL);
}

void redis_error_explain(const char *text, char *words, size_t words_size)
{
    snprintf(words, words_size, "%.300s: %s", text, kinds[kind_of(text)].way_out);
}

/* --- the login -----------------------------------------------------------------------------------
 */

static const char *name_of(enum redis_entry_kind kind)
{
    switch (kind) {
    case ENTRY_AUTH:
        return "AUTH";
    case ENTRY_SETNAME:
        return "CLIENT SETNAME";
    case ENTRY_INFO:
        return "INFO";
    case ENTRY_CONFIG:
        return "CONFIG GET";
    case ENTRY_LOAD:
        return "SCRIPT LOAD";
    case ENTRY_CALL:
    case ENTRY_PING:
    case ENTRY_PROBE_LOAD:
    case ENTRY_PROBE:
        break;
    }
    RESV_ASSERT(!"not of a login");
    return "";
}

void redis_error_explain_login(struct redis_node *node, enum redis_entry_kind kind,
                               const char *text, bool *final, int *exit_code, char *words,
                               size_t words_size)
{
    size_t found = kind_of(text);
    bool has_password = node->link->settings.password[0] != '\0';
    *final = found == KIND_NOPERM || found == KIND_NOAUTH || found == KIND_WRONGPASS ||
             found == KIND_DENIED;
    if (kind == ENTRY_AUTH && begins_with(text, "ERR") && strstr(text, "without any password")) {
        snprintf(words, words_size,
                 "it has no password: empty [redis] password, or set one there (%.120s)", text);
        *final = true;
    } else if (found == KIND_WRONGPASS) {
        snprintf(words, words_size, "it does not accept [redis] user and password (%.160s)", text);
    } else if (found == KIND_NOAUTH) {
        snprintf(words, words_size, "it wants a password: set [redis] password (%.120s)", text);
    } else if (found == KIND_NOPERM) {
        snprintf(words, words_size,
                 "[redis] user may not do %s: give it the right there by ACL SETUSER: commands, "
                 "keys and channels (%.160s)",
                 name_of(kind), text);
    } else if (kind == ENTRY_LOAD && strstr(text, "compiling") != NULL) {
        snprintf(words, words_size, "it does not understand our script: %.200s", text);
        *final = true;
    } else if (found == KIND_OTHER) {
        snprintf(words, words_size, "%s: %.200s", name_of(kind), text);
    } else {
        snprintf(words, words_size, "%s (%.160s)", kinds[found].way_out, text);
    }
    if (has_password && strstr(words, node->link->settings.password) != NULL)
        snprintf(words, words_size, "it refuses %s", name_of(kind));
    *exit_code = *final ? REDIS_EXIT_CONFIG : REDIS_EXIT_UNAVAILABLE;
}
