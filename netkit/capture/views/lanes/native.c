/*
 * What python.py beside this does, in C: the same class and function with the same results. It is
 * built where there is a compiler, and nothing but speed depends on it.
 */

#include "../../../base/native.h"

#include "structmember.h"

#include <string.h>

/* So many octets a request has that passes: longer ones are seldom. */
#define SHORT 8192

typedef struct {
    PyObject_HEAD
    PyObject *received;
    PyObject *is_lone_get;
    PyObject *taken;
    PyObject *answer;
    Py_ssize_t most;
    Py_ssize_t waiting;
    long long octets;
    char open;
} Lane;

static PyObject *
lane_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    PyObject *received, *is_lone_get, *taken;
    Py_ssize_t most;
    Lane *self;

    if (no_keywords("Lane", keywords) < 0 ||
        !PyArg_ParseTuple(args, "OOO!n:Lane", &received, &is_lone_get, &PyList_Type, &taken,
                          &most) ||
        (self = (Lane *)PyType_GenericAlloc(type, 0)) == NULL)
        return NULL;
    self->received = Py_NewRef(received);
    self->is_lone_get = Py_NewRef(is_lone_get);
    self->taken = Py_NewRef(taken);
    self->most = most;
    self->open = 1;
    return (PyObject *)self;
}

static int
lane_traverse(PyObject *object, visitproc visit, void *arg)
{
    Lane *self = (Lane *)object;

    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->received);
    Py_VISIT(self->is_lone_get);
    Py_VISIT(self->taken);
    Py_VISIT(self->answer);
    return 0;
}

static int
lane_clear(PyObject *object)
{
    Lane *self = (Lane *)object;

    Py_CLEAR(self->received);
    Py_CLEAR(self->is_lone_get);
    Py_CLEAR(self->taken);
    Py_CLEAR(self->answer);
    return 0;
}

static void
lane_dealloc(PyObject *object)
{
    PyObject_GC_UnTrack(object);
    lane_clear(object);
    free_object(object);
}

/* Each of these says whether octets pass; -1 with an exception. */

static int
request_passes(Lane *self, PyObject *data, Py_ssize_t length)
{
    PyObject *said;
    int lone;

    if (length >= SHORT || self->waiting >= self->most)
        return 0;
    if ((said = PyObject_CallFunctionObjArgs(self->is_lone_get, data, NULL)) == NULL)
        return -1;
    lone = PyObject_IsTrue(said);
    Py_DECREF(said);
    if (lone <= 0)
        return lone;
    if (PyList_Append(self->taken, data) < 0)
        return -1;
    self->waiting++;
    self->octets += length;
    return 1;
}

static int
answer_passes(Lane *self, PyObject *data, Py_ssize_t length)
{
    PyObject *head;
    Py_ssize_t whole, begin;

    if (self->waiting == 0 || self->answer == NULL || self->answer == Py_None)
        return 0;
    if (!PyTuple_Check(self->answer) || PyTuple_Size(self->answer) != 2 ||
        !PyBytes_Check(head = PyTuple_GetItem(self->answer, 0))) {
        PyErr_SetString(PyExc_TypeError, "this is no answer");
        return -1;
    }
    whole = PyLong_AsSsize_t(PyTuple_GetItem(self->answer, 1));
    if (whole == -1 && PyErr_Occurred())
        return -1;
    begin = PyBytes_Size(head);
    if (length != whole || begin > length ||
        memcmp(PyBytes_AsString(data), PyBytes_AsString(head), begin) != 0)
        return 0;
    self->waiting--;
    return 1;
}

PyDoc_STRVAR(passes_doc,
"passes(lanes, event, /)\n--\n\n"
"Have an event pass, if it can; say whether it did.");

static PyObject *
passes(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    PyObject *found, *event, *data;
    Py_ssize_t length;
    Lane *lane;
    int result = 0;

    if (takes("passes", 2, 2, count) < 0)
        return NULL;
    event = args[1];
    if (!PyTuple_Check(event))
        goto done;
    if (PyTuple_Size(event) != 5 || !PyBytes_Check(data = PyTuple_GetItem(event, 3))) {
        PyErr_SetString(PyExc_TypeError, "this is no event");
        return NULL;
    }
    if ((found = PyDict_GetItemWithError(args[0], PyTuple_GetItem(event, 0))) == NULL) {
        if (PyErr_Occurred())
            return NULL;
        goto done;
    }
    if (Py_TYPE(found) != *(PyTypeObject **)PyModule_GetState(module)) {
        PyErr_SetString(PyExc_TypeError, "this is no lane");
        return NULL;
    }
    lane = (Lane *)found;
    length = PyLong_AsSsize_t(PyTuple_GetItem(event, 4));
    if (length == -1 && PyErr_Occurred())
        return NULL;
    if (lane->open && PyBytes_Size(data) == length) {
        /* Whoever is called may let go of it. */
        Py_INCREF(found);
        result = PyTuple_GetItem(event, 2) == lane->received
            ? request_passes(lane, data, length)
            : answer_passes(lane, data, length);
        Py_DECREF(found);
        if (result < 0)
            return NULL;
    }
done:
    return truth(result);
}

static PyMemberDef lane_members[] = {
    {"open", T_BOOL, offsetof(Lane, open), 0, "Whether any octets pass."},
    {"waiting", T_PYSSIZET, offsetof(Lane, waiting), 0,
     "How many requests have passed, and their answers have not."},
    {"octets", T_LONGLONG, offsetof(Lane, octets), 0,
     "How many octets the client sent that have passed."},
    {"answer", T_OBJECT, offsetof(Lane, answer), 0,
     "The head of an answer that passes, and the length of the answer; or None."},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(lane_doc,
"Lane(received, isLoneGet, taken, most, /)\n--\n\n"
"Where a connection's octets pass, for as long as its client sends nothing but GETs.");

static PyType_Slot lane_slots[] = {
    {Py_tp_doc, (void *)lane_doc},
    {Py_tp_new, lane_new},
    {Py_tp_traverse, lane_traverse},
    {Py_tp_clear, lane_clear},
    {Py_tp_dealloc, lane_dealloc},
    {Py_tp_members, lane_members},
    {0, NULL},
};

static PyType_Spec lane_spec = {
    .name = "netkit.capture.views.lanes.native.Lane",
    .basicsize = sizeof(Lane),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = lane_slots,
};

static int
add_types(PyObject *module)
{
    return add_type(module, &lane_spec, PyModule_GetState(module));
}

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    Py_VISIT(*(PyTypeObject **)PyModule_GetState(module));
    return 0;
}

static int
module_clear(PyObject *module)
{
    Py_CLEAR(*(PyTypeObject **)PyModule_GetState(module));
    return 0;
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, add_types},
    {0, NULL},
};

static PyMethodDef functions[] = {
    {"passes", FASTCALL(passes), passes_doc},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "native",
    .m_doc = "What is passed by with a look, in C.",
    .m_size = sizeof(PyTypeObject *),
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
