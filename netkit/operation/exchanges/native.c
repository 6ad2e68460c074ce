/*
 * What python.py beside this does, in C: the same classes with the same results. It is built where
 * there is a compiler, and nothing but speed depends on it.
 *
 * An exchange is counted and logged when it is over, while its octets are at hand: what is kept of
 * it are integers, and the octets of its line.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <string.h>

/* So many bounds a histogram can have, and names a table of counts. */
#define MOST 32

/* The classes of status codes: by their first digits. */
#define CLASSES 10

/* In place of Py_RETURN_NONE: in the headers of Python 3.12 and later that counts no reference, as
   None is immortal there. In Python 3.11, where the same build runs, it is not. */
static PyObject *
none(void)
{
    return Py_NewRef(Py_None);
}

static int
wrong_number(const char *name, Py_ssize_t given)
{
    PyErr_Format(PyExc_TypeError, "%s() does not take %zd arguments", name, given);
    return -1;
}

static int
no_keywords(const char *name, PyObject *keywords)
{
    if (keywords == NULL || PyDict_Size(keywords) == 0)
        return 0;
    PyErr_Format(PyExc_TypeError, "%s() takes no keyword arguments", name);
    return -1;
}

/* Requests, counted. */
typedef struct {
    PyObject_HEAD
    PyObject *names; /* a tuple of bytes */
    PyObject *method;
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
    for (at = 0; at < name_count; at++) {
        if (!PyBytes_Check(PyTuple_GetItem(names, at))) {
            PyErr_SetString(PyExc_TypeError, "a method is bytes");
            return NULL;
        }
    }
    if ((self = (Tally *)PyType_GenericAlloc(type, 0)) == NULL)
        return NULL;
    self->names = Py_NewRef(names);
    self->name_count = name_count;
    self->bound_count = bound_count;
    for (at = 0; at < bound_count; at++) {
        self->bounds[at] = PyFloat_AsDouble(PyTuple_GetItem(bounds, at));
        if (self->bounds[at] == -1.0 && PyErr_Occurred())
            goto failed;
    }
    if ((self->method = PyUnicode_InternFromString("method")) == NULL)
        goto failed;
    return (PyObject *)self;

failed:
    Py_DECREF(self);
    return NULL;
}

static void
tally_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);

    Py_XDECREF(((Tally *)object)->names);
    Py_XDECREF(((Tally *)object)->method);
    release(object);
    Py_DECREF(type);
}

/* Where a head's method is in the table; -1 with an exception. */
static Py_ssize_t
row_of(Tally *self, PyObject *head)
{
    PyObject *method, *name;
    Py_ssize_t row, length;
    const char *octets;

    if (head == Py_None)
        return self->name_count;
    if ((method = PyObject_GetAttr(head, self->method)) == NULL)
        return -1;
    if (!PyBytes_Check(method)) {
        PyErr_SetString(PyExc_TypeError, "a method is bytes");
        Py_DECREF(method);
        return -1;
    }
    octets = PyBytes_AsString(method);
    length = PyBytes_Size(method);
    for (row = 0; row < self->name_count; row++) {
        name = PyTuple_GetItem(self->names, row);
        if (PyBytes_Size(name) == length && memcmp(PyBytes_AsString(name), octets, length) == 0)
            break;
    }
    Py_DECREF(method);
    return row;
}

PyDoc_STRVAR(tally_count_doc,
"count(head, status, octets, seconds, ended, transport, /)\n--\n\n"
"Count an exchange.");

