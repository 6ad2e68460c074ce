#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

/* So many connections are opened at a time, not to overrun a server's queue. */
#define OPENING 64
/* At least so many for each connection are measured: with fewer, it matters how many were half
   done when the measurement began. */
#define ENOUGH 4
/* A server that has not answered anything for so long has hung. */
#define PATIENCE (30 * 1000000000ull)

enum state { CONNECTING, SECURING, UPGRADING, READY, WAITING };

struct connection {
    int fd;
    enum state state;
    bool wants_write;
    struct bytes output; /* what is being sent, and how far it is */
    size_t sent;
    unsigned answered;   /* replies to the request that is out */
    uint64_t asked;
    struct reply reply;
    void *tls;
    struct connection *next_free;
};

static struct connection *connections, *free_list;
static int epoll, opened, started;
static char buffer[1 << 18];

/* What is measured, between the first exchange after the warm-up and the first after the end. */
static uint64_t begun, warm, over, first, last, paced, heard;
static uint64_t exchanges, watched_first, waited_first, own_first;
static int broadcast_pending;
static unsigned rounds;
static bool finished;

static void exchanged(struct connection *connection);

/* With that of who shares our core: an upstream, of which a relay has to wait too. */
static uint64_t own_time(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (options.beside ? processor_time(options.beside) : 0) + (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000u +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000u;
}

static void watch(struct connection *connection, int operation)
{
    struct epoll_event event = {
        .events = EPOLLIN | (connection->wants_write ? EPOLLOUT : 0),
        .data.ptr = connection,
    };
    if (epoll_ctl(epoll, operation, connection->fd, &event))
        fail("epoll_ctl: %m");
}

static void want_write(struct connection *connection, bool wanted)
{
    if (connection->wants_write != wanted) {
        connection->wants_write = wanted;
        watch(connection, EPOLL_CTL_MOD);
    }
}

static void flush(struct connection *connection)
{
    while (connection->sent < connection->output.length) {
        const char *data = connection->output.data + connection->sent;
        size_t left = connection->output.length - connection->sent;
        ssize_t count = connection->tls ? tls_write(connection->tls, data, left)
                                        : send(connection->fd, data, left, 0);
        if (count < 0) {
            if (errno != EAGAIN)
                fail("sending failed: %m");
            want_write(connection, true);
            return;
        }
        connection->sent += (size_t)count;
    }
    want_write(connection, false);
}

static void send_bytes(struct connection *connection, struct bytes bytes)
{
    connection->output = bytes;
    connection->sent = 0;
    flush(connection);
}

static void ask(struct connection *connection, uint64_t when)
{
    static unsigned next;
    connection->asked = when;
    if (!options.request_count) {
        /* The handshake is all that there is to it. */
        exchanged(connection);
        return;
    }
    connection->state = WAITING;
    if (options.mode != BROADCAST)
        connection->answered = 0;
    reply_expect(&connection->reply, next);
    send_bytes(connection, options.requests[next]);
    next = (next + 1) % options.request_count;
}

static void spread_sources(int fd)
{
    /* Each address has ports of its own: closed connections keep theirs for a minute. */
    static unsigned count;
    int on = 1;
    struct sockaddr_in source = {.sin_family = AF_INET};
    source.sin_addr.s_addr = htonl(0x7f000001u + count++ % 200);
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&source, sizeof source))
        fail("bind: %m");
}

static void start(struct connection *connection)
{
    int family = options.address.ss_family, on = 1;
    connection->fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (connection->fd < 0)
        fail("socket: %m");
    if (family == AF_INET) {
        setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        spread_sources(connection->fd);
    }
    connection->state = CONNECTING;
    connection->wants_write = true;
    connection->output.length = connection->sent = 0;
    reply_reset(&connection->reply);
    while (connect(connection->fd, (struct sockaddr *)&options.address, options.address_length)) {
        if (errno == EINPROGRESS)
            break;
        /* A UNIX socket whose queue is full. */
        if (errno != EAGAIN)
            fail("connecting failed: %m");
        usleep(1000);
    }
    watch(connection, EPOLL_CTL_ADD);
    started++;
}

