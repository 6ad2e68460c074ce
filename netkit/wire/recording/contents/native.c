/*
 * What python.py beside this does, in C: the same class and function with the same results. It is
 * built where there is a compiler, and nothing but speed depends on it.
 *
 * What it does not take it leaves to Python, untouched: whatever is rare, and whatever is wrong.
 */

#include "../../../base/native.h"
#include <structmember.h>

#include <stdint.h>
#include <string.h>

/* As in python.py. */
#define MAX_CONTENT (65535 - 40)
#define ACKNOWLEDGED_AFTER (1 << 20)
#define FIRST_NUMBER 1000
#define MUCH (1 << 12)

/* A block has so many octets around its content at most: what begins it, the headers of IPv6 and
   TCP, padding, options, and its length. */
#define AROUND (28 + 60 + 3 + 12 + 4)

/* So many octets are gathered for one piece. */
#define GATHERED (1 << 16)

#define ENHANCED_PACKET 6
#define TTL_AND_TCP (64 << 8 | 6)
#define PSH_AND_ACK (5 << 12 | 8 | 16)
#define WINDOW 65535

/* A direction of a connection. */
typedef struct {
    PyObject_HEAD
    unsigned int next;
    unsigned long long unacknowledged;
    unsigned int interface;
    unsigned char direction;
    unsigned char family_octets; /* of two addresses: 8, or 32 */
    unsigned char addresses[32 + 4];
    uint32_t sum; /* of what the checksum of an IPv4 header sums up, without the length */
} Sender;

typedef struct {
    PyTypeObject *sender;
} State;

static int
sender_init(PyObject *object, PyObject *args, PyObject *keywords)
{
    Sender *self = (Sender *)object;
    PyObject *given;
    char *octets;
    const unsigned char *addresses;
    Py_ssize_t length, at;
    unsigned int interface;
    unsigned char direction;

    /* No "y#": what that takes hangs on whether this was built with the headers of Python 3.13. */
    if (no_keywords("Sender", keywords) < 0 ||
        !PyArg_ParseTuple(args, "IbS:Sender", &interface, &direction, &given) ||
        PyBytes_AsStringAndSize(given, &octets, &length) < 0)
        return -1;
    addresses = (const unsigned char *)octets;
    if (length != 8 + 4 && length != 32 + 4) {
        PyErr_SetString(PyExc_ValueError, "two addresses and two ports have 12 octets, or 36");
        return -1;
    }
    self->next = FIRST_NUMBER;
    self->unacknowledged = 0;
    self->interface = interface;
    self->direction = direction;
    self->family_octets = (unsigned char)(length - 4);
    memcpy(self->addresses, addresses, (size_t)length);
    self->sum = 0x4500 + TTL_AND_TCP;
    for (at = 0; at < 8; at += 2)
        self->sum += (uint32_t)addresses[at] << 8 | addresses[at + 1];
    return 0;
}

static PyMemberDef sender_members[] = {
    {"next", T_UINT, offsetof(Sender, next), 0, "the sequence number of the next octet"},
    {"unacknowledged", T_ULONGLONG, offsetof(Sender, unacknowledged), 0,
     "how many octets, at least, the other direction has not acknowledged"},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(sender_doc,
"Sender(interface, direction, addresses, /)\n--\n\n"
"One direction of a connection, as far as it goes on with each packet.");

static PyType_Slot sender_slots[] = {
    {Py_tp_doc, (void *)sender_doc},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_init, sender_init},
    {Py_tp_dealloc, free_object},
    {Py_tp_members, sender_members},
    {0, NULL},
};

static PyType_Spec sender_spec = {
    .name = "netkit.wire.recording.contents.native.Sender",
    .basicsize = sizeof(Sender),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = sender_slots,
};