static PyObject *
tally_count(PyObject *object, PyObject *const *args, Py_ssize_t nargs)
{
    Tally *self = (Tally *)object;
    Py_ssize_t row, bucket;
    double seconds;
    long status;

    if (nargs != 6 && wrong_number("count", nargs))
        return NULL;
    status = PyLong_AsLong(args[1]);
    if (status == -1 && PyErr_Occurred())
        return NULL;
    if (status < 0 || status >= CLASSES * 100) {
        PyErr_Format(PyExc_ValueError, "a status has three digits, not %R", args[1]);
        return NULL;
    }
    seconds = PyFloat_AsDouble(args[3]);
    if (seconds == -1.0 && PyErr_Occurred())
        return NULL;
    if ((row = row_of(self, args[0])) < 0)
        return NULL;
    for (bucket = 0; bucket < self->bound_count && self->bounds[bucket] < seconds; bucket++)
        ;
    self->counts[row][status / 100]++;
    self->buckets[bucket]++;
    self->seconds += seconds;
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
    {"count", (PyCFunction)(void (*)(void))tally_count, METH_FASTCALL, tally_count_doc},
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

/* Lines of a log that wait to be written: one object of either format. */
typedef struct {
    PyObject_HEAD
    PyObject *peer;   /* who makes octets of a transport's peer, */
    PyObject *second; /* and of the second; */
    PyObject *begun;  /* who is told of the first line, and tells how far the time of day is ahead. */
    PyObject *peers;  /* what became of each transport's peer */
    PyObject *now;    /* what became of the second, */
    long long at;     /* which it is. */
    double ahead;
    int waiting;
    Py_ssize_t count;
    unsigned char *octets;
    size_t length;
    size_t reserved;
    PyObject *names[5];
} Lines;

/* In the order of names. */
enum { LINE, FIELDS, RAW, METHOD, TARGET };

/* So much is kept for the next lines. */
#define KEPT (1 << 20)

/* Some octets that belong to somebody else; none where there is no start. */
typedef struct {
    const unsigned char *start;
    size_t length;
} Octets;

/* The fields that a line has. */
enum { REFERER, AGENT, TRACEPARENT, FOUND };

static PyObject *
lines_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    static const char *const names[] = {"line", "fields", "raw", "method", "target"};
    PyObject *peer, *second, *begun;
    Lines *self;
    size_t at;

    if (no_keywords("lines", keywords) < 0 ||
        !PyArg_ParseTuple(args, "OOO:lines", &peer, &second, &begun) ||
        (self = (Lines *)PyType_GenericAlloc(type, 0)) == NULL)
        return NULL;
    self->peer = Py_NewRef(peer);
    self->second = Py_NewRef(second);
    self->begun = Py_NewRef(begun);
    if ((self->peers = PyDict_New()) == NULL)
        goto failed;
    for (at = 0; at < sizeof names / sizeof *names; at++) {
        if ((self->names[at] = PyUnicode_InternFromString(names[at])) == NULL)
            goto failed;
    }
    return (PyObject *)self;

failed:
    Py_DECREF(self);
    return NULL;
}

static int
lines_traverse(PyObject *object, visitproc visit, void *arg)
{
    Lines *self = (Lines *)object;

    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->peer);
    Py_VISIT(self->second);
    Py_VISIT(self->begun);
    Py_VISIT(self->peers);
    return 0;
}

/* The rest has no way back to this, or is cleared by itself. */
static int
lines_clear(PyObject *object)
{
    Lines *self = (Lines *)object;

    Py_CLEAR(self->peer);
    Py_CLEAR(self->second);
    Py_CLEAR(self->begun);
    return 0;
}

static void
lines_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    Lines *self = (Lines *)object;
    size_t at;

    PyObject_GC_UnTrack(object);
    lines_clear(object);
    Py_XDECREF(self->peers);
    Py_XDECREF(self->now);
    for (at = 0; at < sizeof self->names / sizeof *self->names; at++)
        Py_XDECREF(self->names[at]);
    PyMem_Free(self->octets);
    release(object);
    Py_DECREF(type);
}

/* What a function gives, which has to be bytes. */
static PyObject *
bytes_or_error(PyObject *given)
{
    if (given != NULL && !PyBytes_Check(given)) {
        PyErr_SetString(PyExc_TypeError, "a line is made of bytes");
        Py_CLEAR(given);
    }
    return given;
}

static PyObject *
attribute(Lines *self, PyObject *object, int name)
{
    return bytes_or_error(PyObject_GetAttr(object, self->names[name]));
}

static Octets
octets_of(PyObject *bytes)
{
    Octets found = {(const unsigned char *)PyBytes_AsString(bytes), (size_t)PyBytes_Size(bytes)};

    return found;
}

/* What stands for a transport's peer, made once for all lines that are taken together. */
static PyObject *
peer_of(Lines *self, PyObject *transport)
{
    PyObject *peer = PyDict_GetItemWithError(self->peers, transport);

    if (peer != NULL)
        return Py_NewRef(peer);
    if (PyErr_Occurred())
        return NULL;
    peer = bytes_or_error(PyObject_CallFunctionObjArgs(self->peer, transport, NULL));
    if (peer != NULL && PyDict_SetItem(self->peers, transport, peer) < 0)
        Py_CLEAR(peer);
    return peer;
}