static void end(struct connection *connection)
{
    if (connection->tls)
        tls_free(connection->tls);
    connection->tls = NULL;
    close(connection->fd);
}

static void begin(void)
{
    begun = heard = paced = now();
    warm = begun + (uint64_t)(options.warmup * 1e9);
    over = warm + (uint64_t)(options.seconds * 1e9);
    if (options.mode == IDLE) {
        puts("open");
        fflush(stdout);
        while (read(0, buffer, sizeof buffer) > 0)
            ;
        exit(0);
    }
    if (options.mode == BROADCAST)
        broadcast_pending = options.connections;
    for (int i = 0; i < options.connections; i++) {
        if (options.mode == PACED) {
            connections[i].next_free = free_list;
            free_list = &connections[i];
        } else if (options.mode != BROADCAST || i == 0) {
            ask(&connections[i], begun);
        }
    }
}

static void ready(struct connection *connection)
{
    connection->state = READY;
    if (options.mode == RECONNECT && begun) {
        ask(connection, connection->asked);
        return;
    }
    if (++opened == options.connections)
        begin();
    else if (started < options.connections)
        start(&connections[started]);
}

static void count(struct connection *connection, uint64_t time)
{
    heard = time;
    if (time < warm)
        return;
    if (!first) {
        first = time;
        own_first = own_time();
        watched_first = options.watched ? processor_time(options.watched) : 0;
        waited_first = options.watched ? waiting_time(options.watched) : 0;
        return;
    }
    exchanges++;
    histogram_add(time - connection->asked);
    uint64_t enough = options.mode == BROADCAST ? ENOUGH : ENOUGH * (uint64_t)options.connections;
    if (time >= over && exchanges >= enough) {
        last = time;
        finished = true;
    }
}

static void exchanged(struct connection *connection)
{
    uint64_t time = now();
    if (options.mode == BROADCAST) {
        connection->asked = connections[0].asked;
        if (--broadcast_pending)
            return;
        count(connection, time);
        broadcast_pending = options.connections;
        rounds++;
        ask(&connections[0], time);
        return;
    }
    count(connection, time);
    if (finished)
        return;
    switch (options.mode) {
    case RECONNECT:
        end(connection);
        connection->asked = time;
        start(connection);
        break;
    case PACED:
        connection->state = READY;
        connection->next_free = free_list;
        free_list = connection;
        break;
    default:
        ask(connection, time);
    }
}

static void upgraded(struct connection *connection, const char *data, size_t length)
{
    struct reply *reply = &connection->reply;
    reply->kept = realloc(reply->kept, reply->kept_length + length + 1);
    memcpy(reply->kept + reply->kept_length, data, length);
    reply->kept_length += length;
    char *end_of_head = memmem(reply->kept, reply->kept_length, "\r\n\r\n", 4);
    if (!end_of_head)
        return;
    if (reply->kept_length < 12 || memcmp(reply->kept, "HTTP/1.1 101", 12))
        fail("the handshake failed: %.*s", (int)reply->kept_length, reply->kept);
    if (options.accept && !memmem(reply->kept, reply->kept_length, options.accept, strlen(options.accept)))
        fail("the handshake was answered without the right Sec-WebSocket-Accept");
    if (end_of_head + 4 != reply->kept + reply->kept_length)
        fail("there is something behind the handshake");
    free(reply->kept);
    reply->kept = NULL;
    reply->kept_length = 0;
    ready(connection);
}

