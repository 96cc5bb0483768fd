/* What a thing costs: a small HTTP server on $PORT, in C and nothing else. One request at a time, one request a connection. */

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define VERSION "v1"

struct price {
    const char *sku;
    int cents;
};

static const struct price PRICES[] = {{"42", 1250}, {"43", 990}, {"44", 4999}};

static void answer(int client, int status, const char *reason, const char *body) {
    char head[256];
    int length = snprintf(head, sizeof head,
                          "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\n"
                          "Content-Length: %zu\r\nConnection: close\r\n\r\n",
                          status, reason, strlen(body));
    if (write(client, head, (size_t)length) == length) {
        ssize_t written = write(client, body, strlen(body));
        (void)written; /* Whoever left does not read it. */
    }
}

static void quote(int client, const char *sku) {
    char body[256];
    const char *currency = getenv("CURRENCY");
    for (size_t i = 0; i < sizeof PRICES / sizeof PRICES[0]; i++) {
        if (strcmp(PRICES[i].sku, sku) == 0) {
            snprintf(body, sizeof body, "{\"sku\":\"%s\",\"cents\":%d,\"currency\":\"%.8s\",\"version\":\"%s\"}\n",
                     PRICES[i].sku, PRICES[i].cents, currency ? currency : "", VERSION);
            answer(client, 200, "OK", body);
            return;
        }
    }
    answer(client, 404, "Not Found", "{\"error\":\"there is no such thing\",\"version\":\"" VERSION "\"}\n");
}

/* Reads up to the end of the head; 0 when it is not a request. */
static int read_head(int client, char *head, size_t size) {
    size_t length = 0;
    while (length + 1 < size) {
        ssize_t got = read(client, head + length, size - 1 - length);
        if (got <= 0) return 0;
        length += (size_t)got;
        head[length] = '\0';
        if (strstr(head, "\r\n\r\n") != NULL) return 1;
    }
    return 0;
}

static void serve(int client) {
    char head[16384], method[16], path[1024];
    if (!read_head(client, head, sizeof head) || sscanf(head, "%15s %1023s", method, path) != 2) {
        answer(client, 400, "Bad Request", "{\"error\":\"this is no request\"}\n");
        return;
    }
    path[strcspn(path, "?")] = '\0';
    if (strcmp(path, "/version") == 0) {
        answer(client, 200, "OK", "{\"service\":\"price\",\"version\":\"" VERSION "\"}\n");
    } else if (strncmp(path, "/price/", 7) == 0) {
        quote(client, path + 7);
    } else {
        quote(client, "");
    }
}

int main(void) {
    const char *port = getenv("PORT");
    int yes = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((unsigned short)atoi(port ? port : "8080")),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    signal(SIGPIPE, SIG_IGN);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 64) != 0) {
        perror("listen");
        return 1;
    }
    for (;;) {
        int client = accept(listener, NULL, NULL);
        if (client < 0) continue;
        struct timeval patience = {.tv_sec = 2}; /* A caller who says nothing must not keep the others waiting. */
        setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        serve(client);
        shutdown(client, SHUT_WR);
        close(client);
    }
}
