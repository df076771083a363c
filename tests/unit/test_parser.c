/* The request parser: good requests, and every framing row of the contract's table, each whole, cut
 * at every byte and in single bytes. */
#include "parser_cases.h"

/* --- good requests ---------------------------------------------------------------------------- */

static void good_requests_are_read(void **state)
{
    (void)state;
    static const struct {
        struct parser_case data;
        const char *text;
    } cases[] = {
        {CASE("plain", GET HOST "\r\n"), "GET /a keep\n"},
        {CASE("query", "GET /a?b=%20&c HTTP/1.1\r\n" HOST "\r\n"), "GET /a query=7:b=%20&c keep\n"},
        {CASE("empty query", "GET /a? HTTP/1.1\r\n" HOST "\r\n"), "GET /a query=0: keep\n"},
        {CASE("CRLFs in front", "\r\n\r\n" GET HOST "\r\n"), "GET /a keep\n"},
        {CASE("CRLFs between", GET HOST "\r\n\r\n\r\n" GET HOST "\r\n\r\n"),
         "GET /a keep\nGET /a keep\n"},
        {CASE("whitespace around a value", GET "Host: \t h \t \r\nContent-Type:x/y\r\n\r\n"),
         "GET /a type=3:x/y keep\n"},
        {CASE("tab in a value", GET HOST "Content-Type: a\tb\r\n\r\n"),
         "GET /a type=3:a\tb keep\n"},
        {CASE("high bytes in a value", GET HOST "Content-Type: \x80\xff\r\n\r\n"),
         "GET /a type=2:\x80\xff keep\n"},
        {CASE("all that is handed on",
              POST "content-TYPE: application/json\r\nContent-Encoding: gzip\r\nX: y\r\n"
                   "Idempotency-Key: k\r\nAuthorization: Bearer t\r\nContent-Length: 2\r\n\r\n{}"),
         "POST /a type=16:application/json encoding=4:gzip key=1:k authorization=8:Bearer t "
         "body=2:{} keep\n"},
        {CASE("repeated", POST "Idempotency-Key: k\r\nIdempotency-Key: k\r\n\r\n"),
         "POST /a key=1:k repeated keep\n"},
        {CASE("empty values are there", POST "Idempotency-Key:\r\nContent-Encoding: \r\n"
                                             "Authorization: \t\r\n\r\n"),
         "POST /a encoding=0: key=0: authorization=0: keep\n"},
        {CASE("empty value", GET HOST "X:\r\nY: \r\n\r\n"), "GET /a keep\n"},
        {CASE("length 0", POST "Content-Length: 0\r\n\r\n" GET HOST "\r\n"),
         "POST /a keep\nGET /a keep\n"},
        {CASE("length with zeros", POST "Content-Length: 0000000000000000000000002\r\n\r\nab"),
         "POST /a body=2:ab keep\n"},
        {CASE("body of a GET", GET HOST "Content-Length: 3\r\n\r\nabc" GET HOST "\r\n"),
         "GET /a body=3:abc keep\nGET /a keep\n"},
        {CASE("chunks",
              POST CHUNKED "\r\n3\r\nabc\r\n00a\r\n0123456789\r\n0\r\n\r\n" GET HOST "\r\n"),
         "POST /a body=13:abc0123456789 keep\nGET /a keep\n"},
        {CASE("empty chunked body", POST CHUNKED "\r\n000\r\n\r\n" GET HOST "\r\n"),
         "POST /a keep\nGET /a keep\n"},
        {CASE("hex in both cases",
              POST CHUNKED "\r\nA\r\n0123456789\r\n0b\r\n0123456789a\r\n0\r\n\r\n"),
         "POST /a body=21:01234567890123456789a keep\n"},
        {CASE("coding in another case",
              POST "transfer-encoding: CHUNKed\r\n\r\n1\r\na\r\n0\r\n\r\n"),
         "POST /a body=1:a keep\n"},
        {CASE("chunk extensions", POST CHUNKED
              "\r\n1;a\r\nx\r\n1;a=b\r\ny\r\n1;a=\"q \\\" ;\";c=d\r\nz\r\n0;e\r\n\r\n"),
         "POST /a body=3:xyz keep\n"},
        {CASE("trailers",
              POST CHUNKED "\r\n1\r\nx\r\n0\r\nA: b\r\nIdempotency-Key: k\r\n\r\n" GET HOST "\r\n"),
         "POST /a body=1:x keep\nGET /a keep\n"},
        {CASE("body that looks like a request",
              POST "Content-Length: 26\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n" GET HOST "\r\n"),
         "POST /a body=26:GET /b HTTP/1.1\r\nHost: h\r\n keep\nGET /a keep\n"},
        {CASE("not whole: line", "GET /a HTTP/1."), "rest\n"},
        {CASE("not whole: head", GET HOST), "rest\n"},
        {CASE("not whole: body", POST "Content-Length: 3\r\n\r\nab"), "rest\n"},
        {CASE("not whole: chunk", POST CHUNKED "\r\n2\r\nab"), "rest\n"},
        {CASE("not whole: trailer", POST CHUNKED "\r\n0\r\nA: b\r\n"), "rest\n"},
        {CASE("not begun", "\r\n\r\n\r"), ""},
        {CASE("nothing", ""), ""},
    };
    for (size_t i = 0; i < CASES_COUNT(cases); i++)
        expect_trace(cases[i].data.name, cases[i].data.data, cases[i].data.size, cases[i].text);
}

