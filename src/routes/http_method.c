/* Names of the methods that this server knows. */
#include "routes/call.h"

const char *http_method_name(enum http_method method)
{
    static const char *const names[METHOD_COUNT] = {
        [METHOD_GET] = "GET",     [METHOD_HEAD] = "HEAD",     [METHOD_POST] = "POST",
        [METHOD_PUT] = "PUT",     [METHOD_DELETE] = "DELETE", [METHOD_OPTIONS] = "OPTIONS",
        [METHOD_PATCH] = "PATCH", [METHOD_TRACE] = "TRACE",   [METHOD_CONNECT] = "CONNECT",
    };
    return names[method];
}
