/*
 * What python.py beside this does, in C: the same classes with the same results. It is built where
 * there is a compiler, and nothing but speed depends on it.
 *
 * An exchange is counted and logged when it is over, while its octets are at hand: what is kept of
 * it are integers, and the octets of its line.
 */

#include "../../base/native.h"

#include <string.h>
#include <strings.h>
#include <time.h>

/* So many bounds a histogram can have, and names a table of counts. */
#define MOST 32

/* The classes of status codes: by their first digits. */
#define CLASSES 10

/* Some octets that belong to somebody else; none where there is no start. */
typedef struct {
    const unsigned char *start;
    size_t length;
} Octets;

static int
get_octets(PyObject *bytes, Octets *octets)
{
    char *start;
    Py_ssize_t length;

    if (PyBytes_AsStringAndSize(bytes, &start, &length) < 0)
        return -1;
    octets->start = (const unsigned char *)start;
    octets->length = (size_t)length;
    return 0;
}

/* What of a request tells of it; none where there was no request. */
typedef struct {
    Octets line;
    Octets section;
} Request;

/* Requests, counted. */
typedef struct {
    PyObject_HEAD
    PyObject *names; /* a tuple of bytes, */
    Octets methods[MOST]; /* and these */
    Py_ssize_t name_count;
    Py_ssize_t bound_count;
    double bounds[MOST];
    double seconds;
    /* Behind those of the names, those of all others. */
    unsigned long long counts[MOST + 1][CLASSES];
    unsigned long long buckets[MOST + 1];
} Tally;

static PyObject *
tally_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    PyObject *names, *bounds;
    Py_ssize_t at, name_count, bound_count;
    Tally *self;

    if (no_keywords("Tally", keywords) < 0 ||
        !PyArg_ParseTuple(args, "O!O!:Tally", &PyTuple_Type, &names, &PyTuple_Type, &bounds))
        return NULL;
    name_count = PyTuple_Size(names);
    bound_count = PyTuple_Size(bounds);
    if (name_count > MOST || bound_count > MOST) {
        PyErr_Format(PyExc_ValueError, "there are at most %d methods, and bounds", MOST);
        return NULL;
    }
    if ((self = (Tally *)PyType_GenericAlloc(type, 0)) == NULL)
        return NULL;
    self->names = Py_NewRef(names);
    self->name_count = name_count;
    self->bound_count = bound_count;
    for (at = 0; at < name_count; at++) {
        if (get_octets(PyTuple_GetItem(names, at), &self->methods[at]) < 0)
            goto failed;
    }
    for (at = 0; at < bound_count; at++) {
        self->bounds[at] = PyFloat_AsDouble(PyTuple_GetItem(bounds, at));
        if (self->bounds[at] == -1.0 && PyErr_Occurred())
            goto failed;
    }
    return (PyObject *)self;

failed:
    Py_DECREF(self);
    return NULL;
}

static void
tally_dealloc(PyObject *object)
{
    Py_XDECREF(((Tally *)object)->names);
    free_object(object);
}

/* Where the method of a request line is in the table: behind all of it, if it is not in there. */
static Py_ssize_t
row_of(const Tally *self, Octets line)
{
    Py_ssize_t row;

    for (row = 0; row < self->name_count; row++) {
        Octets method = self->methods[row];
        if (method.length < line.length && line.start[method.length] == ' ' &&
            memcmp(line.start, method.start, method.length) == 0)
            break;
    }
    return row;
}

/* The request of a head, which may be None; the references are for who asks. */
typedef struct {
    PyObject *line;
    PyObject *section;
} Parts;

static void
forget(Parts *parts)
{
    Py_XDECREF(parts->line);
    Py_XDECREF(parts->section);
}

static int
get_request(PyObject *head, Parts *parts, Request *request)
{
    PyObject *fields;

    memset(parts, 0, sizeof *parts);
    memset(request, 0, sizeof *request);
    if (head == Py_None)
        return 0;
    if ((fields = PyObject_GetAttrString(head, "fields")) == NULL)
        return -1;
    parts->section = PyObject_GetAttrString(fields, "raw");
    Py_DECREF(fields);
    if (parts->section != NULL && (parts->line = PyObject_GetAttrString(head, "line")) != NULL &&
        get_octets(parts->line, &request->line) == 0 &&
        get_octets(parts->section, &request->section) == 0)
        return 0;
    forget(parts);
    return -1;
}

/* Whether an object is of the type that has this constructor, which no other type inherits. */
static int
is_made_by(PyObject *object, newfunc constructor)
{
    return (newfunc)PyType_GetSlot(Py_TYPE(object), Py_tp_new) == constructor;
}

static int
get_integer(PyObject *given, long long *value)
{
    *value = PyLong_AsLongLong(given);
    return *value == -1 && PyErr_Occurred() ? -1 : 0;
}

static int
get_double(PyObject *given, double *value)
{
    *value = PyFloat_AsDouble(given);
    return *value == -1.0 && PyErr_Occurred() ? -1 : 0;
}

