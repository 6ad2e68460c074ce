/*
 * The plain case of a request's head, in C: one pass over its octets, in which most requests are
 * found to be sound.
 *
 * Nothing is diagnosed here, and nothing decided that hangs on more than one field. What is not all
 * there, not sound, too long, or says anything that is seldom said is given back to head.py beside
 * this, which has all of RFC 9112. So this may take less than that does, and never more.
 */

#include "../../../base/native.h"

#include <string.h>

/* What an octet may be part of. */
#define TOKEN 1
#define PATH 2
#define QUERY 4
#define VALUE 8
#define HOST 16
#define HEX 32

/* A Content-Length of more digits is for head.py. */
#define MAX_DIGITS 18

static unsigned char kinds[256];

static void
mark(const char *octets, unsigned char kind)
{
    for (; *octets != '\0'; octets++)
        kinds[(unsigned char)*octets] |= kind;
}

static void
mark_all(int first, int last, unsigned char kind)
{
    int octet;

    for (octet = first; octet <= last; octet++)
        kinds[octet] |= kind;
}

/* The same sets as those of the regular expressions in fields.py, head.py and framing.py. */
static int
make_kinds(PyObject *Py_UNUSED(module))
{
    mark_all('0', '9', TOKEN | HOST | HEX);
    mark_all('A', 'Z', TOKEN | HOST);
    mark_all('a', 'z', TOKEN | HOST);
    mark_all('A', 'F', HEX);
    mark_all('a', 'f', HEX);
    mark("!#$%&'*+-.^_`|~", TOKEN);
    mark("!$;=_~", HOST);
    mark_all('&', '.', HOST);
    mark("!$=", PATH);
    mark_all('&', ';', PATH);
    mark_all('@', '~', PATH);
    mark("!=", QUERY);
    mark_all('$', ';', QUERY);
    mark_all('?', '~', QUERY);
    mark("\t", VALUE);
    mark_all(' ', '~', VALUE);
    mark_all(0x80, 0xff, VALUE);
    return 0;
}

static int
is(const unsigned char *at, unsigned char kind)
{
    return kinds[*at] & kind;
}

/* Whether a name is that one, which is in lower case, whatever its own case. A capital letter and a
   small one differ by one bit, which no other octet of a token can lack and be taken for one. */
static int
same(const unsigned char *name, const char *known, Py_ssize_t length)
{
    for (; length > 0; length--, name++, known++) {
        if ((*name | 0x20) != (unsigned char)*known)
            return 0;
    }
    return 1;
}

/* What is found out about a head. */
typedef struct {
    int hosts;
    int connections;
    int lengths;
    int upgrades;
    /* The connection options. */
    int close;
    int upgrade;
    unsigned long long length;
} Found;

/* Each of these says whether a value, without the whitespace around it, is of the plain kind. */

static int
plain_host(const unsigned char *at, const unsigned char *end)
{
    const unsigned char *port;

    if (at == end || !is(at, HOST))
        return 0;
    while (at < end && is(at, HOST))
        at++;
    if (at < end && *at == ':') {
        for (port = ++at; at < end && *at >= '0' && *at <= '9'; at++)
            ;
        if (at - port > 5)
            return 0;
    }
    return at == end;
}

static int
plain_length(const unsigned char *at, const unsigned char *end, unsigned long long *length)
{
    if (at == end || end - at > MAX_DIGITS)
        return 0;
    for (*length = 0; at < end; at++) {
        if (*at < '0' || *at > '9')
            return 0;
        *length = *length * 10 + (*at - '0');
    }
    return 1;
}

static int
plain_options(const unsigned char *at, const unsigned char *end, Found *found)
{
    const unsigned char *option;
    Py_ssize_t length;

    for (;;) {
        for (option = at; at < end && is(at, TOKEN); at++)
            ;
        length = at - option;
        if (length == 5 && same(option, "close", 5))
            found->close = 1;
        else if (length == 7 && same(option, "upgrade", 7))
            found->upgrade = 1;
        else if (length != 10 || !same(option, "keep-alive", 10))
            return 0;
        if (at == end)
            return 1;
        if (*at++ != ',')
            return 0;
        while (at < end && (*at == ' ' || *at == '\t'))
            at++;
    }
}