/* pcapng's numbers are little-endian, */
static unsigned char *
little(unsigned char *to, size_t value)
{
    to[0] = (unsigned char)value;
    to[1] = (unsigned char)(value >> 8);
    to[2] = (unsigned char)(value >> 16);
    to[3] = (unsigned char)(value >> 24);
    return to + 4;
}

/* and those of IP and TCP big-endian. */
static unsigned char *
big16(unsigned char *to, size_t value)
{
    to[0] = (unsigned char)(value >> 8);
    to[1] = (unsigned char)value;
    return to + 2;
}

static unsigned char *
big32(unsigned char *to, size_t value)
{
    return big16(big16(to, value >> 16), value);
}

static unsigned char *
zeros(unsigned char *to, size_t count)
{
    memset(to, 0, count);
    return to + count;
}

static unsigned char *
copied(unsigned char *to, const void *from, size_t count)
{
    memcpy(to, from, count);
    return to + count;
}

/* How many octets are missing to a multiple of four. */
static size_t
padding(size_t kept)
{
    return -kept & 3;
}

static size_t
headers(const Sender *self)
{
    return self->family_octets == 8 ? 40 : 60;
}

/* How many octets a packet's block has. */
static size_t
whole(const Sender *self, size_t kept)
{
    return 28 + headers(self) + kept + padding(kept) + 12 + 4;
}

/* What is before a packet's content. */
static unsigned char *
before(unsigned char *to, const Sender *self, const Sender *other, unsigned long long time,
       size_t kept, size_t length)
{
    to = little(to, ENHANCED_PACKET);
    to = little(to, whole(self, kept));
    to = little(to, self->interface);
    to = little(to, (size_t)(time >> 32));
    to = little(to, (size_t)(time & 0xFFFFFFFF));
    to = little(to, headers(self) + kept);
    to = little(to, headers(self) + length);
    if (self->family_octets == 8) {
        to = big16(to, 0x4500);
        to = big16(to, 40 + length);
        to = zeros(to, 4);
        to = big16(to, TTL_AND_TCP);
        to = big16(to, 65535 - (self->sum + 40 + length) % 65535);
    } else {
        to = big32(to, 0x60000000);
        to = big16(to, 20 + length);
        to = big16(to, 6 << 8 | 64);
    }
    to = copied(to, self->addresses, self->family_octets + 4u);
    to = big32(to, self->next);
    to = big32(to, other->next);
    to = big16(to, PSH_AND_ACK);
    to = big16(to, WINDOW);
    return zeros(to, 4);
}

/* And what is behind it: padding, the option of its direction, and the block's length. */
static unsigned char *
behind(unsigned char *to, const Sender *self, size_t kept)
{
    to = zeros(to, padding(kept));
    to = little(to, 4 << 16 | 2);
    to = little(to, self->direction);
    to = little(to, 0);
    return little(to, whole(self, kept));
}

/* Octets that are to be one piece. */
typedef struct {
    PyObject *made;
    unsigned char *start;
    unsigned char *end;
} Pieces;

static int
append(Pieces *pieces)
{
    PyObject *piece;
    int result;

    if (pieces->end == pieces->start)
        return 0;
    piece = PyBytes_FromStringAndSize((char *)pieces->start, pieces->end - pieces->start);
    if (piece == NULL)
        return -1;
    result = PyList_Append(pieces->made, piece);
    Py_DECREF(piece);
    pieces->end = pieces->start;
    return result;
}