static int
count_one(Tally *self, Octets line, long long status, double seconds)
{
    Py_ssize_t bucket;

    if (status < 0 || status >= CLASSES * 100) {
        PyErr_Format(PyExc_ValueError, "a status has three digits, not %lld", status);
        return -1;
    }
    for (bucket = 0; bucket < self->bound_count && self->bounds[bucket] < seconds; bucket++)
        ;
    self->counts[row_of(self, line)][status / 100]++;
    self->buckets[bucket]++;
    self->seconds += seconds;
    return 0;
}

PyDoc_STRVAR(tally_count_doc,
"count(line, status, seconds, /)\n--\n\n"
"Count an exchange.");

static PyObject *
tally_count(PyObject *object, PyObject *const *args, Py_ssize_t nargs)
{
    Octets line = {NULL, 0};
    long long status;
    double seconds;

    if (takes("count", 3, 3, nargs) < 0 ||
        (args[0] != Py_None && get_octets(args[0], &line) < 0) ||
        get_integer(args[1], &status) < 0 || get_double(args[2], &seconds) < 0 ||
        count_one((Tally *)object, line, status, seconds) < 0)
        return NULL;
    return none();
}

PyDoc_STRVAR(tally_counts_doc,
"counts()\n--\n\n"
"Tell how many there were of each method and class of status.");

static PyObject *
tally_counts(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    Tally *self = (Tally *)object;
    PyObject *found = PyDict_New(), *key, *number;
    Py_ssize_t row;
    int class, failed;

    if (found == NULL)
        return NULL;
    for (row = 0; row <= self->name_count; row++) {
        for (class = 0; class < CLASSES; class++) {
            if (self->counts[row][class] == 0)
                continue;
            key = Py_BuildValue(
                "(Oi)", row < self->name_count ? PyTuple_GetItem(self->names, row) : Py_None,
                class);
            number = PyLong_FromUnsignedLongLong(self->counts[row][class]);
            failed = key == NULL || number == NULL || PyDict_SetItem(found, key, number) < 0;
            Py_XDECREF(key);
            Py_XDECREF(number);
            if (failed) {
                Py_DECREF(found);
                return NULL;
            }
        }
    }
    return found;
}

PyDoc_STRVAR(tally_buckets_doc,
"buckets()\n--\n\n"
"Tell how many took as long as each bound, or shorter, and longer than the one before it.");

static PyObject *
tally_buckets(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    Tally *self = (Tally *)object;
    PyObject *found = PyList_New(self->bound_count + 1), *number;
    Py_ssize_t at;

    for (at = 0; found != NULL && at <= self->bound_count; at++) {
        number = PyLong_FromUnsignedLongLong(self->buckets[at]);
        if (number == NULL || PyList_SetItem(found, at, number) < 0)
            Py_CLEAR(found);
    }
    return found;
}

PyDoc_STRVAR(tally_seconds_doc,
"seconds()\n--\n\n"
"Tell how many seconds all took together.");

static PyObject *
tally_seconds(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    return PyFloat_FromDouble(((Tally *)object)->seconds);
}

static PyMethodDef tally_methods[] = {
    {"count", FASTCALL(tally_count), tally_count_doc},
    {"counts", tally_counts, METH_NOARGS, tally_counts_doc},
    {"buckets", tally_buckets, METH_NOARGS, tally_buckets_doc},
    {"seconds", tally_seconds, METH_NOARGS, tally_seconds_doc},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(tally_doc,
"Tally(methods, bounds, /)\n--\n\n"
"Exchanges, counted.");

static PyType_Slot tally_slots[] = {
    {Py_tp_doc, (void *)tally_doc},
    {Py_tp_new, tally_new},
    {Py_tp_dealloc, tally_dealloc},
    {Py_tp_methods, tally_methods},
    {0, NULL},
};

static PyType_Spec tally_spec = {
    .name = "netkit.operation.exchanges.native.Tally",
    .basicsize = sizeof(Tally),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = tally_slots,
};

/* The fields that a line has, in either format the first ones of these. */
enum { REFERER, AGENT, TRACEPARENT, FOUND };

/* The values of an exchange, of which a line is made. */
typedef struct {
    Request request;
    Octets found[FOUND];
    Octets peer;
    long long status;
    long long octets;
    double seconds;
    double ended;
    Octets more;
} Values;

/* Lines of a log that wait to be written: one object of either format. */
typedef struct Lines {
    PyObject_HEAD
    int (*add)(struct Lines *, const Values *);
    int names;        /* how many of the fields it has; */
    PyObject *peer;   /* who makes octets of a transport's peer, */
    PyObject *second; /* and of the second; */
    PyObject *begun;  /* who is told of the first line, and tells how far the time of day is ahead; */
    PyObject *full;   /* and who is to take them before there are more. */
    PyObject *now;    /* what became of the second, */
    Octets text;      /* and its octets; */
    long long at;     /* which second it is. */
    double ahead;
    int waiting;
    Py_ssize_t count;
    unsigned char *octets;
    size_t length;
    size_t reserved;
} Lines;

/* So many octets wait at most, and one line more; so much is kept for the next lines. */
#define FULL (1 << 18)
#define KEPT (1 << 19)

static PyObject *
new_lines(PyTypeObject *type, PyObject *args, PyObject *keywords,
          int (*add)(Lines *, const Values *), int names)
{
    PyObject *peer, *second, *begun, *full;
    Lines *self;

    if (no_keywords("lines", keywords) < 0 ||
        !PyArg_ParseTuple(args, "OOOO:lines", &peer, &second, &begun, &full) ||
        (self = (Lines *)PyType_GenericAlloc(type, 0)) == NULL)
        return NULL;
    self->add = add;
    self->names = names;
    self->peer = Py_NewRef(peer);
    self->second = Py_NewRef(second);
    self->begun = Py_NewRef(begun);
    self->full = Py_NewRef(full);
    return (PyObject *)self;
}

static int
lines_traverse(PyObject *object, visitproc visit, void *arg)
{
    Lines *self = (Lines *)object;

    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->peer);
    Py_VISIT(self->second);
    Py_VISIT(self->begun);
    Py_VISIT(self->full);
    return 0;
}