static void who_closes(void **state)
{
    (void)state;
#define OLD "GET /a HTTP/1.0\r\n"
    static const struct {
        struct parser_case data;
        const char *text;
    } cases[] = {
        {CASE("1.0", OLD "\r\n" GET HOST "\r\n"), "GET /a 1.0 close\n"},
        {CASE("1.0 keep-alive", OLD "Connection: keep-alive\r\n\r\n" OLD "\r\n"),
         "GET /a 1.0 keep\nGET /a 1.0 close\n"},
        {CASE("1.0 Keep-Alive in a list", OLD "Connection: foo, Keep-Alive\r\n\r\n"),
         "GET /a 1.0 keep\n"},
        {CASE("1.0 both", OLD "Connection: keep-alive, close\r\n\r\n"), "GET /a 1.0 close\n"},
        {CASE("1.0 both, other order", OLD "Connection: close, keep-alive\r\n\r\n"),
         "GET /a 1.0 close\n"},
        {CASE("1.0 both, in two fields", OLD "Connection: close\r\nConnection: keep-alive\r\n\r\n"),
         "GET /a 1.0 close\n"},
        {CASE("close", GET HOST "Connection: close\r\n\r\n" GET HOST "\r\n"), "GET /a close\n"},
        {CASE("Close", GET HOST "connection:  CLOSE \r\n\r\n"), "GET /a close\n"},
        {CASE("close first", GET HOST "Connection: close, TE\r\n\r\n"), "GET /a close\n"},
        {CASE("close last", GET HOST "Connection: TE, close\r\n\r\n"), "GET /a close\n"},
        {CASE("close after a tab", GET HOST "Connection: TE,\tclose\r\n\r\n"), "GET /a close\n"},
        {CASE("close before a tab", GET HOST "Connection: close\t\r\n\r\n"), "GET /a close\n"},
        {CASE("close before a tab and a comma", GET HOST "Connection: close\t, TE\r\n\r\n"),
         "GET /a close\n"},
        {CASE("close between empty ones", GET HOST "Connection: , ,close,,\r\n\r\n"),
         "GET /a close\n"},
        {CASE("close in the second field", GET HOST "Connection: TE\r\nConnection: close\r\n\r\n"),
         "GET /a close\n"},
        {CASE("closed is not close", GET HOST "Connection: closed\r\n\r\n"), "GET /a keep\n"},
        {CASE("xclose is not close", GET HOST "Connection: xclose, clos\r\n\r\n"), "GET /a keep\n"},
        {CASE("two words are not close", GET HOST "Connection: a close\r\n\r\n"), "GET /a keep\n"},
        {CASE("empty", GET HOST "Connection:\r\n\r\n"), "GET /a keep\n"},
        {CASE("upgrade", GET HOST "Connection: upgrade\r\nUpgrade: h2c\r\n\r\nPRI * HTTP/2.0\r\n"),
         "GET /a close\n"},
        {CASE("upgrade alone", GET HOST "Upgrade: websocket\r\n\r\n" GET HOST "\r\n"),
         "GET /a close\n"},
        {CASE("upgrade with a body",
              POST "Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nab" GET),
         "POST /a body=2:ab close\n"},
        {CASE("upgrade with chunks", POST "Connection: upgrade\r\nUpgrade: h2c\r\n" CHUNKED
                                          "\r\n2\r\nab\r\n0\r\n\r\n" GET),
         "POST /a body=2:ab close\n"},
        {CASE("connection: upgrade alone", GET HOST "Connection: upgrade\r\n\r\n" GET HOST "\r\n"),
         "GET /a keep\nGET /a keep\n"},
        {CASE("Proxy-Connection means nothing", GET HOST "Proxy-Connection: close\r\n\r\n"),
         "GET /a keep\n"},
    };
    for (size_t i = 0; i < CASES_COUNT(cases); i++)
        expect_trace(cases[i].data.name, cases[i].data.data, cases[i].data.size, cases[i].text);
}

