/*
 * What python.py beside this does, in C: the same classes with the same results. It is built where
 * there is a compiler, and nothing but speed depends on it.
 *
 * The kernel's set is edge-triggered: it tells once that something arrived. So it need not be told
 * that a connection pauses, which may be for each message; what it told meanwhile is noted, and it
 * is asked again where more may be there than was read.
 */

#include "../../base/native.h"

#include "structmember.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
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

/* What becomes of the next write: it is queued, or goes to the kernel, unless TLS is to say
   something else. Beside one of the last two, nothing arrived before it, so that there is one in
   each turn. While anything is queued, here or by the owner, the mode is QUEUED. */
enum { QUEUED, DIRECT, DIRECT_TLS, FIRST = 4 };

/* What an owner is told, by a method without arguments each, and what else it is asked for. */
enum { ENDED, STALLED, DRAINED, FAILED, DATA_RECEIVED, RAISED, WRITE_OTHERWISE, NAMES };
static const char *const name_texts[NAMES] = {
    "ended", "stalled", "drained", "failed", "dataReceived", "raised", "writeOtherwise",
};

typedef struct Channel Channel;

/* What a transport has here: its channel, or NULL, and its protocol, or NULL. */
typedef struct {
    PyObject_HEAD
    Channel *channel;
    PyObject *protocol;
} Writer;

/* The channels of a reactor, and what they know of its turn. */
typedef struct {
    PyObject_HEAD
    PyObject *names[NAMES];
    PyObject *run;      /* what runs something in a context, */
    PyObject *deliver;  /* and what it runs there */
    PyObject *current;  /* the owner whose callback is running */
    Channel **channels; /* by their descriptors; these are no references */
    char *arrived;
    long long began;  /* when it began to poll, in nanoseconds */
    long long number; /* of the turn */
    int size;         /* of the table */
    int set;          /* the kernel's */
    char ending;      /* whether somebody waits for the end of the turn */
} Poller;

/* A connected socket. */
struct Channel {
    PyObject_HEAD
    Poller *poller;
    Writer *owner;
    PyObject *context;
    PyObject *queue;    /* what the kernel did not take yet: a list; NULL where it took all */
    Py_ssize_t offset;  /* so much of the first piece it did take */
    Py_ssize_t unsent;
    long long made_in;  /* the number of the turn in which it was made, */
    long long wrote_in; /* and of that in which the first write went to the kernel */
    int descriptor;     /* -1 when it is closed */
    int mode;           /* that of the next write, */
    int open_mode;      /* as it is again when something arrives */
    char reading;
    char ended;
    char broken;        /* what is written is lost */
    char unix_domain;
    char told;          /* that something arrived, or may have, while it did not read */
};

typedef struct {
    PyTypeObject *poller;
    PyTypeObject *writer;
} State;

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

/* Tell the owner something. It may let go of the channel then: nobody who calls this looks at that
   any more, unless there is another reference. */
static void
tell(Channel *self, int what)
{
    PyObject *owner = Py_XNewRef((PyObject *)self->owner);

    /* It may be closed by what was freed just now. */
    if (owner == NULL)
        return;
    called(owner, PyObject_CallMethodObjArgs(owner, self->poller->names[what], NULL));
}

/* What was raised, as an object with its traceback. */
static PyObject *
take_error(void)
{
    PyObject *type, *value, *traceback;

    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback != NULL)
        PyException_SetTraceback(value, traceback);
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    return value;
}

static void
set_current(Poller *poller, PyObject *owner)
{
    PyObject *before = poller->current;

    poller->current = owner;
    Py_XDECREF(before);
}

/* Hand to the owner's protocol what arrived: deliver(channel, data). What that raises, the owner is
   told. */
static PyObject *
deliver(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t Py_UNUSED(count))
{
    Channel *self = (Channel *)args[0];
    Poller *poller = self->poller;
    PyObject *owner = Py_NewRef((PyObject *)self->owner);
    PyObject *protocol = Py_XNewRef(self->owner->protocol), *error, *result;

    self->mode = self->open_mode;
    set_current(poller, Py_NewRef(owner));
    if (protocol == NULL)
        protocol = Py_NewRef(Py_None);
    result = PyObject_CallMethodObjArgs(protocol, poller->names[DATA_RECEIVED], args[1], NULL);
    Py_DECREF(protocol);
    if (result == NULL && (error = take_error()) != NULL) {
        result = PyObject_CallMethodObjArgs(owner, poller->names[RAISED], error, NULL);
        Py_DECREF(error);
    }
    set_current(poller, NULL);
    called(owner, result);
    return none();
}

