/* What the parts of the load generator share. */
#ifndef LOAD_H
#define LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

struct bytes {
    const char *data;
    size_t length;
};

enum mode {
    CLOSED,    /* each connection asks again as soon as it has its answer */
    PACED,     /* so many requests a second, whatever the answers do */
    RECONNECT, /* a connection for each request */
    BROADCAST, /* the first connection asks, all of them are answered */
    IDLE       /* connections are opened, and that is all */
};

enum reply_kind { EXACT, HTTP, INFLATE };

struct options {
    struct sockaddr_storage address;
    socklen_t address_length;
    enum mode mode;
    int connections;
    double warmup, seconds, rate;
    bool tls;
    bool resume;              /* TLS sessions, each connection the last one's */
    pid_t watched;            /* whose processor time is measured, or 0 */
    pid_t beside;             /* who shares our core, or 0 */
    struct bytes handshake;   /* sent once; answered by a head with status 101 */
    const char *accept;       /* what the answer to the handshake has to contain, or NULL */
    struct bytes *requests;   /* sent in turn; none where each is a connection of its own */
    unsigned request_count;
    struct bytes *expected;   /* the reply to each of them: one for all, or as many as they are */
    unsigned expected_count;
    enum reply_kind kind;
    unsigned replies;         /* how many a request has */
};

extern struct options options;

/* main.c */
void fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
uint64_t now(void); /* nanoseconds */

/* loop.c: open the connections, make the load, print what was measured. */
void run(void);

/* reply.c: is what comes back what is to come back? */
struct reply {
    const struct bytes *expected;
    size_t offset;    /* in the expected octets */
    bool in_content;  /* HTTP: the head is read */
    char *kept;       /* HTTP: an incomplete head; INFLATE: an incomplete frame */
    size_t kept_length;
    void *inflater;
};
/* Take what arrived; the number of replies that were completed. Fails at a wrong octet. */
unsigned reply_take(struct reply *reply, const char *data, size_t length);
/* Say which request is sent. */
void reply_expect(struct reply *reply, unsigned request);
/* Forget everything, for a new connection. */
void reply_reset(struct reply *reply);

/* histogram.c: times in nanoseconds, with a precision of 1.6 %. */
void histogram_add(uint64_t time);
uint64_t histogram_quantile(double quantile);

/* tls.c: as recv, send: -1 and errno EAGAIN where nothing can be done now. */
void *tls_new(int fd);
bool tls_connected(void *tls); /* false: try again when the socket is ready */
ssize_t tls_read(void *tls, void *data, size_t length);
ssize_t tls_write(void *tls, const void *data, size_t length);
void tls_free(void *tls);

/* processor.c: the processor time of a process, all its threads, in nanoseconds. */
uint64_t processor_time(pid_t pid);
/* How long its first thread was ready to run, and did not. */
uint64_t waiting_time(pid_t pid);

#endif
