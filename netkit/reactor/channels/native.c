/*
 * What python.py beside this does, in C: the same classes with the same results. It is built where
 * there is a compiler, and nothing but speed depends on it.
 *
 * The kernel's set is edge-triggered: it tells once that something arrived. So it need not be told
 * that a connection pauses, which may be for each message; what it told meanwhile is noted, and it
 * is asked again where more may be there than was read.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "structmember.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* So much is read at once, in octets. */
#define READ 256000

/* In nanoseconds: one that has more to read than that takes waits until the others had theirs. */
#define LONG 1000000

/* So many channels are told something at once; the others are the next ones. */
#define TOLD 256

/* So many pieces are written at once. */
#define PIECES 64

/* What is waited for; an error and the end of both halves are told in any case. */
#define ARRIVALS (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLET)

/* There is something behind what is read: an end, or what is behind urgent data. */
#define MORE (EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR)

/* What an owner is told, by a method without arguments each. */
enum { ENDED, STALLED, DRAINED, FAILED, METHODS };
static const char *const method_names[METHODS] = {"ended", "stalled", "drained", "failed"};

typedef struct Channel Channel;

/* The channels of a reactor. */
typedef struct {
    PyObject_HEAD
    PyObject *methods[METHODS]; /* their names */
    PyObject *run;              /* what runs something in a context */
    Channel **channels; /* by their descriptors; these are no references */
    char *arrived;
    long long began; /* when it began to poll, in nanoseconds */
    int size; /* of the table */
    int set;  /* the kernel's */
} Poller;

/* A connected socket. */
struct Channel {
    PyObject_HEAD
    Poller *poller;
    PyObject *owner;
    PyObject *context;
    PyObject *received; /* the function that its owner's class has for what arrives */
    PyObject *queue;   /* what the kernel did not take yet: a list; NULL where it took all */
    Py_ssize_t offset; /* so much of the first piece it did take */
    Py_ssize_t unsent;
    int descriptor; /* -1 when it is closed */
    char reading;
    char ended;
    char broken; /* what is written is lost */
    char divided; /* a read may end before all that is there: at a message with descriptors */
    char told; /* that something arrived, or may have, while it did not read */
};

typedef struct {
    PyTypeObject *poller;
    PyTypeObject *channel;
    PyObject *received; /* the name of the method */
} State;

/* In place of Py_RETURN_NONE: in the headers of Python 3.12 and later that counts no reference, as
   None is immortal there. In Python 3.11, where the same build runs, it is not. */
static PyObject *
none(void)
{
    return Py_NewRef(Py_None);
}

/* Nobody is there who could be told of an error of the owner's. */
static void
called(PyObject *owner, PyObject *result)
{
    if (result == NULL)
        PyErr_WriteUnraisable(owner);
    else
        Py_DECREF(result);
    Py_DECREF(owner);
}

/* Tell the owner something. */
static void
tell(Channel *self, int what)
{
    PyObject *owner = Py_XNewRef(self->owner);

    /* It may be closed by what was freed just now. */
    if (owner == NULL)
        return;
    called(owner, PyObject_CallMethodObjArgs(owner, self->poller->methods[what], NULL));
}

/* Hand to the owner what arrived, in the context of the connection. */
static void
deliver(Channel *self, PyObject *data)
{
    PyObject *owner = Py_NewRef(self->owner), *context = Py_NewRef(self->context);
    PyObject *received = Py_NewRef(self->received);

    called(owner, PyObject_CallFunctionObjArgs(self->poller->run, context, received, owner, data,
                                               NULL));
    Py_DECREF(received);
    Py_DECREF(context);
}

/* Have the kernel tell, from now on, what it has to tell now as well. */
static void
watch(Channel *self, int how)
{
    struct epoll_event event = {
        .events = ARRIVALS | (self->queue == NULL ? 0 : EPOLLOUT),
        .data.fd = self->descriptor,
    };

    /* Nothing that could go wrong here would not be met where it is read or written. */
    epoll_ctl(self->poller->set, how, self->descriptor, &event);
}

/* Have the kernel tell what it has told before, if it is to be read. */
static void
read_on(Channel *self)
{
    if (self->reading && self->told) {
        self->told = 0;
        watch(self, EPOLL_CTL_MOD);
    }
}

/* An error that a channel has is its end, which its owner is told once. */
static void
failed(Channel *self)
{
    self->reading = 0;
    self->ended = self->broken = 1;
    Py_CLEAR(self->queue);
    self->unsent = self->offset = 0;
    tell(self, FAILED);
}