static void expectations(void **state)
{
    (void)state;
#define EXPECT "Expect: 100-continue\r\n"
    static const struct {
        struct parser_case data;
        const char *text;
    } cases[] = {
        {CASE("length", POST EXPECT "Content-Length: 2\r\n\r\nab"),
         "100 POST /a\nPOST /a body=2:ab keep\n"},
        {CASE("chunks",
              POST CHUNKED "Expect: 100-CONTINUE\r\n\r\n2\r\nab\r\n0\r\n\r\n" GET HOST "\r\n"),
         "100 POST /a\nPOST /a body=2:ab keep\nGET /a keep\n"},
        {CASE("head only so far", POST EXPECT "Content-Length: 2\r\n\r\n"), "100 POST /a\nrest\n"},
        {CASE("no body", POST EXPECT "\r\n"), "POST /a keep\n"},
        {CASE("length 0", POST EXPECT "Content-Length: 0\r\n\r\n"), "POST /a keep\n"},
        {CASE("1.0", "POST /a HTTP/1.0\r\n" EXPECT "Content-Length: 2\r\n\r\nab"),
         "POST /a body=2:ab 1.0 close\n"},
        {CASE("with what the routes look at early",
              POST "Content-Type: x\r\nIdempotency-Key: k\r\n" EXPECT "Content-Length: 1\r\n\r\na"),
         "100 POST /a type=1:x key=1:k\nPOST /a type=1:x key=1:k body=1:a keep\n"},
    };
    for (size_t i = 0; i < CASES_COUNT(cases); i++)
        expect_trace(cases[i].data.name, cases[i].data.data, cases[i].data.size, cases[i].text);

    static const struct parser_case failed[] = {
        CASE("other", POST "Expect: 200-ok\r\nContent-Length: 2\r\n\r\nab"),
        CASE("other without a body", GET HOST "Expect: x\r\n\r\n"),
        CASE("empty", GET HOST "Expect:\r\n\r\n"),
        CASE("list", POST "Expect: 100-continue, x\r\nContent-Length: 2\r\n\r\nab"),
        CASE("second field", POST EXPECT "Expect: x\r\nContent-Length: 2\r\n\r\nab"),
        CASE("longer", POST "Expect: 100-continued\r\nContent-Length: 2\r\n\r\nab"),
    };
    expect_faults_between(failed, CASES_COUNT(failed), "expectation-failed");
    static const struct parser_case large[] = {
        CASE("too large", POST EXPECT "Content-Length: 16385\r\n\r\n"),
        CASE("too large and another expectation",
             POST "Expect: x\r\nContent-Length: 16385\r\n\r\n"),
    };
    expect_faults_between(large, CASES_COUNT(large), "content-too-large");
    static const struct parser_case first[] = {
        CASE("framing first", POST EXPECT "Content-Length: 2\r\n" CHUNKED "\r\n"),
        CASE("host first", "POST /a HTTP/1.1\r\n" EXPECT "Content-Length: 2\r\n\r\n"),
    };
    expect_faults_between(first, CASES_COUNT(first), "bad-request");
}

/* --- bad framing ------------------------------------------------------------------------------ */