static int
lines_clear(PyObject *object)
{
    Lines *self = (Lines *)object;

    Py_CLEAR(self->peer);
    Py_CLEAR(self->second);
    Py_CLEAR(self->begun);
    Py_CLEAR(self->full);
    return 0;
}

static void
lines_dealloc(PyObject *object)
{
    Lines *self = (Lines *)object;

    PyObject_GC_UnTrack(object);
    lines_clear(object);
    Py_XDECREF(self->now);
    PyMem_Free(self->octets);
    free_object(object);
}

/* Take the octets that a function or an attribute gave, which live as long as it does. */
static PyObject *
keep_octets(PyObject *given, Octets *octets)
{
    if (given != NULL && get_octets(given, octets) < 0)
        Py_CLEAR(given);
    return given;
}

/* What stands for a transport's peer. */
static PyObject *
peer_of(Lines *self, PyObject *transport, Octets *octets)
{
    return keep_octets(PyObject_CallFunctionObjArgs(self->peer, transport, NULL), octets);
}

/* What stands for a second, made anew when that is another one. */
static int
text_of_second(Lines *self, long long second)
{
    Octets text;
    PyObject *now, *before = self->now;

    if (before != NULL && self->at == second)
        return 0;
    if ((now = keep_octets(PyObject_CallFunction(self->second, "L", second), &text)) == NULL)
        return -1;
    before = self->now;
    self->now = now;
    self->text = text;
    self->at = second;
    Py_XDECREF(before);
    return 0;
}

/* When an exchange has ended, in the time of day. */
static int
time_of_day(Lines *self, double ended, double *time)
{
    PyObject *told;
    int result;

    if (!self->waiting) {
        if ((told = PyObject_CallFunctionObjArgs(self->begun, NULL)) == NULL)
            return -1;
        result = get_double(told, &self->ahead);
        Py_DECREF(told);
        if (result < 0)
            return -1;
        self->waiting = 1;
    }
    *time = ended + self->ahead;
    /* In this range, and in no other, it is a number of milliseconds. */
    if (!(*time > -1e15 && *time < 1e15)) {
        PyErr_SetString(PyExc_OverflowError, "there is no such time");
        return -1;
    }
    return 0;
}