static long long
now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000ll + time.tv_nsec;
}

/* Read, while there is more than can be read at once; but not for long, when it is another one's
   turn. */
static void
receive(Channel *self, unsigned int events)
{
    PyObject *data;
    ssize_t length;

    if (!self->reading) {
        self->told = 1;
        return;
    }
    do {
        do
            length = recv(self->descriptor, self->poller->arrived, READ, 0);
        while (length < 0 && errno == EINTR);
        if (length == 0) {
            self->reading = 0;
            self->ended = 1;
            tell(self, ENDED);
            return;
        }
        if (length < 0) {
            if (errno != EAGAIN && errno != EWOULDBLOCK)
                failed(self);
            return;
        }
        if ((data = PyBytes_FromStringAndSize(self->poller->arrived, length)) == NULL) {
            PyErr_WriteUnraisable(self->owner);
            failed(self);
            return;
        }
        deliver(self, data);
        Py_DECREF(data);
        if (length < READ && !(events & MORE) && !self->divided)
            return;
    } while (self->reading && now() - self->poller->began < LONG);
    /* Of what is there already, the kernel tells no more. */
    self->told = 1;
    read_on(self);
}

/* Forget so many octets, which were written. */
static int
forget(Channel *self, Py_ssize_t written)
{
    Py_ssize_t pieces = 0, left = written + self->offset, size;

    while (pieces < PyList_Size(self->queue)) {
        size = PyBytes_Size(PyList_GetItem(self->queue, pieces));
        if (left < size)
            break;
        left -= size;
        pieces++;
    }
    self->unsent -= written;
    self->offset = left;
    return pieces == 0 ? 0 : PyList_SetSlice(self->queue, 0, pieces, NULL);
}

/* Write what is in the queue, until the kernel takes no more; -1 with errno, or with an exception
   where errno is 0. */
static int
flush(Channel *self)
{
    struct iovec pieces[PIECES];
    struct msghdr message = {.msg_iov = pieces};
    Py_ssize_t at, count, size;
    PyObject *piece;
    ssize_t written;

    while (self->unsent) {
        count = PyList_Size(self->queue);
        size = -self->offset;
        for (at = 0; at < count && at < PIECES; at++) {
            piece = PyList_GetItem(self->queue, at);
            pieces[at].iov_base = PyBytes_AsString(piece);
            pieces[at].iov_len = (size_t)PyBytes_Size(piece);
            size += PyBytes_Size(piece);
        }
        pieces[0].iov_base = (char *)pieces[0].iov_base + self->offset;
        pieces[0].iov_len -= (size_t)self->offset;
        message.msg_iovlen = (size_t)at;
        do
            written = sendmsg(self->descriptor, &message, MSG_NOSIGNAL);
        while (written < 0 && errno == EINTR);
        if (written < 0)
            return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -1;
        if (forget(self, written) < 0) {
            errno = 0;
            return -1;
        }
        if (written < size)
            return 0;
    }
    Py_CLEAR(self->queue);
    self->offset = 0;
    return 0;
}

/* Keep what the kernel did not take, and tell the owner; if there was an error, that. */
static PyObject *
keep(Channel *self, int result)
{
    if (result < 0) {
        if (errno == 0)
            return NULL;
        failed(self);
    }
    else if (self->queue != NULL && self->descriptor >= 0) {
        watch(self, EPOLL_CTL_MOD);
        tell(self, STALLED);
    }
    return none();
}

PyDoc_STRVAR(channel_write_doc,
"write(data, /)\n--\n\n"
"Send octets, behind those that are to be sent.");

static PyObject *
channel_write(PyObject *object, PyObject *data)
{
    Channel *self = (Channel *)object;
    PyObject *queue;
    Py_ssize_t size;
    ssize_t written;

    if (!PyBytes_Check(data)) {
        PyErr_SetString(PyExc_TypeError, "octets are bytes");
        return NULL;
    }
    if (self->descriptor < 0 || self->broken)
        return none();
    size = PyBytes_Size(data);
    if (self->queue != NULL) {
        self->unsent += size;
        return PyList_Append(self->queue, data) < 0 ? NULL : none();
    }
    do
        written = send(self->descriptor, PyBytes_AsString(data), (size_t)size, MSG_NOSIGNAL);
    while (written < 0 && errno == EINTR);
    if (written == size)
        return none();
    if (written < 0) {
        if (errno != EAGAIN && errno != EWOULDBLOCK)
            return keep(self, -1);
        written = 0;
    }
    if ((queue = PyList_New(0)) == NULL || PyList_Append(queue, data) < 0) {
        Py_XDECREF(queue);
        return NULL;
    }
    self->queue = queue;
    self->offset = written;
    self->unsent = size - written;
    return keep(self, 0);
}

