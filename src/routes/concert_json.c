/* Concerts and members as JSON. */
#include "routes/concert_json.h"

#include "json/json_build.h"

cJSON *json_when_good(cJSON *item, bool good)
{
    if (good)
        return item;
    cJSON_Delete(item);
    return NULL;
}

static cJSON *limit_json(int64_t member_limit)
{
    if (member_limit == RESV_NO_MEMBER_LIMIT)
        return cJSON_CreateNull();
    return json_build_integer(member_limit);
}

cJSON *concert_json(const struct resv_concert *concert)
{
    /* A strategy that oversells must not be made to look as if there were seats to come. */
    int64_t available = concert->capacity > concert->sold ? concert->capacity - concert->sold : 0;
    cJSON *item = cJSON_CreateObject();
    bool good = json_build_add(item, "id", json_build_integer(concert->id));
    good = good && json_build_add(item, "title", cJSON_CreateString(concert->title));
    good = good && json_build_add(item, "venue", json_build_text_or_null(concert->venue));
    good = good && json_build_add(item, "startsAt", json_build_time(concert->starts_at_ms));
    good = good && json_build_add(item, "capacity", json_build_integer(concert->capacity));
    good = good && json_build_add(item, "sold", json_build_integer(concert->sold));
    good = good && json_build_add(item, "available", json_build_integer(available));
    good = good && json_build_add(item, "memberLimit", limit_json(concert->member_limit));
    return json_when_good(item, good);
}

cJSON *member_json(const struct resv_member *member)
{
    cJSON *item = cJSON_CreateObject();
    bool good = json_build_add(item, "id", json_build_integer(member->id)) &&
                json_build_add(item, "name", cJSON_CreateString(member->name));
    return json_when_good(item, good);
}

cJSON *concerts_json(const struct resv_concert *concerts, size_t count)
{
    cJSON *array = cJSON_CreateArray();
    bool good = array != NULL;
    for (size_t i = 0; good && i < count; i++)
        good = json_build_add(array, NULL, concert_json(&concerts[i]));
    return json_when_good(array, good);
}

cJSON *members_json(const struct resv_member *members, size_t count)
{
    cJSON *array = cJSON_CreateArray();
    bool good = array != NULL;
    for (size_t i = 0; good && i < count; i++)
        good = json_build_add(array, NULL, member_json(&members[i]));
    return json_when_good(array, good);
}