static PyMethodDef delivery = {
    "deliver", FASTCALL(deliver), NULL,
};

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
    self->mode = self->open_mode = QUEUED;
    Py_CLEAR(self->queue);
    self->unsent = self->offset = 0;
    tell(self, FAILED);
}

/* Deliver in the context of the connection. */
static void
deliver_in_context(Channel *self, PyObject *data)
{
    PyObject *context = Py_NewRef(self->context);

    called(context, PyObject_CallFunctionObjArgs(self->poller->run, context,
                                                 self->poller->deliver, self, data, NULL));
}

static long long
now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000ll + time.tv_nsec;
}

/* As recv and send do, but for being points where a thread can be cancelled: where there is more
   than one, the C library has two locked instructions for that in each call. */
static ssize_t
receive_octets(int descriptor, void *room, size_t size)
{
    return syscall(SYS_recvfrom, descriptor, room, size, 0, NULL, NULL);
}

static ssize_t
write_octets(int descriptor, const void *octets, size_t size)
{
    return syscall(SYS_sendto, descriptor, octets, size, MSG_NOSIGNAL, NULL, 0);
}

/* Read what there is. A read of a UNIX socket ends at a message with descriptors, and what is
   behind that is not told of: then there is more. */
static ssize_t
read_some(Channel *self, unsigned int *events)
{
    struct iovec room = {.iov_base = self->poller->arrived, .iov_len = READ};
    struct msghdr message = {.msg_iov = &room, .msg_iovlen = 1};
    ssize_t length;

    do
        length = self->unix_domain ? recvmsg(self->descriptor, &message, 0)
                                   : receive_octets(self->descriptor, room.iov_base, READ);
    while (length < 0 && errno == EINTR);
    if (message.msg_flags & MSG_CTRUNC)
        *events |= MORE;
    return length;
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
        length = read_some(self, &events);
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
            PyErr_WriteUnraisable((PyObject *)self);
            failed(self);
            return;
        }
        deliver_in_context(self, data);
        Py_DECREF(data);
        if (length < READ && !(events & MORE))
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

/* Keep what the kernel did not take, and tell the owner, whose error is the writer's; if there was
   an error of the kernel's, that. */
static PyObject *
keep(Channel *self, int result)
{
    PyObject *owner, *told;

    if (result < 0) {
        if (errno == 0)
            return NULL;
        failed(self);
        return none();
    }
    if (self->queue == NULL || self->descriptor < 0)
        return none();
    self->mode = self->open_mode = QUEUED;
    watch(self, EPOLL_CTL_MOD);
    owner = Py_NewRef((PyObject *)self->owner);
    told = PyObject_CallMethodObjArgs(owner, self->poller->names[STALLED], NULL);
    Py_DECREF(owner);
    return told;
}

/* Send octets, behind those that are to be sent. */
static PyObject *
send_octets(Channel *self, PyObject *data)
{
    PyObject *queue;
    Py_ssize_t size;
    ssize_t written;

    if (self->descriptor < 0 || self->broken)
        return none();
    size = PyBytes_Size(data);
    if (self->queue != NULL) {
        self->unsent += size;
        return PyList_Append(self->queue, data) < 0 ? NULL : none();
    }
    do
        written = write_octets(self->descriptor, PyBytes_AsString(data), (size_t)size);
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

PyDoc_STRVAR(channel_write_doc,
"write(data, /)\n--\n\n"
"Send octets, behind those that are to be sent.");

static PyObject *
channel_write(PyObject *object, PyObject *data)
{
    if (PyBytes_Check(data))
        return send_octets((Channel *)object, data);
    PyErr_SetString(PyExc_TypeError, "octets are bytes");
    return NULL;
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
    self->mode = self->open_mode = QUEUED;
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
    Channel **channels, *before, *self;
    socklen_t length = sizeof(int);
    int descriptor, domain, size;

    if (!PyArg_ParseTuple(args, "O!OOO!:Channel", state->poller, &poller, &socket, &context,
                          state->writer, &owner))
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
    self->owner = (Writer *)Py_NewRef(owner);
    self->descriptor = -1;
    /* Nothing is written at once in the turn in which it is made. */
    self->made_in = self->wrote_in = self->poller->number;
    if (getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &domain, &length) < 0 ||
        ioctl(descriptor, FIONBIO, &(int){1}) < 0 ||
        epoll_ctl(self->poller->set, EPOLL_CTL_ADD, descriptor,
                  &(struct epoll_event){.events = ARRIVALS, .data.fd = descriptor}) < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        Py_DECREF(self);
        return NULL;
    }
    self->descriptor = descriptor;
    self->unix_domain = domain == AF_UNIX;
    before = self->poller->channels[descriptor];
    self->poller->channels[descriptor] = self;
    /* Its socket was closed behind its back: the descriptor is not its any more. */
    if (before != NULL)
        close_channel(before);
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
    Py_VISIT(self->queue);
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
    return 0;
}

