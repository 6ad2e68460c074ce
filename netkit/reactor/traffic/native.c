/*
 * What python.py beside this does, in C: the same class with the same results. It is built where
 * there is a compiler, and nothing but speed depends on it.
 *
 * A write goes to the kernel from here. Whatever the kernel does not take, and every error, is left
 * to uvloop's transport, which meets it again and knows what to do.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>

/* As in states.py. */
#define QUEUED 0
#define STRAIGHT 1
#define FIRST 4

/* Of more octets, the kernel may well leave some, which would have to be copied. */
#define LARGE 65536

/* Where it is missing, Python has SIGPIPE ignored all the same. */
#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

typedef struct {
    PyObject_HEAD
    PyObject *uv;
    PyObject *fileno;
    PyObject *floor;
    int open;
    int next;
} Traffic;

static struct {
    PyObject *protocol, *dataReceived, *raised, *reactor, *flushSoon, *write, *writeOther;
} names;

/* Not Py_RETURN_NONE: in the headers of Python 3.12 and later that counts no reference, as None is
   immortal there. In Python 3.11, where the same build runs, it is not. */
static PyObject *
none(void)
{
    return Py_NewRef(Py_None);
}

static int
give_floor(Traffic *self, PyObject *speaker)
{
    if (self->floor != NULL)
        return PyList_SetItem(self->floor, 0, Py_NewRef(speaker));
    PyErr_SetString(PyExc_AttributeError, "_floor");
    return -1;
}

/* object.attribute.method(argument) */
static PyObject *
call_on(PyObject *object, PyObject *attribute, PyObject *method, PyObject *argument)
{
    PyObject *value = PyObject_GetAttr(object, attribute), *result;

    if (value == NULL)
        return NULL;
    result = PyObject_CallMethodObjArgs(value, method, argument, NULL);
    Py_DECREF(value);
    return result;
}

/* Tell the subclass of the exception that is set. */
static PyObject *
report(PyObject *self)
{
    PyObject *type, *error, *traceback, *result;

    PyErr_Fetch(&type, &error, &traceback);
    PyErr_NormalizeException(&type, &error, &traceback);
    if (traceback != NULL)
        PyException_SetTraceback(error, traceback);
    result = PyObject_CallMethodObjArgs(self, names.raised, error, NULL);
    Py_XDECREF(type);
    Py_XDECREF(error);
    Py_XDECREF(traceback);
    return result;
}

PyDoc_STRVAR(received_doc,
"_received(data, /)\n--\n\n"
"Hand to the application what arrived.");

static PyObject *
received(PyObject *object, PyObject *data)
{
    Traffic *self = (Traffic *)object;
    PyObject *result;

    self->next = self->open;
    if (give_floor(self, object) < 0)
        return NULL;
    /* It may be another one by now, or its method may have been assigned to. */
    result = call_on(object, names.protocol, names.dataReceived, data);
    if (result == NULL && (result = report(object)) == NULL)
        return NULL;
    Py_DECREF(result);
    return give_floor(self, Py_None) < 0 ? NULL : none();
}

