/* Scripts as Redis runs them: Lua 5.1 without its globals, redis.call, and the conversions between
 * replies and values.
 *
 * One state serves all worlds, with every script compiled once: nothing of a run is left in it,
 * since scripts cannot write globals, here as there. */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resvd/assert.h"
#include "sim_redis.h"

#define ARGUMENTS_MAX 1024

static lua_State *lua;
static struct sim_redis_node *running; /* whose script runs just now */

/* --- from replies to values ------------------------------------------------------------------- */

static void push_words(const char *field, struct redis_text words)
{
    lua_newtable(lua);
    lua_pushlstring(lua, words.bytes, words.size);
    lua_setfield(lua, -2, field);
}

static void push_reply(const struct redis_reply *reply)
{
    switch (reply->kind) {
    case REPLY_NIL:
        lua_pushboolean(lua, 0);
        break;
    case REPLY_INTEGER:
        lua_pushnumber(lua, (lua_Number)reply->integer);
        break;
    case REPLY_TEXT:
        lua_pushlstring(lua, reply->text.bytes, reply->text.size);
        break;
    case REPLY_STATUS:
        push_words("ok", reply->text);
        break;
    case REPLY_ERROR:
        push_words("err", reply->text);
        break;
    case REPLY_LIST:
        luaL_checkstack(lua, 3, "a list in a list in a list");
        lua_createtable(lua, (int)reply->count, 0);
        for (size_t i = 0; i < reply->count; i++) {
            push_reply(&reply->items[i]);
            lua_rawseti(lua, -2, (int)i + 1);
        }
        break;
    }
}

/* --- from values to replies ------------------------------------------------------------------- */

/* The field of the table on top, when it is a string. */
static bool take_words(struct redis_reply *reply, const char *field, enum reply_kind kind)
{
    lua_pushstring(lua, field);
    lua_rawget(lua, -2);
    bool is_there = lua_type(lua, -1) == LUA_TSTRING;
    if (is_there) {
        size_t size;
        const char *bytes = lua_tolstring(lua, -1, &size);
        reply_text(reply, kind, bytes, size);
    }
    lua_pop(lua, 1);
    return is_there;
}

static void take_value(struct redis_reply *reply);

/* Up to the first that is nil. */
static void take_list(struct redis_reply *reply)
{
    size_t count = 0;
    for (bool more = true; more; count += more) {
        lua_rawgeti(lua, -1, (int)count + 1);
        more = !lua_isnil(lua, -1);
        lua_pop(lua, 1);
    }
    reply_list(reply, count);
    luaL_checkstack(lua, 2, "a list in a list in a list");
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(lua, -1, (int)i + 1);
        take_value(&reply->items[i]);
        lua_pop(lua, 1);
    }
}

/* The value on top. */
static void take_value(struct redis_reply *reply)
{
    size_t size;
    *reply = (struct redis_reply){.kind = REPLY_NIL};
    switch (lua_type(lua, -1)) {
    case LUA_TSTRING: {
        const char *bytes = lua_tolstring(lua, -1, &size);
        reply_text(reply, REPLY_TEXT, bytes, size);
        break;
    }
    case LUA_TBOOLEAN:
        if (lua_toboolean(lua, -1))
            reply_integer(reply, 1);
        break;
    case LUA_TNUMBER:
        reply_integer(reply, (int64_t)lua_tonumber(lua, -1));
        break;
    case LUA_TTABLE:
        if (!take_words(reply, "err", REPLY_ERROR) && !take_words(reply, "ok", REPLY_STATUS))
            take_list(reply);
        break;
    default:
        break;
    }
}

/* --- redis.call ------------------------------------------------------------------------------- */

/* Copies of the arguments: false when one is neither a string nor a number. */
static bool copy_arguments(struct redis_text *arguments, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int type = lua_type(lua, (int)i + 1);
        size_t size;
        if (type == LUA_TNUMBER) {
            char buffer[64];
            int length = snprintf(buffer, sizeof buffer, "%.17g", lua_tonumber(lua, (int)i + 1));
            arguments[i] = text_copy(buffer, (size_t)length);
        } else if (type == LUA_TSTRING) {
            const char *bytes = lua_tolstring(lua, (int)i + 1, &size);
            arguments[i] = text_copy(bytes, size);
        } else {
            while (i > 0)
                text_free(arguments[--i]);
            return false;
        }
    }
    return true;
}

/* The result, or a table with "err", is on top. */
static void call_command(bool *failed)
{
    size_t count = (size_t)lua_gettop(lua);
    struct redis_text arguments[ARGUMENTS_MAX];
    struct redis_reply reply = {.kind = REPLY_NIL};
    RESV_ASSERT(count <= ARGUMENTS_MAX);
    if (count == 0) {
        reply_error(&reply, "ERR Please specify at least one argument for this redis lib call");
    } else if (!copy_arguments(arguments, count)) {
        reply_error(&reply, "ERR Lua redis lib command arguments must be strings or integers");
    } else {
        command_run(&(struct command_call){
            .node = running, .arguments = arguments, .count = count, .reply = &reply});
        for (size_t i = 0; i < count; i++)
            text_free(arguments[i]);
    }
    *failed = reply.kind == REPLY_ERROR;
    push_reply(&reply);
    reply_free(&reply);
}

static int redis_call_function(lua_State *state)
{
    bool failed;
    call_command(&failed);
    return failed ? lua_error(state) : 1;
}