static void
channel_dealloc(PyObject *object)
{
    PyObject_GC_UnTrack(object);
    channel_clear(object);
    Py_CLEAR(((Channel *)object)->poller);
    free_object(object);
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
    {"madeIn", T_LONGLONG, offsetof(Channel, made_in), READONLY,
     "The number of the turn in which it was made."},
    {"mode", T_INT, offsetof(Channel, mode), 0, "That of the next write."},
    {"openMode", T_INT, offsetof(Channel, open_mode), 0,
     "The mode while all is in order, as it is again when something arrives."},
    {"wroteIn", T_LONGLONG, offsetof(Channel, wrote_in), 0,
     "The number of the turn in which the first write went to the kernel."},
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

PyDoc_STRVAR(writer_write_doc,
"write(data, /)\n--\n\n"
"Send octets at once, where nothing else is to be done for that.");

static PyObject *
writer_write(PyObject *object, PyObject *data)
{
    Channel *channel = ((Writer *)object)->channel;

    if (channel != NULL && PyBytes_CheckExact(data)) {
        if (channel->mode == DIRECT) {
            /* Most are answers. */
            channel->mode = QUEUED;
            return send_octets(channel, data);
        }
        if (channel->mode == (FIRST | DIRECT) && channel->poller->ending &&
            channel->wrote_in != channel->poller->number) {
            channel->wrote_in = channel->poller->number;
            return send_octets(channel, data);
        }
    }
    return channel == NULL
        ? PyObject_CallMethod(object, name_texts[WRITE_OTHERWISE], "(O)", data)
        : PyObject_CallMethodObjArgs(object, channel->poller->names[WRITE_OTHERWISE], data, NULL);
}

static PyObject *
writer_get_channel(PyObject *object, void *Py_UNUSED(closure))
{
    Channel *channel = ((Writer *)object)->channel;

    return Py_NewRef(channel == NULL ? Py_None : (PyObject *)channel);
}

static int
writer_set_channel(PyObject *object, PyObject *value, void *Py_UNUSED(closure))
{
    Writer *self = (Writer *)object;
    Channel *before = self->channel;

    if (value == Py_None)
        value = NULL;
    /* As nothing inherits from it; what sets an attribute cannot ask the module for the type. */
    else if (value == NULL ||
             (newfunc)PyType_GetSlot(Py_TYPE(value), Py_tp_new) != channel_new) {
        PyErr_SetString(PyExc_TypeError, "a channel is a Channel, or None");
        return -1;
    }
    self->channel = (Channel *)Py_XNewRef(value);
    Py_XDECREF((PyObject *)before);
    return 0;
}

static int
writer_traverse(PyObject *object, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(((Writer *)object)->channel);
    Py_VISIT(((Writer *)object)->protocol);
    return 0;
}

static int
writer_clear(PyObject *object)
{
    Py_CLEAR(((Writer *)object)->channel);
    Py_CLEAR(((Writer *)object)->protocol);
    return 0;
}

static void
writer_dealloc(PyObject *object)
{
    PyObject_GC_UnTrack(object);
    writer_clear(object);
    free_object(object);
}

static PyMethodDef writer_methods[] = {
    {"write", writer_write, METH_O, writer_write_doc},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef writer_members[] = {
    {"protocol", T_OBJECT_EX, offsetof(Writer, protocol), 0, "That of the connection."},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef writer_attributes[] = {
    {"channel", writer_get_channel, writer_set_channel, "The channel, or None.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(writer_doc,
"A transport that writes to a channel.");

static PyType_Slot writer_slots[] = {
    {Py_tp_doc, (void *)writer_doc},
    {Py_tp_dealloc, writer_dealloc},
    {Py_tp_traverse, writer_traverse},
    {Py_tp_clear, writer_clear},
    {Py_tp_methods, writer_methods},
    {Py_tp_members, writer_members},
    {Py_tp_getset, writer_attributes},
    {0, NULL},
};

static PyType_Spec writer_spec = {
    .name = "netkit.reactor.channels.native.Writer",
    .basicsize = sizeof(Writer),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = writer_slots,
};

static PyObject *
poller_new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(keywords))
{
    PyObject *module, *context;
    Poller *self;
    int at;

    /* The arguments are those of a subclass. */
    if ((self = (Poller *)PyType_GenericAlloc(type, 0)) == NULL)
        return NULL;
    self->set = -1;
    self->number = 1;
    for (at = 0; at < NAMES; at++) {
        if ((self->names[at] = PyUnicode_InternFromString(name_texts[at])) == NULL)
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
    if ((self->deliver = PyCFunction_NewEx(&delivery, NULL, NULL)) == NULL)
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
    Py_VISIT(((Poller *)object)->current);
    return 0;
}

static int
poller_clear(PyObject *object)
{
    Poller *self = (Poller *)object;
    int at;

    Py_CLEAR(self->run);
    Py_CLEAR(self->deliver);
    Py_CLEAR(self->current);
    for (at = 0; at < NAMES; at++)
        Py_CLEAR(self->names[at]);
    return 0;
}

static void
poller_dealloc(PyObject *object)
{
    Poller *self = (Poller *)object;

    PyObject_GC_UnTrack(object);
    poller_clear(object);
    if (self->set >= 0)
        close(self->set);
    PyMem_Free(self->channels);
    PyMem_Free(self->arrived);
    free_object(object);
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

static PyMemberDef poller_members[] = {
    {"current", T_OBJECT, offsetof(Poller, current), 0,
     "The owner whose callback is running, or None."},
    {"ending", T_BOOL, offsetof(Poller, ending), 0,
     "Whether somebody waits for the end of the turn."},
    {"number", T_LONGLONG, offsetof(Poller, number), 0, "That of the turn."},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(poller_doc,
"The channels of a reactor, and what they know of its turn.");

static PyType_Slot poller_slots[] = {
    {Py_tp_doc, (void *)poller_doc},
    {Py_tp_new, poller_new},
    {Py_tp_dealloc, poller_dealloc},
    {Py_tp_traverse, poller_traverse},
    {Py_tp_clear, poller_clear},
    {Py_tp_methods, poller_methods},
    {Py_tp_members, poller_members},
    {0, NULL},
};

static PyType_Spec poller_spec = {
    .name = "netkit.reactor.channels.native.Poller",
    .basicsize = sizeof(Poller),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = poller_slots,
};

static int
add_all(PyObject *module)
{
    State *state = PyModule_GetState(module);

    return add_type(module, &poller_spec, &state->poller) < 0 ||
            add_type(module, &channel_spec, NULL) < 0 ||
            add_type(module, &writer_spec, &state->writer) < 0 ||
            PyModule_AddIntConstant(module, "QUEUED", QUEUED) < 0 ||
            PyModule_AddIntConstant(module, "DIRECT", DIRECT) < 0 ||
            PyModule_AddIntConstant(module, "DIRECT_TLS", DIRECT_TLS) < 0 ||
            PyModule_AddIntConstant(module, "FIRST", FIRST) < 0
        ? -1
        : 0;
}

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    Py_VISIT(((State *)PyModule_GetState(module))->poller);
    Py_VISIT(((State *)PyModule_GetState(module))->writer);
    return 0;
}

static int
module_clear(PyObject *module)
{
    Py_CLEAR(((State *)PyModule_GetState(module))->poller);
    Py_CLEAR(((State *)PyModule_GetState(module))->writer);
    return 0;
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, add_all},
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
