/*
 * What python.py beside this does, in C: the same functions with the same results. It is built where
 * there is a compiler, and nothing but speed depends on it.
 *
 * Nothing is diagnosed here. What is not the plain case is given back to the caller, who has the
 * rest of the protocol in Python.
 */

#include "../../../base/native.h"

#include <stdint.h>
#include <string.h>

#define FIN_TEXT 0x81
#define FIN_BINARY 0x82
#define MASK 0x80

/* Text up to this size is unmasked on the stack on its way to a str. */
#define ON_STACK 4096

/* A message of more octets, or characters, is large. */
#define LARGE 65536

/* RFC 6455 section 5.3. Words of eight octets are two turns of the key each. */
static void
mask_into(unsigned char *to, const unsigned char *from, Py_ssize_t length,
          const unsigned char *key)
{
    uint64_t pad, word;
    Py_ssize_t at = 0;

    memcpy(&pad, key, 4);
    memcpy((unsigned char *)&pad + 4, key, 4);
    for (; at + 8 <= length; at += 8) {
        memcpy(&word, from + at, 8);
        word ^= pad;
        memcpy(to + at, &word, 8);
    }
    for (; at < length; at++)
        to[at] = from[at] ^ key[at & 3];
}

static const unsigned char *
key_octets(PyObject *key)
{
    char *octets;
    Py_ssize_t length;

    if (PyBytes_AsStringAndSize(key, &octets, &length) < 0)
        return NULL;
    if (length != 4) {
        PyErr_Format(PyExc_ValueError, "a masking key has 4 octets, not %zd", length);
        return NULL;
    }
    return (const unsigned char *)octets;
}

/* The octets of any object that has some, a view of every second one among them. */
static int
get_octets(PyObject *object, Py_buffer *octets)
{
    PyObject *copy;
    int result;

    if (PyObject_GetBuffer(object, octets, PyBUF_SIMPLE) == 0)
        return 0;
    if (!PyErr_ExceptionMatches(PyExc_BufferError))
        return -1;
    PyErr_Clear();
    if ((copy = PyBytes_FromObject(object)) == NULL)
        return -1;
    result = PyObject_GetBuffer(copy, octets, PyBUF_SIMPLE);
    Py_DECREF(copy);
    return result;
}

/* A number, or the closest that fits. */
static int
get_number(PyObject *object, Py_ssize_t *number)
{
    *number = PyNumber_AsSsize_t(object, NULL);
    return *number == -1 && PyErr_Occurred() ? -1 : 0;
}

PyDoc_STRVAR(apply_mask_doc,
"apply_mask(data, key, /)\n--\n\n"
"Mask data, or unmask it, which is the same (RFC 6455 section 5.3).");

static PyObject *
apply_mask(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t nargs)
{
    const unsigned char *key;
    Py_buffer data;
    PyObject *masked;

    if (takes("apply_mask", 2, 2, nargs) < 0)
        return NULL;
    if ((key = key_octets(args[1])) == NULL)
        return NULL;
    if (get_octets(args[0], &data) < 0)
        return NULL;
    masked = PyBytes_FromStringAndSize(NULL, data.len);
    if (masked != NULL)
        mask_into((unsigned char *)PyBytes_AsString(masked), data.buf, data.len, key);
    PyBuffer_Release(&data);
    return masked;
}

/* One frame. */
static PyObject *
frame_of(unsigned char first, const void *payload, Py_ssize_t length, const unsigned char *key)
{
    unsigned char header[14], *octets;
    Py_ssize_t size = 2;
    PyObject *frame;

    header[0] = first;
    if (length < 126) {
        header[1] = (unsigned char)length;
    } else {
        /* Big-endian, in as few octets as RFC 6455 section 5.2 allows. */
        int octet, width = length < 65536 ? 2 : 8;
        header[1] = width == 2 ? 126 : 127;
        for (octet = 0; octet < width; octet++)
            header[1 + width - octet] = (unsigned char)((uint64_t)length >> 8 * octet);
        size += width;
    }
    if (key != NULL) {
        header[1] |= MASK;
        memcpy(header + size, key, 4);
        size += 4;
    }

    frame = PyBytes_FromStringAndSize(NULL, size + length);
    if (frame == NULL)
        return NULL;
    octets = (unsigned char *)PyBytes_AsString(frame);
    memcpy(octets, header, size);
    if (key != NULL)
        mask_into(octets + size, payload, length, key);
    else if (length)
        memcpy(octets + size, payload, length);
    return frame;
}

