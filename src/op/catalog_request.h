/* The part of a catalog operation that is allocated for each one; see resvd/catalog.h. */
#ifndef RESVD_OP_CATALOG_REQUEST_H
#define RESVD_OP_CATALOG_REQUEST_H

#include "resvd/catalog.h"

/* Zeroed; NULL when out of memory. */
struct resv_catalog_request *catalog_request_create(void);
/* With all its arrays; NULL is nothing. */
void catalog_request_free(struct resv_catalog_request *request);

#endif
