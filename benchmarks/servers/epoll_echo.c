/*
 * The limit: an echo server that does nothing else, on epoll.
 *
 *     epoll_echo PORT|PATH
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SIZE (1 << 18)

/* What the peer has not taken yet; while there is something, it is not read from. */
struct connection {
    int fd;
    char *held;
    size_t length, sent;
};

static int epoll;
static char buffer[SIZE];

static void check(bool right, const char *what)
{
    if (!right) {
        perror(what);
        exit(1);
    }
}

static int listening(const char *address)
{
    int fd, on = 1;
    if (address[0] == '/') {
        struct sockaddr_un name = {.sun_family = AF_UNIX};
        strncpy(name.sun_path, address, sizeof name.sun_path - 1);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        check(!bind(fd, (struct sockaddr *)&name, sizeof name), "bind");
    } else {
        struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(address))};
        name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        check(!bind(fd, (struct sockaddr *)&name, sizeof name), "bind");
    }
    check(!listen(fd, 4096), "listen");
    return fd;
}

static void watch(struct connection *connection, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = connection};
    check(!epoll_ctl(epoll, operation, connection->fd, &event), "epoll_ctl");
}

static void accept_all(int listener)
{
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct connection *connection = calloc(1, sizeof *connection);
        connection->fd = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        watch(connection, EPOLL_CTL_ADD, EPOLLIN);
    }
}

static void end(struct connection *connection)
{
    close(connection->fd);
    free(connection->held);
    free(connection);
}

static void echo(struct connection *connection)
{
    ssize_t count = recv(connection->fd, buffer, SIZE, 0);
    if (count < 0 && errno == EAGAIN)
        return;
    if (count <= 0) {
        end(connection);
        return;
    }
    ssize_t sent = send(connection->fd, buffer, (size_t)count, 0);
    if (sent == count)
        return;
    if (sent < 0 && errno != EAGAIN) {
        end(connection);
        return;
    }
    sent = sent < 0 ? 0 : sent;
    connection->length = (size_t)(count - sent);
    connection->sent = 0;
    connection->held = realloc(connection->held, connection->length);
    memcpy(connection->held, buffer + sent, connection->length);
    watch(connection, EPOLL_CTL_MOD, EPOLLOUT);
}

static void flush(struct connection *connection)
{
    ssize_t sent = send(connection->fd, connection->held + connection->sent,
                        connection->length - connection->sent, 0);
    if (sent < 0) {
        if (errno != EAGAIN)
            end(connection);
        return;
    }
    connection->sent += (size_t)sent;
    if (connection->sent == connection->length)
        watch(connection, EPOLL_CTL_MOD, EPOLLIN);
}

int main(int count, char **words)
{
    struct epoll_event events[256];
    check(count == 2, "epoll_echo takes a port or a path");
    signal(SIGPIPE, SIG_IGN);
    epoll = epoll_create1(0);
    struct connection listener = {.fd = listening(words[1])};
    watch(&listener, EPOLL_CTL_ADD, EPOLLIN);
    for (;;) {
        int ready = epoll_wait(epoll, events, 256, -1);
        for (int i = 0; i < ready; i++) {
            struct connection *connection = events[i].data.ptr;
            if (connection == &listener)
                accept_all(listener.fd);
            else if (events[i].events & EPOLLOUT)
                flush(connection);
            else
                echo(connection);
        }
    }
}