static void bad_lengths(void **state)
{
    (void)state;
#define LENGTH(value) POST "Content-Length: " value "\r\n\r\nabcdef"
    static const struct parser_case cases[] = {
        CASE("with chunked", POST "Content-Length: 6\r\n" CHUNKED "\r\n1\r\na\r\n0\r\n\r\n"),
        CASE("behind chunked", POST CHUNKED "Content-Length: 6\r\n\r\n1\r\na\r\n0\r\n\r\n"),
        CASE("0 with chunked", POST "Content-Length: 0\r\n" CHUNKED "\r\n1\r\na\r\n0\r\n\r\n"),
        CASE("with gzip", POST "Content-Length: 6\r\nTransfer-Encoding: gzip\r\n\r\nabcdef"),
        CASE("behind gzip", POST "Transfer-Encoding: gzip\r\nContent-Length: 6\r\n\r\nabcdef"),
        CASE("with identity",
             POST "Transfer-Encoding: identity\r\nContent-Length: 6\r\n\r\nabcdef"),
        CASE("twice", POST "Content-Length: 6\r\nContent-Length: 6\r\n\r\nabcdef"),
        CASE("twice 0", POST "Content-Length: 0\r\nContent-Length: 0\r\n\r\n"),
        CASE("twice, apart", POST "Content-Length: 6\r\nX: y\r\ncontent-length: 5\r\n\r\nabcdef"),
        CASE("list", LENGTH("6, 6")),
        CASE("list without blank", LENGTH("6,6")),
        CASE("list, one empty", LENGTH("6,")),
        CASE("list, one empty in front", LENGTH(",6")),
        CASE("plus", LENGTH("+6")),
        CASE("minus", LENGTH("-6")),
        CASE("minus zero", LENGTH("-0")),
        CASE("hex", LENGTH("0x6")),
        CASE("hex digit", LENGTH("a")),
        CASE("empty", LENGTH("")),
        CASE("blank", LENGTH("  ")),
        CASE("tab only", LENGTH("\t")),
        CASE("inner blank", LENGTH("0 6")),
        CASE("inner tab", LENGTH("0\t6")),
        CASE("fraction", LENGTH("6.0")),
        CASE("exponent", LENGTH("6e0")),
        CASE("quoted", LENGTH("\"6\"")),
        CASE("2^64", LENGTH("18446744073709551616")),
        CASE("2^64 + 6", LENGTH("18446744073709551622")),
        CASE("large", LENGTH("99999999999999999999999999999999999999999")),
        CASE("vertical tab", LENGTH("\v6")),
        CASE("no-break space", LENGTH("\xc2\xa0"
                                      "6")),
        CASE("on GET", GET HOST "Content-Length: x\r\n\r\n"),
    };
    expect_faults_between(cases, CASES_COUNT(cases), "bad-request");
    static const struct parser_case large[] = {
        CASE("16385", LENGTH("16385")),
        CASE("2^32", LENGTH("4294967296")),
        CASE("2^63", LENGTH("9223372036854775808")),
        CASE("2^64 - 1", LENGTH("18446744073709551615")),
    };
    expect_faults_between(large, CASES_COUNT(large), "content-too-large");
}

static void bad_codings(void **state)
{
    (void)state;
#define CODING(value) POST "Transfer-Encoding: " value "\r\n\r\n1\r\na\r\n0\r\n\r\n"
    static const struct parser_case cases[] = {
        CASE("empty", CODING("")),
        CASE("blank", CODING(" ")),
        CASE("twice", POST CHUNKED CHUNKED "\r\n1\r\na\r\n0\r\n\r\n"),
        CASE("twice, gzip first", POST "Transfer-Encoding: gzip\r\n" CHUNKED "\r\n0\r\n\r\n"),
        CASE("twice, gzip last", POST CHUNKED "Transfer-Encoding: gzip\r\n\r\n0\r\n\r\n"),
        CASE("twice gzip", POST "Transfer-Encoding: gzip\r\nTransfer-Encoding: gzip\r\n\r\n"),
        CASE("not last", CODING("chunked, gzip")),
        CASE("not last, without blank", CODING("chunked,gzip")),
        CASE("twice in one", CODING("chunked, chunked")),
        CASE("empty at the end", CODING("chunked,")),
        CASE("empty at the start", CODING(", chunked")),
        CASE("blank in the middle", CODING("gzip, , chunked")),
        CASE("two words", CODING("x chunked")),
        CASE("two words, tab", CODING("x\tchunked")),
        CASE("quoted", CODING("\"chunked\"")),
        CASE("slash", CODING("chunked/1")),
        CASE("semicolon without parameter", CODING("chunked;")),
        CASE("vertical tab in front", CODING("\vchunked")),
        CASE("form feed behind", CODING("chunked\f")),
        CASE("high byte", CODING("chunked\xff")),
        CASE("NUL", CODING("chunked\0")),
        CASE("1.0", "POST /a HTTP/1.0\r\n" CHUNKED "\r\n1\r\na\r\n0\r\n\r\n"),
        CASE("1.0 keep-alive",
             "POST /a HTTP/1.0\r\nConnection: keep-alive\r\n" CHUNKED "\r\n1\r\na\r\n0\r\n\r\n"),
        CASE("1.0 gzip", "POST /a HTTP/1.0\r\nTransfer-Encoding: gzip\r\n\r\n"),
    };
    expect_faults_between(cases, CASES_COUNT(cases), "bad-request");
    static const struct parser_case other[] = {
        CASE("gzip", CODING("gzip")),
        CASE("gzip, chunked", CODING("gzip, chunked")),
        CASE("identity", CODING("identity")),
        CASE("xchunked", CODING("xchunked")),
        CASE("chunkedx", CODING("chunkedx")),
        CASE("chunke", CODING("chunke")),
        CASE("parameter", CODING("foo;bar=baz")),
        CASE("quoted parameter", CODING("foo; bar=\"baz\"")),
        CASE("chunked with a parameter", CODING("chunked;foo=bar")),
        CASE("on GET", GET HOST "Transfer-Encoding: gzip\r\n\r\n"),
    };
    expect_faults_between(other, CASES_COUNT(other), "not-implemented");
}