PyDoc_STRVAR(serialize_frame_doc,
"serialize_frame(first, payload, key=None, /)\n--\n\n"
"Give the octets of one frame.");

static PyObject *
serialize_frame(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t nargs)
{
    const unsigned char *key = NULL;
    Py_ssize_t first;
    Py_buffer payload;
    PyObject *frame;

    if (takes("serialize_frame", 2, 3, nargs) < 0)
        return NULL;
    if (get_number(args[0], &first) < 0)
        return NULL;
    if (first < 0 || first > 255) {
        PyErr_Format(PyExc_ValueError, "the first octet of a frame is from 0 to 255, not %R",
                     args[0]);
        return NULL;
    }
    if (nargs == 3 && args[2] != Py_None && (key = key_octets(args[2])) == NULL)
        return NULL;
    if (get_octets(args[1], &payload) < 0)
        return NULL;
    frame = frame_of((unsigned char)first, payload.buf, payload.len, key);
    PyBuffer_Release(&payload);
    return frame;
}

PyDoc_STRVAR(serialize_message_doc,
"serialize_message(message, /)\n--\n\n"
"Give the octets of a message in one frame, neither masked nor compressed.");

static PyObject *
serialize_message(PyObject *Py_UNUSED(module), PyObject *message)
{
    Py_buffer payload;
    PyObject *frame, *utf8;
    char *data;
    Py_ssize_t size;

    if (PyUnicode_Check(message)) {
        if (PyUnicode_GetLength(message) > LARGE)
            return none();
        /* Not what would leave a copy with the str for as long as that lives. */
        if ((utf8 = PyUnicode_AsUTF8String(message)) == NULL) {
            if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError))
                return NULL;
            PyErr_Clear();
            return none();
        }
        frame = PyBytes_AsStringAndSize(utf8, &data, &size) < 0
                    ? NULL : frame_of(FIN_TEXT, data, size, NULL);
        Py_DECREF(utf8);
        return frame;
    }
    if (!PyBytes_Check(message) && !PyByteArray_Check(message) && !PyMemoryView_Check(message))
        return none();
    if (get_octets(message, &payload) < 0)
        return NULL;
    frame = payload.len > LARGE ? none() : frame_of(FIN_BINARY, payload.buf, payload.len, NULL);
    PyBuffer_Release(&payload);
    return frame;
}

/* The text of a payload; NULL without an exception where it is not UTF-8. */
static PyObject *
text_of(const unsigned char *payload, Py_ssize_t length, const unsigned char *key)
{
    unsigned char on_stack[ON_STACK], *unmasked = on_stack;
    PyObject *text;

    if (key != NULL) {
        if (length > ON_STACK && (unmasked = PyMem_Malloc(length)) == NULL)
            return PyErr_NoMemory();
        mask_into(unmasked, payload, length, key);
        payload = unmasked;
    }
    text = PyUnicode_DecodeUTF8((const char *)payload, length, NULL);
    if (unmasked != on_stack)
        PyMem_Free(unmasked);
    if (text == NULL && PyErr_ExceptionMatches(PyExc_UnicodeDecodeError))
        PyErr_Clear();
    return text;
}

/* What a reader of whole messages is told once. */
typedef struct {
    Py_ssize_t limit;
    int masked;
} Reading;