static void received(struct connection *connection, const char *data, size_t length)
{
    if (connection->state == UPGRADING) {
        upgraded(connection, data, length);
        return;
    }
    unsigned complete = reply_take(&connection->reply, data, length);
    if (options.mode != BROADCAST && connection->state != WAITING)
        fail("wrong reply: %zu octets that nobody asked for", length);
    connection->answered += complete;
    if (options.mode == BROADCAST) {
        if (complete > 1 || connection->answered > rounds + 1)
            fail("wrong reply: a message came twice");
        if (complete)
            exchanged(connection);
        return;
    }
    if (connection->answered > options.replies)
        fail("wrong reply: %u replies for %u", connection->answered, options.replies);
    if (connection->answered == options.replies) {
        if (connection->sent < connection->output.length)
            fail("wrong reply: it is complete before the request is");
        exchanged(connection);
    }
}

static void readable(struct connection *connection)
{
    int fd = connection->fd;
    for (;;) {
        ssize_t count = connection->tls ? tls_read(connection->tls, buffer, sizeof buffer)
                                        : recv(fd, buffer, sizeof buffer, 0);
        if (count == 0)
            fail("the server closed a connection");
        if (count < 0) {
            if (errno == EAGAIN)
                return;
            fail("receiving failed: %m");
        }
        received(connection, buffer, (size_t)count);
        /* TLS may hold more that arrived; the socket says itself when it does. */
        if (finished || !connection->tls || connection->fd != fd)
            return;
    }
}

static void connected(struct connection *connection)
{
    if (connection->state == CONNECTING) {
        int error = 0;
        socklen_t length = sizeof error;
        getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &error, &length);
        if (error)
            fail("connecting failed: %s", strerror(error));
        connection->state = SECURING;
        if (options.tls)
            connection->tls = tls_new(connection->fd);
    }
    want_write(connection, false);
    if (connection->tls && !tls_connected(connection->tls))
        return;
    if (options.handshake.length) {
        connection->state = UPGRADING;
        send_bytes(connection, options.handshake);
    } else {
        ready(connection);
    }
}

static void pace(void)
{
    uint64_t time = now();
    while (free_list && paced <= time) {
        struct connection *connection = free_list;
        free_list = connection->next_free;
        ask(connection, paced);
        paced = begun + (uint64_t)((double)(paced - begun) + 1e9 / options.rate + 0.5);
    }
}

static void report(void)
{
    double seconds = (double)(last - first) / 1e9;
    uint64_t watched = options.watched ? processor_time(options.watched) - watched_first : 0;
    uint64_t waited = options.watched ? waiting_time(options.watched) - waited_first : 0;
    printf("{\"exchanges\": %llu, \"seconds\": %.9f, \"server_seconds\": %.9f, "
           "\"server_waited\": %.9f, \"own_share\": %.4f, \"p50\": %.9f, \"p99\": %.9f}\n",
           (unsigned long long)exchanges, seconds, (double)watched / 1e9, (double)waited / 1e9,
           (double)(own_time() - own_first) / (double)(last - first),
           (double)histogram_quantile(0.5) / 1e9, (double)histogram_quantile(0.99) / 1e9);
}

void run(void)
{
    struct epoll_event events[256];
    connections = calloc((size_t)options.connections, sizeof *connections);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    heard = now();
    for (int i = 0; i < options.connections && i < OPENING; i++)
        start(&connections[i]);
    while (!finished) {
        bool pacing = begun && options.mode == PACED;
        if (pacing)
            pace();
        int count = epoll_wait(epoll, events, 256, pacing && free_list ? 0 : 1000);
        for (int i = 0; i < count && !finished; i++) {
            struct connection *connection = events[i].data.ptr;
            if (connection->state <= SECURING) {
                connected(connection);
                continue;
            }
            if (events[i].events & EPOLLOUT)
                flush(connection);
            if (events[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP))
                readable(connection);
        }
        if (now() - heard > PATIENCE)
            fail("nothing was answered for %llu seconds", PATIENCE / 1000000000ull);
    }
    report();
}