/* Make the packet of an event: 1, 0 where it is left to Python, -1 with an exception. */
static int
content(Pieces *pieces, PyTypeObject *type, PyObject *event, PyObject *connections,
        PyObject *received)
{
    PyObject *connection, *data, *flows[2];
    Sender *self, *other;
    unsigned long long time;
    Py_ssize_t length, kept;
    int sent;

    if (!PyTuple_Check(event) || PyTuple_Size(event) != 5)
        return 0;
    connection = PyDict_GetItemWithError(connections, PyTuple_GetItem(event, 0));
    if (connection == NULL)
        return PyErr_Occurred() ? -1 : 0;
    if (!PyTuple_Check(connection) || PyTuple_Size(connection) != 2)
        return 0;
    flows[0] = PyTuple_GetItem(connection, 0);
    flows[1] = PyTuple_GetItem(connection, 1);
    data = PyTuple_GetItem(event, 3);
    if (!PyObject_TypeCheck(flows[0], type) || !PyObject_TypeCheck(flows[1], type) ||
        !PyBytes_Check(data))
        return 0;
    time = PyLong_AsUnsignedLongLong(PyTuple_GetItem(event, 1));
    length = PyErr_Occurred() ? -1 : PyLong_AsSsize_t(PyTuple_GetItem(event, 4));
    if (PyErr_Occurred()) {
        PyErr_Clear();
        return 0;
    }
    sent = PyTuple_GetItem(event, 2) != received;
    self = (Sender *)flows[sent];
    other = (Sender *)flows[!sent];
    kept = PyBytes_Size(data);
    if (length < kept || length > MAX_CONTENT ||
        self->unacknowledged + (size_t)length > ACKNOWLEDGED_AFTER)
        return 0;
    if (pieces->end - pieces->start > GATHERED - MUCH - AROUND && append(pieces) < 0)
        return -1;
    pieces->end = before(pieces->end, self, other, time, (size_t)kept, (size_t)length);
    if (kept < MUCH)
        pieces->end = copied(pieces->end, PyBytes_AsString(data), (size_t)kept);
    else if (append(pieces) < 0 || PyList_Append(pieces->made, data) < 0)
        return -1;
    pieces->end = behind(pieces->end, self, (size_t)kept);
    self->next += (unsigned int)length;
    self->unacknowledged += (size_t)length;
    other->unacknowledged = 0;
    return 1;
}

PyDoc_STRVAR(contents_doc,
"contents(events, at, connections, received, made, /)\n--\n\n"
"Make the packets of octets, up to what is not so plain.");

static PyObject *
contents(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    PyTypeObject *type = ((State *)PyModule_GetState(module))->sender;
    Pieces pieces;
    Py_ssize_t at;
    int result = 1;

    if (nargs != 5 || !PyList_Check(args[0]) || !PyDict_Check(args[2]) || !PyList_Check(args[4])) {
        PyErr_SetString(PyExc_TypeError, "contents() takes a list, a number, a dict, and a list");
        return NULL;
    }
    at = PyLong_AsSsize_t(args[1]);
    if (at < 0) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_ValueError, "there is no event before the first");
        return NULL;
    }
    pieces.made = args[4];
    if ((pieces.start = PyMem_Malloc(GATHERED)) == NULL)
        return PyErr_NoMemory();
    pieces.end = pieces.start;
    while (at < PyList_Size(args[0])) {
        result = content(&pieces, type, PyList_GetItem(args[0], at), args[2], args[3]);
        if (result <= 0)
            break;
        at++;
    }
    if (result >= 0)
        result = append(&pieces);
    PyMem_Free(pieces.start);
    return result < 0 ? NULL : PyLong_FromSsize_t(at);
}

static PyMethodDef functions[] = {
    {"contents", FASTCALL(contents), contents_doc},
    {NULL, NULL, 0, NULL},
};

static int
add_types(PyObject *module)
{
    return add_type(module, &sender_spec, &((State *)PyModule_GetState(module))->sender);
}

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    Py_VISIT(((State *)PyModule_GetState(module))->sender);
    return 0;
}

static int
module_clear(PyObject *module)
{
    Py_CLEAR(((State *)PyModule_GetState(module))->sender);
    return 0;
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, add_types},
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "native",
    .m_doc = "The packets of content, in C.",
    .m_size = sizeof(State),
    .m_methods = functions,
    .m_slots = slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
};

PyMODINIT_FUNC
PyInit_native(void)
{
    return PyModuleDef_Init(&definition);
}
