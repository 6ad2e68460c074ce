/*
 * What relays pass requests on to: answers each head of HTTP/1.1 with the same, on epoll. It looks
 * for the ends of heads alone, so it costs next to nothing, and no request may have content.
 *
 *     epoll_http PORT|PATH
 */
#include "epoll.h"

#define SIZE (1 << 18)

static const char ANSWER[] = "HTTP/1.1 200 OK\r\n"
                             "date: Sun, 22 Nov 2026 12:00:00 GMT\r\n"
                             "content-type: text/plain\r\n"
                             "content-length: 13\r\n"
                             "\r\n"
                             "Hello, World!";

struct connection {
    int fd;
    unsigned found; /* how much of the end of a head is the last that arrived */
};

static int epoll;
static char buffer[SIZE];

static void watch(struct connection *connection)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    check(!epoll_ctl(epoll, EPOLL_CTL_ADD, connection->fd, &event), "epoll_ctl");
}

static void accept_all(int listener)
{
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct connection *connection = calloc(1, sizeof *connection);
        connection->fd = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        watch(connection);
    }
}

static unsigned heads(struct connection *connection, size_t length)
{
    static const char end[] = "\r\n\r\n";
    unsigned count = 0;
    for (size_t i = 0; i < length; i++) {
        if (buffer[i] == end[connection->found])
            connection->found++;
        else
            connection->found = buffer[i] == '\r';
        if (!end[connection->found]) {
            connection->found = 0;
            count++;
        }
    }
    return count;
}

static void answer(struct connection *connection)
{
    ssize_t count = recv(connection->fd, buffer, SIZE, 0);
    if (count < 0 && errno == EAGAIN)
        return;
    bool open = count > 0;
    for (unsigned left = open ? heads(connection, (size_t)count) : 0; open && left; left--)
        /* One whose peer does not take its answers is not waited for. */
        open = send(connection->fd, ANSWER, sizeof ANSWER - 1, 0) == sizeof ANSWER - 1;
    if (!open) {
        close(connection->fd);
        free(connection);
    }
}

int main(int count, char **words)
{
    struct epoll_event events[256];
    check(count == 2, "epoll_http takes a port or a path");
    signal(SIGPIPE, SIG_IGN);
    epoll = epoll_create1(0);
    struct connection listener = {.fd = listening(words[1])};
    watch(&listener);
    for (;;) {
        int ready = epoll_wait(epoll, events, 256, -1);
        for (int i = 0; i < ready; i++) {
            struct connection *connection = events[i].data.ptr;
            if (connection == &listener)
                accept_all(listener.fd);
            else
                answer(connection);
        }
    }
}