/* How many octets of data the kernel took. */
static Py_ssize_t
send_now(Traffic *self, const char *octets, Py_ssize_t length)
{
    PyObject *number;
    Py_ssize_t sent;
    long descriptor;

    /* Asked for each time: once uvloop has closed it, its number can be another connection's. */
    if (length > LARGE || self->fileno == NULL)
        return 0;
    if ((number = PyObject_CallNoArgs(self->fileno)) == NULL)
        return -1;
    descriptor = PyLong_AsLong(number);
    Py_DECREF(number);
    if (descriptor < 0)
        return PyErr_Occurred() ? -1 : 0;
    do
        sent = send((int)descriptor, octets, length, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? 0 : sent;
}

PyDoc_STRVAR(write_doc,
"_write(data, /)\n--\n\n"
"Write to the kernel, where that is all there is to do.");

static PyObject *
write_data(PyObject *object, PyObject *data)
{
    Traffic *self = (Traffic *)object;
    Py_ssize_t length, sent;
    int may = self->next;
    char *octets;

    if (!(may & STRAIGHT) || !PyBytes_CheckExact(data))
        return PyObject_CallMethodObjArgs(object, names.writeOther, data, NULL);

    self->next = QUEUED;
    if (PyBytes_AsStringAndSize(data, &octets, &length) < 0)
        return NULL;
    if ((sent = send_now(self, octets, length)) < 0)
        return NULL;
    if (sent < length) {
        PyObject *result, *rest;
        rest = sent ? PyBytes_FromStringAndSize(octets + sent, length - sent) : Py_NewRef(data);
        if (rest == NULL)
            return NULL;
        result = PyObject_CallMethodObjArgs(self->uv, names.write, rest, NULL);
        Py_DECREF(rest);
        if (result == NULL)
            return NULL;
        Py_DECREF(result);
    }
    if (may & FIRST)
        return call_on(object, names.reactor, names.flushSoon, object);
    return none();
}

static int
traffic_traverse(PyObject *object, visitproc visit, void *arg)
{
    Traffic *self = (Traffic *)object;

    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->uv);
    Py_VISIT(self->fileno);
    Py_VISIT(self->floor);
    return 0;
}

static int
traffic_clear(PyObject *object)
{
    Traffic *self = (Traffic *)object;

    Py_CLEAR(self->uv);
    Py_CLEAR(self->fileno);
    Py_CLEAR(self->floor);
    return 0;
}

static void
traffic_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);

    PyObject_GC_UnTrack(object);
    traffic_clear(object);
    release(object);
    Py_DECREF(type);
}

static PyMethodDef traffic_methods[] = {
    {"_received", received, METH_O, received_doc},
    {"_write", write_data, METH_O, write_doc},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef traffic_members[] = {
    {"_uv", T_OBJECT, offsetof(Traffic, uv), 0, NULL},
    {"_fileno", T_OBJECT, offsetof(Traffic, fileno), 0, NULL},
    {"_floor", T_OBJECT, offsetof(Traffic, floor), 0, NULL},
    {"_open", T_INT, offsetof(Traffic, open), 0, NULL},
    {"_next", T_INT, offsetof(Traffic, next), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(traffic_doc,
"What is done about everything that arrives, and about each write.");

static PyType_Slot traffic_slots[] = {
    {Py_tp_doc, (void *)traffic_doc},
    {Py_tp_traverse, traffic_traverse},
    {Py_tp_clear, traffic_clear},
    {Py_tp_dealloc, traffic_dealloc},
    {Py_tp_methods, traffic_methods},
    {Py_tp_members, traffic_members},
    {0, NULL},
};

static PyType_Spec traffic_spec = {
    .name = "netkit.reactor.traffic.native.Traffic",
    .basicsize = sizeof(Traffic),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = traffic_slots,
};

/* No module slots: this one keeps its names for the whole process. */
static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "native",
    .m_doc = "The way of every byte of a connection, in C.",
    .m_size = -1,
};

static PyObject *
add_type(PyObject *module)
{
    PyObject *type;

    if (module == NULL)
        return NULL;
    type = PyType_FromModuleAndSpec(module, &traffic_spec, NULL);
    if (type == NULL || PyModule_AddType(module, (PyTypeObject *)type) < 0)
        Py_CLEAR(module);
    Py_XDECREF(type);
    return module;
}

PyMODINIT_FUNC
PyInit_native(void)
{
    if ((names.protocol = PyUnicode_InternFromString("protocol")) == NULL ||
        (names.dataReceived = PyUnicode_InternFromString("dataReceived")) == NULL ||
        (names.raised = PyUnicode_InternFromString("_raised")) == NULL ||
        (names.reactor = PyUnicode_InternFromString("reactor")) == NULL ||
        (names.flushSoon = PyUnicode_InternFromString("_flushSoon")) == NULL ||
        (names.write = PyUnicode_InternFromString("write")) == NULL ||
        (names.writeOther = PyUnicode_InternFromString("_writeOther")) == NULL)
        return NULL;
    return add_type(PyModule_Create(&definition));
}