/* What stands for a second, made anew when that is another one. */
static PyObject *
text_of_second(Lines *self, long long second)
{
    PyObject *now;

    if (self->now == NULL || self->at != second) {
        now = bytes_or_error(PyObject_CallFunction(self->second, "L", second));
        if (now == NULL)
            return NULL;
        Py_XDECREF(self->now);
        self->now = now;
        self->at = second;
    }
    return Py_NewRef(self->now);
}

/* The values of an exchange, of which a line is made: what both formats have to know. */
typedef struct {
    PyObject *peer;
    PyObject *section; /* NULL where there was no request */
    long long status;
    long long octets;
    double seconds;
    double ended; /* in the time of day */
    Octets more;
} Values;

static void
release_values(Values *values)
{
    Py_XDECREF(values->peer);
    Py_XDECREF(values->section);
}

static int
get_values(Lines *self, PyObject *const *args, Py_ssize_t nargs, Values *values)
{
    PyObject *told, *fields;

    memset(values, 0, sizeof *values);
    if (nargs != 6 && nargs != 7 && wrong_number("add", nargs))
        return -1;
    values->status = PyLong_AsLongLong(args[1]);
    if (values->status == -1 && PyErr_Occurred())
        return -1;
    values->octets = PyLong_AsLongLong(args[2]);
    if (values->octets == -1 && PyErr_Occurred())
        return -1;
    values->seconds = PyFloat_AsDouble(args[3]);
    if (values->seconds == -1.0 && PyErr_Occurred())
        return -1;
    values->ended = PyFloat_AsDouble(args[4]);
    if (values->ended == -1.0 && PyErr_Occurred())
        return -1;
    if (nargs == 7) {
        if (!PyBytes_Check(args[6])) {
            PyErr_SetString(PyExc_TypeError, "a line is made of bytes");
            return -1;
        }
        values->more = octets_of(args[6]);
    }
    if (!self->waiting) {
        if ((told = PyObject_CallFunctionObjArgs(self->begun, NULL)) == NULL)
            return -1;
        self->ahead = PyFloat_AsDouble(told);
        Py_DECREF(told);
        if (self->ahead == -1.0 && PyErr_Occurred())
            return -1;
        self->waiting = 1;
    }
    values->ended += self->ahead;
    /* In this range, and in no other, it is a number of milliseconds. */
    if (!(values->ended > -1e15 && values->ended < 1e15)) {
        PyErr_SetString(PyExc_OverflowError, "there is no such time");
        return -1;
    }
    if (args[0] != Py_None) {
        if ((fields = PyObject_GetAttr(args[0], self->names[FIELDS])) == NULL)
            return -1;
        values->section = attribute(self, fields, RAW);
        Py_DECREF(fields);
        if (values->section == NULL)
            return -1;
    }
    if ((values->peer = peer_of(self, args[5])) == NULL) {
        release_values(values);
        return -1;
    }
    return 0;
}

/* Whether a field line has that name, which is in lower case and has a colon behind it: the value
   begins there then. */