static void bad_chunks(void **state)
{
    (void)state;
#define CHUNKS(body) POST CHUNKED "\r\n" body
    static const struct parser_case cases[] = {
        CASE("no size", CHUNKS("\r\na\r\n0\r\n\r\n")),
        CASE("not hex", CHUNKS("g\r\na\r\n0\r\n\r\n")),
        CASE("0x", CHUNKS("0x1\r\na\r\n0\r\n\r\n")),
        CASE("plus", CHUNKS("+1\r\na\r\n0\r\n\r\n")),
        CASE("minus", CHUNKS("-1\r\na\r\n0\r\n\r\n")),
        CASE("blank in front", CHUNKS(" 1\r\na\r\n0\r\n\r\n")),
        CASE("blank behind", CHUNKS("1 \r\na\r\n0\r\n\r\n")),
        CASE("tab behind", CHUNKS("1\t\r\na\r\n0\r\n\r\n")),
        CASE("inner blank", CHUNKS("1 0\r\n0123456789abcdef\r\n0\r\n\r\n")),
        CASE("size ends in LF", CHUNKS("1\na\r\n0\r\n\r\n")),
        CASE("size ends in CR", CHUNKS("1\ra\r\n0\r\n\r\n")),
        CASE("size ends in CR CR LF", CHUNKS("1\r\r\na\r\n0\r\n\r\n")),
        CASE("NUL in the size", CHUNKS("1\0\r\na\r\n0\r\n\r\n")),
        CASE("comma", CHUNKS("1,1\r\na\r\n0\r\n\r\n")),
        CASE("data too long", CHUNKS("1\r\nab\r\n0\r\n\r\n")),
        CASE("data too short", CHUNKS("3\r\na\r\n0\r\n\r\n")),
        CASE("data ends in LF", CHUNKS("1\r\na\n0\r\n\r\n")),
        CASE("data ends in CR", CHUNKS("1\r\na\r0\r\n\r\n")),
        CASE("data ends in CR CR LF", CHUNKS("1\r\na\r\r\n0\r\n\r\n")),
        CASE("data without end", CHUNKS("1\r\na0\r\n\r\n")),
        CASE("last size ends in LF", CHUNKS("0\n\r\n")),
        CASE("last size ends in CR", CHUNKS("0\r\r\n")),
        CASE("end is LF", CHUNKS("0\r\n\n")),
        CASE("end is CR", CHUNKS("0\r\n\rX")),
        CASE("extension ends in LF", CHUNKS("1;a\na\r\n0\r\n\r\n")),
        CASE("extension value ends in LF", CHUNKS("1;a=b\na\r\n0\r\n\r\n")),
        CASE("quoted extension ends in LF", CHUNKS("1;a=\"b\"\na\r\n0\r\n\r\n")),
        CASE("LF in a quoted extension", CHUNKS("1;a=\"b\nc\"\r\na\r\n0\r\n\r\n")),
        CASE("CR in a quoted extension", CHUNKS("1;a=\"b\rc\"\r\na\r\n0\r\n\r\n")),
        CASE("CRLF in a quoted extension", CHUNKS("1;a=\"b\r\nc\"\r\na\r\n0\r\n\r\n")),
        CASE("escaped CR in an extension", CHUNKS("1;a=\"\\\r\"\r\na\r\n0\r\n\r\n")),
        CASE("escaped LF in an extension", CHUNKS("1;a=\"\\\n\"\r\na\r\n0\r\n\r\n")),
        CASE("escaped NUL in an extension", CHUNKS("1;a=\"\\\0\"\r\na\r\n0\r\n\r\n")),
        CASE("bare CR in an extension", CHUNKS("1;a\rb\r\na\r\n0\r\n\r\n")),
        CASE("bare CR in an extension's value", CHUNKS("1;a=b\rc\r\na\r\n0\r\n\r\n")),
        CASE("extension ends in CR", CHUNKS("1;a\ra\r\n0\r\n\r\n")),
        CASE("NUL in an extension", CHUNKS("1;a\0b\r\na\r\n0\r\n\r\n")),
        CASE("control byte in an extension", CHUNKS("1;a=\"\x01\"\r\na\r\n0\r\n\r\n")),
        CASE("DEL in an extension", CHUNKS("1;a=\"\x7f\"\r\na\r\n0\r\n\r\n")),
        CASE("control byte, unquoted", CHUNKS("1;a=\x01\r\na\r\n0\r\n\r\n")),
        CASE("control byte in the last extension", CHUNKS("0;a=\"\x01\"\r\n\r\n")),
        CASE("size over 2^64", CHUNKS("10000000000000001\r\na\r\n0\r\n\r\n")),
    };
    expect_faults_between(cases, CASES_COUNT(cases), "bad-request");
    static const struct parser_case large[] = {
        CASE("4001", CHUNKS("4001\r\n")),
        CASE("4001 with an extension", CHUNKS("4001;a=b\r\n")),
        CASE("2^64 - 1", CHUNKS("ffffffffffffffff\r\n")),
        CASE("sum", CHUNKS("1\r\na\r\n4000\r\n")),
    };
    expect_faults_between(large, CASES_COUNT(large), "content-too-large");
}

