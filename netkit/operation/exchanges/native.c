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

static int
add_types(PyObject *module)
{
    PyType_Spec *const specs[] = {&tally_spec};
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