PyDoc_STRVAR(channel_writelines_doc,
"writelines(pieces, /)\n--\n\n"
"Send a list of octets, which is given away, behind those that are to be sent.");

static PyObject *
channel_writelines(PyObject *object, PyObject *pieces)
{
    Channel *self = (Channel *)object;
    Py_ssize_t at, count, size = 0;

    if (!PyList_Check(pieces)) {
        PyErr_SetString(PyExc_TypeError, "pieces are a list");
        return NULL;
    }
    count = PyList_Size(pieces);
    for (at = 0; at < count; at++) {
        if (!PyBytes_Check(PyList_GetItem(pieces, at))) {
            PyErr_SetString(PyExc_TypeError, "octets are bytes");
            return NULL;
        }
        size += PyBytes_Size(PyList_GetItem(pieces, at));
    }
    if (self->descriptor < 0 || self->broken || size == 0)
        return none();
    self->unsent += size;
    if (self->queue != NULL) {
        count = PyList_Size(self->queue);
        return PyList_SetSlice(self->queue, count, count, pieces) < 0 ? NULL : none();
    }
    self->queue = Py_NewRef(pieces);
    return keep(self, flush(self));
}

PyDoc_STRVAR(channel_pause_doc,
"pause()\n--\n\n"
"Read no more. What is read is delivered while it arrives, and none of it after this.");

static PyObject *
channel_pause(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    ((Channel *)object)->reading = 0;
    return none();
}

PyDoc_STRVAR(channel_resume_doc,
"resume()\n--\n\n"
"Read.");

static PyObject *
channel_resume(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    Channel *self = (Channel *)object;

    if (self->descriptor >= 0 && !self->ended) {
        self->reading = 1;
        read_on(self);
    }
    return none();
}

static void
close_channel(Channel *self)
{
    if (self->descriptor < 0)
        return;
    /* Whoever closed the socket itself may have made room for another one. */
    if (self->poller->channels[self->descriptor] == self) {
        epoll_ctl(self->poller->set, EPOLL_CTL_DEL, self->descriptor, NULL);
        self->poller->channels[self->descriptor] = NULL;
    }
    self->descriptor = -1;
    self->reading = 0;
    self->unsent = 0;
}

PyDoc_STRVAR(channel_close_doc,
"close()\n--\n\n"
"Let go of the socket, which stays open, and of the owner.\n\n"
"Returns what was to be sent: a list of bytes.");

static PyObject *
channel_close(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    Channel *self = (Channel *)object;
    PyObject *unsent = self->queue, *first, *rest;

    close_channel(self);
    self->queue = NULL;
    Py_CLEAR(self->owner);
    Py_CLEAR(self->context);
    Py_CLEAR(self->received);
    if (unsent == NULL)
        return PyList_New(0);
    if (self->offset) {
        first = PyList_GetItem(unsent, 0);
        rest = PyBytes_FromStringAndSize(PyBytes_AsString(first) + self->offset,
                                         PyBytes_Size(first) - self->offset);
        if (rest == NULL || PyList_SetItem(unsent, 0, rest) < 0) {
            Py_DECREF(unsent);
            return NULL;
        }
    }
    return unsent;
}

