/* RFC 3339 date-times from and to milliseconds since 1970 UTC. */
#include "time_text.h"

#include <string.h>

#define MS_PER_DAY 86400000LL

/* Days since 1970-01-01 of a date in the proleptic Gregorian calendar, 0 <= year. Years are
 * counted from March so that the leap day is the last: Howard Hinnant, "chrono-compatible
 * low-level date algorithms". */
static int64_t days_of_date(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

/* The inverse, for days >= 0. */
static void date_of_days(int64_t days, int64_t *year, int64_t *month, int64_t *day)
{
    days += 719468;
    int64_t era = days / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted_month = (5 * day_of_year + 2) / 153;
    *day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    *month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
    *year = year_of_era + era * 400 + (*month <= 2);
}

/* Writes exactly `digits` decimal digits and then `behind`; returns the place after them. */
static char *put_number(char *at, int64_t number, int digits, char behind)
{
    for (int i = digits - 1; i >= 0; i--) {
        at[i] = (char)('0' + number % 10);
        number /= 10;
    }
    at[digits] = behind;
    return at + digits + 1;
}

size_t time_text_format(int64_t wall_ms, char text[TIME_TEXT_BYTES_MAX])
{
    if (wall_ms < 0 || wall_ms > TIME_TEXT_MS_MAX) {
        return 0;
    }
    int64_t year, month, day;
    date_of_days(wall_ms / MS_PER_DAY, &year, &month, &day);
    int64_t ms_of_day = wall_ms % MS_PER_DAY;
    int64_t fraction_ms = ms_of_day % 1000;
    char *at = text;
    at = put_number(at, year, 4, '-');
    at = put_number(at, month, 2, '-');
    at = put_number(at, day, 2, 'T');
    at = put_number(at, ms_of_day / 3600000, 2, ':');
    at = put_number(at, ms_of_day / 60000 % 60, 2, ':');
    at = put_number(at, ms_of_day / 1000 % 60, 2, fraction_ms != 0 ? '.' : 'Z');
    if (fraction_ms != 0) {
        at = put_number(at, fraction_ms, 3, 'Z');
    }
    return (size_t)(at - text);
}

struct reader {
    const char *at;
    const char *end;
    bool failed;
};

/* Exactly `digits` decimal digits, between minimum and maximum. */
static int64_t take_number(struct reader *reader, int digits, int64_t minimum, int64_t maximum)
{
    int64_t number = 0;
    for (int i = 0; i < digits; i++) {
        if (reader->failed || reader->at == reader->end || *reader->at < '0' || *reader->at > '9') {
            reader->failed = true;
            return minimum;
        }
        number = number * 10 + (*reader->at++ - '0');
    }
    if (number < minimum || number > maximum) {
        reader->failed = true;
        return minimum;
    }
    return number;
}

/* One of the characters given (not NUL), which is returned. */
static char take_one_of(struct reader *reader, const char *characters)
{
    if (!reader->failed && reader->at < reader->end && *reader->at != '\0' &&
        strchr(characters, *reader->at) != NULL) {
        return *reader->at++;
    }
    reader->failed = true;
    return '\0';
}

static int64_t days_in_month(int64_t year, int64_t month)
{
    static const int8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap_year = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return month == 2 && leap_year ? 29 : days[month - 1];
}

/* ".5", ".123456"; nothing gives 0. */
static int64_t take_fraction_ms(struct reader *reader)
{
    if (reader->failed || reader->at == reader->end || *reader->at != '.') {
        return 0;
    }
    reader->at++;
    int64_t fraction_ms = take_number(reader, 1, 0, 9) * 100;
    for (int64_t unit_ms = 10;
         !reader->failed && reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9';
         unit_ms /= 10) {
        fraction_ms += (*reader->at++ - '0') * unit_ms;
    }
    return fraction_ms;
}

/* "Z" or "+01:30"; what local time is ahead of UTC. */
static int64_t take_offset_ms(struct reader *reader)
{
    char sign = take_one_of(reader, "Zz+-");
    if (sign != '+' && sign != '-') {
        return 0;
    }
    int64_t hours = take_number(reader, 2, 0, 23);
    take_one_of(reader, ":");
    int64_t minutes = take_number(reader, 2, 0, 59);
    int64_t offset_ms = (hours * 60 + minutes) * 60000;
    return sign == '-' ? -offset_ms : offset_ms;
}

bool time_text_parse(struct text text, int64_t *wall_ms)
{
    if (text.size == 0) {
        return false;
    }
    struct reader reader = {.at = text.data, .end = text.data + text.size};
    int64_t year = take_number(&reader, 4, 0, 9999);
    take_one_of(&reader, "-");
    int64_t month = take_number(&reader, 2, 1, 12);
    take_one_of(&reader, "-");
    int64_t day = take_number(&reader, 2, 1, days_in_month(year, month));
    take_one_of(&reader, "Tt");
    int64_t hour = take_number(&reader, 2, 0, 23);
    take_one_of(&reader, ":");
    int64_t minute = take_number(&reader, 2, 0, 59);
    take_one_of(&reader, ":");
    int64_t second = take_number(&reader, 2, 0, 59);
    int64_t fraction_ms = take_fraction_ms(&reader);
    int64_t offset_ms = take_offset_ms(&reader);
    if (reader.failed || reader.at != reader.end) {
        return false;
    }
    int64_t ms = days_of_date(year, month, day) * MS_PER_DAY +
                 ((hour * 60 + minute) * 60 + second) * 1000 + fraction_ms - offset_ms;
    if (ms < 0 || ms > TIME_TEXT_MS_MAX) {
        return false;
    }
    *wall_ms = ms;
    return true;
}