static const unsigned char *
behind_name(const unsigned char *at, const unsigned char *end, const char *name)
{
    for (; *name != '\0'; at++, name++) {
        unsigned char octet;
        if (at == end)
            return NULL;
        octet = *at;
        if (octet >= 'A' && octet <= 'Z')
            octet |= 0x20;
        if (octet != (unsigned char)*name)
            return NULL;
    }
    return at;
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

/* The first field of each name, in one pass over a section. */
static void
find_fields(PyObject *section, Octets found[FOUND])
{
    static const char *const names[FOUND] = {"referer:", "user-agent:", "traceparent:"};
    const unsigned char *at, *end, *value;
    int field;

    memset(found, 0, sizeof(Octets) * FOUND);
    if (section == NULL)
        return;
    at = octets_of(section).start;
    end = at + octets_of(section).length;
    while (at != NULL && at < end) {
        field = FOUND;
        switch (*at | 0x20) {
        case 'r':
            field = REFERER;
            break;
        case 'u':
            field = AGENT;
            break;
        case 't':
            field = TRACEPARENT;
        }
        if (field < FOUND && found[field].start == NULL &&
            (value = behind_name(at, end, names[field])) != NULL)
            found[field] = value_at(value, end);
        if ((at = memchr(at, '\n', (size_t)(end - at))) != NULL)
            at++;
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

#define PUT(to, text) put(to, text, sizeof(text) - 1)

static unsigned char *
put_octets(unsigned char *to, Octets octets)
{
    return octets.length ? put(to, octets.start, octets.length) : to;
}

static unsigned char *
put_number(unsigned char *to, long long number)
{
    unsigned char digits[20], *at = digits + sizeof digits;
    unsigned long long left = (unsigned long long)number;

    if (number < 0) {
        *to++ = '-';
        left = 0 - left;
    }
    do {
        *--at = (unsigned char)('0' + left % 10);
    } while (left /= 10);
    return put(to, at, (size_t)(digits + sizeof digits - at));
}

static unsigned char *
put_digits(unsigned char *to, unsigned long number, int width)
{
    int at;

    for (at = width - 1; at >= 0; at--, number /= 10)
        to[at] = (unsigned char)('0' + number % 10);
    return to + width;
}

/* Without a branch in it, so that many octets are looked at at a time. */
static int
is_plain(Octets octets)
{
    unsigned char odd = 0;
    size_t at;

    for (at = 0; at < octets.length; at++) {
        unsigned char octet = octets.start[at];
        odd |= (unsigned char)((octet < ' ') | (octet > '~') | (octet == '"') | (octet == '\\'));
    }
    return !odd;
}

static unsigned char *
put_hexadecimal(unsigned char *to, unsigned char octet)
{
    static const char digits[] = "0123456789abcdef";

    *to++ = (unsigned char)digits[octet >> 4];
    *to++ = (unsigned char)digits[octet & 15];
    return to;
}

/* What cannot stand in quotes is escaped, as nginx and Apache have it. */
static unsigned char *
put_quoted(unsigned char *to, Octets octets)
{
    size_t at;

    if (is_plain(octets))
        return put_octets(to, octets);
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
    size_t at;

    *to++ = '"';
    if (is_plain(octets)) {
        to = put_octets(to, octets);
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

/* Octets that stand for something else where there are none. */
static Octets
or_dash(Octets octets)
{
    static const Octets dash = {(const unsigned char *)"-", 1};

    return octets.start == NULL ? dash : octets;
}

static void
commit(Lines *self, const unsigned char *end)
{
    self->length = (size_t)(end - self->octets);
    self->count++;
}

PyDoc_STRVAR(add_doc,
"add(head, status, octets, seconds, ended, transport, more=b'', /)\n--\n\n"
"Add the line of an exchange.");

static PyObject *
combined_add(PyObject *object, PyObject *const *args, Py_ssize_t nargs)
{
    Lines *self = (Lines *)object;
    PyObject *sent = NULL, *now = NULL;
    Octets line = {NULL, 0}, found[FOUND];
    unsigned char *to = NULL;
    Values values;

    if (get_values(self, args, nargs, &values) < 0)
        return NULL;
    if (values.section != NULL) {
        if ((sent = attribute(self, args[0], LINE)) == NULL)
            goto done;
        line = octets_of(sent);
        /* Without its end. */
        line.length -= line.length < 2 ? line.length : 2;
    } else if (values.more.length) {
        line = values.more;
    }
    if ((now = text_of_second(self, (long long)values.ended)) == NULL)
        goto done;
    find_fields(values.section, found);
    line = or_dash(line);
    found[REFERER] = or_dash(found[REFERER]);
    found[AGENT] = or_dash(found[AGENT]);
    to = reserve(self, octets_of(values.peer).length + octets_of(now).length +
                           4 * (line.length + found[REFERER].length + found[AGENT].length) + 100);
    if (to != NULL) {
        to = put_octets(to, octets_of(values.peer));
        to = put_octets(PUT(to, " - - ["), octets_of(now));
        to = put_quoted(PUT(to, "] \""), line);
        to = put_number(PUT(to, "\" "), values.status);
        *to++ = ' ';
        to = put_number(to, values.octets);
        to = put_quoted(PUT(to, " \""), found[REFERER]);
        to = put_quoted(PUT(to, "\" \""), found[AGENT]);
        commit(self, PUT(to, "\"\n"));
    }
done:
    Py_XDECREF(now);
    Py_XDECREF(sent);
    release_values(&values);
    return to == NULL ? NULL : none();
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

static PyObject *
json_add(PyObject *object, PyObject *const *args, Py_ssize_t nargs)
{
    static const char *const names[] = {", \"referer\": ", ", \"agent\": ", ", \"traceparent\": "};
    Lines *self = (Lines *)object;
    PyObject *method = NULL, *target = NULL, *now = NULL;
    Octets found[FOUND];
    unsigned char *to = NULL;
    char *seconds = NULL;
    unsigned long micro = 0;
    long long milliseconds, second;
    size_t size;
    Values values;
    int field;

    if (get_values(self, args, nargs, &values) < 0)
        return NULL;
    if (values.section != NULL && ((method = attribute(self, args[0], METHOD)) == NULL ||
                                   (target = attribute(self, args[0], TARGET)) == NULL))
        goto done;
    milliseconds = (long long)(values.ended * 1000);
    second = milliseconds / 1000 - (milliseconds % 1000 < 0);
    milliseconds -= second * 1000;
    if ((now = text_of_second(self, second)) == NULL ||
        text_of_seconds(values.seconds, &seconds, &micro) < 0)
        goto done;
    find_fields(values.section, found);
    size = octets_of(values.peer).length + octets_of(now).length + values.more.length + 300;
    size += seconds == NULL ? 0 : strlen(seconds);
    if (method != NULL)
        size += 6 * (octets_of(method).length + octets_of(target).length);
    for (field = 0; field < FOUND; field++)
        size += 6 * found[field].length;
    if ((to = reserve(self, size)) != NULL) {
        to = put_octets(PUT(to, "{\"time\": \""), octets_of(now));
        *to++ = '.';
        to = put_digits(to, (unsigned long)milliseconds, 3);
        to = put_octets(PUT(to, "+00:00\""), octets_of(values.peer));
        if (method != NULL) {
            to = put_string(PUT(to, ", \"method\": "), octets_of(method));
            to = put_string(PUT(to, ", \"target\": "), octets_of(target));
        }
        to = put_number(PUT(to, ", \"status\": "), values.status);
        to = put_number(PUT(to, ", \"octets\": "), values.octets);
        to = put_seconds(PUT(to, ", \"seconds\": "), seconds, micro);
        for (field = 0; field < FOUND; field++) {
            if (found[field].start != NULL)
                to = put_string(put(to, names[field], strlen(names[field])), found[field]);
        }
        to = put_octets(to, values.more);
        commit(self, PUT(to, "}\n"));
    }
done:
    if (seconds != NULL)
        PyMem_Free(seconds);
    Py_XDECREF(now);
    Py_XDECREF(method);
    Py_XDECREF(target);
    release_values(&values);
    return to == NULL ? NULL : none();
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
    /* Last: the end of a transport may do anything. */
    PyDict_Clear(self->peers);
    return Py_BuildValue("Nn", taken, count);
}

static PyMethodDef combined_methods[] = {
    {"add", (PyCFunction)(void (*)(void))combined_add, METH_FASTCALL, add_doc},
    {"take", lines_take, METH_NOARGS, take_doc},
    {NULL, NULL, 0, NULL},
};

static PyMethodDef json_methods[] = {
    {"add", (PyCFunction)(void (*)(void))json_add, METH_FASTCALL, add_doc},
    {"take", lines_take, METH_NOARGS, take_doc},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(combined_doc,
"CombinedLines(peer, second, begun, /)\n--\n\n"
"Lines in the combined format of Apache and nginx.");

PyDoc_STRVAR(json_doc,
"JSONLines(peer, second, begun, /)\n--\n\n"
"Lines of a JSON object each.");

static PyType_Slot combined_slots[] = {
    {Py_tp_doc, (void *)combined_doc},
    {Py_tp_new, lines_new},
    {Py_tp_traverse, lines_traverse},
    {Py_tp_clear, lines_clear},
    {Py_tp_dealloc, lines_dealloc},
    {Py_tp_methods, combined_methods},
    {0, NULL},
};

static PyType_Slot json_slots[] = {
    {Py_tp_doc, (void *)json_doc},
    {Py_tp_new, lines_new},
    {Py_tp_traverse, lines_traverse},
    {Py_tp_clear, lines_clear},
    {Py_tp_dealloc, lines_dealloc},
    {Py_tp_methods, json_methods},
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

static int
add_types(PyObject *module)
{
    PyType_Spec *const specs[] = {&tally_spec, &combined_spec, &json_spec};
    size_t at;

    for (at = 0; at < sizeof specs / sizeof *specs; at++) {
        PyObject *type = PyType_FromModuleAndSpec(module, specs[at], NULL);
        int result;

        if (type == NULL)
            return -1;
        result = PyModule_AddType(module, (PyTypeObject *)type);
        Py_DECREF(type);
        if (result < 0)
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
