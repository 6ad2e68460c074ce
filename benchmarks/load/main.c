/*
 * A load generator: sends the same requests over and over, and compares every reply, octet by
 * octet, with what it should be. Prints one line of JSON.
 *
 *     load (--tcp PORT | --unix PATH) --request FILE [--lengths N,N,...]
 *          [--expect FILE | --http FILE | --inflate FILE]
 *          [--mode closed|paced|reconnect|broadcast|idle] [--connections N] [--seconds S]
 *          [--warmup S] [--rate N] [--replies N] [--handshake FILE [--accept TEXT]] [--tls|--resume] [--watch PID]
 *
 * A file of several requests, one behind the other, has their --lengths: they are sent in turn,
 * whatever connection is the next to ask.
 */
#include "load.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

struct options options = {
    .connections = 1, .seconds = 1, .warmup = 0.2, .replies = 1, .mode = CLOSED, .kind = EXACT,
};

void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static struct bytes contents(const char *path)
{
    struct stat status;
    int fd = open(path, O_RDONLY);
    if (fd < 0 || fstat(fd, &status))
        fail("%s: %m", path);
    struct bytes bytes = {"", (size_t)status.st_size};
    if (bytes.length) {
        bytes.data = mmap(NULL, bytes.length, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
        if (bytes.data == MAP_FAILED)
            fail("%s: %m", path);
    }
    close(fd);
    return bytes;
}

/* Divide what is sent into requests. */
static void divide(struct bytes all, const char *lengths)
{
    unsigned count = 1;
    for (const char *comma = lengths; comma && (comma = strchr(comma, ',')); comma++)
        count++;
    options.requests = calloc(count, sizeof *options.requests);
    for (size_t start = 0; start < all.length; options.request_count++) {
        size_t length = all.length;
        if (lengths) {
            char *end;
            length = strtoul(lengths, &end, 10);
            lengths = *end ? end + 1 : end;
        }
        if (!length || length > all.length - start)
            fail("--lengths: they are not those of the %zu octets of --request", all.length);
        options.requests[options.request_count] = (struct bytes){all.data + start, length};
        start += length;
    }
    if (lengths && options.request_count != count)
        fail("--lengths: there are %u, and %u requests", count, options.request_count);
}

static void set_tcp(const char *port)
{
    struct sockaddr_in *address = (struct sockaddr_in *)&options.address;
    address->sin_family = AF_INET;
    address->sin_port = htons((uint16_t)atoi(port));
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    options.address_length = sizeof *address;
}

static void set_unix(const char *path)
{
    struct sockaddr_un *address = (struct sockaddr_un *)&options.address;
    if (strlen(path) >= sizeof address->sun_path)
        fail("%s: the path is too long", path);
    address->sun_family = AF_UNIX;
    strcpy(address->sun_path, path);
    options.address_length = sizeof *address;
}

static enum mode mode_named(const char *name)
{
    static const char *const names[] = {"closed", "paced", "reconnect", "broadcast", "idle"};
    for (unsigned mode = 0; mode < sizeof names / sizeof *names; mode++)
        if (!strcmp(name, names[mode]))
            return (enum mode)mode;
    fail("--mode %s: there is no such mode", name);
}

static void expect(enum reply_kind kind, const char *path)
{
    options.kind = kind;
    options.expected = contents(path);
}

static void parse(int count, char **words)
{
    struct bytes request = {"", 0};
    const char *lengths = NULL;
    for (int i = 1; i < count; i++) {
        const char *name = words[i];
        if (!strcmp(name, "--tls") || !strcmp(name, "--resume")) {
            options.tls = true;
            options.resume = options.resume || !strcmp(name, "--resume");
            continue;
        }
        if (++i == count)
            fail("%s takes a value", name);
        const char *value = words[i];
        if (!strcmp(name, "--tcp"))
            set_tcp(value);
        else if (!strcmp(name, "--unix"))
            set_unix(value);
        else if (!strcmp(name, "--request"))
            request = contents(value);
        else if (!strcmp(name, "--lengths"))
            lengths = value;
        else if (!strcmp(name, "--handshake"))
            options.handshake = contents(value);
        else if (!strcmp(name, "--accept"))
            options.accept = value;
        else if (!strcmp(name, "--expect"))
            expect(EXACT, value);
        else if (!strcmp(name, "--http"))
            expect(HTTP, value);
        else if (!strcmp(name, "--inflate"))
            expect(INFLATE, value);
        else if (!strcmp(name, "--mode"))
            options.mode = mode_named(value);
        else if (!strcmp(name, "--connections"))
            options.connections = atoi(value);
        else if (!strcmp(name, "--replies"))
            options.replies = (unsigned)atoi(value);
        else if (!strcmp(name, "--seconds"))
            options.seconds = atof(value);
        else if (!strcmp(name, "--warmup"))
            options.warmup = atof(value);
        else if (!strcmp(name, "--rate"))
            options.rate = atof(value);
        else if (!strcmp(name, "--watch"))
            options.watched = atoi(value);
        else
            fail("%s: there is no such option", name);
    }
    if (!options.address_length)
        fail("say where to connect to: --tcp PORT or --unix PATH");
    divide(request, lengths);
    if (options.mode != IDLE && options.mode != RECONNECT && !options.request_count)
        fail("say what to send: --request FILE");
    if (options.mode == PACED && options.rate <= 0)
        fail("say how often: --rate N");
    if (options.connections < 1 || options.replies < 1)
        fail("there is at least one connection, and one reply to each request");
}

int main(int count, char **words)
{
    signal(SIGPIPE, SIG_IGN);
    parse(count, words);
    run();
    return 0;
}
