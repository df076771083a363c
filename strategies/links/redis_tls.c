/* TLS to a Redis server, by OpenSSL where it is there; hiredis' own can check no name.
 *
 * tls = on: the certificate must be signed by tls_ca (or by an authority that the system trusts)
 * and be for the name or address that is connected to. tls = verify_ca: any name.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis_internal.h"

#ifdef RESVD_REDIS_TLS

#include <arpa/inet.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

/* What OpenSSL's names stand for. */
struct redis_tls_context {
    SSL_CTX *openssl;
    bool checks_name;
};
struct redis_tls {
    SSL *openssl;
};

bool redis_tls_is_built_in(void)
{
    return true;
}

/* --- the context ---------------------------------------------------------------------------------
 */

/* OpenSSL's own words are "system lib" and "PEM lib": so whether it can be read is asked before. */
static bool can_be_read(const char *key, const char *path, char *why, size_t why_size)
{
    struct stat facts;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    int error = descriptor < 0 || fstat(descriptor, &facts) != 0 ? errno : 0;
    if (error == 0 && S_ISDIR(facts.st_mode))
        error = EISDIR;
    if (descriptor >= 0)
        close(descriptor);
    if (error != 0)
        snprintf(why, why_size, "[redis] %s: %s cannot be read: %s", key, path,
                 uv_strerror(uv_translate_sys_error(error)));
    return error == 0;
}

/* Of what OpenSSL noted, the first that we have words for. */
static const char *words_of(unsigned long error)
{
    int library = ERR_GET_LIB(error), reason = ERR_GET_REASON(error);
    if (library == ERR_LIB_X509 && reason == X509_R_KEY_VALUES_MISMATCH)
        return "does not belong to tls_cert";
    if (library == ERR_LIB_PEM &&
        (reason == PEM_R_BAD_PASSWORD_READ || reason == PEM_R_PROBLEMS_GETTING_PASSWORD))
        return "is encrypted: resvd needs it without a pass phrase";
    if (library == ERR_LIB_PEM || library == ERR_LIB_ASN1 || reason == ERR_R_PEM_LIB ||
        (library == ERR_LIB_X509 && reason == X509_R_NO_CERTIFICATE_OR_CRL_FOUND))
        return "is not PEM, or not of what belongs there";
    return NULL;
}

static void say_error(const char *key, const char *path, char *why, size_t why_size)
{
    unsigned long error = 0;
    const char *words = NULL;
    const char *last = ERR_reason_error_string(ERR_peek_last_error());
    while (words == NULL && (error = ERR_get_error()) != 0)
        words = words_of(error);
    if (words == NULL)
        words = last != NULL ? last : "OpenSSL does not take it";
    snprintf(why, why_size, "[redis] %s: %s: %s", key, path, words);
    ERR_clear_error();
}

/* Else OpenSSL would ask for it at the terminal. */
static int no_pass_phrase(char *buffer, int size, int writes, void *data)
{
    (void)buffer;
    (void)size;
    (void)writes;
    (void)data;
    return -1;
}

static bool load_files(SSL_CTX *openssl, const struct redis_settings *settings, char *why,
                       size_t why_size)
{
    if (settings->tls_ca[0] == '\0') {
        if (SSL_CTX_set_default_verify_paths(openssl) != 1) {
            say_error("tls_ca", "the system's authorities", why, why_size);
            return false;
        }
    } else if (!can_be_read("tls_ca", settings->tls_ca, why, why_size)) {
        return false;
    } else if (SSL_CTX_load_verify_locations(openssl, settings->tls_ca, NULL) != 1) {
        say_error("tls_ca", settings->tls_ca, why, why_size);
        return false;
    }
    if (settings->tls_cert[0] == '\0')
        return true;
    if (!can_be_read("tls_cert", settings->tls_cert, why, why_size) ||
        !can_be_read("tls_key", settings->tls_key, why, why_size))
        return false;
    SSL_CTX_set_default_passwd_cb(openssl, no_pass_phrase);
    if (SSL_CTX_use_certificate_chain_file(openssl, settings->tls_cert) != 1) {
        say_error("tls_cert", settings->tls_cert, why, why_size);
        return false;
    }
    if (SSL_CTX_use_PrivateKey_file(openssl, settings->tls_key, SSL_FILETYPE_PEM) != 1) {
        say_error("tls_key", settings->tls_key, why, why_size);
        return false;
    }
    return true;
}

struct redis_tls_context *redis_tls_context_create(const struct redis_settings *settings, char *why,
                                                   size_t why_size)
{
    struct redis_tls_context *context = calloc(1, sizeof *context);
    ERR_clear_error();
    SSL_CTX *openssl = SSL_CTX_new(TLS_client_method());
    if (context == NULL || openssl == NULL) {
        snprintf(why, why_size, "out of memory");
        goto failed;
    }
    SSL_CTX_set_min_proto_version(openssl, TLS1_2_VERSION);
    SSL_CTX_set_verify(openssl, SSL_VERIFY_PEER, NULL);
    /* The buffer grows between tries, and moves. */
    SSL_CTX_set_mode(openssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (!load_files(openssl, settings, why, why_size))
        goto failed;
    context->openssl = openssl;
    context->checks_name = settings->tls == REDIS_TLS_ON;
    return context;
failed:
    SSL_CTX_free(openssl);
    free(context);
    return NULL;
}

void redis_tls_context_free(struct redis_tls_context *context)
{
    if (context == NULL)
        return;
    SSL_CTX_free(context->openssl);
    free(context);
}

/* --- one connection ------------------------------------------------------------------------------
 */

static bool is_address(const char *name)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

static bool set_name(SSL *openssl, const char *name, bool checks)
{
    bool numeric = is_address(name);
    /* As a name in the greeting, where it is one: RFC 6066 knows no addresses there. */
    if (!numeric && SSL_set_tlsext_host_name(openssl, name) != 1)
        return false;
    if (!checks)
        return true;
    if (numeric)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(openssl), name) == 1;
    return SSL_set1_host(openssl, name) == 1;
}