static Octets
value_at(const unsigned char *at, const unsigned char *end)
{
    const unsigned char *found = memchr(at, '\r', (size_t)(end - at));
    Octets value;

    if (found != NULL)
        end = found;
    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    while (at < end && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    value.start = at;
    value.length = (size_t)(end - at);
    return value;
}

/* Take the field of a line, if it is the first one of one of so many names. */
static int
take_field(const unsigned char *at, const unsigned char *end, int names, Octets found[FOUND])
{
    static const char *const name_of[FOUND] = {"referer:", "user-agent:", "traceparent:"};
    static const size_t length_of[FOUND] = {8, 11, 12};
    int field;

    switch (*at | 0x20) {
    case 'r':
        field = REFERER;
        break;
    case 'u':
        field = AGENT;
        break;
    case 't':
        field = TRACEPARENT;
        break;
    default:
        return 0;
    }
    if (field >= names || found[field].start != NULL || (size_t)(end - at) < length_of[field] ||
        strncasecmp((const char *)at, name_of[field], length_of[field]) != 0)
        return 0;
    found[field] = value_at(at + length_of[field], end);
    return 1;
}

/* The first field of each of so many names. */
static void
find_fields(Octets section, int names, Octets found[FOUND])
{
    const unsigned char *at, *end;
    int missing = names;

    memset(found, 0, sizeof(Octets) * FOUND);
    if (section.start == NULL)
        return;
    end = section.start + section.length;
    for (at = section.start; at != end; at++) {
        missing -= take_field(at, end, names, found);
        if (missing == 0 || (at = memchr(at, '\n', (size_t)(end - at))) == NULL)
            return;
    }
}

/* Room for so many more octets. */
static unsigned char *
reserve(Lines *self, size_t more)
{
    size_t wanted_size = self->length + more;
    unsigned char *larger;

    if (wanted_size > self->reserved) {
        size_t reserved = self->reserved * 2 > wanted_size ? self->reserved * 2 : wanted_size;
        if ((larger = PyMem_Realloc(self->octets, reserved)) == NULL) {
            PyErr_NoMemory();
            return NULL;
        }
        self->octets = larger;
        self->reserved = reserved;
    }
    return self->octets + self->length;
}

static unsigned char *
put(unsigned char *to, const void *octets, size_t length)
{
    memcpy(to, octets, length);
    return to + length;
}

/* In place, as a call is longer than what it would do. */
#define PUT(to, text) (memcpy(to, text, sizeof(text) - 1), (to) + sizeof(text) - 1)

static unsigned char *
put_octets(unsigned char *to, Octets octets)
{
    return octets.length ? put(to, octets.start, octets.length) : to;
}

static unsigned char *
put_digits(unsigned char *to, unsigned long long number, int width)
{
    int at;

    for (at = width - 1; at >= 0; at--, number /= 10)
        to[at] = (unsigned char)('0' + number % 10);
    return to + width;
}

static unsigned char *
put_number(unsigned char *to, long long number)
{
    unsigned long long left = (unsigned long long)number, least = 10;
    int width = 1;

    if (number < 0) {
        *to++ = '-';
        left = 0 - left;
    }
    for (; width < 19 && left >= least; least *= 10)
        width++;
    return put_digits(to, left, width);
}

/* So many octets are looked at at a time. */
#define BLOCK 16

/* Put octets that need not be escaped, and tell where they end; NULL if there are others. So many
   more are written behind them that only whole blocks are looked at, without a branch in it. */
static unsigned char *
put_plain(unsigned char *to, Octets octets)
{
    unsigned char odd[BLOCK] = {0}, *end = to + octets.length;
    unsigned long long any[2];
    size_t at;

    memcpy(to, octets.start, octets.length);
    memset(end, ' ', BLOCK);
    for (; to < end; to += BLOCK) {
        for (at = 0; at < BLOCK; at++)
            odd[at] |= (unsigned char)((to[at] < ' ') | (to[at] > '~') | (to[at] == '"') |
                                       (to[at] == '\\'));
    }
    memcpy(any, odd, BLOCK);
    return any[0] | any[1] ? NULL : end;
}

static unsigned char *
put_hexadecimal(unsigned char *to, unsigned char octet)
{
    static const char digits[] = "0123456789abcdef";

    *to++ = (unsigned char)digits[octet >> 4];
    *to++ = (unsigned char)digits[octet & 15];
    return to;
}

/* What cannot stand in quotes is escaped, as nginx and Apache have it; a dash is for what is not
   there. */
static unsigned char *
put_quoted(unsigned char *to, Octets octets)
{
    unsigned char *end;
    size_t at;

    if (octets.start == NULL)
        return PUT(to, "-");
    if ((end = put_plain(to, octets)) != NULL)
        return end;
    for (at = 0; at < octets.length; at++) {
        unsigned char octet = octets.start[at];
        if (octet < ' ' || octet > '~' || octet == '"' || octet == '\\')
            to = put_hexadecimal(PUT(to, "\\x"), octet);
        else
            *to++ = octet;
    }
    return to;
}

/* Octets as a JSON string: each is the character of its number. */
static unsigned char *
put_string(unsigned char *to, Octets octets)
{
    static const char escapes[] = "btnvfr";
    unsigned char *end;
    size_t at;

    *to++ = '"';
    if ((end = put_plain(to, octets)) != NULL) {
        to = end;
    } else {
        for (at = 0; at < octets.length; at++) {
            unsigned char octet = octets.start[at];
            if (octet == '"' || octet == '\\') {
                *to++ = '\\';
                *to++ = octet;
            } else if (octet >= '\b' && octet <= '\r' && octet != '\v') {
                *to++ = '\\';
                *to++ = (unsigned char)escapes[octet - '\b'];
            } else if (octet < ' ' || octet > '~') {
                to = put_hexadecimal(PUT(to, "\\u00"), octet);
            } else {
                *to++ = octet;
            }
        }
    }
    *to++ = '"';
    return to;
}

/* A request line without its end. */
static Octets
without_end(Octets line)
{
    line.length -= line.length < 2 ? line.length : 2;
    return line;
}

/* A line is there. */
static int
commit(Lines *self, const unsigned char *end)
{
    PyObject *taken;

    self->length = (size_t)(end - self->octets);
    self->count++;
    if (self->length < FULL)
        return 0;
    if ((taken = PyObject_CallFunctionObjArgs(self->full, NULL)) == NULL)
        return -1;
    Py_DECREF(taken);
    return 0;
}

static int
add_combined(Lines *self, const Values *values)
{
    Octets line = values->more, referer = values->found[REFERER], agent = values->found[AGENT];
    unsigned char *to;
    double time;

    if (time_of_day(self, values->ended, &time) < 0 || text_of_second(self, (long long)time) < 0)
        return -1;
    if (values->request.line.start != NULL)
        line = without_end(values->request.line);
    to = reserve(self, values->peer.length + self->text.length + 100 +
                           4 * (line.length + referer.length + agent.length));
    if (to == NULL)
        return -1;
    to = put_octets(to, values->peer);
    to = put_octets(PUT(to, " - - ["), self->text);
    to = put_quoted(PUT(to, "] \""), line);
    to = put_number(PUT(to, "\" "), values->status);
    *to++ = ' ';
    to = put_number(to, values->octets);
    to = put_quoted(PUT(to, " \""), referer);
    to = put_quoted(PUT(to, "\" \""), agent);
    return commit(self, PUT(to, "\"\n"));
}

/* With six digits behind the point, rounded as Python does: by its own means, where it is not plain
   which way that is. */
static int
text_of_seconds(double seconds, char **text, unsigned long *micro)
{
    *text = NULL;
    if (seconds > 0 && seconds < 1000) {
        double scaled = seconds * 1e6, rest;

        *micro = (unsigned long)scaled;
        rest = scaled - (double)*micro;
        if (rest < 0.499 || rest > 0.501) {
            *micro += rest > 0.5;
            return 0;
        }
    }
    *text = PyOS_double_to_string(seconds, 'f', 6, 0, NULL);
    return *text == NULL ? -1 : 0;
}

static unsigned char *
put_seconds(unsigned char *to, const char *text, unsigned long micro)
{
    if (text != NULL)
        return put(to, text, strlen(text));
    to = put_number(to, (long long)(micro / 1000000));
    *to++ = '.';
    return put_digits(to, micro % 1000000, 6);
}

/* Find what is between the first space of a request line and the last one, and before. */
static void
split_line(Octets line, Octets *method, Octets *target)
{
    const unsigned char *end = line.start + line.length;
    const unsigned char *space = memchr(line.start, ' ', line.length);

    method->start = line.start;
    method->length = (size_t)((space == NULL ? end : space) - line.start);
    target->start = space == NULL ? end : space + 1;
    while (end > target->start && *--end != ' ')
        ;
    target->length = (size_t)(end - target->start);
}

static int
add_json(Lines *self, const Values *values)
{
    static const char *const names[] = {", \"referer\": ", ", \"agent\": ", ", \"traceparent\": "};
    Octets line = without_end(values->request.line), method, target;
    unsigned char *to;
    char *seconds = NULL;
    unsigned long micro = 0;
    long long milliseconds, second;
    size_t size;
    double time;
    int field;

    if (time_of_day(self, values->ended, &time) < 0)
        return -1;
    milliseconds = (long long)(time * 1000);
    second = milliseconds / 1000 - (milliseconds % 1000 < 0);
    milliseconds -= second * 1000;
    if (text_of_second(self, second) < 0 ||
        text_of_seconds(values->seconds, &seconds, &micro) < 0)
        return -1;
    size = values->peer.length + self->text.length + values->more.length + 300 + 6 * line.length;
    size += seconds == NULL ? 0 : strlen(seconds);
    for (field = 0; field < FOUND; field++)
        size += 6 * values->found[field].length;
    if ((to = reserve(self, size)) != NULL) {
        to = put_octets(PUT(to, "{\"time\": \""), self->text);
        *to++ = '.';
        to = put_digits(to, (unsigned long)milliseconds, 3);
        to = put_octets(PUT(to, "+00:00\""), values->peer);
        if (line.start != NULL) {
            split_line(line, &method, &target);
            to = put_string(PUT(to, ", \"method\": "), method);
            to = put_string(PUT(to, ", \"target\": "), target);
        }
        to = put_number(PUT(to, ", \"status\": "), values->status);
        to = put_number(PUT(to, ", \"octets\": "), values->octets);
        to = put_seconds(PUT(to, ", \"seconds\": "), seconds, micro);
        for (field = 0; field < FOUND; field++) {
            if (values->found[field].start != NULL)
                to = put_string(put(to, names[field], strlen(names[field])),
                                values->found[field]);
        }
        to = put_octets(to, values->more);
        to = PUT(to, "}\n");
    }
    PyMem_Free(seconds);
    return to == NULL ? -1 : commit(self, to);
}

static PyObject *
combined_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    return new_lines(type, args, keywords, add_combined, TRACEPARENT);
}