/* Take note of a field, and say whether that was all there is to do about it. */
static int
note_field(const unsigned char *name, Py_ssize_t length, const unsigned char *at,
           const unsigned char *end, Found *found)
{
    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    while (at < end && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    switch (length) {
    case 4:
        return !same(name, "host", 4) || (++found->hosts == 1 && plain_host(at, end));
    case 6:
        return !same(name, "expect", 6);
    case 7:
        found->upgrades += same(name, "upgrade", 7);
        return 1;
    case 10:
        return !same(name, "connection", 10) ||
               (++found->connections == 1 && plain_options(at, end, found));
    case 14:
        return !same(name, "content-length", 14) ||
               (++found->lengths == 1 && plain_length(at, end, &found->length));
    case 17:
        return !same(name, "transfer-encoding", 17);
    default:
        return 1;
    }
}

/* Each of these goes from one part of a head to the next, and gives NULL where there is none.
   The octet behind the last one of a bytes object is NUL, which is part of nothing. */

static const unsigned char *
skip_target(const unsigned char *at)
{
    if (*at != '/')
        return NULL;
    for (;;) {
        while (is(at, PATH))
            at++;
        if (*at != '%')
            break;
        if (!is(at + 1, HEX) || !is(at + 2, HEX))
            return NULL;
        at += 3;
    }
    if (*at == '?') {
        for (at++; is(at, QUERY); at++)
            ;
    }
    return at;
}

static const unsigned char *
skip_text(const unsigned char *at, const char *text)
{
    size_t length = strlen(text);

    return strncmp((const char *)at, text, length) == 0 ? at + length : NULL;
}

/* So many octets of a value are looked at at a time. */
#define BLOCK 16

/* How many octets of a word, as they are in memory, are before the first one that is not zero. */
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define ZEROS(word) (__builtin_clzll(word) / 8)
#else
#define ZEROS(word) (__builtin_ctzll(word) / 8)
#endif

/* How many octets of a block are before the first one that cannot be part of a value: there is no
   branch for each, nor for where that is. */
static int
value_octets(const unsigned char *at)
{
    unsigned char odd[BLOCK];
    unsigned long long words[2];
    int of;

    for (of = 0; of < BLOCK; of++)
        odd[of] = (unsigned char)(((at[of] < ' ') & (at[of] != '\t')) | (at[of] == 0x7f));
    memcpy(words, odd, BLOCK);
    if (words[0] != 0)
        return ZEROS(words[0]);
    return 8 + (words[1] != 0 ? ZEROS(words[1]) : 8);
}

static const unsigned char *
skip_value(const unsigned char *at, const unsigned char *end)
{
    int found;

    while (end - at >= BLOCK) {
        found = value_octets(at);
        at += found;
        if (found < BLOCK)
            return at;
    }
    while (is(at, VALUE))
        at++;
    return at;
}

static const unsigned char *
skip_fields(const unsigned char *at, const unsigned char *end, Py_ssize_t most, Found *found)
{
    const unsigned char *name, *value;

    while (*at != '\r') {
        for (name = at; is(at, TOKEN); at++)
            ;
        if (at == name || *at != ':' || most-- == 0)
            return NULL;
        value = ++at;
        at = skip_value(at, end);
        if (at[0] != '\r' || at[1] != '\n' || !note_field(name, value - 1 - name, value, at, found))
            return NULL;
        at += 2;
    }
    return at[1] == '\n' ? at + 2 : NULL;
}

/* Where the parts of a head begin, and end where nothing else says so. */
typedef struct {
    const unsigned char *method_end;
    const unsigned char *target_end;
    const unsigned char *section;
    const unsigned char *end;
} Parts;

/* Find the parts of a head that begins there, in octets that end there; say whether it is whole and
   plain. */
static int
find_parts(const unsigned char *start, const unsigned char *end, Py_ssize_t max_line,
           Py_ssize_t max_section, Py_ssize_t max_fields, Parts *parts, Found *found)
{
    const unsigned char *at;

    for (at = start; is(at, TOKEN); at++)
        ;
    if (at == start || *at != ' ')
        return 0;
    /* Its target has a form of its own. */
    if (at - start == 7 && skip_text(start, "CONNECT") != NULL)
        return 0;
    parts->method_end = at;
    return (parts->target_end = skip_target(at + 1)) != NULL &&
           (parts->section = skip_text(parts->target_end, " HTTP/1.1\r\n")) != NULL &&
           parts->section - start - 2 <= max_line &&
           (parts->end = skip_fields(parts->section, end, max_fields, found)) != NULL &&
           parts->end - parts->section <= max_section && found->hosts != 0;
}

static PyObject *
octets_between(const unsigned char *at, const unsigned char *end)
{
    return PyBytes_FromStringAndSize((const char *)at, end - at);
}

/* A limit of any size: beyond what there can be, there is none. */
static int
get_limit(PyObject *number, Py_ssize_t *limit)
{
    *limit = PyLong_AsSsize_t(number);
    if (*limit == -1 && PyErr_Occurred()) {
        /* Seldom: it costs more. */
        PyErr_Clear();
        *limit = PyNumber_AsSsize_t(number, NULL);
    }
    return *limit == -1 && PyErr_Occurred() ? -1 : 0;
}

PyDoc_STRVAR(scan_request_doc,
"scan_request(buffer, start, max_line, max_section, max_fields, /)\n--\n\n"
"Find the parts of a request's head, where it is whole and plain.");

static PyObject *
scan_request(PyObject *Py_UNUSED(module), PyObject *const *arguments, Py_ssize_t count)
{
    const unsigned char *buffer, *start;
    Py_ssize_t size, from, max_line, max_section, max_fields;
    Found found = {0, 0, 0, 0, 0, 0, 0};
    Parts parts;
    char *octets;

    if (takes("scan_request", 5, 5, count) < 0 ||
        PyBytes_AsStringAndSize(arguments[0], &octets, &size) < 0 ||
        get_limit(arguments[1], &from) < 0 || get_limit(arguments[2], &max_line) < 0 ||
        get_limit(arguments[3], &max_section) < 0 || get_limit(arguments[4], &max_fields) < 0)
        return NULL;
    if (from < 0 || from > size) {
        PyErr_Format(PyExc_ValueError, "the buffer has %zd octets, and no start at %zd", size, from);
        return NULL;
    }
    buffer = (const unsigned char *)octets;
    start = buffer + from;
    if (!find_parts(start, buffer + size, max_line, max_section, max_fields, &parts, &found))
        return none();
    /* No "y#": what that takes hangs on whether this was built with the headers of Python 3.13. */
    return Py_BuildValue("NNNNnKOO", octets_between(start, parts.method_end),
                         octets_between(parts.method_end + 1, parts.target_end),
                         octets_between(start, parts.section),
                         octets_between(parts.section, parts.end),
                         (Py_ssize_t)(parts.end - buffer), found.length,
                         found.close ? Py_False : Py_True,
                         found.upgrades > 0 && found.upgrade ? Py_True : Py_False);
}

PyDoc_STRVAR(is_lone_get_doc,
"is_lone_get(octets, /)\n--\n\n"
"Whether octets are a GET, where it is plain, and nothing else.");

static PyObject *
is_lone_get(PyObject *Py_UNUSED(module), PyObject *given)
{
    const unsigned char *start;
    Py_ssize_t size;
    Found found = {0, 0, 0, 0, 0, 0, 0};
    Parts parts;
    char *octets;
    int lone;

    if (PyBytes_AsStringAndSize(given, &octets, &size) < 0)
        return NULL;
    start = (const unsigned char *)octets;
    lone = skip_text(start, "GET ") != NULL &&
           find_parts(start, start + size, size, size, size, &parts, &found) &&
           parts.end == start + size && found.length == 0 && found.upgrades == 0;
    return truth(lone);
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, make_kinds},
    {0, NULL},
};

static PyMethodDef functions[] = {
    {"scan_request", FASTCALL(scan_request), scan_request_doc},
    {"is_lone_get", is_lone_get, METH_O, is_lone_get_doc},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "native",
    .m_doc = "The plain case of a request's head, in C.",
    .m_methods = functions,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_native(void)
{
    return PyModuleDef_Init(&definition);
}