static PyObject *
channel_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(keywords))
{
    State *state = PyType_GetModuleState(type);
    PyObject *poller, *socket, *context, *owner;
    Channel **channels, *self;
    socklen_t length = sizeof(int);
    int descriptor, domain, size;

    if (!PyArg_ParseTuple(args, "O!OOO:Channel", state->poller, &poller, &socket, &context,
                          &owner))
        return NULL;
    if ((descriptor = PyObject_AsFileDescriptor(socket)) < 0)
        return NULL;
    if (descriptor >= ((Poller *)poller)->size) {
        size = 2 * descriptor + 16;
        channels = PyMem_Realloc(((Poller *)poller)->channels, (size_t)size * sizeof(Channel *));
        if (channels == NULL)
            return PyErr_NoMemory();
        memset(channels + ((Poller *)poller)->size, 0,
               (size_t)(size - ((Poller *)poller)->size) * sizeof(Channel *));
        ((Poller *)poller)->channels = channels;
        ((Poller *)poller)->size = size;
    }
    if ((self = (Channel *)PyType_GenericAlloc(type, 0)) == NULL)
        return NULL;
    self->poller = (Poller *)Py_NewRef(poller);
    self->context = Py_NewRef(context);
    self->owner = Py_NewRef(owner);
    self->descriptor = -1;
    self->received = PyObject_GetAttr((PyObject *)Py_TYPE(owner), state->received);
    if (self->received == NULL) {
        Py_DECREF(self);
        return NULL;
    }
    if (getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &domain, &length) < 0 ||
        ioctl(descriptor, FIONBIO, &(int){1}) < 0 ||
        epoll_ctl(self->poller->set, EPOLL_CTL_ADD, descriptor,
                  &(struct epoll_event){.events = ARRIVALS, .data.fd = descriptor}) < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        Py_DECREF(self);
        return NULL;
    }
    self->descriptor = descriptor;
    self->divided = domain == AF_UNIX;
    /* A socket that was closed behind a channel's back: the descriptor is not its any more. */
    if (self->poller->channels[descriptor] != NULL)
        self->poller->channels[descriptor]->descriptor = -1;
    self->poller->channels[descriptor] = self;
    return (PyObject *)self;
}

static int
channel_traverse(PyObject *object, visitproc visit, void *arg)
{
    Channel *self = (Channel *)object;

    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->poller);
    Py_VISIT(self->owner);
    Py_VISIT(self->context);
    Py_VISIT(self->received);
    return 0;
}

static int
channel_clear(PyObject *object)
{
    Channel *self = (Channel *)object;

    close_channel(self);
    Py_CLEAR(self->queue);
    Py_CLEAR(self->owner);
    Py_CLEAR(self->context);
    Py_CLEAR(self->received);
    return 0;
}

static void
channel_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);

    PyObject_GC_UnTrack(object);
    channel_clear(object);
    Py_CLEAR(((Channel *)object)->poller);
    release(object);
    Py_DECREF(type);
}

static PyMethodDef channel_methods[] = {
    {"close", channel_close, METH_NOARGS, channel_close_doc},
    {"pause", channel_pause, METH_NOARGS, channel_pause_doc},
    {"resume", channel_resume, METH_NOARGS, channel_resume_doc},
    {"write", channel_write, METH_O, channel_write_doc},
    {"writelines", channel_writelines, METH_O, channel_writelines_doc},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef channel_members[] = {
    {"unsent", T_PYSSIZET, offsetof(Channel, unsent), READONLY,
     "How many octets the kernel has not taken yet."},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(channel_doc,
"Channel(poller, connection, context, owner, /)\n--\n\n"
"The octets of a connected socket. It does not read before it is resumed.");

static PyType_Slot channel_slots[] = {
    {Py_tp_doc, (void *)channel_doc},
    {Py_tp_new, channel_new},
    {Py_tp_dealloc, channel_dealloc},
    {Py_tp_traverse, channel_traverse},
    {Py_tp_clear, channel_clear},
    {Py_tp_methods, channel_methods},
    {Py_tp_members, channel_members},
    {0, NULL},
};

static PyType_Spec channel_spec = {
    .name = "netkit.reactor.channels.native.Channel",
    .basicsize = sizeof(Channel),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = channel_slots,
};

static PyObject *
poller_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(keywords))
{
    PyObject *module, *context;
    Poller *self;
    int at;

    if (!PyArg_ParseTuple(args, ":Poller"))
        return NULL;
    if ((self = (Poller *)PyType_GenericAlloc(type, 0)) == NULL)
        return NULL;
    self->set = -1;
    for (at = 0; at < METHODS; at++) {
        if ((self->methods[at] = PyUnicode_InternFromString(method_names[at])) == NULL)
            goto failed;
    }
    if ((self->arrived = PyMem_Malloc(READ)) == NULL) {
        PyErr_NoMemory();
        goto failed;
    }
    if ((module = PyImport_ImportModule("contextvars")) == NULL)
        goto failed;
    context = PyObject_GetAttrString(module, "Context");
    Py_DECREF(module);
    if (context == NULL)
        goto failed;
    self->run = PyObject_GetAttrString(context, "run");
    Py_DECREF(context);
    if (self->run == NULL)
        goto failed;
    if ((self->set = epoll_create1(EPOLL_CLOEXEC)) < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        goto failed;
    }
    return (PyObject *)self;

failed:
    Py_DECREF(self);
    return NULL;
}

static int
poller_traverse(PyObject *object, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(((Poller *)object)->run);
    return 0;
}

static int
poller_clear(PyObject *object)
{
    Poller *self = (Poller *)object;
    int at;

    Py_CLEAR(self->run);
    for (at = 0; at < METHODS; at++)
        Py_CLEAR(self->methods[at]);
    return 0;
}

static void
poller_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    Poller *self = (Poller *)object;

    PyObject_GC_UnTrack(object);
    poller_clear(object);
    if (self->set >= 0)
        close(self->set);
    PyMem_Free(self->channels);
    PyMem_Free(self->arrived);
    release(object);
    Py_DECREF(type);
}

