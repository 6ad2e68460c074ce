/*
 * A load generator: sends the same requests over and over, and compares every reply, octet by
 * octet, with what it should be. Prints one line of JSON.
 *
 *     load (--tcp PORT | --unix PATH) --request FILE [--lengths N,N,...]
 *          [--expect FILE | --http FILE | --inflate FILE] [--expect-lengths N,N,...]
 *          [--mode closed|paced|reconnect|broadcast|idle] [--connections N] [--seconds S]
 *          [--warmup S] [--rate N] [--replies N] [--handshake FILE [--accept TEXT]] [--tls|--resume] [--watch PID]
 *          [--beside PID]
 *
 * A file of several requests, one behind the other, has their --lengths: they are sent in turn,
 * whatever connection is the next to ask. A file of replies, one for each request, has its
 * --expect-lengths; otherwise the file is the reply to all of them.
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

/* Divide octets into parts of these lengths, or leave them one; how many there are in *count. */
static struct bytes *divided(struct bytes all, const char *lengths, unsigned *count)
{
    *count = 1;
    for (const char *comma = lengths; comma && (comma = strchr(comma, ',')); comma++)
        ++*count;
    struct bytes *parts = calloc(*count, sizeof *parts);
    parts[0] = all;
    for (unsigned i = 0; lengths && i < *count; i++) {
        char *end;
        size_t length = strtoul(lengths, &end, 10);
        lengths = *end ? end + 1 : end;
        if (length > all.length)
            fail("the lengths that are said go beyond the end of a file");
        parts[i] = (struct bytes){all.data, length};
        all.data += length;
        all.length -= length;
    }
    if (lengths && all.length)
        fail("the lengths that are said leave %zu octets of a file", all.length);
    return parts;
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

static struct bytes expect(enum reply_kind kind, const char *path)
{
    options.kind = kind;
    return contents(path);
}

static void parse(int count, char **words)
{
    struct bytes request = {NULL, 0}, expected = {"", 0};
    const char *lengths = NULL, *expected_lengths = NULL;
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
        else if (!strcmp(name, "--expect-lengths"))
            expected_lengths = value;
        else if (!strcmp(name, "--handshake"))
            options.handshake = contents(value);
        else if (!strcmp(name, "--accept"))
            options.accept = value;
        else if (!strcmp(name, "--expect"))
            expected = expect(EXACT, value);
        else if (!strcmp(name, "--http"))
            expected = expect(HTTP, value);
        else if (!strcmp(name, "--inflate"))
            expected = expect(INFLATE, value);
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
        else if (!strcmp(name, "--beside"))
            options.beside = atoi(value);
        else
            fail("%s: there is no such option", name);
    }
    if (!options.address_length)
        fail("say where to connect to: --tcp PORT or --unix PATH");
    if (request.data)
        options.requests = divided(request, lengths, &options.request_count);
    options.expected = divided(expected, expected_lengths, &options.expected_count);
    if (options.mode != IDLE && options.mode != RECONNECT && !options.request_count)
        fail("say what to send: --request FILE");
    if (options.expected_count != 1 && options.expected_count != options.request_count)
        fail("there are %u requests, and %u replies", options.request_count, options.expected_count);
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
