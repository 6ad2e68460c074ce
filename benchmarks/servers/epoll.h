/* What the servers in C have in common. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
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
