/*
 * What the parts in C have in common. Each is a module of its own, built for the limited API of
 * Python 3.11, and includes this before all else.
 */

#ifndef NETKIT_NATIVE_H
#define NETKIT_NATIVE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* Two members of a method's definition: a function that takes its arguments as an array. */
#define FASTCALL(function) (PyCFunction)(void (*)(void))function, METH_FASTCALL

/* In place of Py_RETURN_NONE: in the headers of Python 3.12 and later that counts no reference, as
   None is immortal there. In Python 3.11, where the same build runs, it is not. */
static inline PyObject *
none(void)
{
    return Py_NewRef(Py_None);
}

static inline PyObject *
truth(int is)
{
    return Py_NewRef(is ? Py_True : Py_False);
}

/* See that as many arguments are given as can be taken. */
static inline int
takes(const char *name, Py_ssize_t least, Py_ssize_t most, Py_ssize_t given)
{
    if (least <= given && given <= most)
        return 0;
    PyErr_Format(PyExc_TypeError, "%s() does not take %zd arguments", name, given);
    return -1;
}

/* See that none are given by keyword. */
static inline int
no_keywords(const char *name, PyObject *keywords)
{
    if (keywords == NULL || PyDict_Size(keywords) == 0)
        return 0;
    PyErr_Format(PyExc_TypeError, "%s() takes no keyword arguments", name);
    return -1;
}

/* The end of a tp_dealloc: what the object had is let go of. */
static inline void
free_object(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);

    release(object);
    Py_DECREF(type);
}

/* Add a type to a module; a reference to it is for who wants to know it. */
static inline int
add_type(PyObject *module, PyType_Spec *spec, PyTypeObject **added)
{
    PyTypeObject *type = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, NULL);
    int result;

    if (type == NULL)
        return -1;
    result = PyModule_AddType(module, type);
    if (result == 0 && added != NULL)
        *added = (PyTypeObject *)Py_NewRef((PyObject *)type);
    Py_DECREF((PyObject *)type);
    return result;
}

#endif