static PyObject *
read_message(PyObject *told, PyObject *data_object)
{
    const unsigned char *octets, *payload, *key = NULL;
    PyObject *message;
    Py_ssize_t size;
    Reading reading;
    uint64_t length;
    char *data;

    memcpy(&reading, PyBytes_AsString(told), sizeof(reading));
    if (PyBytes_AsStringAndSize(data_object, &data, &size) < 0)
        return NULL;

    octets = payload = (const unsigned char *)data;
    if (size < 2 || (octets[0] != FIN_TEXT && octets[0] != FIN_BINARY))
        return none();
    length = (uint64_t)(octets[1] ^ (reading.masked ? MASK : 0));
    payload += 2;
    if (length == 126) {
        if (size < 4)
            return none();
        length = (uint64_t)octets[2] << 8 | octets[3];
        if (length < 126)
            return none();
        payload += 2;
    } else if (length == 127) {
        int octet;
        if (size < 10)
            return none();
        for (length = 0, octet = 2; octet < 10; octet++)
            length = length << 8 | octets[octet];
        if (length < 65536)
            return none();
        payload += 8;
    } else if (length > 127) {
        return none();
    }
    if (reading.masked) {
        key = payload;
        payload += 4;
    }
    /* A length that is more than all of the data overflows nothing: it is compared unsigned. */
    if (payload - octets > size || length != (uint64_t)(size - (payload - octets)))
        return none();
    if (reading.limit > 0 && (Py_ssize_t)length > reading.limit)
        return none();

    if (octets[0] == FIN_TEXT) {
        message = text_of(payload, (Py_ssize_t)length, key);
        if (message == NULL && !PyErr_Occurred())
            return none();
        return message;
    }
    message = PyBytes_FromStringAndSize(key == NULL ? (const char *)payload : NULL,
                                        (Py_ssize_t)length);
    if (message != NULL && key != NULL)
        mask_into((unsigned char *)PyBytes_AsString(message), payload, (Py_ssize_t)length, key);
    return message;
}

static PyMethodDef reader = {"read_message", read_message, METH_O, NULL};

PyDoc_STRVAR(message_reader_doc,
"message_reader(mask_bit, limit, /)\n--\n\n"
"Make a function that reads octets as one whole message.");

static PyObject *
message_reader(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t nargs)
{
    PyObject *told, *made;
    Py_ssize_t mask_bit;
    Reading reading;

    if (takes("message_reader", 2, 2, nargs) < 0)
        return NULL;
    if (get_number(args[0], &mask_bit) < 0)
        return NULL;
    memset(&reading, 0, sizeof(reading));
    if (get_number(args[1], &reading.limit) < 0)
        return NULL;
    if (mask_bit != 0 && mask_bit != MASK) {
        PyErr_Format(PyExc_ValueError, "the mask bit is 0 or %d, not %R", MASK, args[0]);
        return NULL;
    }
    reading.masked = mask_bit != 0;
    if ((told = PyBytes_FromStringAndSize((char *)&reading, sizeof(reading))) == NULL)
        return NULL;
    made = PyCFunction_NewEx(&reader, told, NULL);
    Py_DECREF(told);
    return made;
}

/* A payload that arrives in parts: each is unmasked to where it belongs. */
typedef struct {
    PyObject_HEAD
    PyObject *octets;
    Py_ssize_t length;
    Py_ssize_t arrived;
    Py_ssize_t reserved;
    int masked;
    unsigned char key[4];
} Payload;

/* So many times what has arrived is reserved, and no more: a length alone costs its sender nothing. */
#define AHEAD 8

/* In place of __init__, which may be called again. */
static PyObject *
payload_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    const unsigned char *octets = NULL;
    PyObject *number, *key = Py_None;
    Py_ssize_t length;
    Payload *self;

    if (no_keywords("Payload", keywords) < 0 ||
        !PyArg_ParseTuple(args, "O|O:Payload", &number, &key) || get_number(number, &length) < 0)
        return NULL;
    if (length < 0) {
        PyErr_Format(PyExc_ValueError, "a length is at least 0, not %R", number);
        return NULL;
    }
    if (key != Py_None && (octets = key_octets(key)) == NULL)
        return NULL;
    if ((self = (Payload *)PyType_GenericAlloc(type, 0)) == NULL)
        return NULL;
    self->length = length;
    self->masked = octets != NULL;
    if (octets != NULL)
        memcpy(self->key, octets, 4);
    return (PyObject *)self;
}