static void bad_trailers(void **state)
{
    (void)state;
#define TRAILERS(text) POST CHUNKED "\r\n1\r\na\r\n0\r\n" text "\r\n"
    static const struct parser_case cases[] = {
        CASE("no colon", TRAILERS("A\r\n")),
        CASE("no name", TRAILERS(": b\r\n")),
        CASE("blank before the colon", TRAILERS("A : b\r\n")),
        CASE("bare LF", TRAILERS("A: b\n")),
        CASE("bare CR", TRAILERS("A: b\rC: d\r\n")),
        CASE("CR in a value", TRAILERS("A: b\rc\r\n")),
        CASE("obs-fold", TRAILERS("A: b\r\n c\r\n")),
        CASE("obs-fold with tab", TRAILERS("A: b\r\n\tc\r\n")),
        CASE("first line folded", TRAILERS(" A: b\r\n")),
        CASE("NUL", TRAILERS("A: \0\r\n")),
        CASE("control byte", TRAILERS("A: \x01\r\n")),
        CASE("DEL", TRAILERS("A: \x7f\r\n")),
        CASE("control byte in the name", TRAILERS("A\x01: b\r\n")),
        CASE("Content-Length", TRAILERS("Content-Length: 1\r\n")),
        CASE("Transfer-Encoding", TRAILERS("Transfer-Encoding: chunked\r\n")),
        CASE("Host", TRAILERS("Host: h\r\n")),
        CASE("empty line ends in LF", POST CHUNKED "\r\n0\r\nA: b\r\n\n"),
        CASE("empty line ends in CR", POST CHUNKED "\r\n0\r\nA: b\r\n\rX"),
        CASE("a request in place of trailers", POST CHUNKED "\r\n0\r\nGET /a HTTP/1.1\r\n"),
    };
    expect_faults_between(cases, CASES_COUNT(cases), "bad-request");
}

