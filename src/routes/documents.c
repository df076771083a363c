/* Pages that explain the server to its users: the OpenAPI document and the problems. */
#include "routes/documents.h"

#include "routes/answer.h"
#include "routes/problems.h"
#include "routes/routes_state.h"

void route_openapi(const struct route_call *self)
{
    answer_static(self->call, 200, CONTENT_OPENAPI, (struct text){openapi_json, openapi_json_size});
}

void route_problem_page(const struct route_call *self)
{
    enum problem problem = problem_find(self->parameter);
    if (problem == PROBLEM_COUNT)
        answer_problem(self->call, PROBLEM_NOT_FOUND);
    else
        answer_static(self->call, 200, CONTENT_TEXT, problems[problem].page);
}