static PyObject *
json_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    return new_lines(type, args, keywords, add_json, FOUND);
}

PyDoc_STRVAR(add_doc,
"add(head, status, octets, seconds, ended, transport, more=b'', /)\n--\n\n"
"Add the line of an exchange.");

static PyObject *
lines_add(PyObject *object, PyObject *const *args, Py_ssize_t nargs)
{
    Lines *self = (Lines *)object;
    Values values;
    Parts parts;
    PyObject *peer;
    int result;

    memset(&values, 0, sizeof values);
    if (takes("add", 6, 7, nargs) < 0 ||
        get_integer(args[1], &values.status) < 0 || get_integer(args[2], &values.octets) < 0 ||
        get_double(args[3], &values.seconds) < 0 || get_double(args[4], &values.ended) < 0)
        return NULL;
    if (nargs == 7) {
        if (get_octets(args[6], &values.more) < 0)
            return NULL;
        if (values.more.length == 0)
            values.more.start = NULL;
    }
    if ((peer = peer_of(self, args[5], &values.peer)) == NULL)
        return NULL;
    if ((result = get_request(args[0], &parts, &values.request)) == 0) {
        find_fields(values.request.section, self->names, values.found);
        result = self->add(self, &values);
        forget(&parts);
    }
    Py_DECREF(peer);
    return result < 0 ? NULL : none();
}

