/* Decoding what is percent-encoded. */
#include "routes/percent.h"

static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    return -1;
}

bool percent_decode(struct text encoded, char *buffer, size_t size, struct text *decoded)
{
    size_t used = 0;
    for (size_t i = 0; i < encoded.size; i++) {
        char byte = encoded.data[i];
        if (byte == '%') {
            int high = i + 1 < encoded.size ? hex_value(encoded.data[i + 1]) : -1;
            int low = i + 2 < encoded.size ? hex_value(encoded.data[i + 2]) : -1;
            if (high < 0 || low < 0)
                return false;
            byte = (char)(high * 16 + low);
            i += 2;
        }
        if (used == size)
            return false;
        buffer[used++] = byte;
    }
    *decoded = (struct text){buffer, used};
    return true;
}
