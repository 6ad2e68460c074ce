/*
 * The limit: an echo server, or a relay, that does nothing else, on epoll.
 *
 *     epoll_server [--to=PORT] PORT|PATH
 */
#include "epoll.h"

#define SIZE (1 << 18)

/*
 * One end of a connection. What arrives goes to another end: that of the upstream, from which it
 * comes back, or the same one. Where a peer does not take it, it is held, and the end that it came
 * from is not read from: so nothing is held for the other end when an end has ended.
 */
struct end {
    int fd;
    struct end *other;
    char *held;
    size_t length, sent;
    bool ended, watched;
};

static int epoll;
static int upstream;
static char buffer[SIZE];

static bool is_read_from(struct end *end) { return !end->ended && !end->other->length; }

static void unwatch(struct end *end)
{
    if (end->watched)
        check(!epoll_ctl(epoll, EPOLL_CTL_DEL, end->fd, NULL), "epoll_ctl");
    end->watched = false;
}

static void watch(struct end *end)
{
    uint32_t events = (is_read_from(end) ? EPOLLIN : 0) | (end->length ? EPOLLOUT : 0);
    struct epoll_event event = {.events = events, .data.ptr = end};
    int operation = end->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    /* Its EPOLLHUP would come again and again. */
    if (end->ended && !end->length) {
        unwatch(end);
        return;
    }
    check(!epoll_ctl(epoll, operation, end->fd, &event), "epoll_ctl");
    end->watched = true;
}

static void watch_both(struct end *end)
{
    watch(end);
    if (end->other != end)
        watch(end->other);
}

static struct end *new_end(int fd)
{
    int on = 1;
    struct end *end = calloc(1, sizeof *end);
    end->fd = fd;
    end->other = end;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return end;
}

static struct end *connected(void)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons((uint16_t)upstream)};
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    check(!connect(fd, (struct sockaddr *)&name, sizeof name), "connect");
    check(!fcntl(fd, F_SETFL, O_NONBLOCK), "fcntl");
    return new_end(fd);
}

static void accept_all(int listener)
{
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct end *end = new_end(fd);
        if (upstream) {
            end->other = connected();
            end->other->other = end;
            watch(end->other);
        }
        watch(end);
    }
}

static void discard(struct end *end)
{
    close(end->fd);
    free(end->held);
    free(end);
}

/*
 * Nothing more arrives here; what is held for here is still to be sent. When both ends have ended
 * nothing is held for either, and no event that is still to be looked at is of the other one: that
 * it ended, or took the last that was held, was its own event.
 */
static void finish(struct end *end)
{
    struct end *other = end->other;
    end->ended = true;
    if (!other->ended) {
        shutdown(other->fd, SHUT_WR);
        watch(end);
        return;
    }
    if (other != end)
        discard(other);
    discard(end);
}

static void pass_on(struct end *end)
{
    struct end *other = end->other;
    ssize_t count = recv(end->fd, buffer, SIZE, 0);
    if (count < 0 && errno == EAGAIN)
        return;
    if (count <= 0) {
        finish(end);
        return;
    }
    ssize_t sent = send(other->fd, buffer, (size_t)count, 0);
    /* One that is gone takes everything: its own end comes. */
    if (sent == count || (sent < 0 && errno != EAGAIN))
        return;
    sent = sent < 0 ? 0 : sent;
    other->length = (size_t)(count - sent);
    other->sent = 0;
    other->held = realloc(other->held, other->length);
    memcpy(other->held, buffer + sent, other->length);
    watch_both(end);
}

static void flush(struct end *end)
{
    ssize_t sent = send(end->fd, end->held + end->sent, end->length - end->sent, 0);
    if (sent < 0 && errno == EAGAIN)
        return;
    end->sent += sent < 0 ? end->length - end->sent : (size_t)sent;
    if (end->sent == end->length) {
        end->length = 0;
        watch_both(end);
    }
}

int main(int count, char **words)
{
    struct epoll_event events[256];
    if (count == 3 && !strncmp(words[1], "--to=", 5))
        upstream = atoi(words[1] + 5);
    check(count == (upstream ? 3 : 2), "epoll_server takes [--to=PORT] and a port or a path");
    signal(SIGPIPE, SIG_IGN);
    epoll = epoll_create1(0);
    struct end listener = {.fd = listening(words[count - 1]), .other = &listener};
    watch(&listener);
    for (;;) {
        int ready = epoll_wait(epoll, events, 256, -1);
        for (int i = 0; i < ready; i++) {
            struct end *end = events[i].data.ptr;
            if (end == &listener)
                accept_all(listener.fd);
            else if (end->length)
                flush(end);
            else if (is_read_from(end))
                pass_on(end);
            else
                /* Gone, before its turn to be read from: it is watched again then. */
                unwatch(end);
        }
    }
}
