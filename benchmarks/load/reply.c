#define _GNU_SOURCE
#include "load.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The longest head of a response, or frame around compressed text, that is kept while it comes. */
#define KEPT (1u << 20)

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Compare the next part of the content; whether the content is complete with it. */
static bool content(struct reply *reply, const char **data, size_t *length)
{
    size_t size = smaller(*length, reply->expected->length - reply->offset);
    if (memcmp(*data, reply->expected->data + reply->offset, size)) {
        size_t i = 0;
        while ((*data)[i] == reply->expected->data[reply->offset + i])
            i++;
        fail("wrong reply: octet %zu is %02x, not %02x", reply->offset + i,
             (unsigned char)(*data)[i], (unsigned char)reply->expected->data[reply->offset + i]);
    }
    reply->offset += size;
    *data += size;
    *length -= size;
    if (reply->offset < reply->expected->length)
        return false;
    reply->offset = 0;
    return true;
}

static void keep(struct reply *reply, const char *data, size_t length)
{
    if (reply->kept_length + length > KEPT)
        fail("wrong reply: more than %u octets and no end", KEPT);
    reply->kept = realloc(reply->kept, reply->kept_length + length);
    memcpy(reply->kept + reply->kept_length, data, length);
    reply->kept_length += length;
}

static void check_head(const struct reply *reply, const char *head, size_t length)
{
    if (length < 13 || memcmp(head, "HTTP/1.1 200 ", 13))
        fail("wrong reply: %.*s", (int)smaller(length, 60), head);
    const char *end = head + length, *line = head;
    while ((line = memchr(line, '\n', (size_t)(end - line))) && ++line < end) {
        if ((size_t)(end - line) > 15 && !strncasecmp(line, "content-length:", 15)) {
            size_t said = strtoul(line + 15, NULL, 10);
            if (said != reply->expected->length)
                fail("wrong reply: Content-Length %zu, not %zu", said, reply->expected->length);
            return;
        }
    }
    fail("wrong reply: no Content-Length in %.*s", (int)length, head);
}

static unsigned http(struct reply *reply, const char *data, size_t length)
{
    unsigned complete = 0;
    while (length) {
        if (!reply->in_content) {
            if (reply->kept_length) {
                /* The head came in pieces: look at the whole of it. */
                size_t before = reply->kept_length;
                keep(reply, data, length);
                char *end = memmem(reply->kept, reply->kept_length, "\r\n\r\n", 4);
                if (!end)
                    return complete;
                size_t head = (size_t)(end - reply->kept) + 4;
                check_head(reply, reply->kept, head);
                data += head - before;
                length -= head - before;
                reply->kept_length = 0;
            } else {
                const char *end = memmem(data, length, "\r\n\r\n", 4);
                if (!end) {
                    keep(reply, data, length);
                    return complete;
                }
                size_t head = (size_t)(end - data) + 4;
                check_head(reply, data, head);
                data += head;
                length -= head;
            }
            reply->in_content = true;
        }
        if (content(reply, &data, &length)) {
            reply->in_content = false;
            complete++;
        }
    }
    return complete;
}

static unsigned exact(struct reply *reply, const char *data, size_t length)
{
    unsigned complete = 0;
    while (length)
        complete += content(reply, &data, &length);
    return complete;
}

#ifdef WITHOUT_ZLIB

static void inflate_payload(struct reply *reply, const unsigned char *payload, size_t length)
{
    (void)reply, (void)payload, (void)length;
    fail("built without zlib, so there is no --inflate");
}

static void end_inflater(struct reply *reply)
{
    (void)reply;
}

#else

#include <zlib.h>

static void inflate_part(struct reply *reply, const unsigned char *data, size_t length)
{
    static char text[65536];
    z_stream *stream = reply->inflater;
    stream->next_in = (unsigned char *)data;
    stream->avail_in = (unsigned)length;
    do {
        stream->next_out = (unsigned char *)text;
        stream->avail_out = sizeof text;
        int status = inflate(stream, Z_SYNC_FLUSH);
        if (status != Z_OK && status != Z_BUF_ERROR)
            fail("wrong reply: it cannot be inflated: %s", stream->msg ? stream->msg : "at its end");
        const char *produced = text;
        size_t size = sizeof text - stream->avail_out;
        if (size > reply->expected->length - reply->offset)
            fail("wrong reply: inflated, it is too long");
        if (size && content(reply, &produced, &size))
            reply->in_content = true;
    } while (stream->avail_in || !stream->avail_out);
}

static void inflate_payload(struct reply *reply, const unsigned char *payload, size_t length)
{
    if (!reply->inflater) {
        reply->inflater = calloc(1, sizeof(z_stream));
        inflateInit2((z_stream *)reply->inflater, -15);
    }
    reply->in_content = false;
    inflate_part(reply, payload, length);
    inflate_part(reply, (const unsigned char *)"\0\0\xff\xff", 4);
    if (!reply->in_content)
        fail("wrong reply: inflated, it is too short");
}

static void end_inflater(struct reply *reply)
{
    if (reply->inflater) {
        inflateEnd(reply->inflater);
        free(reply->inflater);
        reply->inflater = NULL;
    }
}

#endif

/* The length of a WebSocket frame, its header's in *header; 0 where more is needed. */
static size_t frame(const unsigned char *data, size_t length, size_t *header)
{
    if (length < 2)
        return 0;
    size_t size = data[1];
    *header = size < 126 ? 2 : size == 126 ? 4 : 10;
    if (size > 127)
        fail("wrong reply: a server masks nothing");
    if (length < *header)
        return 0;
    if (*header > 2) {
        size = 0;
        for (size_t i = 2; i < *header; i++)
            size = size << 8 | data[i];
    }
    return length < *header + size ? 0 : *header + size;
}

static unsigned inflated(struct reply *reply, const char *data, size_t length)
{
    unsigned complete = 0;
    keep(reply, data, length);
    const unsigned char *at = (const unsigned char *)reply->kept;
    size_t left = reply->kept_length, size, header;
    while ((size = frame(at, left, &header))) {
        if (at[0] != 0xc1)
            fail("wrong reply: a frame starts with %02x, not with c1 (compressed text)", at[0]);
        inflate_payload(reply, at + header, size - header);
        complete++;
        at += size;
        left -= size;
    }
    memmove(reply->kept, at, left);
    reply->kept_length = left;
    return complete;
}

unsigned reply_take(struct reply *reply, const char *data, size_t length)
{
    switch (options.kind) {
    case HTTP:
        return http(reply, data, length);
    case INFLATE:
        return inflated(reply, data, length);
    default:
        return exact(reply, data, length);
    }
}

void reply_expect(struct reply *reply, unsigned request)
{
    reply->expected = options.expected + (options.expected_count > 1 ? request : 0);
}

void reply_reset(struct reply *reply)
{
    reply_expect(reply, 0);
    reply->offset = reply->kept_length = 0;
    reply->in_content = false;
    end_inflater(reply);
}