static void
payload_dealloc(PyObject *object)
{
    Py_XDECREF(((Payload *)object)->octets);
    free_object(object);
}

PyDoc_STRVAR(payload_take_doc,
"take(data, start, end, /)\n--\n\n"
"Take the part of the payload that stands in data between two offsets.");

static PyObject *
payload_take(PyObject *object, PyObject *const *args, Py_ssize_t nargs)
{
    Payload *self = (Payload *)object;
    unsigned char key[4], *to;
    Py_ssize_t size, start, end, arrived;
    char *data;
    int octet;

    if (takes("take", 3, 3, nargs) < 0)
        return NULL;
    if (PyBytes_AsStringAndSize(args[0], &data, &size) < 0)
        return NULL;
    if (get_number(args[1], &start) < 0 || get_number(args[2], &end) < 0)
        return NULL;
    if (start < 0 || end < start || size < end || self->length - self->arrived < end - start) {
        PyErr_SetString(PyExc_ValueError, "no part of the payload stands there");
        return NULL;
    }
    if (start == end)
        return none();
    arrived = self->arrived + (end - start);
    if (arrived > self->reserved) {
        Py_ssize_t reserve = arrived > self->length / AHEAD ? self->length : arrived * AHEAD;
        PyObject *larger = PyBytes_FromStringAndSize(NULL, reserve);
        if (larger == NULL)
            return NULL;
        if (self->arrived)
            memcpy(PyBytes_AsString(larger), PyBytes_AsString(self->octets), self->arrived);
        Py_XDECREF(self->octets);
        self->octets = larger;
        self->reserved = reserve;
    }
    to = (unsigned char *)PyBytes_AsString(self->octets) + self->arrived;
    if (self->masked) {
        for (octet = 0; octet < 4; octet++)
            key[octet] = self->key[(self->arrived + octet) & 3];
        mask_into(to, (unsigned char *)data + start, end - start, key);
    } else {
        memcpy(to, data + start, end - start);
    }
    self->arrived = arrived;
    return none();
}

PyDoc_STRVAR(payload_end_doc,
"end()\n--\n\n"
"Give the payload, once.");

static PyObject *
payload_end(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    Payload *self = (Payload *)object;
    PyObject *octets = self->octets;

    if (self->arrived != self->length) {
        PyErr_SetString(PyExc_ValueError, "the payload has not arrived");
        return NULL;
    }
    /* From here on it belongs to somebody else, and must not change. */
    self->octets = NULL;
    self->arrived = self->reserved = self->length = 0;
    return octets != NULL ? octets : PyBytes_FromStringAndSize(NULL, 0);
}

static PyMethodDef payload_methods[] = {
    {"take", FASTCALL(payload_take), payload_take_doc},
    {"end", payload_end, METH_NOARGS, payload_end_doc},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(payload_doc,
"Payload(length, key=None, /)\n--\n\n"
"A payload that arrives in parts.");

static PyType_Slot payload_slots[] = {
    {Py_tp_doc, (void *)payload_doc},
    {Py_tp_new, payload_new},
    {Py_tp_dealloc, payload_dealloc},
    {Py_tp_methods, payload_methods},
    {0, NULL},
};

static PyType_Spec payload_spec = {
    .name = "netkit.wire.websocket.codec.native.Payload",
    .basicsize = sizeof(Payload),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = payload_slots,
};

static int
add_types(PyObject *module)
{
    return add_type(module, &payload_spec, NULL);
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, add_types},
    {0, NULL},
};

static PyMethodDef functions[] = {
    {"apply_mask", FASTCALL(apply_mask), apply_mask_doc},
    {"message_reader", FASTCALL(message_reader), message_reader_doc},
    {"serialize_frame", FASTCALL(serialize_frame), serialize_frame_doc},
    {"serialize_message", serialize_message, METH_O, serialize_message_doc},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "native",
    .m_doc = "The octets of WebSocket frames, in C.",
    .m_methods = functions,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_native(void)
{
    return PyModuleDef_Init(&definition);
}
