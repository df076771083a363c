/* Static documents that routes serve. */
#ifndef RESVD_ROUTES_DOCUMENTS_H
#define RESVD_ROUTES_DOCUMENTS_H

#include <stddef.h>

/* src/routes/openapi.json, made into C by tools/embed.py when the program is built. */
extern const char openapi_json[];
extern const size_t openapi_json_size;

#endif
