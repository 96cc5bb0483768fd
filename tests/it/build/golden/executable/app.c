/* Shows what it was sent, and misbehaves when asked to. A process per connection, which it keeps. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HEAD_MAX = 65536, BODY_MAX = 4 << 20 };

static char head[HEAD_MAX + 1], body[BODY_MAX], reply[2 * BODY_MAX];

/* Reads a head, byte by byte: it is not in a hurry. */
static int read_head(int connection) {
    int length = 0;
    while (length < HEAD_MAX) {
        if (read(connection, head + length, 1) != 1) return -1;
        head[++length] = 0;
        if (length >= 4 && memcmp(head + length - 4, "\r\n\r\n", 4) == 0) return length;
    }
    return -1;
}

static void read_exactly(int connection, char *into, int length) {
    while (length > 0) {
        int count = read(connection, into, length);
        if (count <= 0) exit(1);
        into += count, length -= count;
    }
}

static void send_all(int connection, const char *from, int length) {
    while (length > 0) {
        int count = write(connection, from, length);
        if (count <= 0) exit(1);
        from += count, length -= count;
    }
}

static void answer(int connection, const char *status, const char *headers, const char *content, int length) {
    int count = sprintf(reply, "HTTP/1.1 %s\r\n%scontent-length: %d\r\n\r\n", status, headers, length);
    memcpy(reply + count, content, length);
    send_all(connection, reply, count + length);
}

static int echo(char *into, int length) {
    char *out = into, *end = strstr(head, " HTTP/1.1\r\n");
    memcpy(out, head, end - head), out += end - head;
    for (char *c = end + 9; c[0] != '\r' || c[2] != '\r'; c++)
        if (*c != '\r') *out++ = *c;
    *out++ = '\n', *out++ = '\n';
    memcpy(out, body, length);
    return out + length - into;
}

static char content[2 * BODY_MAX];

#define IS(path) (strncmp(target, path " ", sizeof path) == 0)
#define TEXT "content-type: text/plain\r\n"

static void serve(int connection) {
    while (read_head(connection) > 0) {
        char *target = strchr(head, ' ') + 1, *told = strcasestr(head, "\r\ncontent-length:");
        int length = told ? atoi(told + 17) : 0, is_head = strncmp(head, "HEAD ", 5) == 0;
        if (length > BODY_MAX) exit(1);
        read_exactly(connection, body, length);
        if (strncmp(target, "/.verdigris/", 12) == 0) {
            FILE *seen = fopen(getenv("SEEN"), "ab");
            fwrite(content, 1, echo(content, length), seen);
            fputs("\n---\n", seen);
            fclose(seen);
            body[length] = 0;
            answer(connection, strstr(body, "bad") ? "500 No" : "200 OK", "", "", 0);
        } else if (IS("/cookies"))
            answer(connection, "200 OK", "Set-Cookie: a=1; Path=/\r\nset-cookie: b=2; Expires=Wed, 21 Oct 2026 07:28:00 GMT\r\nX-Many: 1\r\nx-many: 2\r\n" TEXT, "two", 3);
        else if (IS("/binary")) {
            for (int i = 0; i < 256; i++) content[i] = i;
            answer(connection, "200 OK", "content-type: application/octet-stream\r\n", content, 256);
        } else if (IS("/large")) {
            /* In chunks, of which each but the last has an odd size. */
            int size = 2 << 20, step = 65521;
            for (int i = 0; i < size; i++) content[i] = "0123456789abcdef"[i % 16];
            const char *start = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n" TEXT "\r\n";
            send_all(connection, start, strlen(start));
            for (int at = 0; at < size; at += step) {
                int part = size - at < step ? size - at : step, count = sprintf(reply, "%x;x=y\r\n", part);
                memcpy(reply + count, content + at, part), count += part;
                memcpy(reply + count, "\r\n", 2);
                send_all(connection, reply, count + 2);
            }
            send_all(connection, "0\r\nx-trailer: 1\r\n\r\n", 19);
        } else if (IS("/untyped")) {
            /* Without a length: the end of the connection is the end of the body. */
            send_all(connection, "HTTP/1.0 200 OK\r\n\r\nwhat is it", 29);
            exit(0);
        } else if (IS("/nothing"))
            answer(connection, "200 OK", "", "", 0);
        else if (IS("/created"))
            answer(connection, "201 Created", "location: /made/%2Fx\r\n" TEXT, "made", 4);
        else if (IS("/gone"))
            send_all(connection, "HTTP/1.1 204 No Content\r\n\r\n", 27);
        else if (IS("/latin"))
            answer(connection, "200 OK", "x-name: caf\xe9\r\n" TEXT, "ok", 2);
        else if (IS("/unicode"))
            answer(connection, "200 OK", "content-type: text/plain; charset=utf-8\r\n", "a\xe2\x80\xa8\xf0\x9f\x98\x80\"\\\0\x7f", 12);
        else if (IS("/error"))
            answer(connection, "503 Later", TEXT, "later", 5);
        else if (IS("/boom")) {
            kill(getppid(), SIGKILL);
            exit(1);
        } else {
            int size = echo(content, length);
            answer(connection, "200 OK", TEXT, content, is_head ? 0 : size);
        }
    }
    exit(0);
}

int main(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(getenv("PORT")))};
    int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    signal(SIGCHLD, SIG_IGN);
    if (bind(listener, (void *)&address, sizeof address) != 0 || listen(listener, 64) != 0) return 1;
    for (;;) {
        int connection = accept(listener, 0, 0);
        if (connection >= 0 && fork() == 0) {
            close(listener);
            serve(connection);
        }
        close(connection);
    }
}