PyDoc_STRVAR(take_doc,
"take()\n--\n\n"
"Take the lines that wait, and tell how many there are.");

static PyObject *
lines_take(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    Lines *self = (Lines *)object;
    PyObject *taken = PyBytes_FromStringAndSize((const char *)self->octets,
                                                (Py_ssize_t)self->length);
    Py_ssize_t count = self->count;

    if (taken == NULL)
        return NULL;
    self->count = 0;
    self->length = 0;
    self->waiting = 0;
    if (self->reserved > KEPT) {
        PyMem_Free(self->octets);
        self->octets = NULL;
        self->reserved = 0;
    }
    return Py_BuildValue("Nn", taken, count);
}

static PyMethodDef lines_methods[] = {
    {"add", FASTCALL(lines_add), add_doc},
    {"take", lines_take, METH_NOARGS, take_doc},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(combined_doc,
"CombinedLines(peer, second, begun, full, /)\n--\n\n"
"Lines in the combined format of Apache and nginx.");

PyDoc_STRVAR(json_doc,
"JSONLines(peer, second, begun, full, /)\n--\n\n"
"Lines of a JSON object each.");

static PyType_Slot combined_slots[] = {
    {Py_tp_doc, (void *)combined_doc},
    {Py_tp_new, combined_new},
    {Py_tp_traverse, lines_traverse},
    {Py_tp_clear, lines_clear},
    {Py_tp_dealloc, lines_dealloc},
    {Py_tp_methods, lines_methods},
    {0, NULL},
};

static PyType_Slot json_slots[] = {
    {Py_tp_doc, (void *)json_doc},
    {Py_tp_new, json_new},
    {Py_tp_traverse, lines_traverse},
    {Py_tp_clear, lines_clear},
    {Py_tp_dealloc, lines_dealloc},
    {Py_tp_methods, lines_methods},
    {0, NULL},
};

static PyType_Spec combined_spec = {
    .name = "netkit.operation.exchanges.native.CombinedLines",
    .basicsize = sizeof(Lines),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = combined_slots,
};

static PyType_Spec json_spec = {
    .name = "netkit.operation.exchanges.native.JSONLines",
    .basicsize = sizeof(Lines),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = json_slots,
};

/* Who is told what the connections of a service do. */
typedef struct {
    PyObject_HEAD
    Tally *tally;
    PyObject *lines; /* None where there are none */
    Lines *ours;     /* these, where they are of a type that is in C */
    PyObject *clock; /* NULL where it is the system's */
    unsigned long long received;
    unsigned long long sent;
} Observer;

/* The system's clock, or NULL: who is asked instead. */
static int
find_clock(PyObject *seconds, PyObject **clock)
{
    PyObject *module = PyImport_ImportModule("time"), *found;

    if (module == NULL)
        return -1;
    found = PyObject_GetAttrString(module, "time");
    Py_DECREF(module);
    if (found == NULL)
        return -1;
    *clock = found == seconds ? NULL : Py_NewRef(seconds);
    Py_DECREF(found);
    return 0;
}

static PyObject *
observer_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    PyObject *tally, *lines, *seconds;
    Observer *self;

    if (no_keywords("Observer", keywords) < 0 ||
        !PyArg_ParseTuple(args, "OOO:Observer", &tally, &lines, &seconds))
        return NULL;
    if (!is_made_by(tally, tally_new)) {
        PyErr_SetString(PyExc_TypeError, "a Tally is wanted");
        return NULL;
    }
    if ((self = (Observer *)PyType_GenericAlloc(type, 0)) == NULL)
        return NULL;
    self->tally = (Tally *)Py_NewRef(tally);
    self->lines = Py_NewRef(lines);
    if (is_made_by(lines, combined_new) || is_made_by(lines, json_new))
        self->ours = (Lines *)lines;
    if (find_clock(seconds, &self->clock) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static int
observer_traverse(PyObject *object, visitproc visit, void *arg)
{
    Observer *self = (Observer *)object;

    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->lines);
    Py_VISIT(self->clock);
    return 0;
}

/* Lines end a circle themselves. */
static int
observer_clear(PyObject *object)
{
    Py_CLEAR(((Observer *)object)->clock);
    return 0;
}

static void
observer_dealloc(PyObject *object)
{
    Observer *self = (Observer *)object;

    PyObject_GC_UnTrack(object);
    Py_XDECREF((PyObject *)self->tally);
    Py_XDECREF(self->lines);
    Py_XDECREF(self->clock);
    free_object(object);
}

static int
read_clock(Observer *self, double *now)
{
    struct timespec time;
    PyObject *told;
    int result;

    if (self->clock == NULL) {
        /* As time.time() rounds it. */
        clock_gettime(CLOCK_REALTIME, &time);
        *now = (double)((long long)time.tv_sec * 1000000000 + time.tv_nsec) / 1e9;
        return 0;
    }
    if ((told = PyObject_CallFunctionObjArgs(self->clock, NULL)) == NULL)
        return -1;
    result = get_double(told, now);
    Py_DECREF(told);
    return result;
}

PyDoc_STRVAR(octets_doc,
"octets()\n--\n\n"
"Tell how many octets were received, and sent.");

static PyObject *
observer_octets(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    Observer *self = (Observer *)object;

    return Py_BuildValue("KK", self->received, self->sent);
}

static PyMethodDef observer_methods[] = {
    {"octets", observer_octets, METH_NOARGS, octets_doc},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(observer_doc,
"Observer(tally, lines, seconds, /)\n--\n\n"
"Who is told what the connections of a service do.");

static PyType_Slot observer_slots[] = {
    {Py_tp_doc, (void *)observer_doc},
    {Py_tp_new, observer_new},
    {Py_tp_traverse, observer_traverse},
    {Py_tp_clear, observer_clear},
    {Py_tp_dealloc, observer_dealloc},
    {Py_tp_methods, observer_methods},
    {0, NULL},
};

static PyType_Spec observer_spec = {
    .name = "netkit.operation.exchanges.native.Observer",
    .basicsize = sizeof(Observer),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = observer_slots,
};

/* One of these connections. */
typedef struct {
    PyObject_HEAD
    Observer *observer;
    PyObject *transport;
    PyObject *peer; /* NULL until there is a line, */
    Octets text;    /* and its octets */
    PyObject *section;   /* the last header section, which may come again, or NULL; */
    Octets found[FOUND]; /* and its fields */
    double began; /* when what is received last was, or the exchange before it ended; */
    int busy;     /* unless a request is under way, or waits, which began then */
} Connection;

static PyObject *
connection_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    PyObject *observer, *transport;
    Connection *self;

    if (no_keywords("ObservedConnection", keywords) < 0 ||
        !PyArg_ParseTuple(args, "OO:ObservedConnection", &observer, &transport))
        return NULL;
    if (!is_made_by(observer, observer_new)) {
        PyErr_SetString(PyExc_TypeError, "an Observer is wanted");
        return NULL;
    }
    if ((self = (Connection *)PyType_GenericAlloc(type, 0)) == NULL)
        return NULL;
    self->observer = (Observer *)Py_NewRef(observer);
    self->transport = Py_NewRef(transport);
    return (PyObject *)self;
}

static int
connection_traverse(PyObject *object, visitproc visit, void *arg)
{
    Connection *self = (Connection *)object;

    Py_VISIT(Py_TYPE(object));
    Py_VISIT((PyObject *)self->observer);
    Py_VISIT(self->transport);
    return 0;
}

static int
connection_clear(PyObject *object)
{
    Connection *self = (Connection *)object;
    PyObject *transport = self->transport;

    /* It is used for as long as there is this. */
    self->transport = Py_NewRef(Py_None);
    Py_XDECREF(transport);
    return 0;
}

static void
connection_dealloc(PyObject *object)
{
    Connection *self = (Connection *)object;

    PyObject_GC_UnTrack(object);
    Py_XDECREF((PyObject *)self->observer);
    Py_XDECREF(self->transport);
    Py_XDECREF(self->peer);
    Py_XDECREF(self->section);
    free_object(object);
}

PyDoc_STRVAR(received_doc,
"received(data, /)\n--\n\n"
"Octets arrived.");

static PyObject *
connection_received(PyObject *object, PyObject *data)
{
    Connection *self = (Connection *)object;
    Py_ssize_t length = PyObject_Size(data);
    double now;

    if (length < 0)
        return NULL;
    self->observer->received += (unsigned long long)length;
    if (!self->busy) {
        if (read_clock(self->observer, &now) < 0)
            return NULL;
        self->began = now;
    }
    return none();
}

PyDoc_STRVAR(sent_doc,
"sent(data, /)\n--\n\n"
"Octets were written.");

static PyObject *
connection_sent(PyObject *object, PyObject *data)
{
    Py_ssize_t length = PyObject_Size(data);

    if (length < 0)
        return NULL;
    ((Connection *)object)->observer->sent += (unsigned long long)length;
    return none();
}

PyDoc_STRVAR(sent_file_doc,
"sentFile(octets, /)\n--\n\n"
"So many octets of a file were sent.");

static PyObject *
connection_sent_file(PyObject *object, PyObject *octets)
{
    long long number;

    if (get_integer(octets, &number) < 0)
        return NULL;
    if (number < 0) {
        PyErr_Format(PyExc_ValueError, "a file has no %lld octets", number);
        return NULL;
    }
    ((Connection *)object)->observer->sent += (unsigned long long)number;
    return none();
}

PyDoc_STRVAR(begun_doc,
"begun()\n--\n\n"
"A request is under way, which is not answered at once.");

static PyObject *
connection_begun(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    ((Connection *)object)->busy = 1;
    return none();
}

/* Take note of the fields of a header section, which are those of the last one mostly. */
static void
note_fields(Connection *self, PyObject *section, Octets octets, int names)
{
    PyObject *before = self->section;

    if (section == before)
        return;
    find_fields(octets, names, self->found);
    self->section = Py_XNewRef(section);
    Py_XDECREF(before);
}

/* An exchange is over: count it, and add its line. */
static PyObject *
finish(Connection *self, PyObject *head, PyObject *section, Request request, long long status,
       long long octets)
{
    Observer *observer = self->observer;
    Lines *lines = observer->ours;
    Values values = {.request = request, .status = status, .octets = octets};
    PyObject *peer;

    if (read_clock(observer, &values.ended) < 0)
        return NULL;
    /* A clock may be set back. */
    if (request.line.start != NULL && values.ended > self->began)
        values.seconds = values.ended - self->began;
    self->began = values.ended;
    self->busy = 0;
    if (count_one(observer->tally, request.line, status, values.seconds) < 0)
        return NULL;
    if (lines == NULL) {
        if (observer->lines == Py_None)
            return none();
        return PyObject_CallMethod(observer->lines, "add", "OLLddO", head, status, octets,
                                   values.seconds, values.ended, self->transport);
    }
    if (self->peer == NULL) {
        if ((peer = peer_of(lines, self->transport, &values.peer)) == NULL)
            return NULL;
        Py_XDECREF(self->peer);
        self->peer = peer;
        self->text = values.peer;
    }
    values.peer = self->text;
    note_fields(self, section, request.section, lines->names);
    memcpy(values.found, self->found, sizeof self->found);
    return lines->add(lines, &values) < 0 ? NULL : none();
}

PyDoc_STRVAR(done_doc,
"done(head, status, octets, /)\n--\n\n"
"An exchange is over.");

static PyObject *
connection_done(PyObject *object, PyObject *const *args, Py_ssize_t nargs)
{
    Request request;
    Parts parts;
    long long status, octets;
    PyObject *result;

    if (takes("done", 3, 3, nargs) < 0 || get_integer(args[1], &status) < 0 ||
        get_integer(args[2], &octets) < 0 || get_request(args[0], &parts, &request) < 0)
        return NULL;
    result = finish((Connection *)object, args[0], parts.section, request, status, octets);
    forget(&parts);
    return result;
}

PyDoc_STRVAR(answered_doc,
"answered(head, line, section, status, octets, data, /)\n--\n\n"
"A request was answered by octets that were written.");

static PyObject *
connection_answered(PyObject *object, PyObject *const *args, Py_ssize_t nargs)
{
    Connection *self = (Connection *)object;
    Request request;
    long long status, octets;
    Octets data;

    if (takes("answered", 6, 6, nargs) < 0 ||
        get_octets(args[1], &request.line) < 0 || get_octets(args[2], &request.section) < 0 ||
        get_integer(args[3], &status) < 0 || get_integer(args[4], &octets) < 0 ||
        get_octets(args[5], &data) < 0)
        return NULL;
    self->observer->sent += data.length;
    return finish(self, args[0], args[2], request, status, octets);
}

static PyMethodDef connection_methods[] = {
    {"received", connection_received, METH_O, received_doc},
    {"sent", connection_sent, METH_O, sent_doc},
    {"sentFile", connection_sent_file, METH_O, sent_file_doc},
    {"begun", connection_begun, METH_NOARGS, begun_doc},
    {"done", FASTCALL(connection_done), done_doc},
    {"answered", FASTCALL(connection_answered), answered_doc},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(connection_doc,
"ObservedConnection(observer, transport, /)\n--\n\n"
"One of the connections of which an observer is told.");

static PyType_Slot connection_slots[] = {
    {Py_tp_doc, (void *)connection_doc},
    {Py_tp_new, connection_new},
    {Py_tp_traverse, connection_traverse},
    {Py_tp_clear, connection_clear},
    {Py_tp_dealloc, connection_dealloc},
    {Py_tp_methods, connection_methods},
    {0, NULL},
};

static PyType_Spec connection_spec = {
    .name = "netkit.operation.exchanges.native.ObservedConnection",
    .basicsize = sizeof(Connection),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = connection_slots,
};

static int
add_types(PyObject *module)
{
    PyType_Spec *const specs[] = {&tally_spec, &combined_spec, &json_spec, &observer_spec,
                                  &connection_spec};
    size_t at;

    for (at = 0; at < sizeof specs / sizeof *specs; at++) {
        if (add_type(module, specs[at], NULL) < 0)
            return -1;
    }
    return 0;
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, add_types},
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "native",
    .m_doc = "What is done for each exchange, in C.",
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_native(void)
{
    return PyModuleDef_Init(&definition);
}
