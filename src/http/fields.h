/* Header fields: which ones matter, and what their values may be. */
#ifndef RESVD_HTTP_FIELDS_H
#define RESVD_HTTP_FIELDS_H

#include "http/parser.h"
#include "text.h"

/* FIELD_OTHER for all that do not matter. Names are compared without case. */
enum field field_by_name(struct text name);
/* No control byte but HTAB (RFC 9110 section 5.5); llhttp lets DEL through. */
bool field_bytes_allowed(struct text value);
/* Without the spaces and tabs at both ends. */
struct text field_trim(struct text value);
/* Without regard to case. */
bool field_equal(struct text a, struct text b);
/* Whether a comma-separated list has this element, without regard to case. */
bool field_list_has(struct text list, struct text wanted);
/* Of one Transfer-Encoding value: RFC 9112 section 6.1, as strictly as the contract wants it. */
enum transfer_coding transfer_coding_of(struct text value);

#endif