static void bad_fields(void **state)
{
    (void)state;
#define FIELDS(text) GET HOST text "\r\n"
    static const struct parser_case cases[] = {
        CASE("no colon", FIELDS("A\r\n")),
        CASE("no name", FIELDS(": b\r\n")),
        CASE("colon only", FIELDS(":\r\n")),
        CASE("blank before the colon", FIELDS("A : b\r\n")),
        CASE("tab before the colon", FIELDS("A\t: b\r\n")),
        CASE("blank in the name", FIELDS("A B: c\r\n")),
        CASE("line of blanks", FIELDS(" \r\n")),
        CASE("obs-fold", FIELDS("A: b\r\n c\r\n")),
        CASE("obs-fold with tab", FIELDS("A: b\r\n\tc\r\n")),
        CASE("obs-fold behind nothing", FIELDS("A:\r\n b\r\n")),
        CASE("obs-fold of a length", POST "Content-Length:\r\n 3\r\n\r\nabc"),
        CASE("obs-fold behind a length", POST "Content-Length: 3\r\n 4\r\n\r\nabc"),
        CASE("obs-fold of a coding", POST "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"),
        CASE("obs-fold behind a coding",
             POST "Transfer-Encoding: chunked\r\n , gzip\r\n\r\n0\r\n\r\n"),
        CASE("obs-fold behind Connection", FIELDS("Connection: close\r\n , x\r\n")),
        CASE("first line folded", GET " " HOST "\r\n"),
        CASE("bare LF", FIELDS("A: b\n")),
        CASE("bare LF behind nothing", FIELDS("A:\n")),
        CASE("bare LF behind a length", POST "Content-Length: 3\n\r\nabc"),
        CASE("bare LF behind a coding", POST "Transfer-Encoding: chunked\n\r\n0\r\n\r\n"),
        CASE("bare LF behind Connection", FIELDS("Connection: close\n")),
        CASE("bare LF ends the head", GET HOST "\n"),
        CASE("bare CR", FIELDS("A: b\rC: d\r\n")),
        CASE("bare CR behind nothing", FIELDS("A:\rB\r\n")),
        CASE("bare CR behind a length", POST "Content-Length: 3\r\r\n\r\nabc"),
        CASE("bare CR in a length", POST "Content-Length: 3\r4\r\n\r\nabc"),
        CASE("bare CR behind a coding", POST "Transfer-Encoding: chunked\r\r\n\r\n0\r\n\r\n"),
        CASE("bare CR behind Connection", FIELDS("Connection: close\rx\r\n")),
        CASE("bare CR in the name", FIELDS("A\rB: c\r\n")),
        CASE("bare CR ends the head", GET HOST "\rX"),
        CASE("CR CR LF", FIELDS("A: b\r\r\n")),
        CASE("NUL in a value", FIELDS("A: b\0c\r\n")),
        CASE("NUL in a name", FIELDS("A\0: b\r\n")),
        CASE("control byte in a value", FIELDS("A: \x1f\r\n")),
        CASE("control byte in Connection", FIELDS("Connection: a\x01\r\n")),
        CASE("DEL in a value", FIELDS("A: \x7f\r\n")),
        CASE("DEL in Connection", FIELDS("Connection: \x7f\r\n")),
        CASE("DEL in a coding", FIELDS("Transfer-Encoding: gzip\x7f\r\n")),
        CASE("vertical tab in a value", FIELDS("A: b\vc\r\n")),
        CASE("DEL in a name", FIELDS("A\x7f: b\r\n")),
        CASE("high byte in a name", FIELDS("A\x80: b\r\n")),
        CASE("separators in a name", FIELDS("A(b): c\r\n")),
        CASE("at in a name", FIELDS("A@b: c\r\n")),
        CASE("brackets in a name", FIELDS("A[b]: c\r\n")),
        CASE("quote in a name", FIELDS("\"A\": c\r\n")),
    };
    expect_faults_between(cases, CASES_COUNT(cases), "bad-request");
}

static void bad_hosts(void **state)
{
    (void)state;
    static const struct parser_case cases[] = {
        CASE("missing", GET "\r\n"),
        CASE("empty", GET "Host:\r\n\r\n"),
        CASE("blank", GET "Host:  \t\r\n\r\n"),
        CASE("twice", GET HOST HOST "\r\n"),
        CASE("twice, one empty", GET HOST "Host:\r\n\r\n"),
        CASE("list", GET "Host: a, b\r\n\r\n"),
        CASE("path", GET "Host: a/b\r\n\r\n"),
        CASE("user", GET "Host: a@b\r\n\r\n"),
        CASE("empty on 1.0", "GET /a HTTP/1.0\r\nHost:\r\n\r\n"),
        CASE("twice on 1.0", "GET /a HTTP/1.0\r\n" HOST HOST "\r\n"),
        CASE("missing with a full target", "GET http://h/a HTTP/1.1\r\n\r\n"),
    };
    expect_faults_between(cases, CASES_COUNT(cases), "bad-request");
    expect_trace("1.0 without", "GET /a HTTP/1.0\r\n\r\n", 19, "GET /a 1.0 close\n");
}