PyDoc_STRVAR(poller_fileno_doc,
"fileno()\n--\n\n"
"Tell the descriptor that can be read from when there is something to do.");

static PyObject *
poller_fileno(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    return PyLong_FromLong(((Poller *)object)->set);
}

/* What the kernel told of a channel. What arrived comes first: it may be the last, and why nothing
   can be sent. */
static void
attend(Channel *self, unsigned int events)
{
    if (events & (EPOLLIN | MORE))
        receive(self, events);
    if (self->queue == NULL || !(events & (EPOLLOUT | EPOLLHUP | EPOLLERR)))
        return;
    if (flush(self) < 0) {
        if (errno == 0)
            PyErr_WriteUnraisable((PyObject *)self);
        failed(self);
    }
    else if (self->queue == NULL && self->descriptor >= 0) {
        watch(self, EPOLL_CTL_MOD);
        tell(self, DRAINED);
    }
}

PyDoc_STRVAR(poller_poll_doc,
"poll()\n--\n\n"
"Receive what arrived, and send what can be sent now.");

static PyObject *
poller_poll(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    struct epoll_event events[TOLD];
    Poller *self = (Poller *)object;
    Channel *channel;
    int at, count;

    self->began = now();
    do
        count = epoll_wait(self->set, events, TOLD, 0);
    while (count < 0 && errno == EINTR);
    for (at = 0; at < count; at++) {
        if ((channel = self->channels[events[at].data.fd]) == NULL)
            continue;
        Py_INCREF((PyObject *)channel);
        attend(channel, events[at].events);
        Py_DECREF((PyObject *)channel);
    }
    return none();
}

static PyMethodDef poller_methods[] = {
    {"fileno", poller_fileno, METH_NOARGS, poller_fileno_doc},
    {"poll", poller_poll, METH_NOARGS, poller_poll_doc},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(poller_doc,
"Poller()\n--\n\n"
"The channels of a reactor.");

static PyType_Slot poller_slots[] = {
    {Py_tp_doc, (void *)poller_doc},
    {Py_tp_new, poller_new},
    {Py_tp_dealloc, poller_dealloc},
    {Py_tp_traverse, poller_traverse},
    {Py_tp_clear, poller_clear},
    {Py_tp_methods, poller_methods},
    {0, NULL},
};

static PyType_Spec poller_spec = {
    .name = "netkit.reactor.channels.native.Poller",
    .basicsize = sizeof(Poller),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = poller_slots,
};

static int
add_types(PyObject *module)
{
    State *state = PyModule_GetState(module);

    state->poller = (PyTypeObject *)PyType_FromModuleAndSpec(module, &poller_spec, NULL);
    if (state->poller == NULL || PyModule_AddType(module, state->poller) < 0)
        return -1;
    state->channel = (PyTypeObject *)PyType_FromModuleAndSpec(module, &channel_spec, NULL);
    if (state->channel == NULL || PyModule_AddType(module, state->channel) < 0)
        return -1;
    state->received = PyUnicode_InternFromString("received");
    return state->received == NULL ? -1 : 0;
}

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    Py_VISIT(((State *)PyModule_GetState(module))->poller);
    Py_VISIT(((State *)PyModule_GetState(module))->channel);
    return 0;
}

static int
module_clear(PyObject *module)
{
    Py_CLEAR(((State *)PyModule_GetState(module))->poller);
    Py_CLEAR(((State *)PyModule_GetState(module))->channel);
    Py_CLEAR(((State *)PyModule_GetState(module))->received);
    return 0;
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, add_types},
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "native",
    .m_doc = "What moves the octets of connections, in C.",
    .m_size = sizeof(State),
    .m_slots = slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
};

PyMODINIT_FUNC
PyInit_native(void)
{
    return PyModuleDef_Init(&definition);
}