static int redis_pcall_function(lua_State *state)
{
    bool failed;
    (void)state;
    call_command(&failed);
    return 1;
}

/* "-CODE words" and "CODE words" have a code, a single word has not. */
static int error_reply(lua_State *state)
{
    size_t size;
    const char *words = luaL_checklstring(state, 1, &size);
    if (words[0] == '-') {
        words++;
        size--;
    }
    lua_newtable(state);
    if (memchr(words, ' ', size) == NULL)
        lua_pushfstring(state, "ERR %s", words);
    else
        lua_pushlstring(state, words, size);
    lua_setfield(state, -2, "err");
    return 1;
}

static int status_reply(lua_State *state)
{
    luaL_checkstring(state, 1);
    lua_newtable(state);
    lua_pushvalue(state, 1);
    lua_setfield(state, -2, "ok");
    return 1;
}

/* --- the state -------------------------------------------------------------------------------- */

static int no_such_global(lua_State *state)
{
    return luaL_error(state, "Script attempted to access nonexistent global variable '%s'",
                      lua_tostring(state, 2));
}

static int no_new_global(lua_State *state)
{
    return luaL_error(state, "Attempt to modify a readonly table");
}

/* What would bring in something that the seed does not decide, or that Redis does not have. */
static void remove_globals(void)
{
    static const char *const names[] = {"dofile",   "loadfile", "print",
                                        "newproxy", "module",   "require"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        lua_pushnil(lua);
        lua_setglobal(lua, names[i]);
    }
    lua_getglobal(lua, "math");
    lua_pushnil(lua);
    lua_setfield(lua, -2, "random");
    lua_pushnil(lua);
    lua_setfield(lua, -2, "randomseed");
    lua_pop(lua, 1);
}

static void open_library(lua_CFunction library, const char *name)
{
    lua_pushcfunction(lua, library);
    lua_pushstring(lua, name);
    lua_call(lua, 1, 0);
}

static void open_state(void)
{
    static const luaL_Reg functions[] = {{"call", redis_call_function},
                                         {"pcall", redis_pcall_function},
                                         {"error_reply", error_reply},
                                         {"status_reply", status_reply},
                                         {NULL, NULL}};
    lua = luaL_newstate();
    RESV_ASSERT(lua != NULL);
    open_library(luaopen_base, "");
    open_library(luaopen_table, LUA_TABLIBNAME);
    open_library(luaopen_string, LUA_STRLIBNAME);
    open_library(luaopen_math, LUA_MATHLIBNAME);
    remove_globals();
    luaL_register(lua, "redis", functions);
    lua_pop(lua, 1);
    lua_pushvalue(lua, LUA_GLOBALSINDEX);
    lua_createtable(lua, 0, 2);
    lua_pushcfunction(lua, no_such_global);
    lua_setfield(lua, -2, "__index");
    lua_pushcfunction(lua, no_new_global);
    lua_setfield(lua, -2, "__newindex");
    lua_setmetatable(lua, -2);
    lua_pop(lua, 1);
}

/* --- running ---------------------------------------------------------------------------------- */

/* The compiled script is on top. */
static void push_script(const struct redis_script *script)
{
    lua_pushlightuserdata(lua, (void *)(uintptr_t)script->text);
    lua_rawget(lua, LUA_REGISTRYINDEX);
    if (!lua_isnil(lua, -1))
        return;
    lua_pop(lua, 1);
    if (luaL_loadbuffer(lua, script->text, strlen(script->text), "@user_script") != 0) {
        fprintf(stderr, "the script %s does not compile: %s\n", script->name,
                lua_tostring(lua, -1));
        abort();
    }
    lua_pushlightuserdata(lua, (void *)(uintptr_t)script->text);
    lua_pushvalue(lua, -2);
    lua_rawset(lua, LUA_REGISTRYINDEX);
}

static void set_texts(const char *name, const struct redis_text *texts, size_t count)
{
    lua_pushstring(lua, name);
    lua_createtable(lua, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        lua_pushlstring(lua, texts[i].bytes, texts[i].size);
        lua_rawseti(lua, -2, (int)i + 1);
    }
    lua_rawset(lua, LUA_GLOBALSINDEX);
}

/* What was raised is on top: by redis.call a table, by Lua itself a text. */
static void take_failure(struct redis_reply *reply, const struct redis_script *script)
{
    char words[512];
    if (lua_istable(lua, -1))
        lua_getfield(lua, -1, "err");
    else
        lua_pushfstring(lua, "ERR %s", lua_tostring(lua, -1));
    snprintf(words, sizeof words, "%s script: %s", lua_tostring(lua, -1), script->name);
    reply_error(reply, words);
}

void script_run(struct sim_redis_node *node, struct sim_sent *sent)
{
    if (lua == NULL)
        open_state();
    RESV_ASSERT(running == NULL);
    running = node;
    node->now_ms = node_clock_ms(node);
    node->caller = sent->host;
    node->script_wrote = false;
    push_script(sent->script);
    set_texts("KEYS", sent->keys, sent->keys_count);
    set_texts("ARGV", sent->arguments, sent->arguments_count);
    if (node->refusal == NODE_BUSY && node->world->schedule.now_ns < node->refuses_until_ns)
        reply_error(&sent->reply, "BUSY Redis is busy running a script.");
    else if (lua_pcall(lua, 0, 1, 0) == 0)
        take_value(&sent->reply);
    else
        take_failure(&sent->reply, sent->script);
    lua_settop(lua, 0);
    running = NULL;
}