static void bad_lines(void **state)
{
    (void)state;
#define LINE(text) text "\r\n" HOST "\r\n"
    static const struct parser_case cases[] = {
        CASE("bare LF", "GET /a HTTP/1.1\n" HOST "\r\n"),
        CASE("bare CR", "GET /a HTTP/1.1\r" HOST "\r\n"),
        CASE("CR CR LF", LINE("GET /a HTTP/1.1\r")),
        CASE("CR inside", LINE("GET /a\rb HTTP/1.1")),
        CASE("blank in front", LINE(" GET /a HTTP/1.1")),
        CASE("two blanks", LINE("GET  /a HTTP/1.1")),
        CASE("two blanks behind", LINE("GET /a  HTTP/1.1")),
        CASE("blank at the end", LINE("GET /a HTTP/1.1 ")),
        CASE("tabs", LINE("GET\t/a\tHTTP/1.1")),
        CASE("lower case version", LINE("GET /a http/1.1")),
        CASE("version without minor", LINE("GET /a HTTP/1")),
        CASE("version of two digits", LINE("GET /a HTTP/1.10")),
        CASE("version with letters", LINE("GET /a HTTP/1.x")),
        CASE("other protocol", LINE("GET /a ICY/1.1")),
        CASE("method only", LINE("GET")),
        CASE("method and blank", LINE("GET ")),
        CASE("no method", LINE("/a HTTP/1.1")),
        CASE("method with a slash", LINE("G/T /a HTTP/1.1")),
        CASE("fragment", LINE("GET /a#b HTTP/1.1")),
        CASE("high byte", LINE("GET /\xc3\xa4 HTTP/1.1")),
        CASE("DEL", LINE("GET /\x7f HTTP/1.1")),
        CASE("NUL", LINE("GET /\0 HTTP/1.1")),
        CASE("NUL in the method", LINE("G\0T / HTTP/1.1")),
        CASE("NUL at the end", LINE("GET / HTTP/1.1\0")),
        CASE("quote", LINE("GET /\" HTTP/1.1")),
        CASE("angle", LINE("GET /<> HTTP/1.1")),
        CASE("backslash", LINE("GET /\\ HTTP/1.1")),
        CASE("caret", LINE("GET /^ HTTP/1.1")),
        CASE("braces", LINE("GET /{} HTTP/1.1")),
        CASE("brackets", LINE("GET /[] HTTP/1.1")),
        CASE("bad per cent", LINE("GET /%zz HTTP/1.1")),
        CASE("cut per cent", LINE("GET /%2 HTTP/1.1")),
        CASE("relative", LINE("GET a HTTP/1.1")),
        CASE("asterisk", LINE("GET * HTTP/1.1")),
        CASE("other scheme", LINE("GET ftp://h/ HTTP/1.1")),
        CASE("full target without host", LINE("GET http:///a HTTP/1.1")),
        CASE("full target with user", LINE("GET http://u@h/a HTTP/1.1")),
        CASE("bare LF in front", "\n" GET HOST "\r\n"),
        CASE("bare CR in front", "\r" GET HOST "\r\n"),
        CASE("CR CR LF in front", "\r\r\n" GET HOST "\r\n"),
        CASE("LF behind CRLF in front", "\r\n\n" GET HOST "\r\n"),
        CASE("NUL in front", "\0" GET HOST "\r\n"),
        CASE("TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    };
    expect_faults_between(cases, CASES_COUNT(cases), "bad-request");
}

static void other_versions_and_methods(void **state)
{
    (void)state;
    static const struct parser_case versions[] = {
        CASE("0.9", LINE("GET /a")),
        CASE("0.9 in words", LINE("GET /a HTTP/0.9")),
        CASE("1.2", LINE("GET /a HTTP/1.2")),
        CASE("1.9", LINE("GET /a HTTP/1.9")),
        CASE("2.0", LINE("GET /a HTTP/2.0")),
        CASE("9.9", LINE("GET /a HTTP/9.9")),
        CASE("HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        CASE("unknown method", LINE("FOO /a HTTP/3.0")),
    };
    expect_faults_between(versions, CASES_COUNT(versions), "http-version-not-supported");
    static const struct parser_case methods[] = {
        CASE("unknown", LINE("FOO /a HTTP/1.1")),   CASE("lower case", LINE("get /a HTTP/1.1")),
        CASE("longer", LINE("GETS /a HTTP/1.1")),   CASE("of WebDAV", LINE("PROPFIND /a HTTP/1.1")),
        CASE("of RTSP", LINE("SETUP /a HTTP/1.1")),
    };
    expect_faults_between(methods, CASES_COUNT(methods), "not-implemented");
    static const struct parser_case connect[] = {
        CASE("CONNECT", LINE("CONNECT h:443 HTTP/1.1")),
        CASE("CONNECT to a path", LINE("CONNECT /a HTTP/1.1")),
    };
    expect_faults_between(connect, CASES_COUNT(connect), "method-not-allowed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_requests_are_read),
        cmocka_unit_test(who_closes),
        cmocka_unit_test(expectations),
        cmocka_unit_test(bad_lengths),
        cmocka_unit_test(bad_codings),
        cmocka_unit_test(bad_chunks),
        cmocka_unit_test(bad_trailers),
        cmocka_unit_test(bad_fields),
        cmocka_unit_test(bad_hosts),
        cmocka_unit_test(bad_lines),
        cmocka_unit_test(other_versions_and_methods),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
