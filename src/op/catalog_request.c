/* Allocating and freeing catalog requests: reads and writes of the catalog are rare enough. */
#include "op/catalog_request.h"

#include <stdlib.h>

struct resv_catalog_request *catalog_request_create(void)
{
    return calloc(1, sizeof(struct resv_catalog_request));
}

void catalog_request_free(struct resv_catalog_request *request)
{
    if (request == NULL)
        return;
    free(request->concerts);
    free(request->members);
    free(request->audit);
    free(request->letters);
    free(request);
}