struct redis_tls *redis_tls_create(struct redis_tls_context *context, int descriptor,
                                   const char *name)
{
    struct redis_tls *tls = calloc(1, sizeof *tls);
    ERR_clear_error();
    SSL *openssl = SSL_new(context->openssl);
    if (tls == NULL || openssl == NULL || SSL_set_fd(openssl, descriptor) != 1 ||
        !set_name(openssl, name, context->checks_name)) {
        SSL_free(openssl);
        free(tls);
        return NULL;
    }
    SSL_set_connect_state(openssl);
    tls->openssl = openssl;
    return tls;
}

void redis_tls_free(struct redis_tls *tls)
{
    if (tls == NULL)
        return;
    SSL_free(tls->openssl); /* without a good-bye: the server needs none */
    ERR_clear_error();
    free(tls);
}

/* By whoever is in between, or by a server that goes away: not a matter of settings. */
static bool is_broken_off(int error)
{
    unsigned long first = ERR_peek_error();
#ifdef SSL_R_UNEXPECTED_EOF_WHILE_READING
    if (ERR_GET_REASON(first) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
        return true;
#endif
    return error == SSL_ERROR_SYSCALL || first == 0;
}

enum redis_io redis_tls_handshake(struct redis_tls *tls, char *why, size_t why_size)
{
    ERR_clear_error();
    errno = 0;
    int result = SSL_do_handshake(tls->openssl);
    if (result == 1)
        return REDIS_IO_DONE;
    int error = SSL_get_error(tls->openssl, result);
    if (error == SSL_ERROR_WANT_READ)
        return REDIS_IO_WANTS_READ;
    if (error == SSL_ERROR_WANT_WRITE)
        return REDIS_IO_WANTS_WRITE;
    long verified = SSL_get_verify_result(tls->openssl);
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    bool broke = verified == X509_V_OK && is_broken_off(error);
    if (verified != X509_V_OK)
        snprintf(why, why_size, "its certificate is not accepted: %s: see [redis] tls_ca, tls_name",
                 X509_verify_cert_error_string(verified));
    else if (broke)
        snprintf(why, why_size, "TLS failed: %s",
                 errno != 0 ? uv_strerror(uv_translate_sys_error(errno))
                            : "it closed the connection: is it a TLS port?");
    else
        snprintf(why, why_size, "TLS failed: %s: is it a TLS port, and does it want tls_cert?",
                 reason);
    ERR_clear_error();
    return broke ? REDIS_IO_FAILED : REDIS_IO_REFUSED;
}

static ssize_t after_error(struct redis_tls *tls, int result)
{
    int error = SSL_get_error(tls->openssl, result);
    ERR_clear_error();
    switch (error) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_SYSCALL:
        if (errno != 0 && errno != EAGAIN)
            return -1;
        return 0; /* closed without a good-bye */
    default:
        errno = EPROTO;
        return -1;
    }
}

ssize_t redis_tls_receive(struct redis_tls *tls, void *bytes, size_t size)
{
    ERR_clear_error();
    errno = 0;
    int result = SSL_read(tls->openssl, bytes, size > INT_MAX ? INT_MAX : (int)size);
    return result > 0 ? result : after_error(tls, result);
}

ssize_t redis_tls_send(struct redis_tls *tls, const void *bytes, size_t size)
{
    ERR_clear_error();
    errno = 0;
    int result = SSL_write(tls->openssl, bytes, size > INT_MAX ? INT_MAX : (int)size);
    if (result > 0)
        return result;
    ssize_t answer = after_error(tls, result);
    if (answer == 0) {
        errno = EPIPE;
        answer = -1;
    }
    return answer;
}

#else

/* Without OpenSSL: settings that ask for TLS are refused, so that none of these is called. */
#include "resvd/assert.h"

bool redis_tls_is_built_in(void)
{
    return false;
}

struct redis_tls_context *redis_tls_context_create(const struct redis_settings *settings, char *why,
                                                   size_t why_size)
{
    (void)settings;
    snprintf(why, why_size, "resvd was built without OpenSSL");
    return NULL;
}

void redis_tls_context_free(struct redis_tls_context *context)
{
    RESV_ASSERT(context == NULL);
}

struct redis_tls *redis_tls_create(struct redis_tls_context *context, int descriptor,
                                   const char *name)
{
    (void)context;
    (void)descriptor;
    (void)name;
    return NULL;
}

void redis_tls_free(struct redis_tls *tls)
{
    RESV_ASSERT(tls == NULL);
}

enum redis_io redis_tls_handshake(struct redis_tls *tls, char *why, size_t why_size)
{
    (void)tls;
    snprintf(why, why_size, "resvd was built without OpenSSL");
    return REDIS_IO_FAILED;
}

ssize_t redis_tls_receive(struct redis_tls *tls, void *bytes, size_t size)
{
    (void)tls;
    (void)bytes;
    (void)size;
    errno = ENOTSUP;
    return -1;
}

ssize_t redis_tls_send(struct redis_tls *tls, const void *bytes, size_t size)
{
    (void)tls;
    (void)bytes;
    (void)size;
    errno = ENOTSUP;
    return -1;
}

#endif
