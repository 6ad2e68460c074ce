/*
 * The limit: an echo server with TLS that does nothing else, on epoll and OpenSSL.
 *
 *     epoll_tls --tls=PREFIX PORT
 */
#include "epoll.h"

#ifdef WITHOUT_TLS

int main(void) { check(false, "built without OpenSSL"); }

#else

#include <openssl/err.h>
#include <openssl/ssl.h>

/* A record at most. */
#define SIZE (1 << 14)

/* A connection, and what its peer has not taken yet: while there is something, it is not read from. */
struct connection {
    int fd;
    SSL *tls;
    bool waits_to_write;
    int length;
    char data[SIZE];
};

static int epoll;
static SSL_CTX *context;

static void watch(struct connection *connection, int operation)
{
    struct epoll_event event = {.events = connection->waits_to_write ? EPOLLOUT : EPOLLIN,
                                .data.ptr = connection};
    check(!epoll_ctl(epoll, operation, connection->fd, &event), "epoll_ctl");
}

static void accept_all(int listener)
{
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct connection *connection = calloc(1, sizeof *connection);
        connection->fd = fd;
        connection->tls = SSL_new(context);
        SSL_set_fd(connection->tls, fd);
        SSL_set_accept_state(connection->tls);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        watch(connection, EPOLL_CTL_ADD);
    }
}

static void end(struct connection *connection)
{
    SSL_free(connection->tls);
    close(connection->fd);
    free(connection);
}

static void echo(struct connection *connection)
{
    int result;
    do {
        /* SSL_get_error looks at what others left there, too. */
        ERR_clear_error();
        if (connection->length) {
            result = SSL_write(connection->tls, connection->data, connection->length);
            if (result > 0)
                connection->length = 0;
        } else {
            result = SSL_read(connection->tls, connection->data, SIZE);
            if (result > 0)
                connection->length = result;
        }
    } while (result > 0);
    int error = SSL_get_error(connection->tls, result);
    if (error == SSL_ERROR_ZERO_RETURN)
        SSL_shutdown(connection->tls);
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
        end(connection);
        return;
    }
    if (connection->waits_to_write != (error == SSL_ERROR_WANT_WRITE)) {
        connection->waits_to_write = !connection->waits_to_write;
        watch(connection, EPOLL_CTL_MOD);
    }
}

int main(int count, char **words)
{
    struct epoll_event events[256];
    char path[4096];
    check(count == 3 && !strncmp(words[1], "--tls=", 6), "epoll_tls takes --tls=PREFIX and a port");
    signal(SIGPIPE, SIG_IGN);
    context = SSL_CTX_new(TLS_server_method());
    snprintf(path, sizeof path, "%s.crt", words[1] + 6);
    check(SSL_CTX_use_certificate_chain_file(context, path) == 1, path);
    snprintf(path, sizeof path, "%s.key", words[1] + 6);
    check(SSL_CTX_use_PrivateKey_file(context, path, SSL_FILETYPE_PEM) == 1, path);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    epoll = epoll_create1(0);
    struct connection listener = {.fd = listening(words[2])};
    watch(&listener, EPOLL_CTL_ADD);
    for (;;) {
        int ready = epoll_wait(epoll, events, 256, -1);
        for (int i = 0; i < ready; i++) {
            struct connection *connection = events[i].data.ptr;
            if (connection == &listener)
                accept_all(listener.fd);
            else
                echo(connection);
        }
    }
}

#endif
