/* What is said on a new connection, in one write: who we are, what the server is, our scripts.
 *
 *   AUTH ► CLIENT SETNAME ► CONFIG GET ► INFO ► SCRIPT LOAD, … ──► up
 *
 * CONFIG GET may be forbidden: it only serves a warning.
 */
#include <stdio.h>
#include <string.h>

#include "redis_internal.h"
#include "resvd/assert.h"

#define CLIENT_NAME "resvd"

static bool has_login(const struct redis_link *link)
{
    return link->settings.user[0] != '\0' || link->settings.password[0] != '\0';
}

unsigned redis_login_put(struct redis_link *link, struct redis_buffer *output, const char *name)
{
    bool logs_in = has_login(link);
    if (logs_in) {
        bool named = link->settings.user[0] != '\0';
        redis_put_command(output, named ? 3 : 2);
        redis_put_text(output, "AUTH");
        if (named)
            redis_put_text(output, link->settings.user);
        redis_put_text(output, link->settings.password);
    }
    redis_put_command(output, 3);
    redis_put_text(output, "CLIENT");
    redis_put_text(output, "SETNAME");
    redis_put_text(output, name);
    return logs_in ? 2 : 1;
}

void redis_put_load(struct redis_buffer *output, const struct redis_script *script)
{
    redis_put_command(output, 3);
    redis_put_text(output, "SCRIPT");
    redis_put_text(output, "LOAD");
    redis_put_text(output, script->text);
}

void redis_login_start(struct redis_node *node)
{
    struct redis_link *link = node->link;
    struct redis_buffer *output = redis_connection_output(node->connection);
    redis_login_put(link, output, CLIENT_NAME);
    if (has_login(link))
        redis_pipeline_add(node, ENTRY_AUTH, 0);
    redis_pipeline_add(node, ENTRY_SETNAME, 0);
    redis_put_command(output, 3);
    redis_put_text(output, "CONFIG");
    redis_put_text(output, "GET");
    redis_put_text(output, "appendfsync");
    redis_pipeline_add(node, ENTRY_CONFIG, 0);
    redis_put_command(output, 1);
    redis_put_text(output, "INFO");
    redis_pipeline_add(node, ENTRY_INFO, 0);
    for (size_t i = 0; i < link->scripts_count; i++) {
        redis_put_load(output, link->config.scripts[i]);
        redis_pipeline_add(node, ENTRY_LOAD, i);
    }
    node->facts = (struct redis_facts){0};
}

/* --- answers -------------------------------------------------------------------------------------
 */

static void lose_for_error(struct redis_node *node, enum redis_entry_kind kind, const char *text)
{
    char words[REDIS_WORDS_SIZE];
    bool final = false;
    int exit_code = 0;
    redis_error_explain_login(node, kind, text, &final, &exit_code, words, sizeof words);
    redis_node_lose(node, exit_code, final, words);
}

/* Only because it is not allowed to, or does not know it: who is not logged in is told so. */
static bool may_fail(enum redis_entry_kind kind, const char *text)
{
    return (kind == ENTRY_CONFIG || kind == ENTRY_SETNAME) &&
           (strncmp(text, "NOPERM", 6) == 0 || strncmp(text, "ERR unknown", 11) == 0);
}

static void on_info(struct redis_node *node, struct redis_text info)
{
    char why[REDIS_WORDS_SIZE];
    bool final = true;
    int exit_code = REDIS_EXIT_CONFIG;
    if (info.bytes == NULL) {
        redis_node_lose(node, REDIS_EXIT_CONFIG, true, "it does not say what it is (INFO)");
        return;
    }
    if (!redis_check_info(node, info.bytes, &final, &exit_code, why, sizeof why)) {
        redis_node_lose(node, exit_code, final, why);
        return;
    }
    redis_check_warn(node, info.bytes);
}

static void on_load(struct redis_node *node, size_t script, const struct redis_reply *reply)
{
    struct redis_link *link = node->link;
    if (reply->text.bytes == NULL || reply->text.size != REDIS_SHA1_SIZE - 1) {
        redis_node_lose(node, REDIS_EXIT_CONFIG, true, "it does not load scripts as Redis does");
        return;
    }
    memcpy(link->sha1[script], reply->text.bytes, REDIS_SHA1_SIZE);
    if (script + 1 == link->scripts_count)
        redis_node_is_up(node);
}

void redis_login_answer(struct redis_node *node, enum redis_entry_kind kind, size_t script,
                        const struct redis_reply *reply)
{
    if (reply->kind == REDIS_KIND_ERROR) {
        if (!may_fail(kind, reply->text.bytes))
            lose_for_error(node, kind, reply->text.bytes);
        return;
    }
    switch (kind) {
    case ENTRY_AUTH:
    case ENTRY_SETNAME:
        return;
    case ENTRY_CONFIG: {
        struct redis_text value = redis_reply_text(reply, 1);
        if (value.bytes != NULL)
            snprintf(node->facts.appendfsync, sizeof node->facts.appendfsync, "%s", value.bytes);
        return;
    }
    case ENTRY_INFO:
        on_info(node, redis_reply_text(reply, 0));
        return;
    case ENTRY_LOAD:
        on_load(node, script, reply);
        return;
    case ENTRY_CALL:
    case ENTRY_PING:
    case ENTRY_PROBE_LOAD:
    case ENTRY_PROBE:
        break;
    }
    RESV_ASSERT(!"not of a login");
}
